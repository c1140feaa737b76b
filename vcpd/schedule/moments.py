"""Moments of a day as an owner writes them: `08:35`, `session_open`, `session_close + 45min`."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from vcpd.domain.errors import BadInputError
from vcpd.domain.sessions import TradingCalendar
from vcpd.schedule.cron import settle

UNIT_S: Final = {"s": 1, "min": 60, "h": 3600}
LONGEST_OFFSET: Final = timedelta(hours=24)
SESSION_MOMENT: Final = re.compile(r"(session_open|session_close)(?:\s*([+-])\s*(\d{1,6})\s*(s|min|h))?")
EXPECTED: Final = "expected HH:MM, session_open or session_close with an offset such as `+ 45min`"


class MomentError(BadInputError, ValueError):
    """A moment that cannot be read; also a ValueError, so that settings report it with their path."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment of a day: a time on the wall, or an offset from a session's opening or close."""

    text: str
    wall: time | None = None
    at_close: bool = False
    offset: timedelta = timedelta()

    @property
    def needs_session(self) -> bool:
        return self.wall is None

    def on(self, day: date, calendar: TradingCalendar, zone: ZoneInfo) -> datetime:
        """The instant, aware UTC; a session's moment needs `day` to be a session."""
        if self.wall is not None:
            return settle(day, self.wall, zone)
        return (calendar.open_close(day)[self.at_close] + self.offset).astimezone(UTC)


def parse_moments(text: str) -> tuple[Moment, ...]:
    """The moments of a comma-separated list; MomentError says which one is wrong."""
    return tuple(_moment(part.strip(), position) for position, part in enumerate(text.split(","), 1))


def _moment(text: str, position: int) -> Moment:
    if re.fullmatch(r"\d{2}:\d{2}", text):
        return Moment(text, wall=_wall(text, position))
    match = SESSION_MOMENT.fullmatch(text)
    if match is None:
        raise MomentError(f"moment {position}: {EXPECTED}, was {text!r}")
    anchor, sign, amount, unit = match.groups()
    offset = timedelta(seconds=int(amount or 0) * UNIT_S[unit or "s"])
    if offset > LONGEST_OFFSET:
        raise MomentError(f"moment {position}: expected an offset of at most 24h, was {text!r}")
    return Moment(text, at_close=anchor == "session_close", offset=-offset if sign == "-" else offset)


def _wall(text: str, position: int) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise MomentError(f"moment {position}: expected a time from 00:00 to 23:59, was {text!r}") from None
