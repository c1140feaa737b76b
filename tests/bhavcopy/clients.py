"""Doors over the small market, by web and by folder."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import aiohttp
import msgspec

from tests.fakes.clock import FakeClock, Sleep
from vcpd.bhavcopy.client import BhavcopyClient, create_client
from vcpd.bhavcopy.settings import BhavcopySettings
from vcpd.bhavcopy.sync import ExchangeClock
from vcpd.domain.exchange import NSE_EXCHANGE
from vcpd.domain.nse_calendar import NSE

EVENING = datetime.fromisoformat("2024-08-30T20:00:00+05:30")
QUICK: Mapping[str, object] = {"requests_per_s": 900, "backoff_s": 0.001, "max_attempts": 3, "timeout_s": 5}


def evening_clock() -> FakeClock:
    return FakeClock(EVENING, Sleep.RETURNS)


@asynccontextmanager
async def web_client(
    root: str, folder: Path, clock: FakeClock | None = None, **changes: object
) -> AsyncIterator[BhavcopyClient]:
    """A door to the archive at `root`; action lists lie in the door's own folder."""
    settings = msgspec.convert(
        {"archive_root": root, "actions_url": "", **QUICK, **changes}, BhavcopySettings
    )
    async with aiohttp.ClientSession() as http:
        time = ExchangeClock(clock or evening_clock(), NSE)
        yield create_client(settings, folder, time, NSE_EXCHANGE, http)


@asynccontextmanager
async def folder_client(
    daily_files: Path, folder: Path, clock: FakeClock | None = None, **changes: object
) -> AsyncIterator[BhavcopyClient]:
    """A door to a folder of bulletins."""
    settings = msgspec.convert({"folder": str(daily_files), **QUICK, **changes}, BhavcopySettings)
    async with aiohttp.ClientSession() as http:
        time = ExchangeClock(clock or evening_clock(), NSE)
        yield create_client(settings, folder, time, NSE_EXCHANGE, http)
