"""The live feed speaks as the vendor's: handshake, commands, snapshots, modes, heartbeats, limits."""

import asyncio
from contextlib import AsyncExitStack

import aiohttp
import numpy as np
import pytest

from tests.fakes.clock import FakeClock
from tests.sandbox.clients import WIDE, SandboxClient, sandbox_client
from tests.sandbox.clocks import ist
from tests.sandbox.conftest import SETTINGS, Start
from tests.sandbox.feeds import Feed, feed
from vcpd.kite.ticker_protocol import MODES, TickerMode, set_mode, subscribe, unsubscribe
from vcpd.sandbox.exchange import RunningSandbox
from vcpd.sandbox.market import MarketListing
from vcpd.sandbox.settings import SandboxTickerSettings
from vcpd.sandbox.simulated import SimulatedMarket

QUICK = SandboxTickerSettings(interval_s=0.02, heartbeat_s=0.05)
NIFTY = 256265
NOON = "2026-07-15T12:00"


@pytest.fixture
def noon(clock: FakeClock) -> FakeClock:
    """The clock in the middle of the market's last session."""
    clock.at = ist(NOON)
    return clock


@pytest.fixture
def shares(market: SimulatedMarket) -> list[MarketListing]:
    """Equities that trade."""
    return [
        row for row in market.listings(ist(NOON)) if row.segment == "NSE" and "-" not in row.trading_symbol
    ]


async def refusal(url: str, **query: str) -> int:
    """The status with which a handshake is turned down."""
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(url, params=query)
    return refused.value.status


async def logged_in(sandbox: RunningSandbox, stack: AsyncExitStack) -> tuple[SandboxClient, Feed]:
    kite = await stack.enter_async_context(sandbox_client(sandbox.url))
    return kite, await stack.enter_async_context(feed(sandbox.ticker_url, kite.access_token))


async def test_only_the_living_token_gets_in(start: Start) -> None:
    """A wrong key, a wrong token or none: 403. The root without an upgrade is no route."""
    sandbox = await start(limits=WIDE)
    async with sandbox_client(sandbox.url) as kite:
        token = kite.access_token
        assert await refusal(sandbox.ticker_url, api_key="other", access_token=token) == 403
        assert await refusal(sandbox.ticker_url, api_key=SETTINGS.api_key, access_token="x") == 403
        assert await refusal(sandbox.ticker_url) == 403
        assert await kite.error("/") == (404, "GeneralException")
        for path in ("/", "/ws"):
            async with feed(sandbox.ticker_url, token, path=path) as live:
                assert not live.socket.closed


async def test_handshakes_count_against_no_limit_of_requests(start: Start) -> None:
    """The feed is another host of the vendor's: connecting does not use up the ten requests."""
    sandbox = await start(ticker=SandboxTickerSettings(connections=50))
    async with AsyncExitStack() as stack:
        kite, _ = await logged_in(sandbox, stack)
        for _ in range(15):
            await stack.enter_async_context(feed(sandbox.ticker_url, kite.access_token))
        assert (await kite.get("/user/profile"))[0] == 200


async def test_the_fourth_connection_is_refused(start: Start) -> None:
    """Three at a time; when one has gone there is room again."""
    sandbox = await start(limits=WIDE)
    async with AsyncExitStack() as stack:
        kite, first = await logged_in(sandbox, stack)
        for _ in range(2):
            await stack.enter_async_context(feed(sandbox.ticker_url, kite.access_token))
        query = {"api_key": SETTINGS.api_key, "access_token": kite.access_token}
        assert await refusal(sandbox.ticker_url, **query) == 429
        await first.socket.close()
        async with asyncio.timeout(5):
            while len(sandbox.exchange.ticker) == 3:  # noqa: ASYNC110 - a departure sets no event
                await asyncio.sleep(0.01)
        async with feed(sandbox.ticker_url, kite.access_token) as again:
            assert not again.socket.closed


async def test_the_instrument_beyond_the_limit_is_refused(start: Start, noon: FakeClock) -> None:
    """3,000 a connection; the command beyond is answered with an error and changes nothing."""
    sandbox = await start(limits=WIDE, ticker=QUICK)
    async with AsyncExitStack() as stack:
        _, live = await logged_in(sandbox, stack)
        await live.send(subscribe([NIFTY, *range(1, 3000)]))
        assert (await live.ticks())["token"].tolist() == [NIFTY]
        await live.send(subscribe([4711 << 8]))
        error = await live.text()
        assert error.type == "error"
        assert "3000" in error.data


