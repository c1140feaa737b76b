"""The door against the simulated exchange, which enforces the limits and breaks on demand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from pathlib import Path

import aiohttp
import msgspec
import numpy as np
import pytest

from tests.fakes.clock import FakeClock
from vcpd.core.secrets import Secret
from vcpd.domain.exchange import NSE_EXCHANGE
from vcpd.domain.nse_calendar import NSE
from vcpd.kite.auth import KiteCredentials, KiteSession, SandboxLogin
from vcpd.kite.client import KiteClient
from vcpd.kite.rate_limits import RateLimits
from vcpd.kite.settings import KiteSettings, LimitSettings
from vcpd.kite.token_store import TokenFile
from vcpd.kite.transport import Transport
from vcpd.sandbox.exchange import RunningSandbox, start_server
from vcpd.sandbox.settings import FaultKind, FaultSettings, RateSettings, SandboxSettings
from vcpd.sandbox.simulated import SimulatedMarket

EVENING = datetime.fromisoformat("2026-07-15T18:00:00+05:30")
LAST_SESSION = date(2026, 7, 15)
FIRST_DAY = date(2025, 1, 1)
SETTINGS = SandboxSettings(symbols=30, seed=3, years=1)
WIDE = RateSettings(quote_per_s=60, historical_per_s=60, other_per_s=60, all_gets_per_s=100)


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    return SimulatedMarket(SETTINGS, NSE, LAST_SESSION)


@asynccontextmanager
async def opened(
    market: SimulatedMarket, folder: Path, rates: RateSettings, **changes: object
) -> AsyncIterator[tuple[KiteClient, RunningSandbox]]:
    """A client logged in by itself, kept to the same limits as the exchange enforces."""
    clock = FakeClock(EVENING)
    settings = msgspec.structs.replace(SETTINGS, limits=rates, **changes)
    sandbox = await start_server(settings, market, clock, port=0)
    limits = RateLimits(msgspec.convert(msgspec.to_builtins(rates), LimitSettings))
    kite = KiteSettings(
        api_key=settings.api_key,
        api_root=sandbox.url,
        login_root=f"{sandbox.url}/connect/login",
        timeout_s=0.4,
        max_attempts=8,
        backoff_s=0.01,
        backoff_max_s=0.05,
    )
    async with aiohttp.ClientSession() as http:
        transport = Transport(http, kite, limits)
        credentials = KiteCredentials.of(kite, Secret(settings.api_secret))
        session = KiteSession(
            transport,
            credentials,
            clock,
            TokenFile(folder / "token.json"),
            NSE_EXCHANGE,
            automatic=SandboxLogin(http),
        )
        yield KiteClient(transport, session, NSE_EXCHANGE), sandbox
    await sandbox.close()


async def _everything(client: KiteClient) -> dict[str, object]:
    """The list, all histories and all quotes, as plain values that compare."""
    listed = await client.instruments()
    histories = await asyncio.gather(
        *(client.daily_bars(instrument, FIRST_DAY, LAST_SESSION) for instrument in listed)
    )
    quotes = await client.quotes([instrument.symbol for instrument in listed])
    return {
        "listed": list(listed),
        "histories": {history.symbol: history.records.tobytes() for history in histories},
        "quotes": quotes,
    }


@pytest.mark.parametrize("automatic", [True, False])
async def test_the_login_of_the_sandbox_needs_no_user(
    automatic: bool, market: SimulatedMarket, tmp_path: Path
) -> None:
    """Whether its page redirects at once or waits for its button."""
    async with opened(market, tmp_path, WIDE, automatic_login=automatic) as (client, _):
        assert (await client.profile()).user_id == "SB0001"


async def test_the_sandboxs_market_comes_through_the_client(market: SimulatedMarket, tmp_path: Path) -> None:
    """Instruments, indices, bars in order and quotes that agree with the last bar."""
    async with opened(market, tmp_path, WIDE) as (client, _):
        listed = await client.instruments()
        equity = next(instrument for instrument in listed if instrument.series == "EQ")
        bars = await client.daily_bars(equity, FIRST_DAY, LAST_SESSION)
        quotes = await client.quotes([equity.symbol, "NSE:NOBODY"])
    assert any(instrument.is_index for instrument in listed)
    assert bars.last_session == LAST_SESSION
    assert (np.diff(bars.sessions).astype(int) > 0).all()
    assert set(quotes) == {equity.symbol}
    assert quotes[equity.symbol].last_price == bars.close[-1]
    assert quotes[equity.symbol].at.startswith("2026-07-15")


async def test_a_backfill_keeps_the_rate_and_is_never_refused(
    market: SimulatedMarket, tmp_path: Path
) -> None:
    """At the real limits of the exchange: zero 429, and the rate but for what a busy machine costs."""
    async with opened(market, tmp_path, RateSettings()) as (client, sandbox):
        listed = await client.instruments()
        wanted = [instrument for instrument in listed if instrument.series == "EQ"][:13]
        await asyncio.gather(
            *(client.daily_bars(instrument, FIRST_DAY, LAST_SESSION) for instrument in wanted)
        )
        counted = sandbox.exchange.limiter.statistics()
    assert sum(int(lane["refused"] or 0) for lane in counted.values()) == 0
    assert counted["historical"]["max_in_one_second"] == 3
    assert (counted["historical"]["rate_per_s"] or 0) >= 0.5 * 3


async def test_faults_change_nothing_but_the_time(market: SimulatedMarket, tmp_path: Path) -> None:
    """Every kind of fault on a quarter of the requests: the same values, and no request over a limit."""
    faults = FaultSettings(rate=0.25, seed=5, hang_s=2.0, drip_s=2.0)
    async with opened(market, tmp_path / "calm", WIDE) as (client, _):
        calm = await _everything(client)
    async with opened(market, tmp_path / "faulty", WIDE, faults=faults) as (client, sandbox):
        faulty = await _everything(client)
        counted = sandbox.exchange.limiter.statistics()
        injected = dict(sandbox.exchange.faults.injected)
    assert faulty == calm
    assert sum(injected.values()) >= 8
    assert all(int(lane["refused"] or 0) == 0 for lane in counted.values())


@pytest.mark.parametrize("kind", list(FaultKind))
async def test_each_fault_is_lived_through(kind: FaultKind, market: SimulatedMarket, tmp_path: Path) -> None:
    """Half of all requests hit by one kind: list, bars and quotes arrive whole."""
    faults = FaultSettings(rate=0.4, seed=2, kinds=(kind,), hang_s=1.0, drip_s=1.0)
    async with opened(market, tmp_path / "calm", WIDE) as (client, _):
        listed = await client.instruments()
        calm = await client.quotes([instrument.symbol for instrument in listed])
    async with opened(market, tmp_path / "faulty", WIDE, faults=faults) as (client, sandbox):
        assert list(await client.instruments()) == list(listed)
        assert await client.quotes([instrument.symbol for instrument in listed]) == calm
        for instrument in listed[:4]:
            assert len(await client.daily_bars(instrument, FIRST_DAY, LAST_SESSION)) > 0
        assert sandbox.exchange.faults.injected
