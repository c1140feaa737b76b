"""Since when a base is in its group, event by event."""

from datetime import date, timedelta
from typing import Final

import msgspec
import pytest

from tests.fakes.web import SESSION, setup
from vcpd.domain.group_history import group_since, sessions_in_group
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.setups import BaseState, EventKind, SetupEvent, SetupGroup

FIRST: Final = SESSION - timedelta(weeks=4)


def _since(group: SetupGroup | None, *kinds: EventKind) -> date | None:
    """With one event a day from FIRST on."""
    events = tuple(SetupEvent(kind, FIRST + timedelta(n), 100.0) for n, kind in enumerate(kinds))
    plain = setup("NSE:AAA", state=BaseState.FORMING)
    return group_since(msgspec.structs.replace(plain, group=group, events=events))


@pytest.mark.parametrize(
    ("group", "kinds", "days"),
    [
        (SetupGroup.SETUP, "found near_pivot", 0),
        (SetupGroup.FOLLOWED, "found left", 1),
        (SetupGroup.SETUP, "found left readmitted near_pivot", 2),
        (SetupGroup.FOLLOWED, "found left under_stop stop_reclaimed", 1),
        (SetupGroup.SETUP, "found under_stop stop_reclaimed", 2),
        (SetupGroup.ABOVE_PIVOT, "found breakout_unconfirmed breakout extended", 1),
        (SetupGroup.ABOVE_PIVOT, "found breakout squat reclaimed", 1),
        (SetupGroup.SETUP, "found breakout new_chapter new_contraction", 2),
        (SetupGroup.ENDED, "found breakout failed", 2),
        (SetupGroup.SETUP, "found failed found", 2),
    ],
)
def test_the_last_change_of_the_group_counts(group: SetupGroup, kinds: str, days: int) -> None:
    assert _since(group, *map(EventKind, kinds.split())) == FIRST + timedelta(days)


def test_events_that_do_not_lead_to_the_group_say_nothing() -> None:
    assert _since(SetupGroup.ABOVE_PIVOT, EventKind.FOUND) is None
    assert _since(SetupGroup.SETUP) is None
    assert _since(None, EventKind.FOUND) is None


def test_an_event_of_the_running_session_does_not_count_yet() -> None:
    found = SetupEvent(EventKind.FOUND, FIRST, 100.0)
    live = SetupEvent(EventKind.BREAKOUT, SESSION, 101.0, live=True)
    plain = setup("NSE:AAA", state=BaseState.NEAR_PIVOT)
    assert group_since(msgspec.structs.replace(plain, events=(found, live))) == FIRST


def test_the_first_session_counts_and_holidays_do_not() -> None:
    found = SetupEvent(EventKind.FOUND, date(2025, 6, 27), 100.0)  # a Friday; the session is a Monday
    plain = setup("NSE:AAA", state=BaseState.FORMING)
    assert sessions_in_group(msgspec.structs.replace(plain, events=(found,)), NSE) == 2
    assert sessions_in_group(plain, NSE) == 1
