"""The live feed against the simulated exchange: a session that runs, and a line that falls silent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from pathlib import Path

import aiohttp
import msgspec
import pytest

from tests.fakes.clock import FakeClock
from vcpd.core.secrets import Secret
from vcpd.domain.exchange import NSE_EXCHANGE
from vcpd.domain.live import FeedState, LivePrices
from vcpd.domain.nse_calendar import NSE
from vcpd.kite.auth import KiteCredentials, KiteSession, SandboxLogin
from vcpd.kite.client import KiteClient
from vcpd.kite.rate_limits import RateLimits
from vcpd.kite.settings import KiteSettings, LimitSettings, TickerSettings
from vcpd.kite.ticker import KiteTicker, KiteTickerConnector
from vcpd.kite.token_store import TokenFile
from vcpd.kite.transport import Transport
from vcpd.runtime.clock import WallClock
from vcpd.sandbox.exchange import RunningSandbox, start_server
from vcpd.sandbox.settings import FaultSettings, SandboxSettings, TickerFault
from vcpd.sandbox.simulated import SimulatedMarket

NOON = datetime.fromisoformat("2026-07-15T12:00:00+05:30")
SESSION = date(2026, 7, 15)
SETTINGS = SandboxSettings(symbols=30, seed=3, years=1)
DEADLINE_S = 15.0


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    return SimulatedMarket(SETTINGS, NSE, SESSION)


class Subscriber:
    """A client and a feed, logged in by themselves, and what the feed has told."""

    def __init__(self, client: KiteClient, ticker: KiteTicker, sandbox: RunningSandbox) -> None:
        self.client = client
        self.ticker = ticker
        self.sandbox = sandbox
        self.last: dict[int, tuple[float, ...]] = {}

    def deliver(self, prices: LivePrices) -> None:
        assert prices.open_high_low is not None
        columns = (prices.last_price, prices.volume, *prices.open_high_low.T)
        reported = zip(*(column.tolist() for column in columns), strict=True)
        self.last |= dict(zip(prices.tokens.tolist(), reported, strict=True))

    async def until(self, state: FeedState) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while self.ticker.status().state is not state:  # noqa: ASYNC110 - it has no other way to say so
                await asyncio.sleep(0.02)


@asynccontextmanager
async def subscribed(market: SimulatedMarket, folder: Path) -> AsyncIterator[Subscriber]:
    clock = FakeClock(NOON)
    sandbox = await start_server(SETTINGS, market, clock, port=0)
    kite = KiteSettings(
        api_key=SETTINGS.api_key,
        api_root=sandbox.url,
        login_root=f"{sandbox.url}/connect/login",
        ticker_root=sandbox.url.replace("http", "ws", 1),
    )
    ticking = TickerSettings(stale_after_s=3, backoff_s=0.1, backoff_max_s=0.2)
    async with aiohttp.ClientSession() as http:
        transport = Transport(http, kite, RateLimits(LimitSettings()))
        credentials = KiteCredentials.of(kite, Secret(SETTINGS.api_secret))
        session = KiteSession(
            transport,
            credentials,
            clock,
            TokenFile(folder / "token"),
            NSE_EXCHANGE,
            automatic=SandboxLogin(http),
        )
        connector = KiteTickerConnector(http, kite.ticker_root, session, ticking, WallClock())
        subscriber = Subscriber(
            KiteClient(transport, session, NSE_EXCHANGE), KiteTicker(connector, ticking, WallClock()), sandbox
        )
        running = asyncio.create_task(subscriber.ticker.run(subscriber.deliver))
        yield subscriber
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await sandbox.close()


async def test_feed_and_quotes_state_the_same(market: SimulatedMarket, tmp_path: Path) -> None:
    """Price, volume, open, high and low of every share, at an instant that stands still."""
    async with subscribed(market, tmp_path) as subscriber:
        shares = [listed for listed in await subscriber.client.instruments() if not listed.is_index][:20]
        subscriber.ticker.subscribe([share.token for share in shares])
        await subscriber.until(FeedState.LIVE)
        quotes = await subscriber.client.quotes([share.symbol for share in shares])
        async with asyncio.timeout(DEADLINE_S):
            while len(subscriber.last) < len(quotes):  # noqa: ASYNC110 - it has no other way to say so
                await asyncio.sleep(0.02)
        reported = {share.symbol: subscriber.last[share.token] for share in shares if share.symbol in quotes}
        assert reported == {
            symbol: (quote.last_price, quote.volume, quote.open, quote.high, quote.low)
            for symbol, quote in quotes.items()
        }


async def test_a_line_that_falls_silent_is_replaced(market: SimulatedMarket, tmp_path: Path) -> None:
    """Mute: the socket stays open and says nothing, not even a heartbeat."""
    async with subscribed(market, tmp_path) as subscriber:
        subscriber.ticker.subscribe([(await subscriber.client.instruments())[5].token])
        await subscriber.until(FeedState.LIVE)
        faults = subscriber.sandbox.exchange.faults
        faults.replace(msgspec.structs.replace(faults.settings, ticker=(TickerFault.MUTE,)))
        await subscriber.until(FeedState.CONNECTING)
        assert subscriber.ticker.status().mute == 1
        faults.replace(FaultSettings())
        await subscriber.until(FeedState.LIVE)


async def test_a_session_ended_elsewhere_is_renewed_and_the_feed_comes_back(
    market: SimulatedMarket, tmp_path: Path
) -> None:
    """Logged in elsewhere: the feed is cut; the next request finds out, renews, and the feed follows."""
    async with subscribed(market, tmp_path) as subscriber:
        listed = await subscriber.client.instruments()
        subscriber.ticker.subscribe([listed[5].token])
        await subscriber.until(FeedState.LIVE)
        subscriber.sandbox.exchange._account.end_session()
        await subscriber.until(FeedState.LOGIN_DUE)
        await subscriber.client.quotes([listed[5].symbol])
        await subscriber.until(FeedState.LIVE)
