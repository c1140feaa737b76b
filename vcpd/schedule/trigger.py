"""Turns a policy into ticks (due instants, each with its session) and lists the upcoming runs."""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import takewhile
from typing import Final, Self
from zoneinfo import ZoneInfo

import msgspec

from vcpd.domain.calendar import ONE_DAY, TradingCalendar
from vcpd.schedule.cron import CronExpression
from vcpd.schedule.policy import JobPolicy, SessionTime, parse_session_times, parse_time_zone

# Further than any offset of a moment reaches, plus a day for the difference between time zones.
SEARCH_MARGIN: Final = timedelta(days=3)
HORIZON: Final = timedelta(days=3660)


@dataclass(frozen=True, slots=True, order=True)
class Tick:
    """One instant (aware UTC) at which a job is due, and the trading session its run works for."""

    scheduled_at: datetime
    session: date


@dataclass(frozen=True, slots=True)
class Trigger:
    """Ticks of one job. Both iterators end where nothing comes within ten years."""

    calendar: TradingCalendar
    zone: ZoneInfo
    sessions_only: bool
    cron: CronExpression | None
    session_times: tuple[SessionTime, ...]

    @classmethod
    def of(cls, policy: JobPolicy, calendar: TradingCalendar, time_zone: str | None) -> Self:
        """The ticks of `policy`; a disabled one has none. Without a time zone that of the exchange."""
        cron = CronExpression.parse(policy.cron) if policy.cron and policy.enabled else None
        moments = parse_session_times(policy.at) if policy.at and policy.enabled else ()
        zone = parse_time_zone(policy.time_zone or time_zone or calendar.time_zone)
        return cls(calendar, zone, policy.on == "sessions", cron, moments)

    def after(self, instant: datetime) -> Iterator[Tick]:
        """The ticks after `instant`, ascending."""
        streams = [self._session_times_after(moment, instant) for moment in self.session_times]
        if self.cron is not None:
            streams.append(self._of_cron(self.cron.after(instant, self.zone), instant))
        return _distinct(heapq.merge(*streams))

    def before(self, instant: datetime) -> Iterator[Tick]:
        """The ticks before `instant`, descending."""
        streams = [self._session_times_before(moment, instant) for moment in self.session_times]
        if self.cron is not None:
            streams.append(self._of_cron(self.cron.before(instant, self.zone), instant))
        return _distinct(heapq.merge(*streams, reverse=True))

    def between(self, first: datetime, last: datetime) -> list[Tick]:
        """The ticks in (first, last], ascending."""
        return list(takewhile(lambda tick: tick.scheduled_at <= last, self.after(first)))

    def next(self, instant: datetime) -> Tick | None:
        return next(self.after(instant), None)

    def latest(self, instant: datetime) -> Tick | None:
        """The last tick at or before `instant`."""
        return next(self.before(instant + timedelta(microseconds=1)), None)

    def last_for_session(self, session: date, until: datetime) -> Tick | None:
        """The last tick at or before `until` whose run works for `session`."""
        ticks = takewhile(
            lambda tick: tick.session >= session, self.before(until + timedelta(microseconds=1))
        )
        return next((tick for tick in ticks if tick.session == session), None)

    def _of_cron(self, instants: Iterator[datetime], start: datetime) -> Iterator[Tick]:
        for at in instants:
            if abs(at - start) > HORIZON:
                return
            day = self.calendar.local_date(at)
            if self.calendar.is_session(day):
                yield Tick(at, day)
            elif not self.sessions_only:
                yield Tick(at, self.calendar.previous(day))

    def _session_times_after(self, moment: SessionTime, instant: datetime) -> Iterator[Tick]:
        first = (instant.astimezone(self.zone) - SEARCH_MARGIN).date()
        ticks = (self._tick(moment, day) for day in self._days(first, ONE_DAY))
        return (tick for tick in ticks if tick.scheduled_at > instant)

    def _session_times_before(self, moment: SessionTime, instant: datetime) -> Iterator[Tick]:
        first = (instant.astimezone(self.zone) + SEARCH_MARGIN).date()
        ticks = (self._tick(moment, day) for day in self._days(first, -ONE_DAY))
        return (tick for tick in ticks if tick.scheduled_at < instant)

    def _days(self, first: date, step: timedelta) -> Iterator[date]:
        day = first
        while abs(day - first) <= HORIZON:
            if not self.sessions_only or self.calendar.is_session(day):
                yield day
            day += step

    def _tick(self, moment: SessionTime, day: date) -> Tick:
        session = day if self.calendar.is_session(day) else self.calendar.previous(day)
        return Tick(moment.resolve(day, self.calendar, self.zone).astimezone(UTC), session)


def last_tick_of_session(
    policies: Iterable[JobPolicy], calendar: TradingCalendar, time_zone: str | None, session: date
) -> datetime | None:
    """When the last of these jobs is due for `session`, before the next session opens; None where none is."""
    until, _ = calendar.open_close(calendar.next(session))
    triggers = (Trigger.of(policy, calendar, time_zone) for policy in policies)
    ticks = (trigger.last_for_session(session, until) for trigger in triggers)
    return max((tick.scheduled_at for tick in ticks if tick is not None), default=None)


def _distinct(ticks: Iterator[Tick]) -> Iterator[Tick]:
    previous: datetime | None = None
    for tick in ticks:
        if tick.scheduled_at != previous:
            yield tick
        previous = tick.scheduled_at


class UpcomingRun(msgspec.Struct, frozen=True):
    """One run to come; one that comes after others starts earlier when they are done earlier."""

    job: str
    scheduled_at: datetime
    session: date
    note: str = ""


class UpcomingDay(msgspec.Struct, frozen=True):
    """A day of the schedule's time zone; `closed` says why the exchange does not trade."""

    day: date
    closed: str | None
    entries: tuple[UpcomingRun, ...]


def upcoming_runs(
    policies: Mapping[str, JobPolicy], calendar: TradingCalendar, time_zone: str, first: date, days: int
) -> list[UpcomingDay]:
    """The runs of `days` days from `first` on, in order of time."""
    zone = parse_time_zone(time_zone)
    triggers = {name: Trigger.of(policy, calendar, time_zone) for name, policy in policies.items()}
    found = []
    for day in (first + timedelta(days=offset) for offset in range(days)):
        start, end = (
            datetime.combine(entry, time(), zone).astimezone(UTC) for entry in (day, day + timedelta(1))
        )
        instant = timedelta(microseconds=1)
        entries = [
            UpcomingRun(name, tick.scheduled_at, tick.session, _dependency_note(policies[name]))
            for name, trigger in triggers.items()
            for tick in trigger.between(start - instant, end - instant)
        ]
        entries.sort(key=lambda entry: (entry.scheduled_at, entry.job))
        found.append(UpcomingDay(day, calendar.closure_reason(day), tuple(entries)))
    return found


def _dependency_note(policy: JobPolicy) -> str:
    return f"or as soon as {', '.join(policy.after)} is done" if policy.after else ""
