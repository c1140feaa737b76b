"""The client against an exchange that behaves, misbehaves, and breaks off."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kite.exchange import (
    ACCESS_TOKEN,
    API_SECRET,
    Exchange,
    MarketClient,
    Reply,
    client_for,
    cut,
    drip,
    raw,
    refusal,
    running,
    success,
)
from tests.metrics import value
from vcpd.core.errors import NeedsLoginError, PermanentError, RetryableError
from vcpd.domain.instruments import Instrument
from vcpd.kite.client import split_date_range
from vcpd.kite.instrument_wire import decode_instruments, decode_underlyings
from vcpd.kite.rate_limits import RequestKind
from vcpd.kite.settings import LimitSettings

INFY = Instrument("NSE:INFY", 408065)
CANDLE = ["2025-06-30T00:00:00+0530", 100.0, 110.0, 95.0, 105.0, 1000]
CANDLES = success({"candles": [CANDLE]})
QUOTE = {
    "instrument_token": 408065,
    "timestamp": "2025-06-30 15:45:00",
    "last_trade_time": "2025-06-30 15:29:59",
    "last_price": 105.0,
    "volume": 1000,
    "ohlc": {"open": 100.0, "high": 110.0, "low": 95.0, "close": 99.0},
}
HEADER = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,"
    "lot_size,instrument_type,segment,exchange\n"
)
FIRST, LAST = date(2025, 6, 30), date(2025, 6, 30)


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with running(CANDLES) as found:
        yield found


@pytest.fixture
async def market_client(exchange: Exchange, tmp_path: Path) -> AsyncIterator[MarketClient]:
    async with client_for(exchange, tmp_path) as found:
        yield found


async def test_a_request_carries_version_and_credentials(
    exchange: Exchange, market_client: MarketClient
) -> None:
    """What the exchange demands of every request is there."""
    await market_client.client.daily_bars(INFY, FIRST, LAST)
    (asked,) = exchange.requested
    assert asked.headers["X-Kite-Version"] == "3"
    assert asked.headers["Authorization"] == f"token publickey:{ACCESS_TOKEN}"
    assert asked.path == "/instruments/historical/408065/day"
    assert asked.query == [("from", "2025-06-30 00:00:00"), ("to", "2025-06-30 23:59:59")]


async def test_minutes_of_a_long_time_are_asked_within_one_span(
    exchange: Exchange, market_client: MarketClient
) -> None:
    """Sixty dates, both ends included: from the first midnight to the last is no minute longer."""
    await market_client.client.minute_volumes(INFY, date(2025, 1, 1), LAST)
    (asked,) = exchange.requested
    assert asked.query == [("from", "2025-05-02 00:00:00"), ("to", "2025-06-30 23:59:59")]


async def test_a_long_history_is_asked_in_spans_and_comes_back_whole(
    exchange: Exchange, market_client: MarketClient
) -> None:
    """Two spans of at most 2,000 days give one series."""
    bars = await market_client.client.daily_bars(INFY, date(2018, 1, 1), LAST)
    assert [query[0] for query in (asked.query for asked in exchange.requested)] == [
        ("from", "2018-01-01 00:00:00"),
        ("from", "2023-06-24 00:00:00"),
    ]
    assert bars.symbol == "NSE:INFY"
    assert len(bars) == 2


async def test_no_days_is_no_request(exchange: Exchange, market_client: MarketClient) -> None:
    """A span that ends before it begins holds nothing."""
    assert len(await market_client.client.daily_bars(INFY, LAST, FIRST - timedelta(days=1))) == 0
    assert exchange.requested == []


@given(st.dates(date(2000, 1, 1), date(2030, 1, 1)), st.integers(0, 9000), st.integers(1, 2000))
def test_spans_cover_every_day_once(first: date, length: int, days: int) -> None:
    """No gap, no overlap, none too long."""
    last = first + timedelta(days=length)
    spans = list(split_date_range(first, last, days))
    assert spans[0][0] == first
    assert spans[-1][1] == last
    assert all(0 <= (end - start).days < days for start, end in spans)
    assert all(later[0] - earlier[1] == timedelta(days=1) for earlier, later in pairwise(spans))


async def test_quotes_go_in_batches_of_five_hundred(exchange: Exchange, market_client: MarketClient) -> None:
    """1,001 names make three requests; unknown names are absent, names not asked for are left out."""
    exchange.default = success({"NSE:S0": QUOTE, "NSE:OTHER": QUOTE, "NSE:S1": None})
    quotes = await market_client.client.quotes([f"NSE:S{number}" for number in range(1001)])
    assert [len(asked.query) for asked in exchange.requested] == [500, 500, 1]
    assert set(quotes) == {"NSE:S0"}
    assert quotes["NSE:S0"].previous_close == 99.0
    assert quotes["NSE:S0"].at == "2025-06-30 15:29:59"


async def test_symbols_with_an_ampersand_survive_the_way(
    exchange: Exchange, market_client: MarketClient
) -> None:
    """`M&M` is one name, not two parameters."""
    exchange.default = success({"NSE:M&M": QUOTE, "NSE:NIFTY 50": QUOTE})
    assert set(await market_client.client.quotes(["NSE:M&M", "NSE:NIFTY 50"])) == {"NSE:M&M", "NSE:NIFTY 50"}
    assert exchange.requested[0].query == [("i", "NSE:M&M"), ("i", "NSE:NIFTY 50")]


async def test_instruments_are_decoded_elsewhere(exchange: Exchange, tmp_path: Path) -> None:
    """The long list goes through `compute` and stays off the loop."""
    exchange.default = raw(f"{HEADER}408065,1594,INFY,INFOSYS,0,,0,0.05,1,EQ,NSE,NSE\n".encode())
    used = []

    async def compute(function: object, *arguments: object) -> object:
        used.append(function)
        assert callable(function)
        return function(*arguments)

    async with client_for(exchange, tmp_path) as market_client:
        market_client.client._compute = compute
        listed = await market_client.client.instruments()
    assert [instrument.symbol for instrument in listed] == ["NSE:INFY"]
    assert used == [decode_underlyings, decode_instruments]  # a module-level function, as workers need it


FAULTS: dict[str, Reply] = {
    "cut off": cut,
    "internal error": refusal(500, "GeneralException"),
    "bad gateway": raw(b"<html>bad gateway</html>", status=502),
    "unavailable": refusal(503, "NetworkException"),
    "gateway timeout": raw(b"", status=504),
    "too many": refusal(429, "NetworkException"),
    "web page": raw(b"<html>sign in to the hotel's network</html>"),
    "redirect": raw(b"", status=302, Location="http://127.0.0.1:9/"),
    "forbidden by a proxy": raw(b"<html>blocked</html>", status=403),
    "not found by a proxy": raw(b"<html>what?</html>", status=404),
    "truncated gzip": raw(b"\x1f\x8b\x08\x00\x00\x00", Content_Encoding="gzip"),
    "not gzip": raw(b"hello", Content_Encoding="gzip"),
    "half of JSON": raw(b'{"status":"success","data":{"candles":[["20'),
    "missing keys": success({}),
    "other types": success({"candles": [[1, "x", 2, 3, 4, 5]]}),
    "nothing": raw(b""),
    "no data": raw(b'{"status":"success"}'),
    "error as success": raw(b'{"status":"error","message":"m","error_type":"GeneralException","data":null}'),
}


def _requests(status: int) -> float:
    """How many candle requests ended with this status so far."""
    return value("vcpd_requests_total", endpoint="/instruments/historical", status=str(status))


@pytest.mark.parametrize("fault", list(FAULTS))
async def test_a_temporary_error_is_tried_again(
    fault: str, exchange: Exchange, market_client: MarketClient
) -> None:
    """After each kind of trouble the next try brings the whole answer."""
    market_client.limits._by_kind[RequestKind.HISTORICAL].slow_down = lambda pause_s: None  # type: ignore[method-assign]
    exchange.script.append(FAULTS[fault])
    retries = value("vcpd_request_retries_total")
    bars = await market_client.client.daily_bars(INFY, FIRST, LAST)
    assert len(bars) == 1
    assert len(exchange.requested) == 2
    assert value("vcpd_request_retries_total") == retries + 1


async def test_a_slow_drip_is_cut_off(exchange: Exchange, tmp_path: Path) -> None:
    """A body that trickles does not hold a request beyond its timeout."""
    exchange.script.append(drip)
    async with client_for(exchange, tmp_path, timeout_s=0.3) as market_client:
        unanswered = _requests(0)
        assert len(await market_client.client.daily_bars(INFY, FIRST, LAST)) == 1
        assert _requests(0) == unanswered + 1


@pytest.mark.parametrize(
    "body", [raw(b"x" * 2_000_000), raw(gzip.compress(bytes(40_000_000)), Content_Encoding="gzip")]
)
async def test_an_endless_body_is_not_read(body: Reply, exchange: Exchange, tmp_path: Path) -> None:
    """More than the limit is refused, also when it comes compressed."""
    exchange.default = body
    async with client_for(exchange, tmp_path, body_limit_mb=0.5, max_attempts=1) as market_client:
        with pytest.raises(RetryableError, match="larger than"):
            await market_client.client.daily_bars(INFY, FIRST, LAST)


async def test_tries_end(exchange: Exchange, market_client: MarketClient) -> None:
    """Trouble that stays is given up after the set number of tries."""
    exchange.default = FAULTS["unavailable"]
    unavailable, done = _requests(503), _requests(200)
    with pytest.raises(RetryableError, match="/instruments/historical: the market answered 503"):
        await market_client.client.daily_bars(INFY, FIRST, LAST)
    assert len(exchange.requested) == 4
    assert (_requests(503), _requests(200)) == (unavailable + 4, done)


async def test_an_unreachable_exchange_is_a_temporary_error(exchange: Exchange, tmp_path: Path) -> None:
    """A refused connection is tried again, then said."""
    async with client_for(exchange, tmp_path, max_attempts=2) as market_client:
        market_client.transport._settings = market_client.transport._settings.__class__(
            api_root="http://127.0.0.1:1", max_attempts=2, backoff_s=0.001
        )
        with pytest.raises(RetryableError, match="the connection failed"):
            await market_client.client.daily_bars(INFY, FIRST, LAST)


@pytest.mark.parametrize(
    ("reply", "advice"),
    [
        (refusal(403, "PermissionException", "insufficient permission"), "Kite Connect plan"),
        (refusal(400, "InputException", "invalid token"), "fail again"),
        (refusal(404, "GeneralException", "no route"), "404"),
    ],
)
async def test_what_fails_again_is_not_tried_again(
    reply: Reply, advice: str, exchange: Exchange, market_client: MarketClient
) -> None:
    """A permission, an input or an address that is wrong is said once, with what to do."""
    exchange.default = reply
    with pytest.raises(PermanentError, match=advice):
        await market_client.client.daily_bars(INFY, FIRST, LAST)
    assert len(exchange.requested) == 1
    assert not market_client.session.status().login_due


async def test_retry_after_is_honoured(exchange: Exchange, market_client: MarketClient) -> None:
    """The next try does not come before the market asked for it."""
    exchange.script.append(refusal(503, "NetworkException", Retry_After="0.4"))
    await market_client.client.daily_bars(INFY, FIRST, LAST)
    first_s, second_s = exchange.arrivals_s()
    assert second_s - first_s >= 0.4


async def test_a_very_long_retry_after_ends_the_request(
    exchange: Exchange, market_client: MarketClient
) -> None:
    """A market that is closed for an hour is not waited for here; the caller hears how long."""
    exchange.script.append(refusal(503, "NetworkException", Retry_After="3600"))
    with pytest.raises(RetryableError) as caught:
        await market_client.client.daily_bars(INFY, FIRST, LAST)
    assert caught.value.retry_after_s == 3600
    assert len(exchange.requested) == 1


async def test_429_slows_the_whole_class_and_no_other(exchange: Exchange, tmp_path: Path) -> None:
    """After one 429 all candle requests pause together; quotes go on."""
    limits = LimitSettings(historical_per_s=50, quote_per_s=50, other_per_s=50, all_gets_per_s=100)
    exchange.script.append(success({"access_token": ACCESS_TOKEN}))
    async with client_for(exchange, tmp_path, limits=limits) as market_client:
        exchange.script.clear()
        exchange.script.append(refusal(429, "NetworkException"))
        throttled = value("vcpd_limiter_slowed_total", limit="historical")
        await asyncio.gather(*(market_client.client.daily_bars(INFY, FIRST, LAST) for _ in range(5)))
        later = [asked.at_s - exchange.requested[0].at_s for asked in exchange.requested]
        assert sum(1 for at_s in later if at_s < 0.9) <= 3  # those already under way
        assert value("vcpd_limiter_slowed_total", limit="historical") == throttled + 1
        exchange.default = success({})
        began = len(exchange.requested)
        market_client.limits.slow_down(RequestKind.HISTORICAL, 60)
        async with asyncio.timeout(0.5):
            await market_client.client.quotes(["NSE:INFY"])
        assert len(exchange.requested) == began + 1


async def test_a_dead_token_is_one_refusal_and_no_storm(
    exchange: Exchange, market_client: MarketClient
) -> None:
    """After the first 403 nothing more is sent, by whoever; each caller hears that a login is due."""
    exchange.default = refusal(403, "TokenException", "Incorrect `api_key` or `access_token`.")
    with pytest.raises(NeedsLoginError):
        await market_client.client.daily_bars(INFY, FIRST, LAST)
    sent = len(exchange.requested)
    assert sent == 1
    for _ in range(20):
        with pytest.raises(NeedsLoginError, match="log in"):
            await market_client.client.quotes(["NSE:INFY"])
    assert len(exchange.requested) == sent


async def test_requests_that_wait_when_the_token_dies_are_not_sent(
    exchange: Exchange, tmp_path: Path
) -> None:
    """Of a queue of thirty, only those already under way reach the exchange."""
    limits = LimitSettings(historical_per_s=20, other_per_s=900, all_gets_per_s=900)
    exchange.default = refusal(403, "TokenException")
    async with client_for(exchange, tmp_path, limits=limits) as market_client:
        calls = (market_client.client.daily_bars(INFY, FIRST, LAST) for _ in range(30))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, NeedsLoginError) for outcome in outcomes)
    assert len(exchange.requested) <= 2


async def test_secrets_are_in_no_error(exchange: Exchange, market_client: MarketClient) -> None:
    """A market that repeats our credentials in its message does not get them into ours."""

    async def echo(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        said = f"no access for {request.headers['Authorization']}"
        return await refusal(400, "InputException", said)(request)

    exchange.default = echo
    with pytest.raises(PermanentError) as caught:
        await market_client.client.profile()
    assert ACCESS_TOKEN not in f"{caught.value!r} {caught.value} {caught.getrepr(showlocals=False)}"
    assert "***" in str(caught.value)
    assert caught.value.__cause__ is None


async def test_nothing_shows_a_secret(market_client: MarketClient) -> None:
    """The objects that hold credentials print without them."""
    session, transport = market_client.session, market_client.transport
    shown = f"{session!r} {vars(session)!r} {vars(transport)!r} {session.status()!r}"
    assert ACCESS_TOKEN not in shown
    assert API_SECRET not in shown


async def test_profile_says_whose_account_it_is(exchange: Exchange, market_client: MarketClient) -> None:
    """The cheapest call that needs a login."""
    exchange.default = success({"user_id": "AB1234", "user_name": "A B", "avatar_url": None})
    assert (await market_client.client.profile()).user_id == "AB1234"
