"""`vcpd jobs next`: the coming days as policies and calendar make them; asks nobody."""

import argparse
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

from vcpd.cli.configuration import loaded_or_defaults
from vcpd.cli.output import print_json
from vcpd.cli.verbs import EXIT_OK
from vcpd.domain.errors import BadInputError
from vcpd.domain.nse_sessions import NSE
from vcpd.runtime.clock import WallClock
from vcpd.schedule.agenda import AgendaDay, agenda

EARLIEST: Final = date(1990, 1, 1)
LATEST: Final = date(2100, 1, 1)
MOST_DAYS: Final = 3_660


def coming_days(arguments: argparse.Namespace) -> int:
    """Every run of `--days` days, and why a day has none."""
    configuration = loaded_or_defaults(arguments)
    schedule = configuration.schedule
    calendar = schedule.calendar(NSE)
    first = arguments.first or WallClock().now().astimezone(ZoneInfo(schedule.time_zone)).date()
    if not (EARLIEST <= first <= LATEST and arguments.days <= MOST_DAYS):
        raise BadInputError(
            f"jobs next: expected --from between {EARLIEST} and {LATEST}, --days of {MOST_DAYS} at most; "
            f"was {first} and {arguments.days}"
        )
    days = agenda(configuration.jobs, calendar, schedule.time_zone, first, arguments.days)
    if arguments.json:
        print_json(days)
        return EXIT_OK
    print(f"Times in {schedule.time_zone}")
    for day in days:
        _print_day(day, ZoneInfo(schedule.time_zone))
    if (warning := calendar.warning(days[-1].day)) is not None:
        print(f"note: {warning}")
    return EXIT_OK


def _print_day(day: AgendaDay, zone: ZoneInfo) -> None:
    closed = f"  no session: {day.closed}" if day.closed else ""
    print(f"\n{day.day:%a %Y-%m-%d}{closed}")
    if not day.entries:
        print("  nothing runs" + ("" if day.closed else ": no enabled job is due"))
    for entry in day.entries:
        note = f"  ({entry.note})" if entry.note else ""
        session = "" if entry.session == day.day else f"  for {entry.session}"
        print(f"  {entry.scheduled_at.astimezone(zone):%H:%M}  {entry.job}{session}{note}")
