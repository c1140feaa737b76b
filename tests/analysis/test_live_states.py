"""A base's state while its session runs: the evening's rules, told once, without flutter."""

import math
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcpd.analysis.levels import (
    LiveLevels,
    LiveRules,
    LiveState,
    advance_state,
    initial_state,
    unchanged_band,
)
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.setups import BaseState, EventKind, SetupEvent

RULES = LiveRules.of(Thresholds(), 0.3)
TARGET = LiveLevels.of(100.0, 94.0, RULES)
TODAY, BEFORE = date(2026, 4, 8), date(2026, 4, 7)
UNKNOWN = math.nan
FAR = LiveState(BaseState.FORMING, confirmed=False, emitted=frozenset())

prices = st.floats(80, 120)
ratios = st.one_of(st.just(math.nan), st.floats(0, 5))


def events_by(stand: LiveState, *ticks: tuple[float, float]) -> list[EventKind]:
    """What prices with their volume ratios tell, in order."""
    reported: list[EventKind] = []
    for price, ratio in ticks:
        stand, kinds = advance_state(stand, price, ratio, TARGET, RULES)
        reported += kinds
    return reported


def test_the_way_up_states_each_level_once() -> None:
    ticks = [
        (90.0, UNKNOWN),
        (95.0, 2.0),
        (100.0, 2.0),
        (100.05, 2.0),
        (105.1, 2.0),
        (99.0, 2.0),
        (93.0, 2.0),
    ]
    kinds = EventKind.NEAR_PIVOT, EventKind.BREAKOUT, EventKind.EXTENDED, EventKind.SQUAT, EventKind.FAILED
    assert events_by(FAR, *ticks) == list(kinds)


def test_the_pivot_itself_is_no_breakout() -> None:
    """As in the evening: above it, not at it."""
    assert events_by(FAR, (100.0, 9.9)) == [EventKind.NEAR_PIVOT]


@pytest.mark.parametrize("ratio", [UNKNOWN, 0.0, 1.39])
def test_without_volume_a_breakout_is_unconfirmed_until_it_comes(ratio: float) -> None:
    kinds = EventKind.BREAKOUT_UNCONFIRMED, EventKind.BREAKOUT
    assert events_by(FAR, (101.0, ratio), (101.0, ratio), (101.0, 1.4), (101.0, ratio)) == list(kinds)


def test_a_price_that_dances_around_the_pivot_makes_one_event() -> None:
    assert events_by(FAR, *[(99.9, 2.0), (100.1, 2.0)] * 25) == [EventKind.NEAR_PIVOT, EventKind.BREAKOUT]


def test_a_breakout_given_back_and_taken_again_is_reported_as_that() -> None:
    dance = [(101.0, 2.0), (99.0, 2.0)] * 20
    assert events_by(FAR, *dance) == [EventKind.BREAKOUT, EventKind.SQUAT, EventKind.RECLAIMED]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(prices, ratios), max_size=60))
def test_no_kind_is_reported_twice_and_never_without_its_reason(ticks: "list[tuple[float, float]]") -> None:
    reported = events_by(FAR, *ticks)
    assert len(reported) == len(set(reported))
    broke = {EventKind.BREAKOUT, EventKind.BREAKOUT_UNCONFIRMED} & set(reported)
    assert bool(broke) == any(price > TARGET.pivot for price, _ in ticks)
    confirmed = any(ratio >= RULES.volume_ratio for price, ratio in ticks)
    assert confirmed or EventKind.BREAKOUT not in reported


stands = st.builds(
    LiveState,
    st.sampled_from([state for state in BaseState if state is not BaseState.EXPIRED]),
    st.booleans(),
    st.frozensets(st.sampled_from(list(EventKind))),
)


@settings(max_examples=500, deadline=None)
@given(stands, st.lists(prices, max_size=5), prices, st.floats(0, 1.39))
def test_a_price_inside_the_band_changes_nothing(
    stand: LiveState, way: "list[float]", price: float, ratio: float
) -> None:
    """What the board does not look at cannot matter, unless the stand waits for volume."""
    for earlier in way or [price]:
        stand, _ = advance_state(stand, earlier, ratio, TARGET, RULES)
    lower, upper = unchanged_band(stand, TARGET, RULES)
    if lower <= price <= upper:
        assert advance_state(stand, price, ratio, TARGET, RULES) == (stand, ())


def test_a_base_that_broke_out_before_is_not_reported_again() -> None:
    events = (SetupEvent(EventKind.FOUND, BEFORE, 99.0), SetupEvent(EventKind.BREAKOUT, BEFORE, 101.0))
    stand = initial_state(BaseState.BREAKOUT, events, TODAY)
    assert events_by(stand, (102.0, 2.0), (106.0, 2.0), (99.0, 0.1)) == [EventKind.EXTENDED, EventKind.SQUAT]


def test_volume_that_comes_a_day_later_confirms() -> None:
    events = (SetupEvent(EventKind.BREAKOUT_UNCONFIRMED, BEFORE, 101.0),)
    assert events_by(initial_state(BaseState.BREAKOUT, events, TODAY), (102.0, 1.5)) == [EventKind.BREAKOUT]


def test_what_an_older_close_refuted_may_happen_again() -> None:
    events = (SetupEvent(EventKind.BREAKOUT, BEFORE, 101.0, provisional=True, live=True),)
    assert events_by(initial_state(BaseState.NEAR_PIVOT, events, TODAY), (101.0, 2.0)) == [EventKind.BREAKOUT]


def test_what_was_seen_today_is_not_reported_after_a_restart() -> None:
    """The stand goes on where it was, so the hysteresis holds over it too."""
    events = (SetupEvent(EventKind.BREAKOUT, TODAY, 101.0, provisional=True, live=True),)
    stand = initial_state(BaseState.NEAR_PIVOT, events, TODAY)
    assert stand.state is BaseState.BREAKOUT
    assert events_by(stand, (99.9, 2.0), (101.0, 2.0)) == []


def test_a_new_chapter_may_report_everything_again() -> None:
    events = (
        SetupEvent(EventKind.BREAKOUT, BEFORE, 101.0),
        SetupEvent(EventKind.FOUND, BEFORE, 99.0),
    )
    assert events_by(initial_state(BaseState.FORMING, events, TODAY), (101.0, 2.0)) == [EventKind.BREAKOUT]
