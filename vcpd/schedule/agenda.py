"""The coming days: what will run when, and why a day has nothing."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta

import msgspec

from vcpd.domain.sessions import TradingCalendar
from vcpd.schedule.policies import JobPolicy, zone_named
from vcpd.schedule.trigger import Trigger


class AgendaEntry(msgspec.Struct, frozen=True):
    """One run to come; one that comes after others starts earlier when they are done earlier."""

    job: str
    scheduled_at: datetime
    session: date
    note: str = ""


class AgendaDay(msgspec.Struct, frozen=True):
    """A day of the schedule's time zone; `closed` says why the exchange does not trade."""

    day: date
    closed: str | None
    entries: tuple[AgendaEntry, ...]


def agenda(
    policies: Mapping[str, JobPolicy], calendar: TradingCalendar, time_zone: str, first: date, days: int
) -> list[AgendaDay]:
    """The runs of `days` days from `first` on, in order of time."""
    zone = zone_named(time_zone)
    triggers = {name: Trigger.of(policy, calendar, time_zone) for name, policy in policies.items()}
    found = []
    for day in (first + timedelta(days=offset) for offset in range(days)):
        start, end = (
            datetime.combine(one, time(), zone).astimezone(UTC) for one in (day, day + timedelta(1))
        )
        instant = timedelta(microseconds=1)
        entries = [
            AgendaEntry(name, tick.scheduled_at, tick.session, _note(policies[name]))
            for name, trigger in triggers.items()
            for tick in trigger.between(start - instant, end - instant)
        ]
        entries.sort(key=lambda entry: (entry.scheduled_at, entry.job))
        found.append(AgendaDay(day, calendar.closed_because(day), tuple(entries)))
    return found


def _note(policy: JobPolicy) -> str:
    return f"or as soon as {', '.join(policy.after)} is done" if policy.after else ""
