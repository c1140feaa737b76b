"""Sell rules: each fires on the session that planted prices ask for, with the value and level in its text."""

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcpd.analysis.position_judgement import LotHistory, SymbolNotes, stop_of
from vcpd.analysis.position_measures import measure_position, window_of
from vcpd.analysis.rule_firings import first_firings
from vcpd.analysis.sell_rules import (
    RULES,
    HeldLot,
    RuleReading,
    SellRuleSettings,
    next_rule,
    read_rules,
)
from vcpd.domain.bars import BarSeries
from vcpd.domain.portfolio import Lot

FIRST = date(2025, 1, 1)
HISTORY = 60  # flat sessions at 100 before the purchase
OPENED = FIRST + timedelta(HISTORY)
LOT = Lot(number=1, symbol="NSE:A", opened=OPENED, quantity=100, entry=100.0, stop=95.0)
QUIET = SellRuleSettings(
    breakeven_r=0,
    trail_sessions=0,
    time_sessions=0,
    failed_breakout_sessions=0,
    climax_gain_pct=0,
    strength_r=0,
    results_sessions=0,
)


def bars(*after: float | tuple[float, float, float, float]) -> BarSeries:
    """A flat history at 100, the purchase's session, then the given closes or (open, high, low, close)."""
    rows = [(100.0, 100.5, 99.5, 100.0)] * (HISTORY + 1)
    rows += [row if isinstance(row, tuple) else (row, row + 0.5, row - 0.5, row) for row in after]
    days = np.datetime64(FIRST, "D") + np.arange(len(rows))
    columns = np.array(rows).T
    prices = (columns[0], columns[1], columns[2], columns[3])
    return BarSeries.from_columns("NSE:A", days, prices, np.full(len(rows), 1e5))


def readings(
    series: BarSeries, lot: Lot = LOT, notes: SymbolNotes | None = None, **settings: float
) -> dict[str, RuleReading]:
    window = window_of(lot, series, series.sessions[-1].item())
    assert window is not None
    known = notes or SymbolNotes()
    held = HeldLot(
        measures=measure_position(lot, window),
        window=window,
        pivot=known.pivots.get(OPENED),
        results_in_sessions=known.results_in_sessions,
    )
    rules = msgspec.structs.replace(QUIET, **settings)
    return {reading.name: reading for reading in read_rules(held, rules)}


def fired_on(series: BarSeries, notes: SymbolNotes | None = None, **settings: float) -> list[tuple[int, str]]:
    """Sessions after the purchase, and the rules that begin to fire on them."""
    rules = msgspec.structs.replace(QUIET, **settings)
    history = LotHistory(LOT, series, rules, notes or SymbolNotes())
    found = first_firings(history, OPENED - timedelta(1))
    return [((position.measures.session - OPENED).days, reading.name) for position, reading in found]


def test_measures_are_in_units_of_the_initial_risk() -> None:
    window = window_of(LOT, bars(104.0, 112.0, 97.0), FIRST + timedelta(HISTORY + 3))
    assert window is not None
    measures = measure_position(LOT, window)
    assert (measures.sessions_held, measures.close) == (3, 97.0)
    assert measures.result_r == pytest.approx(-0.6)
    assert measures.best_r == pytest.approx(2.5)
    assert measures.worst_r == pytest.approx(0.7)
    assert measures.highest_close == 112.0
    assert measures.gain_pct == pytest.approx(-3.0)
    assert measures.averages.keys() == {20, 50}
    assert measures.averages[20] == pytest.approx((17 * 100 + 104 + 112 + 97) / 20)
    assert measures.to_stop_pct == pytest.approx(100 * (1 - 95 / 97))


def test_without_a_stop_nothing_is_in_r() -> None:
    lot = msgspec.structs.replace(LOT, stop=None)
    window = window_of(lot, bars(104.0), FIRST + timedelta(HISTORY + 1))
    assert window is not None
    measures = measure_position(lot, window)
    assert (measures.result_r, measures.best_r, measures.worst_r, measures.to_stop_pct) == (None,) * 4
    assert "initial_stop" not in readings(bars(104.0), lot)


def test_bars_before_the_purchase_are_no_excursion() -> None:
    series = bars(101.0)
    series.records["high"][: HISTORY + 1] = 500.0
    series.records["low"][: HISTORY + 1] = 5.0
    window = window_of(LOT, series, series.sessions[-1].item())
    assert window is not None
    measures = measure_position(LOT, window)
    assert (measures.highest, measures.lowest) == (101.5, 100.0)


def test_the_initial_stop_fires_at_a_touch_and_goes_on_firing() -> None:
    touched = bars(98.0, (97.0, 98.0, 95.0, 97.0), 101.0)
    assert fired_on(touched) == [(2, "initial_stop")]
    reading = readings(touched)["initial_stop"]
    assert (reading.fires, reading.level) == (True, 95.0)
    assert reading.text == "low 95.00 at or under the initial stop 95.00"
    assert not fired_on(bars((97.0, 98.0, 95.01, 97.0)))


def test_breakeven_needs_an_earlier_session_that_gained_enough() -> None:
    both = (101.0, 110.0, 99.0, 101.0)  # a bar that gains 2 R and touches the entry says nothing of the order
    assert fired_on(bars(both), breakeven_r=2.0) == []
    assert fired_on(bars(both, 101.0, (100.5, 101.0, 99.9, 100.5)), breakeven_r=2.0) == [(3, "breakeven")]
    assert readings(bars(109.5), breakeven_r=2.0)["breakeven"].level == 100.0
    assert "breakeven" not in readings(bars(109.0), breakeven_r=2.0)


