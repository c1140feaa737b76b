"""Downloads the exchange's holiday list once a day and stores one that is new."""

import asyncio
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

import aiohttp
import structlog

from vcpd.core.errors import BadInputError
from vcpd.domain.calendar import TradingCalendar
from vcpd.schedule.kept_calendar import HolidayList, MarketDayFile, keep_holidays, parse_holidays

TIMEOUT: Final = aiohttp.ClientTimeout(total=20)
MAX_BODY_BYTES: Final = 1_000_000
HEADERS: Final = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) vcpd", "Accept": "application/json, */*"}
log = structlog.get_logger("vcpd.calendar")


@dataclass(slots=True)
class HolidayListUpdate:
    """Implements `jobs.market_days.HolidayUpdate` over HTTP; an address that does not answer is asked again
    the next day, because days without a list are learned from the market."""

    http: aiohttp.ClientSession
    address: str
    state: Path
    days: MarketDayFile
    _asked_on: date | None = field(default=None, init=False)

    async def __call__(self, calendar: TradingCalendar, today: date) -> str:
        """What the list changed, empty where it changed nothing or could not be had."""
        if not self.address or self._asked_on == today:
            return ""
        self._asked_on = today
        try:
            found = parse_holidays(await self._body(), "the exchange's holiday list")
        except (aiohttp.ClientError, TimeoutError, OSError, BadInputError) as error:
            log.info("calendar.list_unavailable", address=self.address, reason=str(error) or repr(error))
            return ""
        return await self._keep(found, calendar)

    async def _body(self) -> bytes:
        async with self.http.get(self.address, timeout=TIMEOUT, headers=HEADERS) as answer:
            answer.raise_for_status()
            return await answer.content.read(MAX_BODY_BYTES)

    async def _keep(self, found: HolidayList, calendar: TradingCalendar) -> str:
        """Store a list that adds to the calendar in force."""
        new = new_holidays(found, calendar)
        reaches_further = date(found.year, 12, 31) > calendar.valid_until
        if not (new or reaches_further):
            return ""
        await asyncio.to_thread(keep_holidays, found, self.state)
        self.days.changed.set()
        named = ", ".join(f"{day} {found.holidays[day]}" for day in new)
        return f"the exchange's holiday list of {found.year} was taken over" + (f": {named}" if new else "")


def new_holidays(found: HolidayList, calendar: TradingCalendar) -> list[date]:
    """The days of the list that are sessions of the calendar so far; special sessions stay sessions."""
    days = (day for day in found.holidays if day not in calendar.special_sessions)
    return [day for day in days if calendar.is_session(day)]
