"""A broker's account in memory, and a comparison with it as the port reads it."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from vcpd.analysis.broker_comparison import TradedAccount, compare_with_broker
from vcpd.analysis.lots import build_lot_book
from vcpd.core.errors import VcpdError
from vcpd.domain.broker import DELIVERY_PRODUCT, BrokerAccount, BrokerHolding, BrokerPosition, BrokerReading
from vcpd.domain.portfolio import Fill, Side

SESSION = date(2025, 6, 30)
READ_AT = datetime(2025, 6, 30, 12, tzinfo=UTC)
ALPHA = BrokerHolding(
    symbol="NSE:ALPHA", isin="INE000000001", settled=6, unsettled=3, pledged=4, average_price=101.5
)
BETA = BrokerHolding(
    symbol="NSE:BETA", isin="INE000000002", settled=20, unsettled=0, pledged=0, average_price=50.0, financed=5
)
ALPHA_FILL = Fill(
    symbol="NSE:ALPHA", session=SESSION, side=Side.BUY, quantity=10, price=100.0, trade_id="1", stop=90.0
)


@dataclass
class FakeBroker:
    """An account with some purchases of today and of earlier sessions; counts how often it is read."""

    holdings: list[BrokerHolding] = field(default_factory=list)
    positions: list[BrokerPosition] = field(default_factory=list)
    error: VcpdError | None = None
    reads: int = 0

    async def broker_account(self) -> BrokerAccount:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return BrokerAccount(holdings=tuple(self.holdings), positions=tuple(self.positions))

    def buy_today(self, symbol: str, quantity: int, price: float, product: str = DELIVERY_PRODUCT) -> None:
        self.positions.append(
            BrokerPosition(
                symbol=symbol,
                product=product,
                bought=quantity,
                sold=0,
                net_quantity=quantity,
                buy_price=price,
            )
        )

    def hold(self, symbol: str, quantity: int, price: float) -> None:
        """Shares that are settled."""
        self.holdings.append(
            BrokerHolding(
                symbol=symbol,
                isin="INE000000003",
                settled=quantity,
                unsettled=0,
                pledged=0,
                average_price=price,
            )
        )


@dataclass
class FakeBrokerComparison:
    """ALPHA differs from its trades, BETA has none and was partly bought on loan."""

    account: BrokerAccount = field(default_factory=lambda: BrokerAccount(holdings=(ALPHA, BETA)))
    error: VcpdError | None = None

    async def compare(self) -> BrokerReading:
        if self.error is not None:
            raise self.error
        traded = TradedAccount(book=build_lot_book([ALPHA_FILL], ()), as_of=SESSION)
        return BrokerReading(READ_AT, compare_with_broker(self.account, traded, "NSE", {}))
