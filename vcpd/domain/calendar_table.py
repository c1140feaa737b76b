"""Calendar tables as TOML files.

A table is data: hours with the date from which they hold, holidays on weekdays, and sessions with hours of
their own such as Muhurat trading. One comes with vcpd; a newer one may lie in the state folder.
"""

import tomllib
from collections.abc import Mapping
from datetime import date, time
from typing import Final

import msgspec

from vcpd.core.errors import BadInputError
from vcpd.domain.calendar import RegularHours, SessionPhase, SpecialSession, TradingCalendar

SHARE_CLASSES: Final = ("all", "F&O", "other")


class TableSession(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A session with hours of its own: its stretches of trading, such as `18:00-19:00`, and the occasion."""

    hours: tuple[str, ...]
    name: str


class CalendarTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a file says; each date as TOML writes it."""

    name: str
    time_zone: str
    valid_from: date
    valid_until: date
    regular_hours: tuple[RegularHours, ...]
    special_sessions: Mapping[date, TableSession]
    holidays: Mapping[date, str]


def parse_calendar_table(body: bytes, name: str) -> TradingCalendar:
    """A whole calendar from TOML.

    BadInputError naming the file for one that cannot be read, that ends before it begins, that has no
    regular hours, or of which a phase or a session closes before it opens.
    """
    try:
        raw = tomllib.loads(body.decode("utf-8-sig"))
        table = msgspec.convert(raw, CalendarTable, str_keys=True)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadInputError(f"{name}: no calendar table: {error}") from None
    if not table.valid_from <= table.valid_until:
        raise BadInputError(f"{name}: expected valid_from at or before valid_until")
    if not table.regular_hours:
        raise BadInputError(f"{name}: expected at least one table [[regular_hours]]")
    _check_phases(table.regular_hours, name)
    try:
        special = {day: _special_session(day, entry) for day, entry in table.special_sessions.items()}
    except BadInputError as error:
        raise BadInputError(f"{name}: {error}") from None
    return TradingCalendar(
        name=table.name,
        time_zone=table.time_zone,
        valid_from=table.valid_from,
        valid_until=table.valid_until,
        holidays=dict(sorted(table.holidays.items())),
        special_sessions=dict(sorted(special.items())),
        regular_hours=tuple(sorted(table.regular_hours, key=lambda hours: hours.since)),
    )


def _check_phases(eras: tuple[RegularHours, ...], name: str) -> None:
    for era in eras:
        for phase in era.phases:
            if not phase.opens < phase.closes:
                raise BadInputError(f"{name}: hours since {era.since}: {phase.name} closes before it opens")
            if phase.shares not in SHARE_CLASSES:
                expected = ", ".join(SHARE_CLASSES)
                raise BadInputError(
                    f"{name}: hours since {era.since}: expected shares to be one of {expected}, "
                    f"was {phase.shares!r}"
                )
        if not era.opens < era.closes:
            raise BadInputError(f"{name}: hours since {era.since}: the session closes before it opens")


def _special_session(day: date, entry: TableSession) -> SpecialSession:
    parts = [_stretch(day, text) for text in entry.hours]
    if not parts:
        raise BadInputError(f"special session {day}: expected hours such as 18:00-19:00, was none")
    phases = tuple(SessionPhase("continuous", opens, closes) for opens, closes in parts)
    return SpecialSession(day, parts[0][0], parts[-1][1], entry.name, phases)


def _stretch(day: date, text: str) -> tuple[time, time]:
    try:
        opens, closes = map(time.fromisoformat, text.split("-"))
    except ValueError:
        raise BadInputError(
            f"special session {day}: expected hours such as 18:00-19:00, was {text!r}"
        ) from None
    return opens, closes
