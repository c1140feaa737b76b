"""Known answers on real bars: published bases, and sessions which an earlier detector showed wrongly."""

from datetime import date
from functools import cache

import pytest

from tests.analysis.markets import read_panel, read_series
from tests.real_data import real_data
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.tasks import ScreenParams
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.panel import Panel
from vcpd.domain.setups import Setup, SetupGroup

DEFAULTS = Thresholds()


@cache
def panel_of(name: str) -> Panel:
    return read_panel(real_data(name))


def verdict(panel: Panel, symbol: str, day: date, thresholds: Thresholds = DEFAULTS) -> Setup:
    row = panel.row_of(symbol)
    judging = ScreenParams(as_of=day, thresholds=thresholds)
    return screen_rows(panel, range(row, row + 1), judging).setups[0]


def test_series_of_labelled_data_are_whole() -> None:
    """The known answers rest on two whole histories."""
    assert {series.symbol for series in read_series(real_data("labelled_vcp.parquet"))} == {"NFLX", "VIVO"}


@pytest.mark.parametrize(
    ("symbol", "window", "weeks", "depths_pct", "count"),
    [
        ("VIVO", (date(2007, 1, 5), date(2007, 1, 18)), 40, (31, 3), 4),
        ("NFLX", (date(2009, 10, 12), date(2009, 10, 22)), 27, (27, 7), 3),
    ],
)
def test_prints_the_published_footprints(
    symbol: str, window: tuple[date, date], weeks: int, depths_pct: tuple[int, int], count: int
) -> None:
    """On most sessions of the published window: the same T, depths within 2 points, weeks within 1."""
    panel = panel_of("labelled_vcp.parquet")
    days = [day for day in panel.sessions.tolist() if window[0] <= day <= window[1]]
    hits = 0
    for day in days:
        setup = verdict(panel, symbol, day)
        depths = [contraction.depth_pct for contraction in setup.contractions]
        hits += (
            len(depths) == count
            and abs(depths[0] - depths_pct[0]) <= 2
            and abs(depths[-1] - depths_pct[1]) <= 2
            and abs((setup.weeks or 0) - weeks) <= 1
        )
    assert hits > len(days) / 2


@pytest.mark.parametrize(
    ("symbol", "pivot", "window"),
    [
        ("VIVO", 12.97, (date(2006, 12, 1), date(2007, 3, 1))),
        ("NFLX", 6.90, (date(2009, 9, 1), date(2009, 12, 1))),
    ],
)
def test_a_known_base_is_a_setup_before_the_first_close_above_its_pivot(
    symbol: str, pivot: float, window: tuple[date, date]
) -> None:
    """At the printed pivot, within 2 %; the rating is taken as given, two symbols have none."""
    panel = panel_of("labelled_vcp.parquet")
    open_at_pivot = 0
    for day in panel.sessions.tolist():
        if window[0] <= day <= window[1]:
            setup = verdict(panel, symbol, day)
            if setup.close is not None and setup.close > pivot * 1.02:
                break
            at_pivot = setup.pivot is not None and abs(setup.pivot / pivot - 1) <= 0.02
            below = setup.pivot is not None and setup.close is not None and setup.close <= setup.pivot
            open_at_pivot += at_pivot and below and setup.group is SetupGroup.SETUP
    assert open_at_pivot >= 1


@pytest.mark.parametrize(
    ("name", "symbol", "day", "pivot"),
    [
        ("us_sp500_part.parquet", "NVDA", date(2024, 1, 5), 50.40),
        ("nse_all_half.parquet", "SWSOLAR", date(2024, 9, 17), 758.45),
        ("nse_all_half.parquet", "MBAPL", date(2023, 6, 15), 324.95),
        ("nse_all_half.parquet", "KIRLOSENG", date(2023, 6, 15), 437.90),
    ],
)
def test_a_base_that_broke_out_yields_to_a_higher_chain(
    name: str, symbol: str, day: date, pivot: float
) -> None:
    """The pivot shown is that of the session's own chain, which holds every gate."""
    setup = verdict(panel_of(name), symbol, day)
    assert setup.pivot == pytest.approx(pivot, abs=0.01)
    assert setup.own_chain is not None
    assert setup.own_chain.passed
    assert setup.own_chain.pivot == setup.pivot


def test_a_shelf_on_a_base_that_broke_out_is_found_and_named() -> None:
    """SCHW's base broke out on 2021-09-27; two weeks later a shelf lies on it, bought the day after."""
    panel = panel_of("us_sp500_part.parquet")
    setup = verdict(panel, "SCHW", date(2021, 10, 14), Thresholds(shelves=True))
    assert (setup.group, setup.variant) == (SetupGroup.SETUP, "shelf")
    assert setup.pivot == pytest.approx(74.32, abs=0.05)
    assert setup.passed
    assert verdict(panel, "SCHW", date(2021, 10, 14)).group is None


def test_a_setup_that_holds_has_its_structural_stop_under_its_final_low() -> None:
    """On 2024-09-11 KKR was shown with one stop only, 113.30, which stood above its final low of 112.93."""
    panel = panel_of("us_sp500_part.parquet")
    n_holding = 0
    for day in (date(2024, 9, 11), *panel.sessions[1260::12].tolist()):
        rows = screen_rows(panel, range(len(panel.symbols)), ScreenParams(as_of=day)).setups
        for setup in rows:
            if setup.group is SetupGroup.SETUP and setup.passed:
                n_holding += 1
                assert (setup.symbol, day) != ("KKR", date(2024, 9, 11))
                assert setup.structural_stop is not None
                assert setup.stop is not None
                assert setup.structural_risk_pct is not None
                assert setup.structural_stop < setup.contractions[-1].low
                assert setup.structural_stop <= setup.stop
                assert setup.structural_risk_pct <= 8
    assert n_holding > 20
