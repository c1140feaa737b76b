"""The board: of many prices those that matter are judged, each by the evening's levels and volume."""

from dataclasses import replace
from datetime import date, timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.watch_session import (
    CLOSES,
    FOUND,
    HOURS,
    NOON,
    OPENS,
    TODAY,
    YESTERDAY,
    board_of,
    candidate,
    prices,
)
from vcpd.domain.alerts import AlertKind
from vcpd.domain.live import LivePrices
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.setups import BaseState, EventKind, SetupEvent
from vcpd.jobs.watch_events import alert_for_event
from vcpd.jobs.watch_hours import WatchHours
from vcpd.jobs.watch_tracker import CandidateTracker

BEFORE = OPENS - timedelta(hours=20)


def kinds(board: CandidateTracker, *reported: tuple[str, float, float]) -> list[EventKind]:
    return [event.kind for event in board.update(prices(*reported), NOON)]


def test_a_breakout_with_volume_on_course_is_seen_with_its_numbers() -> None:
    """At noon on an even curve 800 shares are 1,600 by the close: 1.6 times the average of 1,000."""
    board = board_of(candidate(), candidate("NSE:BBB"))
    (seen,) = board.update(prices(("NSE:BBB", 100.05, 800)), NOON)
    assert (seen.kind, seen.symbol, seen.session, seen.at) == (EventKind.BREAKOUT, "NSE:BBB", TODAY, NOON)
    assert (seen.price, seen.pivot, seen.stop, seen.volume_ratio) == (100.05, 100.0, 94.0, 1.6)
    assert seen.detail == (
        "live; volume projected to 1.6 x its average; base since 2026-01-12, evaluated after 2026-04-07"
    )


def test_light_volume_is_unconfirmed_until_more_comes() -> None:
    board = board_of(candidate())
    assert kinds(board, ("NSE:AAA", 100.5, 600)) == [EventKind.BREAKOUT_UNCONFIRMED]
    assert board.watched(NOON)[0].state == "BREAKOUT_UNCONFIRMED"
    assert kinds(board, ("NSE:AAA", 100.5, 650)) == []
    assert kinds(board, ("NSE:AAA", 100.5, 700)) == [EventKind.BREAKOUT]


def test_an_unknown_average_confirms_nothing() -> None:
    board = board_of(candidate(measures={}))
    (seen,) = board.update(prices(("NSE:AAA", 100.5, 1e9)), NOON)
    assert (seen.kind, seen.volume_ratio) == (EventKind.BREAKOUT_UNCONFIRMED, None)


def test_the_first_minutes_project_nothing_but_count_what_is_traded() -> None:
    board, at = board_of(candidate(), candidate("NSE:BBB")), OPENS + timedelta(minutes=2)
    seen = board.update(prices(("NSE:AAA", 101.0, 300), ("NSE:BBB", 101.0, 1_400)), at)
    assert [(event.symbol, event.kind) for event in seen] == [
        ("NSE:AAA", EventKind.BREAKOUT_UNCONFIRMED),
        ("NSE:BBB", EventKind.BREAKOUT),
    ]


def test_prices_of_another_day_are_not_seen() -> None:
    """Before a share's first trade the market repeats yesterday, volume and all."""
    board = board_of(candidate())
    assert board.update(prices(("NSE:AAA", 105.0, 9_000), traded_at=BEFORE), NOON) == []
    assert np.isnan(board.price[0])
    assert kinds(board, ("NSE:AAA", 101.0, 10)) == [EventKind.BREAKOUT_UNCONFIRMED]


def test_a_market_that_states_no_instant_is_believed() -> None:
    board = board_of(candidate())
    assert len(board.update(prices(("NSE:AAA", 101.0, 900), traded_at=None), NOON)) == 1


@pytest.mark.parametrize("at", [OPENS - timedelta(minutes=1), CLOSES, CLOSES + timedelta(minutes=5)])
def test_outside_the_session_prices_are_noted_and_not_judged(at: object) -> None:
    board = board_of(candidate())
    assert board.update(prices(("NSE:AAA", 101.0, 900)), at) == []  # type: ignore[arg-type]
    assert board.price[0] == 101.0


def test_a_restated_price_is_left_alone_until_it_is_judged_anew() -> None:
    """A split today: half the price, and a last close that is not the one the evening knew."""
    board = board_of(candidate(state=BaseState.BREAKOUT))
    halved = prices(("NSE:AAA", 49.0, 900), previous_close=48.5)
    assert board.update(halved, NOON) == []
    assert (board.restated, board.watched(NOON)[0].state) == (1, "RESTATED")
    assert board.update(halved, NOON) == []


def test_an_older_verdict_says_nothing_about_yesterdays_close() -> None:
    board = board_of(candidate(as_of=YESTERDAY - timedelta(days=5), close=80.0))
    assert kinds(board, ("NSE:AAA", 101.0, 900)) == [EventKind.BREAKOUT]
    assert board.restated == 0


def test_a_base_that_broke_out_before_is_followed() -> None:
    broke = SetupEvent(EventKind.BREAKOUT, YESTERDAY, 101.0)
    board = board_of(candidate("NSE:AAA", FOUND, broke, state=BaseState.BREAKOUT))
    assert kinds(board, ("NSE:AAA", 102.0, 500)) == []
    assert kinds(board, ("NSE:AAA", 99.0, 600)) == [EventKind.SQUAT]
    assert kinds(board, ("NSE:AAA", 93.9, 700)) == [EventKind.FAILED]


