"""Cron expressions as Debian reads them: parsed to sets, then iterated in wall time.

Five fields (minute, hour, day of month, month, day of week) with `*`, lists, ranges, steps, names,
`L`, `LW`, `5L` and `5#2`, or a word such as `@daily`. A day matches by either of the two day fields
when both are restricted, and by both when one of them begins with `*`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Self
from zoneinfo import ZoneInfo

from vcpd.schedule.cron_fields import CronError, DayOfMonth, DayOfWeek, parse_fields

ALIASES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
HORIZON_YEARS: Final = 50
ONE_DAY: Final = timedelta(days=1)
ONE_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class CronExpression:
    """A parsed expression. Iterators give aware UTC instants and end where nothing matches for 50 years."""

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: frozenset[int]
    day_of_month: DayOfMonth
    day_of_week: DayOfWeek
    both_day_fields: bool  # AND, because one of them begins with a star
    follows_the_clock: bool  # minute or hour begins with a star: real time rules around a change of clock

    @classmethod
    def parse(cls, text: str) -> Self:
        """CronError names the field, its position and what was expected."""
        fields = parse_fields(text, ALIASES)
        raw = fields.raw
        parsed = cls(
            text=text,
            minutes=fields.minutes,
            hours=fields.hours,
            months=fields.months,
            day_of_month=fields.day_of_month,
            day_of_week=fields.day_of_week,
            both_day_fields=raw[2].startswith("*") or raw[4].startswith("*"),
            follows_the_clock=raw[0].startswith("*") or raw[1].startswith("*"),
        )
        if next(parsed._days(date(2024, 1, 1), 1), None) is None:
            raise CronError(f"field 3 (day of month): expected a day that exists, but {text!r} never fires")
        return parsed

    def after(self, instant: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """The instants after `instant`, ascending."""
        first = (instant.astimezone(zone) - ONE_DAY).date()
        for day in self._days(first, 1):
            yield from (at for at in self._instants_of(day, zone) if at > instant)

    def before(self, instant: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """The instants before `instant`, descending."""
        first = (instant.astimezone(zone) + ONE_DAY).date()
        for day in self._days(first, -1):
            yield from (at for at in reversed(self._instants_of(day, zone)) if at < instant)

    def matches_day(self, day: date) -> bool:
        """Whether the expression fires on this date at all."""
        if day.month not in self.months:
            return False
        by_month, by_week = self.day_of_month.matches(day), self.day_of_week.matches(day)
        return (by_month and by_week) if self.both_day_fields else (by_month or by_week)

    def warnings(self) -> tuple[str, ...]:
        """What surprises people about this expression, in plain sentences."""
        if not self.both_day_fields:
            either = "with both day fields restricted, either one is enough"
            return (f"`{self.text}` fires on its days of the month and also on its weekdays: {either}",)
        if self.day_of_month.restricts and self.day_of_week.restricts:
            both = "both must match, because one of the two fields begins with `*`"
            return (f"`{self.text}` restricts day of month and day of week: {both}",)
        return ()

    def _days(self, first: date, step: int) -> Iterator[date]:
        day, last_year = first, first.year + step * HORIZON_YEARS
        while (last_year - day.year) * step >= 0:
            if day.month not in self.months:
                day = _month_edge(day, step)
                continue
            if self.matches_day(day):
                yield day
                last_year = day.year + step * HORIZON_YEARS
            day += step * ONE_DAY

    def _instants_of(self, day: date, zone: ZoneInfo) -> list[datetime]:
        """The instants that belong to a local date, ascending."""
        walls = [time(hour, minute) for hour in self.hours for minute in self.minutes]
        if _keeps_one_offset(day, zone):
            return [datetime.combine(day, wall, zone).astimezone(UTC) for wall in walls]
        if self.follows_the_clock:
            return self._by_real_time(day, zone)
        return sorted({settle(day, wall, zone) for wall in walls})

    def _by_real_time(self, day: date, zone: ZoneInfo) -> list[datetime]:
        """Each real minute of the date whose wall time matches: skipped ones never, repeated ones twice."""
        at = datetime.combine(day - ONE_DAY, time(12), zone).astimezone(UTC)
        end = datetime.combine(day + ONE_DAY, time(12), zone).astimezone(UTC)
        hours, minutes, found = set(self.hours), set(self.minutes), []
        while at < end:
            wall = at.astimezone(zone)
            if wall.date() == day and wall.hour in hours and wall.minute in minutes:
                found.append(at)
            at += ONE_MINUTE
        return found


def _month_edge(day: date, step: int) -> date:
    """The first day of the next month, or the last of the month before."""
    if step < 0:
        return day.replace(day=1) - ONE_DAY
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _keeps_one_offset(day: date, zone: ZoneInfo) -> bool:
    midnight = datetime.combine(day, time(), zone)
    others = (midnight.replace(fold=1), midnight + ONE_DAY, (midnight + ONE_DAY).replace(fold=1))
    return all(other.utcoffset() == midnight.utcoffset() for other in others)


def settle(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """The instant of a wall time: the first of two, or the end of the gap that skips it."""
    local = datetime.combine(day, wall, zone)
    instant = local.astimezone(UTC)
    while instant.astimezone(zone).replace(tzinfo=None, fold=0) != local.replace(tzinfo=None, fold=0):
        local += ONE_MINUTE
        instant = local.astimezone(UTC)
    return instant
