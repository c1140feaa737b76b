"""Since when a base is in the group that lists show it in, read from its recorded events."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.setups import CHAPTER_STARTS, EventKind, Setup, SetupEvent, SetupGroup

BREAKOUTS: Final = frozenset({EventKind.BREAKOUT, EventKind.BREAKOUT_UNCONFIRMED})
ENDS: Final = frozenset({EventKind.FAILED, EventKind.EXPIRED})


@dataclass(slots=True)
class _GroupReplay:
    """The group of a base by its events so far; None before it was found."""

    group: SetupGroup | None = None
    since: date | None = None
    is_admitted: bool = True
    is_under_stop: bool = False

    def apply(self, event: SetupEvent) -> None:
        """Take one more event; a change of the group begins at its session."""
        if event.kind in CHAPTER_STARTS:
            self.is_admitted, self.is_under_stop = True, False
        elif event.kind in {EventKind.LEFT, EventKind.READMITTED}:
            self.is_admitted = event.kind is EventKind.READMITTED
        elif event.kind in {EventKind.UNDER_STOP, EventKind.STOP_RECLAIMED}:
            self.is_under_stop = event.kind is EventKind.UNDER_STOP
        group = self._group_after(event.kind)
        if group is not self.group:
            self.group, self.since = group, event.session

    def _group_after(self, kind: EventKind) -> SetupGroup | None:
        if kind in ENDS:
            return SetupGroup.ENDED
        is_open = kind in CHAPTER_STARTS or self.group in {SetupGroup.SETUP, SetupGroup.FOLLOWED}
        if kind in BREAKOUTS:
            return SetupGroup.ABOVE_PIVOT
        if not is_open:
            return self.group
        return SetupGroup.SETUP if self.is_admitted and not self.is_under_stop else SetupGroup.FOLLOWED


def group_since(setup: Setup) -> date | None:
    """The session at which the base came into the group that it is in.

    None where it is in no group, and where its events do not lead to the group: then they are not all
    known, and a guess would mislead.
    """
    replay = _replay(event for event in setup.events if not event.live)
    return replay.since if setup.group is not None and replay.group is setup.group else None


def sessions_in_group(setup: Setup, calendar: TradingCalendar) -> int | None:
    """Sessions in its group, the first one counted: 1 on the day on which it came in. None where unknown."""
    since = group_since(setup)
    return None if since is None else len(calendar.sessions(since, setup.as_of))


def _replay(events: Iterable[SetupEvent]) -> _GroupReplay:
    replay = _GroupReplay()
    for event in events:
        replay.apply(event)
    return replay
