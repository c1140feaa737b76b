"""The live feed: subscribed whatever happens to the line, and never louder than it may be."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import aiohttp
import numpy as np
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.clock import FakeClock, Sleep, fast_clock
from tests.kite.feed import HEARTBEAT, Feed, framed, full_packet, open_feed, until
from vcpd.core.errors import NeedsLoginError, PermanentError
from vcpd.core.secrets import Secret
from vcpd.domain.live import FeedState, LivePrices
from vcpd.kite.auth import KiteSession
from vcpd.kite.settings import TickerSettings
from vcpd.kite.ticker import (
    KiteTicker,
    KiteTickerConnector,
    TickerConnection,
    TickerCounters,
)
from vcpd.kite.token_store import SessionToken
from vcpd.ports import Clock

INFY, TCS, SBIN = 408065, 2953217, 779521
TOKEN = "very-secret-access-token"
SETTINGS = TickerSettings(stale_after_s=8, backoff_s=0.5, backoff_max_s=4)


def token_of(word: str) -> SessionToken:
    now = datetime.now(UTC)
    return SessionToken(
        api_key="key",
        access_token=Secret(word),
        user_id="AB1234",
        login_at=now,
        expires_at=now + timedelta(1),
    )


class FakeSession:
    """A login that the test exchanges."""

    def __init__(self) -> None:
        self.current: SessionToken | None = token_of(TOKEN)

    async def authorize(self) -> object:
        return self.token()

    def token(self) -> SessionToken:
        if self.current is None:
            raise NeedsLoginError("no login yet; log in at /login")
        return self.current


@dataclass
class FeedCase:
    """A ticker at a feed, and what it has delivered."""

    feed: Feed
    ticker: KiteTicker
    session: FakeSession
    seen: list[tuple[int, float]] = field(default_factory=list)

    def deliver(self, prices: LivePrices) -> None:
        self.seen += zip(prices.tokens.tolist(), prices.last_price.tolist(), strict=True)

    async def until_live(self) -> None:
        await until(lambda: self.ticker.status().state is FeedState.LIVE)


@asynccontextmanager
async def feed_case(tokens: Sequence[int] = (INFY,), clock: Clock | None = None) -> AsyncIterator[FeedCase]:
    pace = clock or fast_clock()
    async with open_feed() as feed, aiohttp.ClientSession() as http:
        session = FakeSession()
        connector = KiteTickerConnector(http, feed.root, cast("KiteSession", session), SETTINGS, pace)
        case = FeedCase(feed, KiteTicker(connector, SETTINGS, pace), session)
        case.ticker.subscribe(tokens)
        running = asyncio.create_task(case.ticker.run(case.deliver))
        try:
            yield case
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert case.ticker.status().connections == 0


async def test_it_subscribes_in_mode_full_and_delivers_in_order() -> None:
    async with feed_case([INFY, TCS]) as case:
        client = await case.feed.client()
        assert client.query == {"api_key": "key", "access_token": TOKEN}
        await until(lambda: client.in_mode("full") == {INFY, TCS} == client.followed())
        await client.send(HEARTBEAT, framed(full_packet(INFY, 101.5), full_packet(TCS, 99.0)))
        await client.send(framed(full_packet(INFY, 102.0)))
        await until(lambda: len(case.seen) == 3)
        assert case.seen == [(INFY, 101.5), (TCS, 99.0), (INFY, 102.0)]
        status = case.ticker.status()
        assert (status.state, status.ticks, status.instruments) == (FeedState.LIVE, 3, 2)


async def test_other_candidates_change_the_subscription_and_not_the_line() -> None:
    async with feed_case([INFY, TCS]) as case:
        client = await case.feed.client()
        await until(lambda: client.followed() == {INFY, TCS})
        case.ticker.subscribe([TCS, SBIN])
        await until(lambda: client.followed() == {TCS, SBIN})
        assert {"a": "unsubscribe", "v": [INFY]} in client.commands
        assert case.feed.attempts == 1


async def test_a_line_that_breaks_comes_back_with_its_subscription() -> None:
    async with feed_case([INFY, TCS]) as case:
        first = await case.feed.client()
        await until(lambda: first.followed() == {INFY, TCS})
        await first.socket.close()
        second = await case.feed.client(1)
        await until(lambda: second.in_mode("full") == {INFY, TCS})
        assert case.ticker.status().reconnects == 1


async def test_a_renewed_login_opens_the_line_anew_with_the_same_subscription() -> None:
    async with feed_case([INFY]) as case:
        first = await case.feed.client()
        await first.send(HEARTBEAT)
        case.session.current = token_of("another-token")
        second = await case.feed.client(1)
        assert second.query["access_token"] == "another-token"
        await until(lambda: second.followed() == {INFY})
        await until(lambda: first.gone)


async def test_a_silent_connection_is_noticed_within_the_limit_and_opened_anew() -> None:
    """By a clock moved by hand: eight seconds of silence are borne, the ninth is not."""
    clock = FakeClock(sleep=Sleep.WAITS)
    async with feed_case([INFY], clock) as case:
        client = await case.feed.client()
        await client.send(HEARTBEAT)
        await case.until_live()
        await clock.advance(8)
        assert case.ticker.status().mute == 0
        await clock.advance(1)
        await until(lambda: case.ticker.status().reason == "no data for 9 s")
        assert case.ticker.status().mute == 1
        await clock.advance(1)
        await until(lambda: len(case.feed.clients) == 2)


async def test_heartbeats_alone_keep_a_line_alive() -> None:
    clock = FakeClock(sleep=Sleep.WAITS)
    async with feed_case([INFY], clock) as case:
        client = await case.feed.client()
        for _ in range(6):
            received = case.ticker.status().frames
            await client.send(HEARTBEAT)
            await until(lambda received=received: case.ticker.status().frames > received)  # type: ignore[misc]
            await clock.advance(5)
        assert case.feed.attempts == 1


async def test_a_refusal_waits_for_another_login_without_a_storm() -> None:
    """Other requests find out themselves whether the token is dead. It is tried again a minute later."""
    clock = FakeClock(sleep=Sleep.WAITS)
    async with open_feed() as feed:
        feed.status = 403
        async with aiohttp.ClientSession() as http:
            session = FakeSession()
            connector = KiteTickerConnector(http, feed.root, cast("KiteSession", session), SETTINGS, clock)
            ticker = KiteTicker(connector, SETTINGS, clock)
            ticker.subscribe([INFY])
            running = asyncio.create_task(ticker.run(lambda _: None))
            await until(lambda: ticker.status().state is FeedState.LOGIN_DUE)
            await clock.advance(58)
            assert feed.attempts == 1
            await clock.advance(5)
            await until(lambda: feed.attempts == 2)
            feed.status, session.current = 101, token_of("fresh")
            await clock.advance(2)
            await until(lambda: len(feed.clients) == 1)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_without_a_login_it_waits_and_says_so() -> None:
    async with feed_case([INFY]) as case:
        (await case.feed.client()).gone = True
        case.session.current = None
        await until(lambda: case.ticker.status().state is FeedState.LOGIN_DUE)
        assert case.ticker.status().reason == "no login yet; log in at /login"
        case.session.current = token_of("after login")
        assert (await case.feed.client(1)).query["access_token"] == "after login"


async def test_garbage_is_counted_and_survived() -> None:
    async with feed_case([INFY]) as case:
        client = await case.feed.client()
        whole = framed(full_packet(INFY, 101.0))
        await client.send(whole[:50], b"\x00\x07abc", whole)
        await client.socket.send_str("no json")
        await client.socket.send_str('{"type": "error", "data": "Invalid mode"}')
        await until(lambda: case.seen == [(INFY, 101.0)] and case.ticker.status().garbage == 3)
        assert case.feed.attempts == 1


async def test_nothing_but_garbage_opens_the_line_anew() -> None:
    async with feed_case([INFY]) as case:
        client = await case.feed.client()
        for _ in range(60):
            await client.send(b"\x00\x02garbage")
        await case.feed.client(1)


async def test_a_server_that_throws_everybody_out_is_asked_less_and_less() -> None:
    async with feed_case([INFY]) as case:
        client = await case.feed.client()
        case.feed.status = 503
        await client.socket.close()
        await until(lambda: case.feed.attempts >= 4)
        assert case.ticker.status().reason == "ticker: the market answered 503"
        assert case.ticker.status().state is FeedState.CONNECTING


async def test_no_secret_in_any_word_of_it() -> None:
    """The address holds the token, and errors of the library hold the address: neither comes out."""
    with structlog.testing.capture_logs() as said:
        async with feed_case([INFY]) as case:
            for status in (403, 500, 429):
                case.feed.status = status
                case.session.current = token_of(f"{TOKEN}-{status}")
                await until(lambda status=status: str(status) in case.ticker.status().reason)  # type: ignore[misc]
                assert TOKEN not in case.ticker.status().reason
    assert said
    assert TOKEN not in str(said)


def lines_of(ticker: KiteTicker) -> list[list[int]]:
    return [list(line.tokens) for line in ticker._connections]


@given(st.lists(st.lists(st.integers(1, 9_500), unique=True, max_size=9_000), max_size=4))
@settings(max_examples=25, deadline=None)
def test_lines_share_the_instruments_within_the_limits(wishes: "list[list[int]]") -> None:
    """At most 3,000 each, nobody twice; who is still wanted stays where it is."""
    ticker = KiteTicker(cast("KiteTickerConnector", None), SETTINGS, fast_clock())
    for tokens in wishes:
        before = lines_of(ticker)
        ticker.subscribe(tokens)
        after = lines_of(ticker)
        assert sorted(token for line in after for token in line) == sorted(tokens)
        assert max(map(len, after)) <= 3_000
        for old, new in zip(before, after, strict=True):
            assert set(old) & set(tokens) <= set(new)


def test_more_than_the_exchange_allows_is_refused() -> None:
    ticker = KiteTicker(cast("KiteTickerConnector", None), SETTINGS, fast_clock())
    with pytest.raises(PermanentError, match="9000"):
        ticker.subscribe(range(9_001))


@given(st.lists(st.binary(max_size=500), max_size=8), st.integers(0, 8))
@settings(max_examples=200, deadline=None)
def test_whatever_frames_come_together_the_sound_one_is_read(frames: "list[bytes]", at: int) -> None:
    """Garbage beside it costs nothing but itself."""
    line = TickerConnection("1", cast("Any", None), SETTINGS, fast_clock(), TickerCounters())
    sound = framed(full_packet(INFY, 123.45, volume=77), full_packet(TCS, 1.0))
    mixed = [*frames[:at], sound, *frames[at:]]
    read = list(line._decode([block for block in mixed if len(block) > 1]))
    pairs = [pair for prices in read for pair in zip(prices.tokens, prices.last_price, strict=True)]
    assert (INFY, 123.45) in pairs
    assert all(np.isfinite(price) for _, price in pairs)
