"""Holdings and positions of the sandbox over the settlement days, by the vendor's client and by our own."""

import asyncio
import json
from datetime import date
from typing import Any

import pytest

from tests.fakes.clock import FakeClock
from tests.real_data import real_data
from tests.sandbox.clients import WIDE, SandboxClient, sandbox_client
from tests.sandbox.clocks import ist
from tests.sandbox.conftest import Start
from tests.sandbox.test_vendor_client import logged_in
from vcpd.analysis.broker_comparison import TradedAccount, compare_with_broker
from vcpd.analysis.lots import build_lot_book
from vcpd.domain.broker import BrokerAccount, BrokerComparison
from vcpd.domain.portfolio import Fill, ShareAdjustment, Side
from vcpd.kite.portfolio_wire import decode_holdings, decode_positions

MONDAY, TUESDAY, WEDNESDAY = date(2026, 7, 13), date(2026, 7, 14), date(2026, 7, 15)
ROUTE = "/sandbox/portfolio"
PURCHASE: dict[str, Any] = {
    "symbol": "NSE:ALPHA",
    "session": "2026-07-13",
    "side": "buy",
    "quantity": 10,
    "price": 100.0,
}
SALE = {**PURCHASE, "session": "2026-07-14", "side": "sell", "quantity": 4, "price": 120.0}


async def account_at(kite: SandboxClient, clock: FakeClock, instant: str) -> BrokerAccount:
    """What our own decoding reads at that time, after the login of that day."""
    clock.at = ist(instant)
    await kite.log_in()
    return BrokerAccount(
        holdings=decode_holdings((await kite.get("/portfolio/holdings"))[1]),
        positions=decode_positions((await kite.get("/portfolio/positions"))[1]),
    )


def parts(account: BrokerAccount) -> tuple[tuple[int, int, int], ...]:
    """Settled, T1 and pledged shares of each holding."""
    return tuple((row.settled, row.unsettled, row.pledged) for row in account.holdings)


def compared(
    account: BrokerAccount, as_of: date, *fills: Fill, bonus: ShareAdjustment | None = None
) -> BrokerComparison:
    adjustments = () if bonus is None or bonus.session > as_of else (bonus,)
    book = build_lot_book([fill for fill in fills if fill.session <= as_of], adjustments)
    return compare_with_broker(
        account, TradedAccount(book=book, as_of=as_of, adjustments=adjustments), "NSE", {}
    )


def fill(row: dict[str, Any]) -> Fill:
    return Fill(
        symbol=row["symbol"],
        session=date.fromisoformat(row["session"]),
        side=Side(row["side"]),
        quantity=row["quantity"],
        price=row["price"],
        trade_id=f"{row['session']} {row['side']}",
    )


async def test_a_purchase_and_a_sale_from_t1_agree_with_the_trades_on_each_day(
    start: Start, clock: FakeClock
) -> None:
    """T: bought; T+1: four of the undelivered ten are sold; T+2: six are delivered, and then pledged."""
    fills = fill(PURCHASE), fill(SALE)
    async with sandbox_client((await start(limits=WIDE)).url) as kite:
        assert await kite.post(ROUTE, {"trades": [PURCHASE, SALE]}) == 200
        monday = await account_at(kite, clock, "2026-07-13T16:00")
        assert (parts(monday), [row.net_today for row in monday.positions]) == ((), [10])
        tuesday = await account_at(kite, clock, "2026-07-14T16:00")
        assert (parts(tuesday), [row.net_today for row in tuesday.positions]) == (((0, 10, 0),), [-4])
        wednesday = await account_at(kite, clock, "2026-07-15T16:00")
        assert (parts(wednesday), wednesday.positions) == (((6, 0, 0),), ())
        assert await kite.post(ROUTE, {"trades": [PURCHASE, SALE], "pledged": {"ALPHA": 5}}) == 200
        pledged = await account_at(kite, clock, "2026-07-15T17:00")
        assert parts(pledged) == ((1, 0, 5),)
    days = (monday, MONDAY), (tuesday, TUESDAY), (wednesday, WEDNESDAY), (pledged, WEDNESDAY)
    for (account, day), held in zip(days, (10, 6, 6, 6), strict=True):
        result = compared(account, day, *fills)
        assert [company.quantity for company in result.companies] == [held]
        assert (result.agrees, result.notices) == (True, ())