async def test_a_snapshot_comes_at_once_in_the_mode_asked_for(
    start: Start, noon: FakeClock, shares: list[MarketListing]
) -> None:
    """Right after the subscription a quote, after `mode` a full packet, then ltp; unknown tokens stay out."""
    sandbox = await start(limits=WIDE, ticker=SandboxTickerSettings(interval_s=30, heartbeat_s=30))
    token = shares[0].token
    async with AsyncExitStack() as stack:
        kite, live = await logged_in(sandbox, stack)
        quote = (await kite.data(f"/quote?i={shares[0].symbol}"))[shares[0].symbol]
        await live.send(subscribe([token, NIFTY, 4711 << 8]))
        first = await live.ticks()
        assert sorted(first["token"].tolist()) == sorted([token, NIFTY])
        assert {MODES[mode] for mode in first["mode"]} == {TickerMode.QUOTE}
        assert np.isnat(first["at"]).all()
        await live.send(set_mode(TickerMode.FULL, [token]))
        (full,) = await live.ticks()
        for side, name in enumerate(("buy", "sell")):
            for what in ("price", "quantity", "orders"):
                expected = [level[what] for level in quote["depth"][name]]
                assert full[f"depth_{what}"][side].tolist() == pytest.approx(expected)
        assert full["at"] == np.datetime64("2026-07-15T06:30:00")
        assert full["buy_quantity"] == quote["buy_quantity"] == 1500
        await live.send(set_mode(TickerMode.LTP, [token]))
        (last,) = await live.ticks()
        assert last["last_price"] == quote["last_price"]
        assert np.isnan(last["volume"])


@pytest.mark.parametrize(
    "at", ["2026-07-15T09:15:01", "2026-07-15T11:11:11", "2026-07-15T15:29:59", "2026-07-15T17:00"]
)
async def test_ticks_quotes_and_candles_agree(
    start: Start, clock: FakeClock, shares: list[MarketListing], at: str
) -> None:
    """At any moment the tick is the quote, the running day candle and the sum of the minutes."""
    clock.at = ist(at)
    sandbox = await start(limits=WIDE)
    async with AsyncExitStack() as stack:
        kite, live = await logged_in(sandbox, stack)
        await live.send(subscribe([NIFTY, *(row.token for row in shares)]))
        ticks = {int(tick["token"]): tick for tick in await live.ticks()}
        for row in shares[:12]:
            tick = ticks[row.token]
            quote = (await kite.data(f"/quote?i={row.symbol}"))[row.symbol]
            ohlc = (await kite.data(f"/quote/ohlc?i={row.symbol}"))[row.symbol]
            path = f"/instruments/historical/{row.token}"
            day = (await kite.data(f"{path}/day?from=2026-07-15&to=2026-07-15"))["candles"]
            minutes = (await kite.data(f"{path}/minute?from=2026-07-15&to=2026-07-16"))["candles"]
            if not day:
                assert not minutes
                continue
            opened, high, low, close, volume = day[0][1:]
            assert quote["ohlc"] == ohlc["ohlc"]
            assert [tick[name] for name in ("open", "high", "low", "last_price")] == [
                opened,
                high,
                low,
                close,
            ]
            assert [quote["ohlc"][name] for name in ("open", "high", "low")] == [opened, high, low]
            assert tick["close"] == quote["ohlc"]["close"]
            assert quote["last_price"] == ohlc["last_price"] == close
            assert tick["volume"] == quote["volume"] == volume == sum(row[5] for row in minutes)
            assert (minutes[0][1], minutes[-1][4]) == (opened, close)
            assert max(row[2] for row in minutes) == high
            assert min(row[3] for row in minutes) == low


async def test_heartbeats_fill_the_silence(start: Start, noon: FakeClock) -> None:
    """With nothing new to tell a single byte comes again and again."""
    sandbox = await start(limits=WIDE, ticker=QUICK)
    async with AsyncExitStack() as stack:
        _, live = await logged_in(sandbox, stack)
        assert [await live.frame() for _ in range(3)] == [b"\x00"] * 3


async def test_only_changes_are_sent(start: Start, noon: FakeClock, shares: list[MarketListing]) -> None:
    """A standing market is silent; when its clock moves, ticks come; what was given up stays out."""
    sandbox = await start(limits=WIDE, ticker=QUICK)
    async with AsyncExitStack() as stack:
        _, live = await logged_in(sandbox, stack)
        await live.send(subscribe([row.token for row in shares]))
        first = await live.ticks()
        assert await live.frame() == b"\x00"
        noon.at = ist("2026-07-15T12:05")
        later = await live.ticks()
        moved = {int(tick["token"]): tick["volume"] for tick in later}
        before = {int(tick["token"]): tick["volume"] for tick in first}
        assert len(moved) > 40
        assert all(volume > before[token] for token, volume in moved.items())
        gone = shares[0].token
        await live.send(unsubscribe([gone]))
        assert await live.frame() == b"\x00"
        noon.at = ist("2026-07-15T12:10")
        assert gone not in (await live.ticks())["token"]


