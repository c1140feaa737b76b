"""BrokerSource: what was bought today, what is held, and that reading changes neither."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from yarl import URL

from tests.acceptance.exchange import Exchange
from tests.fakes.broker import FakeBroker
from tests.kite.test_sandbox import LAST_SESSION, SETTINGS, WIDE, opened
from vcpd.domain.nse_calendar import NSE
from vcpd.ports import BrokerSource
from vcpd.sandbox.simulated import SimulatedMarket

LONG_AGO = NSE.previous(LAST_SESSION, 5)


class Broker(msgspec.Struct, frozen=True):
    """An account with a way to buy today (True) or long ago (False): symbol, shares, price."""

    source: BrokerSource
    buy: Callable[[str, int, float, bool], Awaitable[None]]


@pytest.fixture(params=["fake", "kite"])
async def broker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Broker]:
    if request.param == "fake":
        account = FakeBroker()

        async def add(symbol: str, quantity: int, price: float, today: bool) -> None:
            (account.buy_today if today else account.hold)(symbol, quantity, price)

        yield Broker(account, add)
        return
    trades: list[dict[str, object]] = []
    async with opened(SimulatedMarket(SETTINGS, NSE, LAST_SESSION), tmp_path, WIDE) as (client, sandbox):

        async def post(symbol: str, quantity: int, price: float, today: bool) -> None:
            day = str(LAST_SESSION if today else LONG_AGO)
            trade = {"symbol": symbol, "session": day, "side": "buy", "quantity": quantity, "price": price}
            trades.append(trade)
            await Exchange(URL(sandbox.url).port or 0).set_trades(trades)

        yield Broker(client, post)


async def test_an_account_without_anything_is_empty(broker: Broker) -> None:
    account = await broker.source.broker_account()
    assert (account.holdings, account.positions) == ((), ())


async def test_what_is_bought_today_is_a_position_and_no_holding(broker: Broker) -> None:
    await broker.buy("NSE:ALPHA", 10, 101.5, True)
    account = await broker.source.broker_account()
    assert account.holdings == ()
    (position,) = account.positions
    assert (position.symbol, position.net_today, position.buy_price) == ("NSE:ALPHA", 10, 101.5)
    assert (position.carried, position.reason_left_out) == (0, None)


async def test_what_was_bought_long_ago_is_settled(broker: Broker) -> None:
    await broker.buy("BSE:ALPHA", 7, 99.0, False)
    account = await broker.source.broker_account()
    assert account.positions == ()
    (holding,) = account.holdings
    assert (holding.symbol, holding.settled, holding.quantity) == ("BSE:ALPHA", 7, 7)
    assert (holding.average_price, holding.is_consistent) == (99.0, True)
    assert holding.isin


async def test_reading_changes_nothing(broker: Broker) -> None:
    await broker.buy("NSE:ALPHA", 10, 101.5, True)
    await broker.buy("NSE:BETA", 7, 99.0, False)
    assert await broker.source.broker_account() == await broker.source.broker_account()
