"""Dates and instants as files write them: read column by column, so that one row settles another's order.

`06/05/2025` can be 6 May or 5 June. A column in which every such date allows both is ambiguous, and
is refused with both readings unless the caller names the order.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from enum import StrEnum
from functools import cached_property
from typing import Final

MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
MONTH_NAMES: Final = (
    "JANUARY", "FEBRUARY", "MARCH", "APRIL", "MAY", "JUNE", "JULY", "AUGUST", "SEPTEMBER", "OCTOBER",
    "NOVEMBER", "DECEMBER",
)  # fmt: skip
SHORTEST_MONTH_NAME: Final = 3
YEARS: Final = range(1900, 2101)
CENTURY_SPLIT: Final = 70  # two digits below it are 20xx, from it on 19xx
EXPECTED_DATE: Final = "a date such as 2025-06-30 or 30-Jun-2025"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SPREADSHEET_EPOCH: Final = date(1899, 12, 30)
SPREADSHEET_DAYS: Final = range(30_000, 60_000)  # 1982 to 2064
UNITS_PER_SECOND: Final = {9: 1, 10: 1, 12: 10**3, 13: 10**3, 15: 10**6, 16: 10**6, 18: 10**9, 19: 10**9}
MIDNIGHT: Final = time(0)
TRADING_OPENS: Final = time(9)
TRADING_CLOSES: Final = time(16)
ZONE_OFFSETS: Final = {
    "Z": 0, "UTC": 0, "GMT": 0, "IST": 330, "EST": -300, "EDT": -240, "CST": -360, "CDT": -300,
    "PST": -480, "PDT": -420, "BST": 60, "CET": 60, "CEST": 120, "SGT": 480, "HKT": 480, "JST": 540,
}  # fmt: skip

_INSTANT: Final = re.compile(
    r"(?P<date>.+?)"
    r"(?:[T\s,:]\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)?"
    r"\s*(?P<half>[AP]\.?M\.?)?"
    r"\s*(?P<zone>Z|[A-Z]{3,4}|(?:UTC|GMT)?\s*[+-]\d{2}:?\d{2}(?::\d{2})?)?"
    r"(?:\s*\([^)]*\))?)?",
    re.IGNORECASE,
)
_OFFSET: Final = re.compile(r"(?:UTC|GMT)?\s*([+-])(\d{2}):?(\d{2})(?::\d{2})?", re.IGNORECASE)
_WEEKDAY: Final = re.compile(r"^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?[,\s]\s*", re.IGNORECASE)
_SEPARATORS: Final = re.compile(r"[-/.,\s']+")
_ORDINAL: Final = re.compile(r"(\d{1,2})(?:st|nd|rd|th)", re.IGNORECASE)
_COMPACT_INSTANT: Final = re.compile(r"(\d{8})[T\s]?(\d{2})(\d{2})(\d{2})?")


class DateOrder(StrEnum):
    """The order of the parts of a numeric date."""

    DAY_FIRST = "day-first"
    MONTH_FIRST = "month-first"
    YEAR_FIRST = "year-first"


PLACES: Final[Mapping[DateOrder, tuple[int, int, int]]] = {  # of year, month and day
    DateOrder.DAY_FIRST: (2, 1, 0),
    DateOrder.MONTH_FIRST: (2, 0, 1),
    DateOrder.YEAR_FIRST: (0, 1, 2),
}


class AmbiguousDateError(ValueError):
    """A text that names two dates; the message names both."""


@dataclass(frozen=True, slots=True)
class WrittenDate:
    """One text: its date under each order that fits it, and its time of day where it has one."""

    dates: Mapping[DateOrder, date]
    at: time | None = None

    @classmethod
    def certain(cls, day: date, at: time | None = None) -> "WrittenDate":
        """A text that is the same date in every order."""
        return cls(dict.fromkeys(DateOrder, day), at)


def parse_date(text: str) -> date:
    """One date standing alone, day first where only its order is open, as the exchange writes it.

    ValueError for anything that is no date.
    """
    dates = read_written_date(text, UTC).dates
    for order in (DateOrder.DAY_FIRST, DateOrder.YEAR_FIRST):
        if order in dates:
            return dates[order]
    raise ValueError(f"expected {EXPECTED_DATE}, was {text.strip()[:40]!r}")


def read_written_date(text: str, zone: tzinfo) -> WrittenDate:
    """What a text can mean; instants are dated on the clocks of the market's `zone`.

    ValueError for a text that is no date, AmbiguousDateError for an instant on the border of two dates.
    """
    stripped = text.strip()
    for read in (_read_number, _read_compact_instant, _read_instant):
        found = read(stripped, zone)
        if found is not None:
            return found
    raise ValueError(f"expected {EXPECTED_DATE}, was {stripped[:40]!r}")


def market_date(instant: datetime, zone: tzinfo) -> date:
    """The session that an aware instant stamps.

    The date on the market's clocks and the one as written agree nearly always. Where they do not, an
    instant at the market's midnight or in its hours is the market's own; another one, at a foreign
    offset, is a foreign market's and keeps its date as written. AmbiguousDateError where both may be.
    """
    here = instant.astimezone(zone)
    if here.date() == instant.date():
        return here.date()
    is_market_time = here.time() == MIDNIGHT or TRADING_OPENS <= here.time() <= TRADING_CLOSES
    if not instant.utcoffset():
        if is_market_time:
            return here.date()
    elif not is_market_time and instant.astimezone(UTC).time() != MIDNIGHT:
        return instant.date()
    raise AmbiguousDateError(
        f"{instant.isoformat(' ')} can be {instant.date()} (as written) or {here.date()} (in {zone}); "
        "write dates without a time"
    )


@dataclass(frozen=True)
class DateColumn:
    """The different texts of a column: what each can mean, and why others are no dates."""

    readable: Mapping[str, WrittenDate]
    unreadable: Mapping[str, str]

    @cached_property
    def orders(self) -> tuple[DateOrder, ...]:
        """The orders in which every date that depends on it can be read."""
        return tuple(
            order for order in DateOrder if all(order in written.dates for written in self.readable.values())
        )

    @property
    def has_open_order(self) -> bool:
        """Whether two orders fit every date and make different dates of them."""
        readings = {tuple(self.dates(order).values()) for order in self.orders}
        return len(readings) > 1

    @property
    def is_ordered(self) -> bool:
        """Whether some date depends on the order at all."""
        return any(
            len(set(entry.dates.values())) > 1 or len(entry.dates) < 3 for entry in self.readable.values()
        )

    def dates(self, order: DateOrder) -> dict[str, date]:
        """Date by text; texts that do not fit `order` are absent."""
        return {
            text: written.dates[order] for text, written in self.readable.items() if order in written.dates
        }

    def open_readings(self) -> str:
        """Both readings of the first text that has two."""
        text, dates = next(
            (text, [(order, entry.dates[order]) for order in self.orders])
            for text, entry in self.readable.items()
            if len({entry.dates[order] for order in self.orders}) > 1
        )
        return f"{text!r} can be " + " or ".join(f"{day} ({order})" for order, day in dates)

    def contradiction(self) -> str:
        """Two texts that no order reads alike."""
        strict = {order: self._first_only_in(order) for order in DateOrder}
        named = [f"{text!r} is {order}" for order, text in strict.items() if text is not None]
        return " and ".join(named[:2])

    def _first_only_in(self, order: DateOrder) -> str | None:
        return next((text for text, entry in self.readable.items() if set(entry.dates) == {order}), None)


def read_date_column(texts: Iterable[str], zone: tzinfo, latest: date | None = None) -> DateColumn:
    """What the different texts of a column can mean. AmbiguousDateError as `market_date`.

    Readings after `latest` are dropped where another one is left: no bar lies ahead of its time.
    """
    readable: dict[str, WrittenDate] = {}
    unreadable: dict[str, str] = {}
    for text in texts:
        try:
            readable[text] = _without_future(read_written_date(text, zone), latest)
        except AmbiguousDateError:
            raise
        except (ValueError, OverflowError) as error:
            unreadable[text] = str(error)
    return DateColumn(_without_rare_order(readable), unreadable)


def _without_future(written: WrittenDate, latest: date | None) -> WrittenDate:
    past = {order: day for order, day in written.dates.items() if latest is None or day <= latest}
    return WrittenDate(past, written.at) if past else written


def _without_rare_order(readable: Mapping[str, WrittenDate]) -> dict[str, WrittenDate]:
    """Two-digit years first are a reading only where no other order fits the column."""
    usual = [DateOrder.DAY_FIRST, DateOrder.MONTH_FIRST]
    fits = any(all(order in entry.dates for entry in readable.values()) for order in usual)
    if not fits:
        return dict(readable)
    return {
        text: written
        if len(set(written.dates.values())) == 1
        else WrittenDate(
            {order: written.dates[order] for order in usual if order in written.dates}, written.at
        )
        for text, written in readable.items()
    }


def _read_number(text: str, zone: tzinfo) -> WrittenDate | None:
    """Seconds and their fractions since 1970, `20250630`, or a spreadsheet's number of days."""
    whole, _, fraction = text.partition(".")
    if not whole.isdecimal() or fraction.strip("0123456789"):
        return None
    if len(whole) == 8 and not fraction.strip("0"):
        return _read_parts(_split_compact(whole), text)
    if len(whole) == 5 and int(whole) in SPREADSHEET_DAYS:
        return WrittenDate.certain(SPREADSHEET_EPOCH + timedelta(days=int(whole)))
    if _COMPACT_INSTANT.fullmatch(text) and int(whole[:4]) in YEARS and len(whole) in {12, 14}:
        return None
    if (unit := UNITS_PER_SECOND.get(len(whole))) is None:
        return None
    instant = EPOCH + timedelta(microseconds=int(whole) * 10**6 // unit)
    return WrittenDate.certain(market_date(instant, zone), instant.astimezone(zone).time())


def _split_compact(text: str) -> Mapping[DateOrder, tuple[str, str, str]]:
    """The parts of eight digits; where the year can stand first it can stand nowhere else."""
    year_first = (text[:4], text[4:6], text[6:])
    if _date_of(*year_first) is not None:
        return dict.fromkeys(DateOrder, year_first)
    day_first, month_first = (text[4:], text[2:4], text[:2]), (text[4:], text[:2], text[2:4])
    return {DateOrder.DAY_FIRST: day_first, DateOrder.MONTH_FIRST: month_first}


def _read_compact_instant(text: str, _zone: tzinfo) -> WrittenDate | None:
    """`20250630153000`, `20250630 1530`."""
    match = _COMPACT_INSTANT.fullmatch(text)
    if match is None:
        return None
    at = time(int(match[2]), int(match[3]), int(match[4] or 0))
    return WrittenDate(_read_parts(_split_compact(match[1]), text).dates, at)


def _read_instant(text: str, zone: tzinfo) -> WrittenDate | None:
    """A date of three parts, with a time of day and an offset where the text has them."""
    match = _INSTANT.fullmatch(_WEEKDAY.sub("", text))
    if match is None:
        return None
    written = _read_day(match["date"], text)
    if match["hour"] is None:
        return written
    at = _time_of_day(match)
    if match["zone"] is None:
        return WrittenDate(written.dates, at)
    offset = _zone_of(match["zone"])
    if offset is None:
        return None
    dates = {
        order: market_date(datetime.combine(day, at, offset), zone) for order, day in written.dates.items()
    }
    return WrittenDate(dates, at)


def _time_of_day(match: "re.Match[str]") -> time:
    hour = int(match["hour"])
    if match["half"]:
        hour = hour % 12 + (12 if match["half"][0] in "pP" else 0)
    return time(hour, int(match["minute"]), int(match["second"] or 0))


def _zone_of(text: str) -> tzinfo | None:
    if (minutes := ZONE_OFFSETS.get(text.upper())) is not None:
        return timezone(timedelta(minutes=minutes))
    match = _OFFSET.fullmatch(text)
    if match is None:
        return None
    minutes = 60 * int(match[2]) + int(match[3])
    return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))


