"""Cron expressions as Debian reads them: parses five fields, then iterates matching instants in wall time.

Five fields (minute, hour, day of month, month, day of week) with `*`, lists, ranges, steps, names,
`L`, `LW`, `5L` and `5#2`, or a word such as `@daily`. A day matches by either of the two day fields
when both are restricted, and by both when one of them begins with `*`.
"""

import calendar
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Self
from zoneinfo import ZoneInfo

from vcpd.core.dates import MONTHS
from vcpd.core.errors import BadInputError
from vcpd.domain.calendar import ONE_DAY

WEEKDAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
N_FIELDS: Final = 5
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
ONE_MINUTE: Final = timedelta(minutes=1)


class CronError(BadInputError, ValueError):
    """An expression that cannot be read; also a ValueError, so that settings report it with their path."""


@dataclass(frozen=True, slots=True)
class CronField:
    """What one field may hold; `position` counts from 1."""

    name: str
    position: int
    low: int
    high: int
    names: Mapping[str, int]

    def error(self, expected: str, was: str) -> CronError:
        return CronError(f"field {self.position} ({self.name}): expected {expected}, was {was!r}")

    def number(self, text: str) -> int:
        """A number or a name of this field."""
        if text in self.names:
            return self.names[text]
        if not (text.isascii() and text.isdigit() and self.low <= int(text) <= self.high):
            names = f" or a name such as {next(iter(self.names))}" if self.names else ""
            raise self.error(f"{self.low}-{self.high}{names}", text)
        return int(text)

    def values(self, term: str) -> range:
        """One term without commas: `*`, `a`, `a-b`, each with `/step`."""
        body, slash, step_text = term.partition("/")
        step = self._step(step_text) if slash else 1
        if body == "*":
            return range(self.low, self.high + 1, step)
        first_text, dash, last_text = body.partition("-")
        first = self.number(first_text)
        last = self.number(last_text) if dash else first
        if last < first:
            raise self.error("a range that ascends", body)
        # With a step, a single value (also written as 4-4) is where an open range begins.
        last = self.high if slash and last == first else last
        return range(first, last + 1, step)

    def _step(self, text: str) -> int:
        if not (text.isascii() and text.isdigit() and int(text) > 0):
            raise self.error("a step of at least 1 after `/`", text)
        return int(text)


MINUTE: Final = CronField("minute", 1, 0, 59, {})
HOUR: Final = CronField("hour", 2, 0, 23, {})
DAY: Final = CronField("day of month", 3, 1, 31, {})
MONTH: Final = CronField("month", 4, 1, 12, {name: number for number, name in enumerate(MONTHS, 1)})
WEEKDAY: Final = CronField("day of week", 5, 0, 7, {name: number for number, name in enumerate(WEEKDAYS)})


@dataclass(frozen=True, slots=True)
class DayOfMonth:
    """The third field: numbers, the last day (`L`), the last weekday (`LW`)."""

    days: frozenset[int]
    last: bool = False
    last_weekday: bool = False

    @property
    def is_restricted(self) -> bool:
        return len(self.days) < DAY.high

    def matches(self, day: date) -> bool:
        if day.day in self.days:
            return True
        if not (self.last or self.last_weekday):
            return False
        length = calendar.monthrange(day.year, day.month)[1]
        if self.last and day.day == length:
            return True
        weekend_days = max(0, day.replace(day=length).weekday() - 4)
        return self.last_weekday and day.day == length - weekend_days