def test_a_base_back_above_its_pivot_is_reported_after_it_fell_back() -> None:
    broke = SetupEvent(EventKind.BREAKOUT, YESTERDAY, 101.0)
    board = board_of(candidate("NSE:AAA", FOUND, broke, state=BaseState.BREAKOUT))
    reported = [("NSE:AAA", 99.0, 600), ("NSE:AAA", 101.0, 700)]
    events = [event for price in reported for event in board.update(prices(price), NOON)]
    alerts = [alert_for_event(event, {}) for event in events]
    assert [alert.kind for alert in alerts] == [AlertKind.SQUAT, AlertKind.RECLAIMED]


def test_what_was_seen_before_a_restart_is_shown_and_not_seen_again() -> None:
    earlier = SetupEvent(EventKind.BREAKOUT, TODAY, 100.5, provisional=True, live=True)
    board = board_of(candidate("NSE:AAA", FOUND, earlier))
    assert board.watched(NOON)[0].news == "breakout"
    assert kinds(board, ("NSE:AAA", 101.0, 900)) == []


def test_what_is_not_followed_is_not_seen() -> None:
    no_instrument = np.full(2, np.datetime64("NaT", "s"))
    ones = np.ones(2)
    strangers = LivePrices(np.array([1, 9_999]), np.full(2, 500.0), ones, ones, no_instrument)
    assert board_of(candidate()).update(strangers, NOON) == []
    assert board_of().update(strangers, NOON) == []


def test_prices_that_are_none_are_ignored() -> None:
    board = board_of(candidate())
    assert kinds(board, ("NSE:AAA", 0.0, 0.0), ("NSE:AAA", float("nan"), 1.0)) == []
    assert np.isnan(board.price[0])


def test_a_new_board_goes_on_where_the_old_one_was() -> None:
    """Other candidates or settings: what was told stays told, prices stay known."""
    old = board_of(candidate(), candidate("NSE:BBB"))
    assert kinds(old, ("NSE:AAA", 101.0, 900)) == [EventKind.BREAKOUT]
    new = board_of(candidate("NSE:CCC"), candidate())
    new.carry_over(old)
    assert new.price[0] == 101.0
    assert kinds(new, ("NSE:AAA", 101.5, 950), ("NSE:CCC", 101.0, 900)) == [EventKind.BREAKOUT]


def test_another_day_begins_anew() -> None:
    """The day rolls over: volume falls back to nothing, and so does what was seen."""
    old = board_of(candidate())
    kinds(old, ("NSE:AAA", 101.0, 900))
    day = timedelta(days=1)
    tomorrow = WatchHours(TODAY + day, TODAY, OPENS + day, CLOSES + day)
    new = board_of(candidate(as_of=TODAY), hours=tomorrow)
    new.carry_over(old)
    assert np.isnan(new.price[0])
    assert new.update(prices(("NSE:AAA", 102.0, 950)), NOON + day) == []  # still today's
    (seen,) = new.update(prices(("NSE:AAA", 102.0, 10), traded_at=OPENS + day), NOON + day)
    assert (seen.kind, seen.session) == (EventKind.BREAKOUT_UNCONFIRMED, tomorrow.session)


def test_the_nearest_to_its_pivot_is_shown_first() -> None:
    board = board_of(candidate(), candidate("NSE:BBB"), candidate("NSE:CCC"))
    kinds(board, ("NSE:AAA", 90.0, 100), ("NSE:BBB", 99.5, 100))
    lines = board.watched(NOON)
    assert [line.symbol for line in lines] == ["NSE:BBB", "NSE:AAA", "NSE:CCC"]
    assert (lines[0].to_pivot_pct, lines[0].news, lines[2].price) == (0.5, None, None)
    kinds(board, ("NSE:BBB", 100.5, 100))
    assert board.watched(NOON)[0].news == "breakout_unconfirmed"


ticks = st.tuples(
    st.sampled_from(["NSE:AAA", "NSE:BBB", "NSE:CCC"]),
    st.one_of(st.floats(88, 112), st.sampled_from([94.0, 95.0, 99.7, 100.0, 100.01, 105.0])),
    st.floats(0, 3_000),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(ticks, max_size=5), max_size=12))
def test_looking_only_at_what_matters_misses_nothing(frames: "list[list[tuple[str, float, float]]]") -> None:
    """A board that judges every single price sees the same."""
    quick, thorough = (
        board_of(*(candidate(name) for name in ("NSE:AAA", "NSE:BBB", "NSE:CCC"))) for _ in "12"
    )
    for frame in frames:
        thorough._always_evaluate[:] = True
        assert quick.update(prices(*frame), NOON) == thorough.update(prices(*frame), NOON)


def test_a_special_session_is_a_short_day() -> None:
    hour = WatchHours(TODAY, YESTERDAY, OPENS, OPENS + timedelta(hours=1))
    board = board_of(candidate(), hours=hour)
    assert (hour.minutes, HOURS.minutes) == (60, 375)
    (seen,) = board.update(prices(("NSE:AAA", 101.0, 400)), OPENS + timedelta(minutes=15))
    assert seen.volume_ratio == 1.6


@pytest.mark.parametrize(("has_futures", "minutes"), [(True, 380), (None, 380), (False, 375)])
def test_a_days_volume_is_projected_to_the_end_of_the_shares_own_session(
    has_futures: bool | None, minutes: int
) -> None:
    """With futures a share closes in the auction, at 15:35; without, at 15:30; unknown: the later end."""
    day = date(2026, 8, 4)
    hours = WatchHours.of(NSE, day)
    found = candidate(as_of=hours.previous_session)
    instrument = msgspec.structs.replace(found.instrument, has_futures=has_futures)
    board = board_of(replace(found, instrument=instrument), hours=hours)
    ratio = board.volume_ratio(0, 500.0, hours.opens + timedelta(minutes=190))
    assert ratio == pytest.approx(500.0 / (190 / minutes) / 1_000.0)