def _read_day(text: str, whole: str) -> WrittenDate:
    if text.isdecimal() and len(text) == 8:
        return _read_parts(_split_compact(text), whole)
    parts = [part for part in _SEPARATORS.split(text.strip()) if part]
    if len(parts) != 3:
        raise ValueError(f"expected {EXPECTED_DATE}, was {whole[:40]!r}")
    parts = [_ORDINAL.sub(r"\1", part) for part in parts]
    if (spelled := next((at for at, part in enumerate(parts) if part.isalpha()), None)) is not None:
        return _read_spelled(parts, spelled, whole)
    return _read_parts(_numeric_orders(parts), whole)


def _read_spelled(parts: list[str], at: int, whole: str) -> WrittenDate:
    """`30 Jun 2025`, `Jun 30 2025`, `2025 Jun 30`: the month is known, the year is the long number."""
    month = str(_month_number(parts[at], whole))
    first, second = (part for place, part in enumerate(parts) if place != at)
    year, day = (first, second) if len(first) == 4 else (second, first)
    return _read_parts(dict.fromkeys(DateOrder, (year, month, day)), whole)


def _month_number(name: str, whole: str) -> int:
    upper = name.upper().rstrip(".")
    if len(upper) >= SHORTEST_MONTH_NAME:
        for number, month in enumerate(MONTH_NAMES, 1):
            if month.startswith(upper) or (upper == "SEPT" and number == 9):
                return number
    raise ValueError(f"expected {EXPECTED_DATE}, was {whole[:40]!r}")