@dataclass(frozen=True, slots=True)
class DayOfWeek:
    """The fifth field, Sunday being 0: each, the last of a month (`5L`), or the n-th of a month (`5#2`)."""

    each: frozenset[int]
    last: frozenset[int] = frozenset()
    nth: frozenset[tuple[int, int]] = frozenset()

    @property
    def is_restricted(self) -> bool:
        return len(self.each) < len(WEEKDAYS)

    def matches(self, day: date) -> bool:
        weekday = day.isoweekday() % 7
        if weekday in self.each or (weekday, (day.day + 6) // 7) in self.nth:
            return True
        return weekday in self.last and day.day + 7 > calendar.monthrange(day.year, day.month)[1]


@dataclass(frozen=True, slots=True)
class CronFields:
    """An expression's fields; the tuples ascend."""

    raw: tuple[str, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    day_of_month: DayOfMonth
    months: frozenset[int]
    day_of_week: DayOfWeek


def parse_fields(text: str, aliases: Mapping[str, str]) -> CronFields:
    """Read an expression; CronError where it is none."""
    spelled_out = text.strip().lower()
    if spelled_out.startswith("@") and spelled_out not in aliases:
        raise CronError(f"expected one of {', '.join(aliases)}, was {text!r}")
    raw = tuple(aliases.get(spelled_out, text).upper().split())
    if len(raw) != N_FIELDS:
        raise CronError(f"expected 5 fields (minute hour day month weekday), was {len(raw)} in {text!r}")
    return CronFields(
        raw=raw,
        minutes=tuple(sorted(_numbers(MINUTE, raw[0]))),
        hours=tuple(sorted(_numbers(HOUR, raw[1]))),
        day_of_month=_day_of_month(raw[2]),
        months=_numbers(MONTH, raw[3]),
        day_of_week=_day_of_week(raw[4]),
    )


def _terms(field: CronField, text: str) -> Iterator[str]:
    for term in text.split(","):
        if not term:
            raise field.error("a value between the commas", text)
        yield term


def _numbers(field: CronField, text: str) -> frozenset[int]:
    return frozenset(value for term in _terms(field, text) for value in field.values(term))


def _day_of_month(text: str) -> DayOfMonth:
    terms = list(_terms(DAY, text))
    plain = [term for term in terms if term not in ("L", "LW")]
    days = frozenset(value for term in plain for value in DAY.values(term))
    return DayOfMonth(days, last="L" in terms, last_weekday="LW" in terms)


def _day_of_week(text: str) -> DayOfWeek:
    each: set[int] = set()
    last: set[int] = set()
    nth: set[tuple[int, int]] = set()
    for term in _terms(WEEKDAY, text):
        body, hash_sign, number = term.partition("#")
        if hash_sign:
            if number not in {"1", "2", "3", "4", "5"}:
                raise WEEKDAY.error("1-5 after `#`", term)
            nth.add((WEEKDAY.number(body) % 7, int(number)))
        elif term.endswith("L") and term != "L":
            last.add(WEEKDAY.number(term[:-1]) % 7)
        else:
            each.update(value % 7 for value in WEEKDAY.values(term))
    return DayOfWeek(frozenset(each), frozenset(last), frozenset(nth))


@dataclass(frozen=True, slots=True)
class CronExpression:
    """A parsed expression. Iterators give aware UTC instants and end where nothing matches for 50 years."""

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: frozenset[int]
    day_of_month: DayOfMonth
    day_of_week: DayOfWeek
    match_both_day_fields: bool  # AND, because one of them begins with a star
    wildcard_time: bool  # minute or hour begins with a star: real time rules around a change of clock

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
            match_both_day_fields=raw[2].startswith("*") or raw[4].startswith("*"),
            wildcard_time=raw[0].startswith("*") or raw[1].startswith("*"),
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
        return (by_month and by_week) if self.match_both_day_fields else (by_month or by_week)

    def warnings(self) -> tuple[str, ...]:
        """Warnings about unexpected effects of this expression."""
        if not self.match_both_day_fields:
            either = "with both day fields restricted, either one is enough"
            return (f"`{self.text}` fires on its days of the month and also on its weekdays: {either}",)
        if self.day_of_month.is_restricted and self.day_of_week.is_restricted:
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
        if _has_constant_offset(day, zone):
            return [datetime.combine(day, wall, zone).astimezone(UTC) for wall in walls]
        if self.wildcard_time:
            return self._by_real_time(day, zone)
        return sorted({resolve_dst(day, wall, zone) for wall in walls})

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


def _has_constant_offset(day: date, zone: ZoneInfo) -> bool:
    midnight = datetime.combine(day, time(), zone)
    others = (midnight.replace(fold=1), midnight + ONE_DAY, (midnight + ONE_DAY).replace(fold=1))
    return all(other.utcoffset() == midnight.utcoffset() for other in others)


def resolve_dst(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """The instant of a wall time: the first of two, or the end of the gap that skips it."""
    local = datetime.combine(day, wall, zone)
    instant = local.astimezone(UTC)
    while instant.astimezone(zone).replace(tzinfo=None, fold=0) != local.replace(tzinfo=None, fold=0):
        local += ONE_MINUTE
        instant = local.astimezone(UTC)
    return instant
