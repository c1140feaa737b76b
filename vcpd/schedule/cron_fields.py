"""The fields of a cron expression, read one by one; an error names field, position and expectation."""

import calendar
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from vcpd.domain.errors import BadInputError

MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
N_FIELDS: Final = 5


class CronError(BadInputError, ValueError):
    """An expression that cannot be read; also a ValueError, so that settings report it with their path."""


@dataclass(frozen=True, slots=True)
class Field:
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


MINUTE: Final = Field("minute", 1, 0, 59, {})
HOUR: Final = Field("hour", 2, 0, 23, {})
DAY: Final = Field("day of month", 3, 1, 31, {})
MONTH: Final = Field("month", 4, 1, 12, {name: number for number, name in enumerate(MONTHS, 1)})
WEEKDAY: Final = Field("day of week", 5, 0, 7, {name: number for number, name in enumerate(WEEKDAYS)})


@dataclass(frozen=True, slots=True)
class DayOfMonth:
    """The third field: numbers, the last day (`L`), the last weekday (`LW`)."""

    days: frozenset[int]
    last: bool = False
    last_weekday: bool = False

    @property
    def restricts(self) -> bool:
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
    def restricts(self) -> bool:
        return len(self.each) < len(WEEKDAYS)

    def matches(self, day: date) -> bool:
        weekday = day.isoweekday() % 7
        if weekday in self.each or (weekday, (day.day + 6) // 7) in self.nth:
            return True
        return weekday in self.last and day.day + 7 > calendar.monthrange(day.year, day.month)[1]


@dataclass(frozen=True, slots=True)
class Fields:
    """An expression's fields; the tuples ascend."""

    raw: tuple[str, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    day_of_month: DayOfMonth
    months: frozenset[int]
    day_of_week: DayOfWeek


def parse_fields(text: str, aliases: Mapping[str, str]) -> Fields:
    """Read an expression; CronError where it is none."""
    spelled_out = text.strip().lower()
    if spelled_out.startswith("@") and spelled_out not in aliases:
        raise CronError(f"expected one of {', '.join(aliases)}, was {text!r}")
    raw = tuple(aliases.get(spelled_out, text).upper().split())
    if len(raw) != N_FIELDS:
        raise CronError(f"expected 5 fields (minute hour day month weekday), was {len(raw)} in {text!r}")
    return Fields(
        raw=raw,
        minutes=tuple(sorted(_numbers(MINUTE, raw[0]))),
        hours=tuple(sorted(_numbers(HOUR, raw[1]))),
        day_of_month=_day_of_month(raw[2]),
        months=_numbers(MONTH, raw[3]),
        day_of_week=_day_of_week(raw[4]),
    )


def _terms(field: Field, text: str) -> Iterator[str]:
    for term in text.split(","):
        if not term:
            raise field.error("a value between the commas", text)
        yield term


def _numbers(field: Field, text: str) -> frozenset[int]:
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
