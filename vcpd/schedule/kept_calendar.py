"""Calendar files of the state folder: a newer table, holiday lists by year, and days learned from the market.

The configuration reads them with its schedule settings. A table counts where it reaches further than the
exchange's own. Lists, learned days and the user's own additions follow, each over those before. The exchange
publishes the holidays of a year in December; `vcpd calendar update FILE` and the daemon check such a list and
keep it as `calendar/holidays-2027.json`.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from vcpd.core.atomic_file import write_atomic
from vcpd.core.dates import parse_date
from vcpd.core.errors import BadInputError, ConfigurationError
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.calendar_table import parse_calendar_table
from vcpd.domain.market_days import MarketDays, with_learned_days
from vcpd.schedule.policy import ScheduleSettings

CALENDAR_FOLDER: Final = "calendar"
CASH_MARKET: Final = "CM"  # its section in the exchange's list of all segments
DATE_KEYS: Final = ("tradingDate", "date")
NAME_KEYS: Final = ("description", "name")
SATURDAY: Final = 5
PLAUSIBLE_HOLIDAYS: Final = range(8, 26)  # weekdays of a year
FIXED_HOLIDAYS: Final = {(1, 26): "Republic Day", (8, 15): "Independence Day", (12, 25): "Christmas"}
TABLE_FILE: Final = "table.toml"


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


class CalendarFiles(msgspec.Struct, frozen=True):
    """What the state folder holds."""

    table: TradingCalendar | None = None
    lists: tuple[HolidayList, ...] = ()
    days: MarketDays = MarketDays()

    @classmethod
    def read(cls, state: Path, market: str) -> Self:
        """ConfigurationError naming a kept file that cannot be read."""
        folder = state / CALENDAR_FOLDER
        lists = tuple(_read_list(path) for path in sorted(folder.glob("holidays-*.json")))
        return cls(_read_table(folder / TABLE_FILE), lists, _read_days(learned_path(state, market)))

    def applied_to(self, built_in: TradingCalendar) -> TradingCalendar:
        """The exchange's calendar as the files have it."""
        calendar, table = built_in, self.table
        if table is not None and table.name == built_in.name and table.valid_until > built_in.valid_until:
            calendar = table
        for year in self.lists:
            special = calendar.special_sessions
            added = {
                day: name
                for day, name in year.holidays.items()
                if calendar.is_session(day) and day not in special
            }
            calendar = calendar.extended(added, valid_until=date(year.year, 12, 31))
        return with_learned_days(calendar, self.days.learned)


class CalendarSchedule(ScheduleSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The user's schedule settings together with the calendar files of the state folder."""

    files: CalendarFiles
    own: ScheduleSettings  # as the user wrote them

    def calendar(self, built_in: TradingCalendar) -> TradingCalendar:
        """The calendar with the files' days and the user's additions. BadInputError when these contradict."""
        return self.own.calendar(self.files.applied_to(built_in))


def with_calendar_files(settings: ScheduleSettings, state: Path, market: str) -> ScheduleSettings:
    """The user's settings with the calendar files as they are now; the settings themselves without any.

    `market` names whose days were learned: what a simulated exchange showed holds for no other.

    ConfigurationError naming a kept file that cannot be read.
    """
    own = own_settings(settings)
    files = CalendarFiles.read(state, market)
    if files == CalendarFiles():
        return own
    values = {name: getattr(own, name) for name in own.__struct_fields__}
    return CalendarSchedule(**values, files=files, own=own)


def own_settings(settings: ScheduleSettings) -> ScheduleSettings:
    """The settings as the user wrote them, without the calendar files."""
    return settings.own if isinstance(settings, CalendarSchedule) else settings


def keep_table(body: bytes, name: str, state: Path) -> tuple[TradingCalendar, Path]:
    """Keep a whole calendar table below the state folder; gives both. BadInputError for a bad one."""
    table = parse_calendar_table(body, name)
    path = state / CALENDAR_FOLDER / TABLE_FILE
    write_atomic(path, body)
    return table, path


def learned_path(state: Path, market: str) -> Path:
    """Where the days lie that were learned from `market`."""
    return state / CALENDAR_FOLDER / f"learned-{market}.json"


class MarketDayFile:
    """Keeps what was learned of the market's days in the state folder; `latest` is what it holds.

    `changed` is set whenever a day was learned or undone: the calendar in force is then another.
    """

    def __init__(self, state: Path, market: str) -> None:
        self._path = learned_path(state, market)
        self.latest = MarketDays()
        self.changed = asyncio.Event()

    async def load(self) -> MarketDays:
        """ConfigurationError naming the file where it cannot be read."""
        self.latest = await asyncio.to_thread(_read_days, self._path)
        return self.latest

    async def save(self, days: MarketDays) -> None:
        """UnavailableError where the file cannot be written: nothing has changed then."""
        await asyncio.to_thread(write_atomic, self._path, msgspec.json.format(msgspec.json.encode(days)))
        if days.learned != self.latest.learned:
            self.changed.set()
        self.latest = days


def _read_list(path: Path) -> HolidayList:
    try:
        return msgspec.json.decode(path.read_bytes(), type=HolidayList)
    except (OSError, msgspec.DecodeError) as error:
        text = f"{path}: no holiday list ({error}); run `vcpd calendar update` again"
        raise ConfigurationError([text]) from None


def _read_table(path: Path) -> TradingCalendar | None:
    try:
        return parse_calendar_table(path.read_bytes(), str(path))
    except FileNotFoundError:
        return None
    except (OSError, BadInputError) as error:
        raise ConfigurationError([f"{error}; run `vcpd calendar update` again"]) from None


def _read_days(path: Path) -> MarketDays:
    try:
        return msgspec.json.decode(path.read_bytes(), type=MarketDays)
    except FileNotFoundError:
        return MarketDays()
    except (OSError, msgspec.DecodeError) as error:
        text = f"{path}: no list of learned days ({error}); delete it, and its days are learned again"
        raise ConfigurationError([text]) from None