async def test_a_bonus_of_tuesday_that_is_credited_on_wednesday_is_named_until_then(
    start: Start, clock: FakeClock
) -> None:
    bonus = ShareAdjustment("NSE:ALPHA", TUESDAY, 2.0)
    credit = {**PURCHASE, "session": "2026-07-15", "price": 0}
    async with sandbox_client((await start(limits=WIDE)).url) as kite:
        await kite.post(ROUTE, {"trades": [PURCHASE, credit]})
        late = compared(
            await account_at(kite, clock, "2026-07-14T16:00"), TUESDAY, fill(PURCHASE), bonus=bonus
        )
        there = await account_at(kite, clock, "2026-07-15T16:00")
    assert [(row.at_broker, row.in_trades) for row in late.differences] == [(10, 20)]
    assert "may not be credited yet" in late.differences[0].text
    assert (parts(there), there.positions) == (((20, 0, 0),), ())
    assert compared(there, WEDNESDAY, fill(PURCHASE), bonus=bonus).agrees


async def test_the_vendors_client_reads_both_unmodified(start: Start) -> None:
    """Delivery on two exchanges, a loan, intraday, a contract, and a sale of today."""
    sandbox = await start(limits=WIDE)
    today = {**PURCHASE, "session": "2026-07-15"}
    trades = [
        PURCHASE,
        {**PURCHASE, "symbol": "BSE:BETA"},
        {**today, "product": "MIS"},
        {**today, "symbol": "NFO:ALPHA26JULFUT", "product": "NRML"},
        {**today, "side": "sell", "quantity": 3},
    ]
    async with sandbox_client(sandbox.url) as kite:
        await kite.post(ROUTE, {"trades": trades, "financed": {"BETA": 50}})

    def use() -> tuple[list[dict[str, Any]], dict[str, list[dict[str, Any]]]]:
        vendor = logged_in(sandbox.url)
        return vendor.holdings(), vendor.positions()

    holdings, positions = await asyncio.to_thread(use)
    assert [(row["exchange"], row["tradingsymbol"], row["used_quantity"]) for row in holdings] == [
        ("NSE", "ALPHA", 3),
        ("BSE", "BETA", 0),
    ]
    assert holdings[1]["mtf"]["quantity"] == 50
    assert [(row["product"], row["quantity"]) for row in positions["net"]] == [
        ("MIS", 10),
        ("NRML", 10),
        ("CNC", -3),
    ]
    assert positions["day"] == positions["net"]


async def test_the_fields_are_those_of_the_vendors_samples(start: Start) -> None:
    async with sandbox_client((await start(limits=WIDE)).url) as kite:
        await kite.post(ROUTE, {"trades": [PURCHASE, {**PURCHASE, "session": "2026-07-15"}]})
        holdings, positions = await kite.data("/portfolio/holdings"), await kite.data("/portfolio/positions")
    sample = json.loads(real_data("kite_mocks/holdings.json").read_bytes())["data"][0]
    assert list(holdings[0]) == list(sample)
    assert list(holdings[0]["mtf"]) == list(sample["mtf"])
    of_sample = json.loads(real_data("kite_mocks/positions.json").read_bytes())["data"]
    assert set(positions) == set(of_sample)
    assert set(positions["net"][0]) == set(of_sample["net"][0])


async def test_the_account_is_empty_until_trades_are_set_and_needs_a_token(start: Start) -> None:
    async with sandbox_client((await start(limits=WIDE)).url) as kite:
        assert await kite.data("/portfolio/holdings") == []
        assert await kite.data("/portfolio/positions") == {"net": [], "day": []}
        kite.access_token = "stale"
        for path in ("/portfolio/holdings", "/portfolio/positions"):
            assert await kite.error(path) == (403, "TokenException")


@pytest.mark.parametrize(
    "body",
    [
        {"trades": [{**PURCHASE, "side": "sell"}]},
        {"trades": [PURCHASE, {**SALE, "quantity": 11}]},
        {"trades": [{**PURCHASE, "quantity": 0}]},
        {"trades": [{**PURCHASE, "symbol": "ALPHA"}]},
        {"pledged": {"ALPHA": 1}},
        {"orders": []},
        [],
    ],
)
async def test_trades_that_cannot_be_are_refused_whole(start: Start, body: object) -> None:
    async with sandbox_client((await start(limits=WIDE)).url) as kite:
        await kite.post(ROUTE, {"trades": [PURCHASE]})
        assert await kite.post(ROUTE, body) == 400
        assert len((await kite.data(ROUTE))["trades"]) == 1