def test_the_average_counts_after_its_gain_and_by_close() -> None:
    rise = [100.0 + 0.5 * day for day in range(1, 21)]
    series = bars(*rise, (101.0, 110.0, 100.0, 109.0), 101.0)
    assert fired_on(series, trail_sessions=20, trail_after_r=1.0) == [(22, "trailing_average")]
    reading = readings(series, trail_sessions=20, trail_after_r=1.0)["trailing_average"]
    level = (sum(rise[2:]) + 109 + 101) / 20
    assert reading.level == pytest.approx(level)
    assert reading.text == f"close 101.00 under the 20-session average {level:,.2f}"
    assert "trailing_average" not in readings(bars(99.0), trail_sessions=20, trail_after_r=1.0)


def test_the_chandelier_hangs_from_the_highest_price() -> None:
    series = bars(110.0, 120.0, 117.0)
    reading = readings(series, chandelier_atr=3.0)["chandelier"]
    ranges = [1.0] * 19 + [10.5, 10.5, 3.5]
    assert reading.level == pytest.approx(120.5 - 3 * sum(ranges) / 22)
    assert not reading.fires
    assert fired_on(bars(110.0, 120.0, 117.0, 106.0), chandelier_atr=3.0) == [(4, "chandelier")]


def test_the_time_stop_waits_for_progress() -> None:
    assert fired_on(bars(*[101.0] * 8), time_sessions=5) == [(5, "time_stop")]
    assert fired_on(bars(101.0, 105.0, *[101.0] * 8), time_sessions=5) == []
    text = readings(bars(101.0, 101.0), time_sessions=5)["time_stop"].text
    assert text == "2 of 5 sessions, best 0.30 R of 1 R"


def test_a_close_under_the_pivot_soon_after_the_purchase() -> None:
    notes = SymbolNotes(pivots={OPENED: 99.8})
    assert fired_on(bars(101.0, 99.0, 99.0), notes, failed_breakout_sessions=3) == [(2, "failed_breakout")]
    assert fired_on(bars(101.0, 101.0, 101.0, 99.0), notes, failed_breakout_sessions=3) == []
    squat = SymbolNotes(pivots={OPENED: 100.2})
    assert fired_on(bars(101.0), squat, failed_breakout_sessions=3) == [(0, "squat")]


def test_a_climax_needs_two_signs_after_a_run() -> None:
    run = [100.0 + 3 * day for day in range(1, 11)]
    exhausted = (140.0, 160.0, 139.0, 158.0)
    reading = readings(bars(*run, exhausted), climax_gain_pct=25.0)["climax"]
    assert reading.fires
    assert reading.text == (
        "4 of 4 signs after a gain of 60 %: the largest daily range since the purchase, the largest rise "
        "in a week since the purchase, 8 rising closes of 10, a gap of 2 %"
    )
    assert "climax" not in readings(bars(*run[:5], 116.0), climax_gain_pct=25.0)
    assert fired_on(bars(*run, exhausted), climax_gain_pct=25.0)[0][1] == "climax"


def test_strength_sells_a_part_from_three_r_on() -> None:
    series = bars(110.0, 114.6, 112.0)
    assert fired_on(series, strength_r=3.0) == [(2, "strength")]
    reading = readings(series, strength_r=3.0, strength_share=0.25)["strength"]
    assert (reading.level, reading.share, reading.fires) == (115.0, 0.25, True)


@pytest.mark.parametrize(("due", "fires"), [(0, True), (3, True), (4, False), (None, None), (-2, False)])
def test_results_that_are_due(due: int | None, fires: bool | None) -> None:
    found = readings(bars(101.0), notes=SymbolNotes(results_in_sessions=due), results_sessions=3)
    assert (found["results_due"].fires if "results_due" in found else None) is fires


def test_the_next_rule_is_the_highest_level_under_the_price() -> None:
    found = tuple(readings(bars(109.6, 108.0), breakeven_r=1.0, strength_r=3.0).values())
    chosen = next_rule(found)
    assert chosen is not None
    assert (chosen.name, chosen.level) == ("breakeven", 100.0)
    assert stop_of(found, 108.0) == 100.0
    assert stop_of(found, 94.0) is None, "a stop above the close bounds nothing"


def test_every_rule_has_a_docstring_and_a_name_of_its_own() -> None:
    assert len({rule.__name__ for rule in RULES}) == len(RULES)
    assert all(rule.__doc__ for rule in RULES)


@given(st.lists(st.floats(80, 130), min_size=1, max_size=40), st.integers(1, 40))
def test_later_bars_change_no_reading(closes: Sequence[float], cut: int) -> None:
    """What a rule says after a session does not depend on what comes later."""
    everything = SellRuleSettings(chandelier_atr=3.0, trail_sessions=20)
    whole = bars(*closes)
    short = BarSeries("NSE:A", whole.records[: HISTORY + 1 + min(cut, len(closes))])
    as_of = short.sessions[-1].item()
    pair = [window_of(LOT, series, as_of) for series in (whole, short)]
    assert pair[0] is not None
    assert pair[1] is not None
    both = [
        read_rules(HeldLot(measures=measure_position(LOT, window), window=window), everything)
        for window in pair
        if window is not None
    ]
    assert both[0] == both[1]
