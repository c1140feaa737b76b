"""The universe of each date: prices as traded, series of the date, values that a split does not change."""

import asyncio
from datetime import date

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.study.planted import THRESHOLDS, planted_panel
from tests.study.test_study_run import UNSEALED, in_chunks
from vcpd.analysis.costs import CostSettings
from vcpd.analysis.indicators import Bars, bars_of
from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import Panel, build_panel
from vcpd.studies.dated_universe import DatedUniverse, RatioStep, SeriesStep, UniverseFacts, UniverseFilter
from vcpd.studies.plan import StudyPlan
from vcpd.studies.run import run_study
from vcpd.studies.trades import TradeTable

SPLIT_DAY = date(2024, 1, 11)


def market(price: float = 20.0, volume: float = 1000.0) -> tuple[Panel, Bars]:
    """One symbol of twenty flat bars, as a file that is adjusted for a split on the eleventh has them."""
    days = np.arange("2024-01-01", "2024-01-21", dtype="M8[D]")
    flat = np.full(len(days), price)
    series = BarSeries.from_columns("A", days, (flat, flat, flat, flat), np.full(len(days), volume))
    panel = build_panel([series])
    return panel, bars_of(panel, 0)


def admitted(asked: UniverseFilter, facts: UniverseFacts, panel: Panel, bars: Bars) -> list[int]:
    """The bars before which the symbol was in the universe."""
    universe = DatedUniverse(asked, facts)
    return [bar for bar in range(len(bars.close)) if universe.admits(panel, 0, bars, bar)]


def test_a_price_is_compared_as_it_was_traded_before_a_split() -> None:
    """Five shares for one on the eleventh: the file's 20 were 100 until the evening of the tenth."""
    panel, bars = market()
    facts = UniverseFacts(ratios={"A": (RatioStep(SPLIT_DAY, 5.0),)})
    assert admitted(UniverseFilter(min_price=50.0), UniverseFacts(), panel, bars) == []
    assert admitted(UniverseFilter(min_price=50.0), facts, panel, bars) == list(range(1, 11))
    assert admitted(UniverseFilter(min_price=101.0), facts, panel, bars) == []


def test_a_traded_value_is_that_of_price_and_volume_of_the_evenings_before() -> None:
    panel, bars = market()
    facts = UniverseFacts(ratios={"A": (RatioStep(SPLIT_DAY, 5.0),)})
    assert admitted(UniverseFilter(min_traded_value=20_000.0), facts, panel, bars) == list(range(1, 20))
    assert admitted(UniverseFilter(min_traded_value=20_001.0), facts, panel, bars) == []


def test_a_series_is_that_of_the_evening_before() -> None:
    """From the sixth to the tenth in BE: the purchases of the seventh to the eleventh are left out."""
    panel, bars = market()
    moves = (SeriesStep(date(2024, 1, 6), "BE", "EQ"), SeriesStep(SPLIT_DAY, "EQ", "BE"))
    facts = UniverseFacts(series={"A": moves})
    asked = UniverseFilter(series=("EQ",))
    assert admitted(asked, facts, panel, bars) == [*range(1, 6), *range(11, 20)]
    assert admitted(UniverseFilter(series=("BE",)), facts, panel, bars) == list(range(6, 11))
    assert admitted(asked, UniverseFacts(), panel, bars) == list(range(1, 20))


@pytest.mark.parametrize(("symbol", "series"), [("NSE:A", "EQ"), ("NSE:A-BE", "BE"), ("A-SM", "SM")])
def test_a_symbol_without_moves_has_the_series_of_its_name(symbol: str, series: str) -> None:
    assert UniverseFacts().series_of(symbol, SPLIT_DAY) == series


@given(st.lists(st.tuples(st.dates(), st.floats(0.1, 10)), max_size=5), st.dates())
def test_steps_after_a_day_multiply_in_any_order(steps: list[tuple[date, float]], day: date) -> None:
    ordered = tuple(RatioStep(*step) for step in steps)
    expected = np.prod([ratio for session, ratio in steps if session > day])
    for given_steps in (ordered, ordered[::-1]):
        facts = UniverseFacts(ratios={"A": given_steps})
        assert facts.shares_for_each("A", day) == pytest.approx(expected)
        assert facts.shares_for_each("B", day) == 1.0


def test_a_study_buys_and_draws_placebos_from_the_universe_of_the_date() -> None:
    """Prices of the file are a tenth of those traded before the 600th session: only those reach min_price."""
    panel = planted_panel(1)
    turn: date = panel.sessions[600].item()
    steps = {symbol: (RatioStep(turn, 1_000.0),) for symbol in panel.symbols}
    plan = StudyPlan(settings=(THRESHOLDS,), validation=UNSEALED, universe=UniverseFilter(min_price=20_000.0))

    def trades(asked: StudyPlan) -> TradeTable:
        _, data = asyncio.run(run_study(panel, asked, CostSettings(), in_chunks(panel, 50)))
        (table,) = data.tables.values()
        return table

    assert len(trades(plan)) == 0
    restated = trades(msgspec.structs.replace(plan, facts=UniverseFacts(ratios=steps)))
    assert len(restated) > 10
    assert restated.entries.max() <= 600
    free = trades(msgspec.structs.replace(plan, universe=UniverseFilter()))
    expected = free.where(free.entries <= 600)
    prices = panel.close[expected.rows, expected.entries - 1] * 1_000.0
    assert len(restated) == (prices >= 20_000.0).sum()
