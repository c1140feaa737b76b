"""The broker's account beside the stored trades: whose ISINs name companies, and how often it is read."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.fakes.broker import ALPHA, ALPHA_FILL, BETA, FakeBroker
from tests.fakes.clock import FakeClock
from tests.fakes.positions import FakeFillStore
from vcpd.app.broker import KEEP_FOR, BrokerService
from vcpd.app.live_configuration import LiveConfiguration
from vcpd.config import Configuration, LoadedConfiguration
from vcpd.core.errors import NeedsLoginError, PermanentError
from vcpd.domain.broker import BrokerHolding
from vcpd.domain.portfolio import Fill, Side

NOW = datetime(2025, 6, 30, 12, tzinfo=UTC)


def _service(
    broker: FakeBroker | None, fills: FakeFillStore, clock: FakeClock | None = None
) -> BrokerService:
    live = LiveConfiguration(LoadedConfiguration(Configuration(), {}, Path()), NOW)
    return BrokerService(live, clock or FakeClock(NOW), broker, fills)


async def test_differences_and_holdings_without_trades_are_listed() -> None:
    fills = FakeFillStore()
    await fills.add([ALPHA_FILL])
    reading = await _service(FakeBroker(holdings=[ALPHA, BETA]), fills).compare()
    assert reading.read_at == NOW
    assert [(row.symbol, row.at_broker, row.in_trades) for row in reading.comparison.differences] == [
        ("NSE:ALPHA", 13, 10)
    ]
    assert [(lot.symbol, lot.quantity) for lot in reading.comparison.unknown_lots] == [("NSE:BETA", 20)]


async def test_a_trade_of_tomorrow_is_not_compared_yet() -> None:
    fills = FakeFillStore()
    later = Fill(
        symbol="NSE:ALPHA", session=date(2025, 7, 1), side=Side.BUY, quantity=3, price=1.0, trade_id="9"
    )
    await fills.add([ALPHA_FILL, later])
    reading = await _service(FakeBroker(holdings=[ALPHA]), fills).compare()
    assert [row.in_trades for row in reading.comparison.differences] == [10]


@pytest.mark.parametrize(("isin", "agrees"), [("INE000000001", True), ("", False)])
async def test_the_isin_of_an_imported_trade_joins_a_holding_on_another_exchange(
    isin: str, agrees: bool
) -> None:
    """Without one nobody knows that both are one company: they are listed apart, and that is said."""
    fills = FakeFillStore()
    await fills.add([ALPHA_FILL], isins={"NSE:ALPHA": isin})
    abroad = BrokerHolding(
        symbol="BSE:ALPHA", isin="INE000000001", settled=10, unsettled=0, pledged=0, average_price=100.0
    )
    found = (await _service(FakeBroker(holdings=[abroad]), fills).compare()).comparison
    assert found.agrees is agrees
    assert [company.symbol for company in found.companies] == ["NSE:ALPHA" if agrees else "BSE:ALPHA"]
    assert bool(found.notices) is not agrees


async def test_the_account_is_read_again_only_after_a_while() -> None:
    """Trades that are added meanwhile are compared at once."""
    broker, fills, clock = FakeBroker(holdings=[ALPHA]), FakeFillStore(), FakeClock(NOW)
    service = _service(broker, fills, clock)
    assert (await service.compare()).comparison.unknown_lots
    await fills.add([ALPHA_FILL])
    again = await service.compare()
    assert (broker.reads, again.read_at, again.comparison.unknown_lots) == (1, NOW, ())
    clock.at = NOW + KEEP_FOR
    assert (await service.compare()).read_at == clock.at
    clock.at = NOW - timedelta(days=1)  # a clock that was set back keeps nothing for a day
    await service.compare()
    assert broker.reads == 3


async def test_an_error_of_the_broker_is_not_kept() -> None:
    broker = FakeBroker(error=NeedsLoginError("log in"))
    service = _service(broker, FakeFillStore())
    with pytest.raises(NeedsLoginError):
        await service.compare()
    broker.error = None
    assert (await service.compare()).comparison.companies == ()


async def test_holdings_without_trades_are_none_where_the_broker_does_not_say() -> None:
    """Nothing known is not the same as nothing held."""
    broker = FakeBroker(holdings=[BETA], error=NeedsLoginError("log in"))
    service = _service(broker, FakeFillStore())
    assert await service.untraded() is None
    broker.error = None
    lots = await service.untraded()
    assert lots is not None
    assert [(lot.symbol, lot.quantity, lot.opened) for lot in lots] == [("NSE:BETA", 20, None)]
    assert await _service(None, FakeFillStore()).untraded() == ()


async def test_a_market_without_an_account_says_so() -> None:
    with pytest.raises(PermanentError, match=r"the market `sandbox` has no account"):
        await _service(None, FakeFillStore()).compare()
