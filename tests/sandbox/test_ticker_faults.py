"""The live feed goes wrong as live feeds do, on order and repeatably, and is sound again afterwards."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.fakes.clock import FakeClock
from tests.kite.frames import decode_frame
from tests.sandbox.clients import WIDE, SandboxClient, sandbox_client
from tests.sandbox.clocks import ist
from tests.sandbox.conftest import SETTINGS, Start
from tests.sandbox.feeds import Feed, feed
from vcpd.core.errors import RetryableError
from vcpd.kite.ticker_protocol import subscribe
from vcpd.sandbox.faults import FaultSelector
from vcpd.sandbox.settings import FaultSettings, SandboxTickerSettings, TickerFault
from vcpd.sandbox.simulated import SimulatedMarket

NIFTY = 256265
QUICK = SandboxTickerSettings(interval_s=0.02, heartbeat_s=0.02)


@asynccontextmanager
async def following(start: Start, clock: FakeClock) -> AsyncIterator[tuple[SandboxClient, Feed]]:
    """A client at noon that has had its first packet, and the door to order faults by."""
    clock.at = ist("2026-07-15T12:00")
    sandbox = await start(limits=WIDE, ticker=QUICK)
    async with sandbox_client(sandbox.url) as kite, feed(sandbox.ticker_url, kite.access_token) as live:
        await live.send(subscribe([NIFTY]))
        await live.ticks()
        yield kite, live


async def order(kite: SandboxClient, *kinds: TickerFault, times: int = 0, slow_s: float = 5.0) -> None:
    settings = FaultSettings(ticker=kinds, ticker_times=times, slow_s=slow_s)
    assert await kite.post("/sandbox/faults", settings) == 200


async def sound_again(kite: SandboxClient, live: Feed, clock: FakeClock) -> bool:
    """Whether ticks come once the faults are taken back."""
    await kite.post("/sandbox/faults", FaultSettings())
    clock.at = ist("2026-07-15T12:30")
    while True:
        try:
            return bool(len(await live.ticks()))
        except RetryableError:
            continue


async def test_a_silent_socket_stays_open_and_says_nothing(start: Start, clock: FakeClock) -> None:
    """No ticks though the market moves, no heartbeats, no end; the socket still answers pings."""
    clock.at = ist("2026-07-15T12:00")
    sandbox = await start(limits=WIDE, ticker=QUICK)
    async with sandbox_client(sandbox.url) as kite, aiohttp.ClientSession() as http:
        await order(kite, TickerFault.MUTE)
        query = {"api_key": SETTINGS.api_key, "access_token": kite.access_token}
        async with http.ws_connect(sandbox.ticker_url, params=query, autoping=False) as socket:
            mute = Feed(socket)
            await mute.send(subscribe([NIFTY]))
            clock.at = ist("2026-07-15T12:10")
            await _until_muted(kite, frames=6)
            assert await mute.silent(0.05)
            await socket.ping(b"there?")
            assert (await mute.message()).type is aiohttp.WSMsgType.PONG
            assert not socket.closed


async def _until_muted(kite: SandboxClient, frames: int) -> None:
    """Until so many were swallowed."""
    for _ in range(1_000):
        if (await kite.data("/sandbox/statistics"))["faults"].get("ticker_mute", 0) >= frames:
            return
        await asyncio.sleep(0.02)
    pytest.fail("the feed swallows nothing")


async def test_garbage_cannot_be_read_for_long(start: Start, clock: FakeClock) -> None:
    """Among twenty spoilt frames most break the frame's own rules; then the feed is sound again."""
    async with following(start, clock) as (kite, live):
        await order(kite, TickerFault.GARBAGE, times=20)
        broken = 0
        for step in range(20):
            clock.at = ist(f"2026-07-15T12:00:{step + 10}")
            try:
                decode_frame(await live.frame())
            except RetryableError:
                broken += 1
        assert broken >= 10
        assert (await kite.data("/sandbox/statistics"))["faults"]["ticker_garbage"] == 20
        assert await live.frame()


async def test_an_abrupt_end_comes_without_a_word(start: Start, clock: FakeClock) -> None:
    """No closing handshake; with `ticker_times` 1 the next connection holds."""
    async with following(start, clock) as (kite, live):
        await order(kite, TickerFault.CLOSE, times=1)
        assert await live.end() == aiohttp.WSCloseCode.ABNORMAL_CLOSURE
        async with feed(str(kite.url).replace("http", "ws"), kite.access_token) as again:
            assert await again.frame() == b"\x00"


async def test_slow_frames_are_whole_but_late(start: Start, clock: FakeClock) -> None:
    """Each frame waits; what it tells is as old as that."""
    async with following(start, clock) as (kite, live):
        await order(kite, TickerFault.SLOW, slow_s=0.25)
        begun = time.monotonic()
        for _ in range(3):
            decode_frame(await live.frame())
        assert time.monotonic() - begun >= 0.4


@pytest.mark.parametrize("kind", [TickerFault.GARBAGE, TickerFault.SLOW, TickerFault.MUTE])
async def test_faults_can_be_taken_back(start: Start, clock: FakeClock, kind: TickerFault) -> None:
    """`{}` ends them on connections that live."""
    async with following(start, clock) as (kite, live):
        await order(kite, kind, slow_s=0.05)
        assert await sound_again(kite, live, clock)


async def test_vanished_and_restated_symbols_are_so_live_too(
    start: Start, clock: FakeClock, market: SimulatedMarket
) -> None:
    """The feed pretends what quotes pretend."""
    async with following(start, clock) as (kite, live):
        shares = [row for row in market.listings(clock.now()) if row.segment == "NSE"][:2]
        gone, split = shares
        pretence = FaultSettings(hidden_symbols=(gone.symbol,), split_ratios={split.symbol: 5.0})
        assert await kite.post("/sandbox/faults", pretence) == 200
        quote = (await kite.data(f"/quote?i={split.symbol}"))[split.symbol]
        await live.send(subscribe([gone.token, split.token]))
        (tick,) = await live.ticks()
        assert tick["token"] == split.token
        assert tick["last_price"] == pytest.approx(quote["last_price"])
        assert tick["high"] == pytest.approx(quote["ohlc"]["high"])
        assert tick["volume"] == quote["volume"]


def test_the_fate_of_frames_can_be_repeated() -> None:
    """Same seed, same frames hit in the same way; the rate holds; without kinds nothing happens."""
    settings = FaultSettings(ticker=tuple(TickerFault), ticker_rate=0.3, seed=4)
    runs = [
        [drawn and drawn[0] for drawn in (faults.next_frame_fault() for _ in range(400))]
        for faults in (FaultSelector(settings), FaultSelector(settings))
    ]
    assert runs[0] == runs[1]
    assert 80 <= sum(kind is not None for kind in runs[0]) <= 160
    assert {kind for kind in runs[0] if kind is not None} == set(TickerFault)
    assert FaultSelector(FaultSettings(rate=1.0)).next_frame_fault() is None
