"""Doors over the small market, by web and by folder."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import msgspec

from vcpd.bhavcopy.client import BhavcopyClient, create_client
from vcpd.bhavcopy.settings import BhavcopySettings
from vcpd.bhavcopy.sync import ExchangeClock
from vcpd.domain.nse_calendar import NSE

EVENING = datetime.fromisoformat("2024-08-30T20:00:00+05:30")
QUICK: Mapping[str, object] = {"requests_per_s": 900, "backoff_s": 0.001, "tries": 3, "timeout_s": 5}


class StandingClock:
    """Stands at an instant until a test moves it; its monotonic seconds are those of the instant."""

    def __init__(self, now: datetime = EVENING) -> None:
        self.at = now.astimezone(UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic_s(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


@asynccontextmanager
async def web_door(
    root: str, folder: Path, clock: StandingClock | None = None, **changes: object
) -> AsyncIterator[BhavcopyClient]:
    """A door to the archive at `root`; action lists lie in the door's own folder."""
    settings = msgspec.convert(
        {"archive_root": root, "actions_url": "", **QUICK, **changes}, BhavcopySettings
    )
    async with aiohttp.ClientSession() as http:
        yield create_client(settings, folder, ExchangeClock(clock or StandingClock(), NSE), http)


@asynccontextmanager
async def folder_door(
    bulletins: Path, folder: Path, clock: StandingClock | None = None, **changes: object
) -> AsyncIterator[BhavcopyClient]:
    """A door to a folder of bulletins."""
    settings = msgspec.convert({"folder": str(bulletins), **QUICK, **changes}, BhavcopySettings)
    async with aiohttp.ClientSession() as http:
        yield create_client(settings, folder, ExchangeClock(clock or StandingClock(), NSE), http)
