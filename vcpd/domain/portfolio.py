"""Purchases and sales of shares, the lots that they leave, and the trades that are closed.

Prices are in the market's currency. A fill's price is the one of its day; lots and closed trades are restated
to the shares of today: a split of 1 into 5 makes five shares of each and divides prices and stops by five.
"""

from datetime import date
from enum import StrEnum
from typing import Final

import msgspec

DEFAULT_RULES: Final = "default"  # the set of sell rules that [positions] states


class Side(StrEnum):
    """Whether shares were bought or sold."""

    BUY = "buy"
    SELL = "sell"


class Fill(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An executed order, or a part of one; the same `trade_id` of a symbol and session is the same fill.

    A purchase at price 0 is a credit of bonus shares. `stop` is the initial stop of a purchase, at the prices
    of its day.
    """

    symbol: str
    session: date
    side: Side
    quantity: int
    price: float
    trade_id: str
    order_id: str = ""  # fills of one order become one lot
    stop: float | None = None
    note: str = ""
    rules: str = DEFAULT_RULES  # the set of sell rules of a purchase

    @property
    def key(self) -> tuple[str, date, str]:
        """What makes two rows the same trade."""
        return self.symbol, self.session, self.trade_id

    @property
    def order_key(self) -> tuple[str, date, str]:
        """The same for all fills of one order."""
        return self.symbol, self.session, f"order {self.order_id}" if self.order_id else self.trade_id

    @property
    def is_credit(self) -> bool:
        """Whether it is bonus shares that reached the account."""
        return self.side is Side.BUY and self.price == 0.0


class StoredFill(msgspec.Struct, frozen=True, kw_only=True):
    """A fill as it is kept; its symbol is the present one, its price, stop and shares those of its day.

    `reference_close` is the close of its session at that day's scale of prices, `present_close` the same
    session's close as it is stated today: after a split of 1 into 5 the first is five times the second. None
    where no bar of the session is stored.
    """

    id: int
    fill: Fill
    isin: str = ""
    reference_close: float | None = None
    present_close: float | None = None


class ShareAdjustment(msgspec.Struct, frozen=True, gc=False):
    """From `session` on there are `ratio` shares for each one before: 5 after a split of 1 into 5."""

    symbol: str
    session: date
    ratio: float


class SymbolChange(msgspec.Struct, frozen=True):
    """A company's shares are traded as `new_symbol` from the start of `session` on."""

    symbol: str
    session: date
    new_symbol: str


class Lot(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Shares of one purchase that are still held; `number` counts the purchases in their order.

    `opened` is None for a holding whose purchase is not known: it has a cost, but no age, stop or R.
    """

    number: int
    symbol: str
    opened: date | None
    quantity: int
    entry: float  # a share, without charges
    stop: float | None = None  # the initial one
    note: str = ""
    rules: str = DEFAULT_RULES  # the set of sell rules by which it is held

    @property
    def cost(self) -> float:
        return self.quantity * self.entry

    @property
    def risk_per_share(self) -> float | None:
        """What one share lost at its initial stop; None without a stop below the entry."""
        if self.stop is None or self.stop >= self.entry:
            return None
        return self.entry - self.stop


class ClosedTrade(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A lot, or a part of one, that was sold."""

    number: int  # its lot's
    symbol: str
    opened: date | None
    closed: date
    quantity: int
    entry: float
    exit: float
    stop: float | None = None  # the initial one
    note: str = ""
    exit_note: str = ""
    rules: str = DEFAULT_RULES  # the set of sell rules by which it was held
    charges: float | None = None  # of purchase and sale, in the market's currency; None: not known

    @property
    def profit(self) -> float:
        """The profit before charges."""
        return self.quantity * (self.exit - self.entry)

    @property
    def risk_per_share(self) -> float | None:
        """What one share lost at the initial stop; None without a stop below the entry."""
        if self.stop is None or self.stop >= self.entry:
            return None
        return self.entry - self.stop

    @property
    def result_r(self) -> float | None:
        """The result in units of the initial risk; None where that is not known."""
        risk = self.risk_per_share
        return None if risk is None else (self.exit - self.entry) / risk

    @property
    def held_days(self) -> int | None:
        return None if self.opened is None else (self.closed - self.opened).days


class RefusedFill(msgspec.Struct, frozen=True):
    """A row that was not taken, with its place and the reason; `order_key` is that of a fill."""

    place: str
    reason: str
    order_key: tuple[str, date, str] | None = None


class LotBook(msgspec.Struct, frozen=True, kw_only=True):
    """The result of fills: open lots and closed trades, oldest first; rejected fills; notes."""

    lots: tuple[Lot, ...] = ()
    closed: tuple[ClosedTrade, ...] = ()
    refused: tuple[RefusedFill, ...] = ()
    notices: tuple[str, ...] = ()

    def quantity(self, symbol: str) -> int:
        """How many shares of it are held."""
        return sum(lot.quantity for lot in self.lots if lot.symbol == symbol)


class CurvePoint(msgspec.Struct, frozen=True, kw_only=True):
    """An account after `session`: open lots, the R of all closed trades and of the open lots, open risk."""

    session: date
    lots: int
    closed_r: float
    open_r: float
    at_risk: float | None


class PositionTexts(msgspec.Struct, frozen=True, kw_only=True):
    """The report of an account after `session` and its journal, written out as JSON where they are made."""

    session: date
    report: str
    journal: str


class JudgedHeat(msgspec.Struct, frozen=True, kw_only=True):
    """The heat of an account after `session` as JSON; `null` where the account's value was not known."""

    session: date
    heat: str
