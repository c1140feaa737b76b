"""Trades of the sandbox's customer, and the holdings and positions that they are on a later day.

A purchase is a position on its session, a holding to be delivered (T1) on the next one, and delivered from
the session after that. A sale is a position on its session and gone from the holding afterwards. Shares that
cost nothing are a credit of bonus shares: they are delivered on their day and never a position.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from vcpd.domain.calendar import TradingCalendar

DELIVERY: Final = "CNC"
Shares = Annotated[int, Meta(ge=1, le=10**9)]
FullSymbol = Annotated[str, Meta(pattern="^[A-Z]+:[^:]{1,64}$")]


class CustomerTrade(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A trade of the customer; price 0 is a credit of bonus shares."""

    symbol: FullSymbol
    session: date
    side: Literal["buy", "sell"]
    quantity: Shares
    price: Annotated[float, Meta(ge=0, le=1e9)]
    product: Literal["CNC", "MIS", "MTF", "NRML", "CO"] = DELIVERY

    @property
    def name(self) -> str:
        """The company, whichever exchange it was traded on."""
        return self.symbol.partition(":")[2]

    @property
    def change(self) -> int:
        """What it adds to the shares that are held."""
        return self.quantity if self.side == "buy" else -self.quantity

    @property
    def is_credit(self) -> bool:
        return self.side == "buy" and self.price == 0.0


class CustomerTrades(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All trades; by company the shares that are pledged, as far as delivered, and those that a loan paid."""

    trades: tuple[CustomerTrade, ...] = ()
    pledged: dict[str, Shares] = {}
    financed: dict[str, Shares] = {}


class HeldShares(msgspec.Struct, frozen=True, kw_only=True):
    """A holding when the day begins, and what is sold of it during the day."""

    symbol: str
    delivered: int  # and not pledged
    t1: int
    pledged: int
    financed: int
    sold_today: int
    average_price: float

    @property
    def opening(self) -> int:
        return self.delivered + self.t1 + self.pledged


def check_trades(account: CustomerTrades) -> None:
    """ValueError, naming company and day, for a sale of more than is held, and for a pledge of nothing.

    Within a session the order of its trades does not matter.
    """
    by_name = _by_name(account)
    for own in by_name.values():
        held = 0
        for session in dict.fromkeys(trade.session for trade in own):
            held += sum(trade.change for trade in own if trade.session == session)
            if held < 0:
                raise ValueError(f"trades: {own[0].name} {session}: a sale of {-held} shares more than held")
    if missing := (account.pledged.keys() | account.financed.keys()) - by_name.keys():
        raise ValueError(f"pledged or financed: {', '.join(sorted(missing))}: no trade for delivery")


def held_shares(account: CustomerTrades, today: date, calendar: TradingCalendar) -> list[HeldShares]:
    """The holdings of `today`, of checked trades."""
    last_session = calendar.previous(today)
    holdings = [_holding(account, own, today, last_session) for own in _by_name(account).values()]
    return [holding for holding in holdings if holding.opening or holding.financed]


def trades_of_day(account: CustomerTrades, today: date) -> Iterator[tuple[CustomerTrade, ...]]:
    """The trades of `today`, together where symbol and product are the same."""
    grouped: dict[tuple[str, str], list[CustomerTrade]] = defaultdict(list)
    for trade in account.trades:
        if trade.session == today and not trade.is_credit:
            grouped[trade.symbol, trade.product].append(trade)
    return map(tuple, grouped.values())


def _by_name(account: CustomerTrades) -> dict[str, list[CustomerTrade]]:
    """The trades for delivery of each company, oldest first."""
    by_name: dict[str, list[CustomerTrade]] = defaultdict(list)
    for trade in sorted(account.trades, key=lambda trade: trade.session):
        if trade.product == DELIVERY:
            by_name[trade.name].append(trade)
    return by_name


def _holding(
    account: CustomerTrades, own: Sequence[CustomerTrade], today: date, last_session: date
) -> HeldShares:
    name = own[0].name
    carried = [
        trade for trade in own if trade.session < today or (trade.is_credit and trade.session == today)
    ]
    held = sum(trade.change for trade in carried)
    latest = [trade for trade in carried if trade.session >= last_session and not trade.is_credit]
    t1 = max(0, sum(trade.change for trade in latest))
    pledged = min(account.pledged.get(name, 0), held - t1)
    bought = [trade for trade in carried if trade.side == "buy"]
    paid = sum(trade.quantity * trade.price for trade in bought)
    sold_today = sum(trade.quantity for trade in own if trade.session == today and trade.side == "sell")
    return HeldShares(
        symbol=own[0].symbol,
        delivered=held - t1 - pledged,
        t1=t1,
        pledged=pledged,
        financed=account.financed.get(name, 0),
        sold_today=min(held, sold_today),
        average_price=round(paid / sum(trade.quantity for trade in bought), 6) if bought else 0.0,
    )