def _numeric_orders(parts: list[str]) -> Mapping[DateOrder, tuple[str, str, str]]:
    """The parts as year, month and day in each order that the length of the year allows."""
    if len(parts[0]) == 4:
        return dict.fromkeys(DateOrder, (parts[0], parts[1], parts[2]))
    orders = (
        PLACES
        if len(parts[2]) == 2
        else {order: places for order, places in PLACES.items() if order is not DateOrder.YEAR_FIRST}
    )
    return {order: (parts[year], parts[month], parts[day]) for order, (year, month, day) in orders.items()}


def _read_parts(orders: Mapping[DateOrder, tuple[str, str, str]], whole: str) -> WrittenDate:
    dates = {order: day for order, parts in orders.items() if (day := _date_of(*parts)) is not None}
    if not dates:
        raise ValueError(f"expected {EXPECTED_DATE}, was {whole[:40]!r}")
    return WrittenDate(dates)


def _date_of(year: str, month: str, day: str) -> date | None:
    if not (year.isdecimal() and month.isdecimal() and day.isdecimal()):
        return None
    number = int(year)
    if len(year) == 2:
        number += 2000 if number < CENTURY_SPLIT else 1900
    elif len(year) != 4 or number not in YEARS:
        return None
    try:
        return date(number, int(month), int(day))
    except ValueError:
        return None
