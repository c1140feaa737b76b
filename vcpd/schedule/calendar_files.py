"""Holiday lists: read as the exchange publishes them, and kept by year in the state folder.

The exchange publishes the holidays of a year in December. `vcpd calendar update FILE` and the daemon check
such a list and keep it as `calendar/holidays-2027.json`; `schedule.kept_calendar` adds it to the table.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

import msgspec

from vcpd.core.atomic_file import write_atomic
from vcpd.core.dates import parse_date
from vcpd.core.errors import BadInputError

CALENDAR_FOLDER: Final = "calendar"
CASH_MARKET: Final = "CM"  # its section in the exchange's list of all segments
DATE_KEYS: Final = ("tradingDate", "date")
NAME_KEYS: Final = ("description", "name")
SATURDAY: Final = 5
PLAUSIBLE_HOLIDAYS: Final = range(8, 26)  # weekdays of a year
FIXED_HOLIDAYS: Final = {(1, 26): "Republic Day", (8, 15): "Independence Day", (12, 25): "Christmas"}


class HolidayList(msgspec.Struct, frozen=True):
    """The weekdays of a year on which the exchange is closed, with their names."""

    year: int
    holidays: Mapping[date, str]


def parse_holidays(body: bytes, name: str) -> HolidayList:
    """A holiday list: the exchange's JSON, or lines `2027-01-26 Republic Day`.

    BadInputError naming the file for one that cannot be read, covers several years, or is no plausible list
    of the cash market: it lacks a holiday of fixed date, or has too few or too many days.
    """
    days = _json_days(body, name) if body.lstrip()[:1] in (b"{", b"[") else _text_days(body, name)
    years = Counter(day.year for day in days)
    if len(years) != 1:
        raise BadInputError(f"{name}: expected the holidays of one year, was {sorted(years) or 'none'}")
    (year,) = years
    weekdays = {day: text for day, text in sorted(days.items()) if day.weekday() < SATURDAY}
    for (month, number), text in FIXED_HOLIDAYS.items():
        fixed = date(year, month, number)
        if fixed.weekday() < SATURDAY and fixed not in weekdays:
            raise BadInputError(f"{name}: {fixed}, {text}, is missing: no list of the cash market")
    if len(weekdays) not in PLAUSIBLE_HOLIDAYS:
        raise BadInputError(f"{name}: expected 8 to 25 holidays on weekdays, was {len(weekdays)}")
    return HolidayList(year, weekdays)


def keep_holidays(found: HolidayList, state: Path) -> Path:
    """Keep a list below the state folder in place of an older one of its year; gives its path."""
    path = state / CALENDAR_FOLDER / f"holidays-{found.year}.json"
    write_atomic(path, msgspec.json.format(msgspec.json.encode(found)))
    return path


def _json_days(body: bytes, name: str) -> dict[date, str]:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise BadInputError(f"{name}: not valid JSON: {error}") from None
    items = found.get(CASH_MARKET) if isinstance(found, dict) else found
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise BadInputError(f"{name}: expected a list of holidays, or a section `{CASH_MARKET}` with one")
    return {_day(_first(item, DATE_KEYS), name): _first(item, NAME_KEYS) or "holiday" for item in items}


def _text_days(body: bytes, name: str) -> dict[date, str]:
    lines = body.decode("utf-8-sig", errors="replace").splitlines()
    words = [line.replace(",", " ").split(maxsplit=1) for line in lines if line.strip()]
    return {_day(line[0], name): " ".join(line[1:]) or "holiday" for line in words}


def _first(item: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    return next((str(item[key]).strip() for key in keys if key in item), "")


def _day(text: str, name: str) -> date:
    try:
        return parse_date(text)
    except ValueError as error:
        raise BadInputError(f"{name}: {error}") from None
