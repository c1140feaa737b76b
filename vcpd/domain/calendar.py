"""Trading calendar: sessions of an exchange and their hours."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Final, Self
from zoneinfo import ZoneInfo

import numpy as np

from vcpd.core.errors import BadInputError
from vcpd.domain.bars import DateArray
from vcpd.domain.instruments import UNKNOWN_SHARES

ONE_DAY: Final = timedelta(days=1)
SATURDAY: Final = 5
EXPIRY_WARNING: Final = timedelta(days=61)

ALL_SHARES: Final = "all"
PRICE_PHASES: Final = frozenset({"continuous", "closing auction"})

SESSIONS_PER_YEAR: Final = 252  # by convention, for annual figures and one-year windows


@dataclass(frozen=True, slots=True)
class SessionPhase:
    """A stretch of a session, local times; `shares` says for which shares it holds."""

    name: str
    opens: time
    closes: time
    shares: str = ALL_SHARES


@dataclass(frozen=True, slots=True)
class RegularHours:
    """The regular hours that hold from `since` on."""

    since: date
    opens: time
    closes: time
    phases: tuple[SessionPhase, ...]


@dataclass(frozen=True, slots=True)
class SpecialSession:
    """A session with hours of its own; it may fall on a weekend or on a holiday."""

    session: date
    opens: time
    closes: time
    name: str
    phases: tuple[SessionPhase, ...] = ()

    def __post_init__(self) -> None:
        if not self.opens < self.closes:
            raise BadInputError(
                f"special session {self.session}: expected it to open before it closes, "
                f"was {self.opens:%H:%M} to {self.closes:%H:%M}"
            )


def unscheduled_session_text(day: date, n_symbols: int) -> str:
    """The advice on a day on which the market has bars although the calendar says it is closed."""
    return (
        f"{n_symbols} symbols have bars of {day:%A} {day}, which is not a session of the calendar: add "
        f'"{day}" to [schedule] extra_sessions, then run reconcile'
    )


def unscheduled_closing_text(day: date) -> str:
    """What to do about a session of the calendar of which no symbol has a bar."""
    return (
        f"no symbol has a bar of {day}: if the exchange was closed, add {day} to [schedule] extra_holidays; "
        "else run collect again"
    )


@dataclass(frozen=True)
class TradingCalendar:
    """An exchange's sessions. Inside [`valid_from`, `valid_until`] the table decides; outside, weekdays."""

    name: str
    time_zone: str
    valid_from: date
    valid_until: date
    holidays: Mapping[date, str]
    special_sessions: Mapping[date, SpecialSession]
    regular_hours: tuple[RegularHours, ...]  # oldest first
    warn_before_end: timedelta = field(default=EXPIRY_WARNING)

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def is_session(self, day: date) -> bool:
        return day in self.special_sessions or (day.weekday() < SATURDAY and day not in self.holidays)

    def closure_reason(self, day: date) -> str | None:
        """Why the exchange does not trade on `day`; None for a session."""
        if self.is_session(day):
            return None
        return self.holidays.get(day) or f"{day:%A}"

    def sessions(self, first: date, last: date) -> DateArray:
        """The sessions in [first, last], ascending, shape (n,)."""
        days = np.arange(np.datetime64(first, "D"), np.datetime64(last, "D") + np.timedelta64(1, "D"))
        trades = np.is_busday(days, holidays=self._holiday_days)
        return days[trades | np.isin(days, self._special_days)]

    def sessions_until(self, session: date, day: date) -> int | None:
        """How many sessions after `session` `day` is reached, 0 for the same day; None for a day before."""
        return None if day < session else max(0, len(self.sessions(session, day)) - 1)

    def next(self, day: date) -> date:
        """The first session after `day`."""
        return self._walk(day, ONE_DAY)

    def previous(self, day: date, n: int = 1) -> date:
        """The n-th session before `day`."""
        if n < 1:
            raise BadInputError(f"expected to go back at least one session, was {n}")
        for _ in range(n):
            day = self._walk(day, -ONE_DAY)
        return day

    def open_close(self, session: date) -> tuple[datetime, datetime]:
        """When `session` opens and closes, aware UTC. BadInputError when the exchange is closed."""
        if (special := self.special_sessions.get(session)) is not None:
            return self._instant(session, special.opens), self._instant(session, special.closes)
        if not self.is_session(session):
            raise BadInputError(f"{session} is not a session of {self.name}: {self.closure_reason(session)}")
        era = self.hours_on(session)
        return self._instant(session, era.opens), self._instant(session, era.closes)

    def hours_on(self, day: date) -> RegularHours:
        """The regular hours of the time of `day`."""
        eras = (era for era in reversed(self.regular_hours) if era.since <= day)
        return next(eras, self.regular_hours[0])

    def phases(self, session: date) -> tuple[SessionPhase, ...]:
        """The stretches of `session` in local time. BadInputError when the exchange is closed."""
        self.open_close(session)
        special = self.special_sessions.get(session)
        if special is None:
            return self.hours_on(session).phases
        return special.phases or (SessionPhase("continuous", special.opens, special.closes),)

    def trading_end(self, session: date, shares: str = UNKNOWN_SHARES) -> datetime:
        """The time of the last price of `session`, aware UTC, without later trading at the closing price.

        `shares` is a class of the table's phases, `F&O` or `other`; for unknown ones the latest end counts.
        """
        ends = [
            self._instant(session, phase.closes)
            for phase in self.phases(session)
            if phase.name in PRICE_PHASES and _holds_for(phase, shares)
        ]
        return max(ends, default=self.open_close(session)[1])

    def last_session_at(self, instant: datetime) -> date:
        """The last session whose close lies at or before `instant`."""
        day = self.local_date(instant)
        closed = self.is_session(day) and self.open_close(day)[1] <= instant
        return day if closed else self.previous(day)

    def open_session_at(self, instant: datetime) -> date | None:
        """The session that is open at `instant`: at its opening yes, at its close no more."""
        day = self.local_date(instant)
        if not self.is_session(day):
            return None
        opens, closes = self.open_close(day)
        return day if opens <= instant < closes else None

    def elapsed_share(self, session: date, instant: datetime, shares: str = UNKNOWN_SHARES) -> float:
        """How much of `session` is over at `instant`: 0 until its opening, 1 from its last price on.

        `shares` is a class as for `trading_end`.
        """
        if not self.is_session(session):
            return 1.0
        opens, ends = self.open_close(session)[0], self.trading_end(session, shares)
        return min(max((instant - opens) / (ends - opens), 0.0), 1.0)

    def local_date(self, instant: datetime) -> date:
        """The date at the exchange at an aware `instant`."""
        if instant.tzinfo is None:
            raise BadInputError(f"expected an instant with a time zone, was {instant.isoformat()}")
        return instant.astimezone(self.zone).date()

    def covers(self, day: date) -> bool:
        """Whether the table knows `day`; if not, any weekday counts as a session."""
        return self.valid_from <= day <= self.valid_until

    def warning(self, today: date) -> str | None:
        """A note on the table's end, None while it is far away."""
        remedy = "`vcpd calendar update FILE` reads the exchange's list"
        if today > self.valid_until:
            text = f"the {self.name} calendar ended on {self.valid_until}"
            return f"{text}: closed days are learned from the market; {remedy}"
        if today > self.valid_until - self.warn_before_end:
            return f"the {self.name} calendar ends on {self.valid_until}; {remedy}"
        return None

    def extended(
        self,
        closed: Mapping[date, str],
        extra_sessions: Iterable[SpecialSession] = (),
        valid_until: date | None = None,
    ) -> Self:
        """The calendar with additions, which win over the table; `closed` says why for each day.

        BadInputError when a date is given as both.
        """
        special = {session.session: session for session in extra_sessions}
        if both := sorted(set(closed) & set(special)):
            raise BadInputError(f"{both[0]} is given both as a holiday and as a session")
        kept = {day: special for day, special in self.special_sessions.items() if day not in closed}
        return replace(
            self,
            holidays={**self.holidays, **closed},
            special_sessions={**kept, **special},
            valid_until=max(self.valid_until, valid_until or self.valid_until),
        )

    @cached_property
    def _holiday_days(self) -> DateArray:
        return np.array(sorted(self.holidays), "M8[D]")

    @cached_property
    def _special_days(self) -> DateArray:
        return np.array(sorted(self.special_sessions), "M8[D]")

    def _walk(self, day: date, step: timedelta) -> date:
        day += step
        while not self.is_session(day):
            day += step
        return day

    def _instant(self, day: date, at: time) -> datetime:
        return datetime.combine(day, at, self.zone).astimezone(UTC)


def session_on(calendar: TradingCalendar, day: date, now: datetime) -> date:
    """The session of `day`, or the last before it.

    BadInputError for a day after `now` (aware).
    """
    today = calendar.local_date(now)
    if day > today:
        raise BadInputError(f"{day} is in the future: today is {today}")
    return day if calendar.is_session(day) else calendar.previous(day)


def _holds_for(phase: SessionPhase, shares: str) -> bool:
    """Whether a phase is one of these shares; unknown ones may have any."""
    return shares == UNKNOWN_SHARES or phase.shares in {ALL_SHARES, shares}
