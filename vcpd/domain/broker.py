"""What a broker reports of an account, and how it differs from the stored trades.

Each share is in one place at a time. On the session of its purchase it is a trade of today; on the next one
it is a holding that is not settled yet (T1); from the session after that it is settled. A sale of today is a
trade of today, and the holding still has the shares until the next session. So the quantity is that of the
holding's parts plus the net of today's trades, on each of these sessions.
"""

from datetime import datetime
from typing import Final

import msgspec

from vcpd.domain.portfolio import Lot

DELIVERY_PRODUCT: Final = "CNC"
PRODUCT_NAMES: Final = {
    "MTF": "margin trading facility",
    "MIS": "intraday",
    "CO": "intraday, cover order",
    "BO": "intraday, bracket order",
    "NRML": "carried on margin",
}
SHARE_EXCHANGES: Final = frozenset({"NSE", "BSE"})


class BrokerHolding(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of one company that were held when the day began; all counts are in shares.

    `net_quantity` and `opening` are the broker's own sums, to check the parts by; None where it gives none.
    """

    symbol: str  # with the exchange that the broker names it by
    isin: str
    settled: int
    unsettled: int  # T1: bought on the session before, not delivered yet
    pledged: int
    average_price: float
    net_quantity: int | None = None
    opening: int | None = None
    sold_today: int = 0  # the trades of today contain them too
    short: int = 0  # that sellers did not deliver
    financed: int = 0  # bought with the margin trading facility, apart from all others
    has_discrepancy: bool = False  # as the broker says

    @property
    def quantity(self) -> int:
        """What was held when the day began."""
        return self.settled + self.unsettled + self.pledged

    @property
    def is_consistent(self) -> bool:
        """Whether the broker's sums are sums of the parts.

        A broker may or may not count unsettled shares, pledged ones and those that were sold today; any other
        sum means that the parts overlap, or that a part is missing. Without either sum it is taken as given.
        """
        sums = {
            self.settled + unsettled + pledged
            for unsettled in (0, self.unsettled)
            for pledged in (0, self.pledged)
        }
        if self.opening is not None and self.opening not in sums:
            return False
        net = self.net_quantity
        return net is None or any(total - self.sold_today <= net <= total for total in sums)


class BrokerPosition(msgspec.Struct, frozen=True, kw_only=True):
    """What was traded today in one symbol and product; `net_quantity` includes what earlier sessions left."""

    symbol: str
    product: str
    bought: int
    sold: int
    net_quantity: int
    buy_price: float = 0.0  # average of today's purchases; 0 without any

    @property
    def net_today(self) -> int:
        """What today's trades add to the holding; below 0 for sales."""
        return self.bought - self.sold

    @property
    def carried(self) -> int:
        """What the position has from earlier sessions; the holdings have these shares as T1."""
        return self.net_quantity - self.net_today

    @property
    def reason_left_out(self) -> str | None:
        """Why it is no purchase or sale of shares for delivery; None where it is."""
        exchange = self.symbol.partition(":")[0]
        if exchange not in SHARE_EXCHANGES:
            return f"a contract on {exchange}, no shares"
        if self.product != DELIVERY_PRODUCT:
            name = PRODUCT_NAMES.get(self.product, "not for delivery")
            return f"product {self.product}: {name}"
        return None


class BrokerAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Both reports, of one moment."""

    holdings: tuple[BrokerHolding, ...] = ()
    positions: tuple[BrokerPosition, ...] = ()


class CompanyShares(msgspec.Struct, frozen=True, kw_only=True):
    """What the account has of a company; all counts are in shares, `traded_today` is below 0 for sales.

    `quantity` is the sum of the four parts. `isin` is empty where nobody gives it. `average_price` is that of
    the holding and of today's purchases together; None where it is not given.
    """

    symbol: str
    isin: str
    quantity: int
    settled: int = 0
    unsettled: int = 0
    pledged: int = 0
    traded_today: int = 0
    average_price: float | None = None


class LeftOutPosition(msgspec.Struct, frozen=True):
    """A position of the broker that the comparison leaves out, with the reason."""

    symbol: str
    quantity: int
    reason: str


class ShareDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A company of which the broker reports another number of shares than the stored trades leave."""

    symbol: str
    at_broker: int
    in_trades: int
    text: str


class BrokerComparison(msgspec.Struct, frozen=True, kw_only=True):
    """The account as the broker reports it, what differs, and a lot for each holding without trades."""

    companies: tuple[CompanyShares, ...]
    differences: tuple[ShareDifference, ...]
    unknown_lots: tuple[Lot, ...]
    left_out: tuple[LeftOutPosition, ...]
    notices: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether the stored trades explain all that the broker reports."""
        return not self.differences and not self.unknown_lots


class BrokerReading(msgspec.Struct, frozen=True):
    """A comparison with the account as it was at `read_at`."""

    read_at: datetime
    comparison: BrokerComparison
