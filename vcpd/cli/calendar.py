"""`vcpd calendar`: sessions, holidays and special sessions of a year; `vcpd calendar update`: a new list."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import Final

import msgspec

from vcpd.cli.command import (
    EXIT_OK,
    add_config_argument,
    add_format_arguments,
    configuration_path,
    set_action,
)
from vcpd.cli.config import load_or_default
from vcpd.cli.output import print_data
from vcpd.config import LoadedConfiguration, load_configuration
from vcpd.core.dates import MONTHS
from vcpd.core.errors import BadInputError
from vcpd.domain.calendar import TradingCalendar
from vcpd.schedule.kept_calendar import keep_holidays, keep_table, parse_holidays

UPDATE: Final = "update"


class Holiday(msgspec.Struct, frozen=True):
    """A weekday without trading."""

    date: date
    name: str


class SpecialDay(msgspec.Struct, frozen=True):
    """A session with hours of its own, local time."""

    date: date
    opens: time
    closes: time
    name: str


class CalendarYear(msgspec.Struct, frozen=True):
    """Sessions and holidays of a year; `known` is false outside the calendar's table."""

    exchange: str
    year: int
    time_zone: str
    known: bool
    valid_until: date
    sessions: Sequence[date]
    holidays: Sequence[Holiday]
    special_sessions: Sequence[SpecialDay]


def add_calendar_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, calendar, "vcpd calendar 2026\nvcpd calendar update holidays-2027.json")
    parser.add_argument(
        "year",
        type=_year_or_update,
        metavar="YEAR",
        help="such as 2026; or `update`, which reads the exchange's holiday list FILE into the state folder",
    )
    parser.add_argument(
        "file",
        type=Path,
        nargs="?",
        metavar="FILE",
        help="the exchange's list as JSON, or lines such as `2027-01-26 Republic Day`; or a table as .toml",
    )
    add_config_argument(parser)
    add_format_arguments(parser)


def calendar(arguments: argparse.Namespace) -> int:
    """BadInputError for a year that no calendar can hold, and for a list that is not plausible."""
    if arguments.year == UPDATE:
        return _update(arguments)
    if not 1900 <= arguments.year <= 2200:
        raise BadInputError(f"expected a year from 1900 to 2200, was {arguments.year}")
    found = load_or_default(arguments).calendar
    year = calendar_year(found, arguments.year)
    if not year.known:
        where = f"{found.valid_from} to {found.valid_until}"
        print(
            f"vcpd: {year.year} lies outside the table ({where}): every weekday counts as a session",
            file=sys.stderr,
        )
    if not print_data(arguments, year, _special_days(year)):
        _print_year(year)
    return EXIT_OK


def _year_or_update(text: str) -> int | str:
    return UPDATE if text == UPDATE else int(text)


def _update(arguments: argparse.Namespace) -> int:
    """Check a holiday list, say what it changes, and keep it."""
    if arguments.file is None:
        raise BadInputError("expected the exchange's list: vcpd calendar update FILE")
    loaded = load_configuration(configuration_path(arguments))
    try:
        body = arguments.file.read_bytes()
    except OSError as error:
        raise BadInputError(f"{arguments.file}: {error.strerror}") from None
    if arguments.file.suffix.lower() == ".toml":
        table, path = keep_table(body, arguments.file.name, loaded.state_dir)
        print(f"{table.name}: {table.valid_from} to {table.valid_until}, kept in {path}")
    else:
        _update_list(body, arguments.file.name, loaded)
    print("a running daemon takes them over with `systemctl reload vcpd`, or SIGHUP")
    return EXIT_OK


def _update_list(body: bytes, name: str, loaded: LoadedConfiguration) -> None:
    found = parse_holidays(body, name)
    before = loaded.configuration.calendar
    new = [day for day in found.holidays if before.covers(day) and before.is_session(day)]
    path = keep_holidays(found, loaded.state_dir)
    print(f"{found.year}: {len(found.holidays)} holidays on weekdays, kept in {path}")
    for day in new:
        print(f"  {day:%a %Y-%m-%d}  {found.holidays[day]}: a session so far")
    print("hours of evening sessions such as Muhurat trading belong in [schedule] extra_sessions")
    print("once they are announced")


def calendar_year(found: TradingCalendar, number: int) -> CalendarYear:
    """The year `number` of a calendar."""
    first, last = date(number, 1, 1), date(number, 12, 31)
    special = [special for day, special in sorted(found.special_sessions.items()) if day.year == number]
    return CalendarYear(
        exchange=found.name,
        year=number,
        time_zone=found.time_zone,
        known=found.covers(first) and found.covers(last),
        valid_until=found.valid_until,
        sessions=found.sessions(first, last).tolist(),
        holidays=[Holiday(day, name) for day, name in sorted(found.holidays.items()) if day.year == number],
        special_sessions=[
            SpecialDay(entry.session, entry.opens, entry.closes, entry.name) for entry in special
        ],
    )


def _special_days(year: CalendarYear) -> list[Mapping[str, object]]:
    """Holidays and special sessions by date; the former without hours."""
    rows: list[Mapping[str, object]] = [
        {"date": holiday.date, "kind": "holiday", "name": holiday.name, "opens": None, "closes": None}
        for holiday in year.holidays
    ]
    rows += [
        {"date": day.date, "kind": "session", "name": day.name, "opens": day.opens, "closes": day.closes}
        for day in year.special_sessions
    ]
    return sorted(rows, key=lambda row: str(row["date"]))


def _print_year(year: CalendarYear) -> None:
    months = [sum(day.month == month for day in year.sessions) for month in range(1, 13)]
    print(f"{year.exchange} {year.year}: {len(year.sessions)} sessions, table valid until {year.valid_until}")
    print("  " + "  ".join(f"{name.title()} {count}" for name, count in zip(MONTHS, months, strict=True)))
    print("\nHolidays")
    for holiday in year.holidays:
        print(f"  {holiday.date:%a %Y-%m-%d}  {holiday.name}")
    print(f"\nSpecial sessions, {year.time_zone}")
    for session in year.special_sessions:
        print(f"  {session.date:%a %Y-%m-%d}  {session.opens:%H:%M}-{session.closes:%H:%M}  {session.name}")
