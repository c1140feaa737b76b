"""The list agrees with the detector: no hidden chain, no open row under its stop, one group for each base."""

from datetime import date
from functools import cache

import numpy as np
import pytest

from tests.analysis.markets import base_closes, read_panel, series_of
from tests.real_data import real_data
from vcpd.analysis.base_tracker import BaseTrackers
from vcpd.analysis.indicators import bars_of
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.session_context import SessionContext, full_history_window
from vcpd.analysis.tasks import ScreenParams
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.panel import Panel, build_panel
from vcpd.domain.setups import BaseState, EventKind, Setup, SetupGroup, count_groups

OPEN = {BaseState.FORMING, BaseState.NEAR_PIVOT}
FILES = ("us_sp500_part.parquet", "nse_all_half.parquet")


@cache
def panel_of(name: str) -> Panel:
    return read_panel(real_data(name))


def verdict(panel: Panel, symbol: str, day: date | None = None, *, own_chain: bool = False) -> Setup:
    row = panel.row_of(symbol)
    return screen_rows(panel, range(row, row + 1), ScreenParams(as_of=day, own_chain=own_chain)).setups[0]


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


@pytest.mark.parametrize("name", FILES)
def test_every_session_has_no_hidden_chain_no_open_row_under_its_stop_and_one_group(name: str) -> None:
    """All symbols of the small file, every fourth of the large one, all sessions."""
    panel = panel_of(name)
    context = SessionContext(panel, Thresholds())
    setups = strict = judged = 0
    for row in range(0, len(panel.symbols), 1 if name.startswith("us") else 4):
        bars = bars_of(panel, row)
        if not len(bars.close):
            continue
        window = full_history_window(context, row, bars)
        trackers = BaseTrackers(window.symbol_context)
        for t, session in window.sessions_from(window.first):
            if not (session.holds or trackers.tracked):
                continue
            before = [tracker for tracker in trackers.tracked if not tracker.is_over]
            trackers.update(t, session)
            live = [tracker for tracker in trackers.tracked if not tracker.is_over]
            assert len(live) <= 1
            assert all(tracker in trackers.tracked for tracker in before)
            for tracker in live:
                close = bars.close[t]
                judged += 1
                assert tracker.state not in OPEN or close >= tracker.levels.stop
                if session.holds and session.chain is not None:
                    own_pivot = bars.high[session.chain.peak]
                    assert not (own_pivot >= close and own_pivot > tracker.levels.pivot * (1 + 1e-9))
                setups += tracker.group is SetupGroup.SETUP
                strict += tracker.group is SetupGroup.SETUP and tracker.holds
    assert judged > 1000
    assert strict >= 0.9 * setups


@pytest.mark.parametrize("name", FILES)
def test_a_pivot_and_a_stop_move_only_by_an_event(name: str) -> None:
    """Between two sessions of a live base a pivot changes, or a stop rises, only with its event."""
    panel = panel_of(name)
    context = SessionContext(panel, Thresholds())
    moving = {EventKind.FOUND, EventKind.NEW_CHAPTER, EventKind.NEW_CONTRACTION}
    moved = 0
    for row in range(0, len(panel.symbols), 1 if name.startswith("us") else 6):
        bars = bars_of(panel, row)
        if not len(bars.close):
            continue
        window = full_history_window(context, row, bars)
        trackers = BaseTrackers(window.symbol_context)
        for t, session in window.sessions_from(window.first):
            if session.holds or trackers.tracked:
                levels = {id(one): one.levels for one in trackers.tracked if not one.is_over}
                trackers.update(t, session)
                for tracker in trackers.tracked:
                    old = levels.get(id(tracker))
                    if old is None or tracker.levels == old:
                        continue
                    kinds = {event.kind for event in tracker.events if event.at == t}
                    if kinds & moving:
                        moved += 1
                    else:
                        assert tracker.levels.pivot == old.pivot
                        assert tracker.levels.stop <= old.stop
    assert moved > 10


def after_base(after: list[float]) -> Panel:
    """A textbook base and the closes after it, as multiples of its last peak."""
    close = np.concatenate([base_closes((24.0, 12.0, 6.0), before=320), 100 * 0.995**2 * np.array(after)])
    return build_panel([series_of("A", close, spread=0.001)])


def test_a_close_under_the_stop_leaves_the_open_states_and_returns_when_reclaimed() -> None:
    under = verdict(after_base([0.98, 0.99, 0.93]), "A")
    assert (under.state, under.group) == (BaseState.UNDER_STOP, SetupGroup.FOLLOWED)
    assert under.group_reason is not None
    assert under.group_reason.startswith("under stop")
    back = verdict(after_base([0.98, 0.99, 0.93, 0.96]), "A")
    assert back.state in OPEN
    assert EventKind.STOP_RECLAIMED in {event.kind for event in back.events}


def test_a_close_under_the_stop_that_is_not_reclaimed_fails() -> None:
    ended = verdict(after_base([0.98, 0.99, *[0.93] * 6]), "A")
    assert (ended.state, ended.group) == (BaseState.FAILED, SetupGroup.ENDED)


def test_explain_shows_the_own_chain_where_nothing_is_followed() -> None:
    panel = panel_of("us_sp500_part.parquet")
    rows = screen_rows(panel, range(40), ScreenParams(as_of=date(2023, 5, 5), own_chain=True)).setups
    shown = [setup for setup in rows if setup.group is None and setup.own_chain is not None]
    assert shown
    assert all(setup.own_chain is not None and not setup.own_chain.passed for setup in shown)


def test_groups_are_counted_in_the_order_of_the_lists() -> None:
    counts = count_groups([SetupGroup.ENDED, None, SetupGroup.SETUP, SetupGroup.SETUP])
    assert counts == {"setup": 2, "followed": 0, "above_pivot": 0, "ended": 1}
