"""Sell rules evaluated at all sessions at once say what each rule says, read session by session."""

from collections.abc import Mapping
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcpd.analysis import rule_columns
from vcpd.analysis.position_judgement import LotHistory, SymbolNotes
from vcpd.analysis.rule_columns import COLUMNS, firing_columns
from vcpd.analysis.rule_firings import first_firings
from vcpd.analysis.sell_rules import RULES, SellRuleSettings
from vcpd.domain.bars import ONE_DAY, BarSeries, BoolArray
from vcpd.domain.portfolio import Lot

FIRST = np.datetime64("2024-01-01", "D")
SETTINGS = st.builds(
    SellRuleSettings,
    breakeven_r=st.sampled_from([0.0, 0.2, 1.0]),
    trail_sessions=st.sampled_from([0, 5, 20, 50]),
    trail_after_r=st.sampled_from([0.0, 1.0]),
    chandelier_atr=st.sampled_from([0.0, 1.0, 3.0]),
    time_sessions=st.sampled_from([0, 3, 25]),
    failed_breakout_sessions=st.sampled_from([0, 1, 10]),
    climax_gain_pct=st.sampled_from([0.0, 0.1, 10.0]),
    climax_up_days=st.integers(1, 4),
    climax_days=st.sampled_from([2, 3, 10, 200]),
    climax_gap_pct=st.sampled_from([0.1, 1.0]),
    strength_r=st.sampled_from([0.0, 1.0, 3.0]),
    results_sessions=st.sampled_from([0, 3]),
)


@st.composite
def histories(draw: st.DrawFn) -> LotHistory:
    """A random walk of up to 120 sessions with a purchase in it, before it or after it."""
    sessions, noise = draw(st.integers(1, 120)), np.random.default_rng(draw(st.integers(0, 10**6)))
    steps = noise.normal(draw(st.sampled_from([-0.01, 0.0, 0.03])), 0.03, sessions)
    close = np.round(100 * np.exp(np.cumsum(steps)), 2)
    opening = np.round(close * (1 + noise.normal(0, 0.01, sessions)), 2)
    high = np.maximum(opening, close) + np.round(np.abs(noise.normal(0, 2, sessions)), 2)
    low = np.minimum(opening, close) * (1 - np.abs(noise.normal(0, 0.02, sessions)))
    prices = tuple(np.asarray(column, np.float64) for column in (opening, high, low, close))
    days = FIRST + np.arange(sessions)
    series = BarSeries.from_columns("NSE:A", days, (prices[0], prices[1], prices[2], prices[3]), close)
    bought = draw(st.integers(-2, sessions))
    opened: date = (FIRST + np.timedelta64(bought, "D")).item()
    entry = float(close[min(max(bought, 0), sessions - 1)])
    stop = draw(st.sampled_from([None, 0.92 * entry, 1.01 * entry]))
    day = draw(st.sampled_from([opened, opened, None]))
    lot = Lot(number=1, symbol="NSE:A", opened=day, quantity=5, entry=entry, stop=stop)
    pivots = {opened: entry} if draw(st.booleans()) else {}
    due = draw(st.sampled_from([None, 0, 4]))
    return LotHistory(lot, series, draw(SETTINGS), SymbolNotes(pivots=pivots, results_in_sessions=due))


def read_by_session(history: LotHistory) -> dict[str, list[int]]:
    """The rows at which each rule fires, of one session's reading after the other."""
    found: dict[str, list[int]] = {}
    for row in range(len(history.series)):
        position = history.position(row)
        for reading in () if position is None else position.firing:
            found.setdefault(reading.name, []).append(row)
    return found


def rows_of(columns: Mapping[str, BoolArray], first: int) -> dict[str, list[int]]:
    return {name: (np.flatnonzero(fires) + first).tolist() for name, fires in columns.items() if fires.any()}


@settings(max_examples=400)
@given(history=histories())
def test_columns_say_what_the_rules_say(history: LotHistory) -> None:
    assert rows_of(firing_columns(history), history.first) == read_by_session(history)


@given(history=histories(), after=st.integers(-3, 120))
def test_a_rule_begins_to_fire_where_it_did_not_at_the_session_before(
    history: LotHistory, after: int
) -> None:
    expected = []
    for row in range(len(history.series)):
        position = history.position(row)
        before = None if row == 0 else history.position(row - 1)
        known = set() if before is None else {reading.name for reading in before.firing}
        if position is not None and row > after:
            expected += [(row, rule.name) for rule in position.firing if rule.name not in known]
    found = first_firings(history, (FIRST + np.timedelta64(after, "D")).item())
    rows = history.series.row_of
    assert [(rows(position.measures.session), rule.name) for position, rule in found] == expected


def test_every_rule_has_a_column() -> None:
    assert COLUMNS.keys() == set(RULES)


def test_a_rule_without_a_column_is_read_session_by_session(monkeypatch: pytest.MonkeyPatch) -> None:
    close = np.array([100.0, 104.0, 97.0, 89.0, 95.0, 120.0, 131.0])
    days = FIRST + np.arange(len(close))
    series = BarSeries.from_columns("NSE:A", days, (close, close + 1, close - 1, close), close)
    opened: date = days[1].item()
    lot = Lot(number=1, symbol="NSE:A", opened=opened, quantity=5, entry=104.0, stop=90.0)
    history = LotHistory(lot, series, SellRuleSettings(), SymbolNotes(pivots={opened: 105.0}))
    with_columns = rows_of(firing_columns(history), history.first)
    monkeypatch.setattr(rule_columns, "COLUMNS", {})
    assert rows_of(firing_columns(history), history.first) == with_columns
    assert with_columns.keys() == {"initial_stop", "squat", "failed_breakout"}
    assert with_columns["squat"] == [1]


def test_no_rule_fires_before_the_purchase() -> None:
    close = np.full(3, 100.0)
    days = FIRST + np.arange(3)
    series = BarSeries.from_columns("NSE:A", days, (close, close, close, close), close)
    lot = Lot(number=1, symbol="NSE:A", opened=days[-1].item() + ONE_DAY, quantity=5, entry=200.0, stop=150.0)
    assert firing_columns(LotHistory(lot, series, SellRuleSettings(), SymbolNotes())) == {}
