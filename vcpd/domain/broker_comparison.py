"""What a broker's account has of each company, and where that differs from the stored trades."""

from datetime import datetime

import msgspec

from vcpd.domain.portfolio import Lot


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
