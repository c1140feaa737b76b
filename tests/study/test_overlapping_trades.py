"""Trades of a symbol that overlap are drawn together, with the month of the first."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.study.planted import weekdays
from vcpd.analysis.costs import CostSettings
from vcpd.analysis.month_intervals import interval_by_month
from vcpd.domain.bars import IntArray
from vcpd.studies.figures import JudgedTrades, MonthAxis, judge_trades
from vcpd.studies.rules import TradeRules
from vcpd.studies.trades import TradeTable

SESSIONS = 800
MARKETS = 250
SYMBOLS = 30
RULES = TradeRules(holding_sessions=40)


def table_of(rows: IntArray, entries: IntArray, results: np.ndarray | None = None) -> TradeTable:
    """Trades of one session each, that risk 6 %."""
    count = len(rows)
    own = np.zeros(count) if results is None else results
    return TradeTable.of(
        row=rows,
        entry_column=entries,
        exit_column=entries + 1,
        risk_share=np.full(count, 0.06),
        result_r=own,
        better_r=own,
        ambiguous=np.zeros(count, np.bool_),
    )


def slow_firsts(rows: list[int], entries: list[int], overlap: int) -> list[int]:
    """By the definition: walk back from each purchase as long as an earlier one overlaps."""
    firsts = []
    for row, entry in zip(rows, entries, strict=True):
        first = entry
        while before := [
            other
            for its_row, other in zip(rows, entries, strict=True)
            if its_row == row and first - overlap <= other < first
        ]:
            first = max(before)
        firsts.append(first)
    return firsts


@given(
    trades=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 120)), max_size=25),
    overlap=st.integers(1, 40),
)
def test_firsts_are_those_of_the_definition(trades: list[tuple[int, int]], overlap: int) -> None:
    rows, entries = [trade[0] for trade in trades], [trade[1] for trade in trades]
    table = table_of(np.array(rows, np.int64), np.array(entries, np.int64))
    assert table.first_entries(overlap).tolist() == slow_firsts(rows, entries, overlap)


def simulated_trades(seed: int) -> JudgedTrades:
    """Trades without an expected gain: those of a symbol at random sessions of its walk, 40 sessions each."""
    random = np.random.default_rng([seed, 7])
    paths = np.cumsum(random.normal(0, 1, (SYMBOLS, SESSIONS)), axis=1)
    rows = np.repeat(np.arange(SYMBOLS), 4)
    starts = np.repeat(random.integers(0, SESSIONS - 120, SYMBOLS), 4)
    entries = starts + random.integers(0, 60, len(rows))
    gains = paths[rows, entries + 40] - paths[rows, entries]
    axis = MonthAxis.of(weekdays(SESSIONS), 0, SESSIONS)
    return judge_trades(table_of(rows, entries, gains), RULES, axis, 1_000.0, CostSettings())


def test_intervals_of_overlapping_trades_miss_the_mean_as_often_as_they_state() -> None:
    """Of 90 % intervals; drawn with the months of their own purchases they are too narrow."""
    days, together, apart = weekdays(SESSIONS), 0, 0
    for seed in range(MARKETS):
        trades = simulated_trades(seed)
        results = trades.table.results_r
        for_each = [
            interval_by_month(days[at], results, 90.0) for at in (trades.first_entries, trades.table.entries)
        ]
        missed = [found.low is None or found.high is None or found.low * found.high > 0 for found in for_each]
        together, apart = together + missed[0], apart + missed[1]
    assert 0.06 * MARKETS < together < 0.14 * MARKETS
    assert apart > 0.15 * MARKETS
