"""A small simulated market made once, and exchanges over it that end with the test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date

import msgspec
import pytest

from tests.fakes.clock import FakeClock, Sleep
from tests.sandbox.clocks import ist
from vcpd.domain.nse_calendar import NSE
from vcpd.sandbox.exchange import RunningSandbox, start_server
from vcpd.sandbox.settings import SandboxSettings
from vcpd.sandbox.simulated import SimulatedMarket

SETTINGS = SandboxSettings(symbols=60, seed=7)
LAST_SESSION = date(2026, 7, 15)

Start = Callable[..., Awaitable[RunningSandbox]]


@pytest.fixture(scope="session")
def market() -> SimulatedMarket:
    return SimulatedMarket(SETTINGS, NSE, LAST_SESSION)


@pytest.fixture
def clock() -> FakeClock:
    """Evening of the market's last session."""
    return FakeClock(ist("2026-07-15T18:00"), Sleep.IS_REAL)


@pytest.fixture
async def start(market: SimulatedMarket, clock: FakeClock) -> AsyncIterator[Start]:
    """Starts exchanges over the small market, with the given settings changed."""
    running: list[RunningSandbox] = []

    async def begin(**changes: object) -> RunningSandbox:
        settings = msgspec.structs.replace(SETTINGS, **changes)
        running.append(await start_server(settings, market, clock, port=0))
        return running[-1]

    yield begin
    for sandbox in running:
        await sandbox.close()