async def test_a_new_day_begins_at_nothing(
    start: Start, clock: FakeClock, shares: list[MarketListing]
) -> None:
    """After the night a new login follows the next session: volumes fall back, the close before is new."""
    clock.at = ist("2026-07-15T15:40")
    sandbox = await start(limits=WIDE, ticker=QUICK)
    tokens = [row.token for row in shares]
    async with AsyncExitStack() as stack:
        _, live = await logged_in(sandbox, stack)
        await live.send(subscribe(tokens))
        evening = {int(tick["token"]): tick for tick in await live.ticks()}
    clock.at = ist("2026-07-16T09:10")
    async with AsyncExitStack() as stack:
        kite, live = await logged_in(sandbox, stack)
        await live.send(subscribe(tokens))
        rested = {int(tick["token"]): tick for tick in await live.ticks()}
        clock.at = ist("2026-07-16T09:15:30")
        morning = {int(tick["token"]): tick for tick in await live.ticks()}
        quotes = await kite.data("/quote?" + "&".join(f"i={row.symbol}" for row in shares))
    assert len(morning) > 40
    by_token = {quote["instrument_token"]: quote for quote in quotes.values()}
    for token, tick in morning.items():
        assert tick["volume"] == by_token[token]["volume"] < 0.05 * evening[token]["volume"]
        assert tick["close"] == by_token[token]["ohlc"]["close"]
        assert rested[token]["volume"] >= evening[token]["volume"]


async def test_the_connection_ends_when_the_token_dies(start: Start, clock: FakeClock) -> None:
    """At 06:00 of the market's clock every connection is closed, and the old token gets in no more."""
    clock.at = ist("2026-07-16T05:59:59")
    sandbox = await start(limits=WIDE, ticker=QUICK)
    async with AsyncExitStack() as stack:
        kite, live = await logged_in(sandbox, stack)
        assert await live.frame() == b"\x00"
        clock.at = ist("2026-07-16T06:00")
        assert await live.end() == aiohttp.WSCloseCode.POLICY_VIOLATION
        query = {"api_key": SETTINGS.api_key, "access_token": kite.access_token}
        assert await refusal(sandbox.ticker_url, **query) == 403
        await kite.log_in()
        async with feed(sandbox.ticker_url, kite.access_token) as again:
            assert await again.frame() == b"\x00"


async def test_logging_out_or_in_elsewhere_ends_the_connection(start: Start) -> None:
    """A token lives until another is given."""
    sandbox = await start(limits=WIDE, ticker=QUICK)
    async with AsyncExitStack() as stack:
        kite, live = await logged_in(sandbox, stack)
        await kite.log_in()
        assert await live.end() == aiohttp.WSCloseCode.POLICY_VIOLATION


async def test_messages_reach_every_client(start: Start) -> None:
    """Postbacks and errors are text frames; what is no message is refused."""
    sandbox = await start(limits=WIDE, ticker=QUICK)
    async with AsyncExitStack() as stack:
        kite, live = await logged_in(sandbox, stack)
        other = await stack.enter_async_context(feed(sandbox.ticker_url, kite.access_token))
        for message in ({"type": "order", "data": {"order_id": "1"}}, {"type": "error", "data": "Trouble"}):
            assert await kite.post("/sandbox/ticker/messages", message) == 200
            for client in (live, other):
                reported = await client.text()
                assert (reported.type, reported.data) == (message["type"], message["data"])
        assert await kite.post("/sandbox/ticker/messages", ["no message"]) == 400


async def test_nonsense_is_answered_and_survived(start: Start, noon: FakeClock) -> None:
    """An unreadable command gets an error frame, and the next one is obeyed."""
    sandbox = await start(limits=WIDE, ticker=QUICK)
    async with AsyncExitStack() as stack:
        _, live = await logged_in(sandbox, stack)
        for text in ("hello", '{"a":"dance","v":[]}'):
            await live.send(text)
            assert (await live.text()).type == "error"
        await live.send(subscribe([NIFTY]))
        assert (await live.ticks())["token"].tolist() == [NIFTY]


async def test_closing_says_good_bye(start: Start) -> None:
    """A sandbox that ends closes its sockets with a code."""
    sandbox = await start(limits=WIDE, ticker=QUICK)
    async with AsyncExitStack() as stack:
        _, live = await logged_in(sandbox, stack)
        ended = asyncio.create_task(live.end())
        await asyncio.wait_for(sandbox.close(), 3)
        assert await ended == aiohttp.WSCloseCode.GOING_AWAY
