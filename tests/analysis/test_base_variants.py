"""Primary bases and shelves: found with their switch on, named, and not at all without it."""

from datetime import date
from functools import cache

import numpy as np
import pytest

from benchmarks.detector_selectivity import shares
from tests.analysis.markets import read_panel, series_of
from tests.real_data import real_data
from vcpd.analysis.base_variants import ORDINARY, VARIANTS
from vcpd.analysis.indicators import bars_of
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.session_context import SessionContext, full_history_window
from vcpd.analysis.tasks import ScreenParams
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.bars import FloatArray
from vcpd.domain.panel import Panel, build_panel
from vcpd.domain.setups import Setup, SetupGroup

SHELF = Thresholds(shelves=True)
PRIMARY = Thresholds(primary_bases=True)


@cache
def market() -> Panel:
    return read_panel(real_data("us_sp500_part.parquet"))


def verdict(panel: Panel, symbol: str, thresholds: Thresholds, day: date | None = None) -> Setup:
    row = panel.row_of(symbol)
    judging = ScreenParams(as_of=day, thresholds=thresholds)
    return screen_rows(panel, range(row, row + 1), judging).setups[0]


def listing(rises_pct: tuple[float, float], *, quiet: int = 0) -> Panel:
    """A share listed lately: up to its first high, and falls of 24, 12 and 5 % with rising ceilings."""
    top, path = 100.0, [np.full(quiet, 62.0), np.linspace(62, 100, 45)]
    for depth_pct, rise_pct in zip((24.0, 12.0), rises_pct, strict=True):
        bottom = top * (1 - depth_pct / 100)
        path.append(np.linspace(top, bottom, 13)[1:])
        top *= 1 + rise_pct / 100
        path.append(np.linspace(bottom, top, 13)[1:])
    path.append(np.linspace(top, 0.95 * top, 5)[1:])
    path.append(np.linspace(0.95 * top, 0.985 * top, 5)[1:])
    closes: FloatArray = np.concatenate(path)
    return build_panel([series_of("A", closes, spread=0.001)])


def test_variants_are_searched_where_a_switch_is_on() -> None:
    """A variant whose switch the thresholds did not count would never be found."""
    assert not Thresholds().admits_variants
    for thresholds in (SHELF, PRIMARY):
        assert thresholds.admits_variants
        assert any(variant.is_on(thresholds) for variant in VARIANTS)


def test_a_primary_base_has_a_ceiling_that_rises_a_little() -> None:
    setup = verdict(listing((2.5, 2.5)), "A", PRIMARY)
    assert (setup.group, setup.variant) == (SetupGroup.SETUP, "primary base")
    assert len(setup.contractions) == 3
    assert setup.young


@pytest.mark.parametrize(
    ("rises", "quiet", "thresholds"),
    [
        ((2.5, 2.5), 0, Thresholds()),
        ((2.5, 2.5), 0, SHELF),
        ((6.0, 6.0), 0, PRIMARY),
        ((2.5, 2.5), 260, PRIMARY),
    ],
    ids=["switch off", "other switch", "rises too much", "listed long ago"],
)
def test_what_is_no_primary_base_is_not_admitted_as_one(
    rises: tuple[float, float], quiet: int, thresholds: Thresholds
) -> None:
    setup = verdict(listing(rises, quiet=quiet), "A", thresholds)
    assert setup.variant != "primary base"


@pytest.mark.parametrize("thresholds", [SHELF, PRIMARY, Thresholds(shelves=True, primary_bases=True)])
def test_a_variant_fills_only_sessions_without_an_own_chain_that_holds(thresholds: Thresholds) -> None:
    """Every ordinary session stays as it is; what is added needs no later bar."""
    panel = market()
    plain, wide = (SessionContext(panel, settings) for settings in (Thresholds(), thresholds))
    added = 0
    for row in range(0, len(panel.symbols), 4):
        bars = bars_of(panel, row)
        ordinary, window = (full_history_window(context, row, bars) for context in (plain, wide))
        own = ordinary.holds
        assert (window.holds | ~own).all()
        assert (window.variants[own] == ORDINARY).all()
        for slot in np.flatnonzero(own).tolist():
            assert window.chain(window.first + slot) == ordinary.chain(window.first + slot)
        assert ((window.variants != ORDINARY) == (window.holds & ~own)).all()
        new = np.flatnonzero(window.variants)
        added += len(new)
        for slot in new[:2].tolist():
            t = window.first + slot
            cut = panel.until(panel.sessions[bars.column[t]].item())
            early = full_history_window(SessionContext(cut, thresholds), row, bars_of(cut, row))
            assert early.chain(t) == window.chain(t)
    assert added or not thresholds.shelves


def test_each_switch_adds_to_the_share_of_symbol_days() -> None:
    """The line of the selectivity table: some more, never fewer."""
    panel, span = market(), (date(2021, 1, 1), date(2021, 12, 31))

    def holding(thresholds: Thresholds) -> int:
        return sum(month["all gates"] for month in shares(panel, *span, thresholds)[1].values())

    assert holding(Thresholds(young_second_stage=False)) <= holding(Thresholds()) < holding(SHELF)
