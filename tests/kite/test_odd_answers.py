"""Answers that are neither plain successes nor plain refusals, and logins in the middle of work."""

import json
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest
from aiohttp import web

from tests.kite.exchange import (
    ACCESS_TOKEN,
    Exchange,
    MarketClient,
    client_for,
    raw,
    refusal,
    running,
    success,
)
from vcpd.core.errors import NeedsLoginError, PermanentError, RetryableError, VcpdError
from vcpd.core.secrets import Secret
from vcpd.domain.instruments import Instrument
from vcpd.kite.auth import KiteLoginState
from vcpd.kite.wire import decode_quotes

INFY = Instrument("NSE:INFY", 408065)
DAY = date(2025, 6, 30)
CANDLES = success({"candles": [["2025-06-30T00:00:00+0530", 100.0, 110.0, 95.0, 105.0, 1000]]})
QUOTE = {
    "instrument_token": 408065,
    "timestamp": "2025-06-30 15:45:00",
    "last_price": 105.0,
    "volume": 1000,
    "ohlc": {"open": 100.0, "high": 110.0, "low": 95.0, "close": 99.0},
}


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with running(CANDLES) as found:
        yield found


@pytest.fixture
async def market_client(exchange: Exchange, tmp_path: Path) -> AsyncIterator[MarketClient]:
    async with client_for(exchange, tmp_path) as found:
        yield found


@pytest.mark.parametrize(
    ("error_type", "expected"),
    [
        ("TokenException", NeedsLoginError),
        ("PermissionException", PermanentError),
        ("InputException", PermanentError),
        ("NetworkException", RetryableError),
    ],
)
@pytest.mark.parametrize("data", [{}, {"data": None}])
async def test_a_refusal_with_the_status_of_a_success_is_a_refusal(
    data: dict[str, None],
    error_type: str,
    expected: type[VcpdError],
    exchange: Exchange,
    market_client: MarketClient,
) -> None:
    """200 and an error envelope: what to do next is what the envelope says, not another try."""
    said = {"status": "error", "message": f"no {ACCESS_TOKEN}", "error_type": error_type, **data}
    exchange.default = raw(json.dumps(said).encode())
    with pytest.raises(expected) as caught:
        await market_client.client.daily_bars(INFY, DAY, DAY)
    assert len(exchange.requested) == (4 if expected is RetryableError else 1)
    assert ACCESS_TOKEN not in str(caught.value)
    denied = market_client.session.status().state is KiteLoginState.DENIED
    assert denied is (expected is NeedsLoginError)


@pytest.mark.parametrize(
    "odd",
    [
        {key: value for key, value in QUOTE.items() if key != "ohlc"},
        {**QUOTE, "last_price": None},
        {**QUOTE, "ohlc": None},
        "no quote at all",
    ],
)
def test_one_odd_quote_does_not_keep_the_others_away(odd: object) -> None:
    """Of five hundred names the one that cannot be read is absent; it is asked for by candles then."""
    body = json.dumps({"status": "success", "data": {"NSE:ODD": odd, "NSE:INFY": QUOTE}}).encode()
    assert set(decode_quotes(body)) == {"NSE:INFY"}


def test_quotes_of_which_none_can_be_read_are_a_temporary_error() -> None:
    """Then it is the answer that is broken."""
    body = json.dumps({"status": "success", "data": {"NSE:A": {}, "NSE:B": None}}).encode()
    with pytest.raises(RetryableError, match="NSE:A"):
        decode_quotes(body)


async def test_a_login_in_the_middle_of_work_does_not_end_it(
    exchange: Exchange, market_client: MarketClient
) -> None:
    """The owner logs in again: what went out with the old token is refused, and sent with the new one."""

    async def overtaken(request: web.Request) -> web.StreamResponse:
        exchange.script.appendleft(success({"access_token": "anothertoken", "user_id": "AB1234"}))
        await market_client.session.exchange_request_token(Secret("again"))
        return await refusal(403, "TokenException")(request)

    exchange.script.append(overtaken)
    assert len(await market_client.client.daily_bars(INFY, DAY, DAY)) == 1
    sent = [asked.headers["Authorization"] for asked in exchange.requested if asked.method == "GET"]
    assert sent == [f"token publickey:{ACCESS_TOKEN}", "token publickey:anothertoken"]
