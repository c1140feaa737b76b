"""Match sales with purchases, first in, first out, through splits, bonuses and new symbols.

What is bought and sold again within one session is settled between the two and never held: it is left out, as
the exchange does. Fills of one order become one lot at their average price.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Final

import msgspec

from vcpd.domain.portfolio import (
    ClosedTrade,
    Fill,
    Lot,
    LotBook,
    RefusedFill,
    ShareAdjustment,
    Side,
    SymbolChange,
)

Event = ShareAdjustment | SymbolChange
CREDIT_DAYS: Final = 60  # bonus shares reach an account within so many days after their ex-date
ROUNDING: Final = 1e-9
RATIO_TOLERANCE: Final = 1e-3


def build_lot_book(fills: Iterable[Fill], events: Iterable[Event] = ()) -> LotBook:
    """The lots and closed trades after all `fills`, in any order, and the events up to the last day.

    The same fill twice counts once. A sale of more than is held is refused whole.
    """
    matcher = _Matcher()
    distinct = {fill.key: fill for fill in fills}.values()
    for session, own, due in _by_session(distinct, events):
        for event in due:
            matcher.apply(event)
        matcher.trade(session, own)
    return matcher.book()


def _by_session(
    fills: Iterable[Fill], events: Iterable[Event]
) -> Iterator[tuple[date, list[Fill], list[Event]]]:
    """Each session's fills, as they came, and the events before them: splits before new symbols."""
    traded: dict[date, list[Fill]] = defaultdict(list)
    due: dict[date, list[Event]] = defaultdict(list)
    for fill in fills:
        traded[fill.session].append(fill)
    for event in events:
        due[event.session].append(event)
    for session in sorted(traded.keys() | due.keys()):
        ordered = sorted(
            due.get(session, ()), key=lambda event: (isinstance(event, SymbolChange), event.symbol)
        )
        yield session, traded[session], ordered


class _Matcher:
    """Open lots by symbol while the fills are read in their order."""

    def __init__(self) -> None:
        self._lots: dict[str, list[Lot]] = defaultdict(list)
        self._closed: list[ClosedTrade] = []
        self._refused: list[RefusedFill] = []
        self._notices: list[str] = []
        self._adjusted: list[ShareAdjustment] = []
        self._count = 0

    def book(self) -> LotBook:
        lots = sorted((lot for own in self._lots.values() for lot in own), key=lambda lot: lot.number)
        return LotBook(
            lots=tuple(lots),
            closed=tuple(self._closed),
            refused=tuple(self._refused),
            notices=tuple(self._notices),
        )

    def apply(self, event: Event) -> None:
        """A split, bonus or new symbol, for the lots and for what they were sold for."""
        if isinstance(event, SymbolChange):
            self._rename(event)
        else:
            self._adjusted.append(event)
            self._multiply(event.symbol, event.ratio, f"{event.session}")

    def trade(self, session: date, fills: Sequence[Fill]) -> None:
        """One session's fills of all symbols: credits first, then what remains of each symbol's day."""
        by_symbol: dict[str, list[Fill]] = defaultdict(list)
        for fill in fills:
            by_symbol[fill.symbol].append(fill)
        for symbol, own in by_symbol.items():
            if len(own) == 1 and not own[0].is_credit:
                (self._buy_all if own[0].side is Side.BUY else self._sell_all)(own)
                continue
            bought, sold = self._without_credits(own)
            if len(bought) + len(sold) > 1:
                bought, sold = self._net(symbol, session, bought, sold)
            self._sell_all(sold)
            self._buy_all(bought)

    def _net(
        self, symbol: str, session: date, bought: list[Fill], sold: list[Fill]
    ) -> tuple[list[Fill], list[Fill]]:
        """Purchases and sales of a day by order, without what went both ways, which is named."""
        bought, sold, round_trip = net_of_day(merge_orders(bought), merge_orders(sold))
        if round_trip:
            self._notices.append(
                f"{symbol} {session}: {round_trip:,} shares bought and sold within the day are left out"
            )
        return bought, sold

    def _without_credits(self, own: Sequence[Fill]) -> tuple[list[Fill], list[Fill]]:
        """One symbol's purchases and sales of a session, after its credits of bonus shares are taken in."""
        bought: list[Fill] = []
        sold: list[Fill] = []
        for fill in own:
            if fill.side is Side.SELL:
                sold.append(fill)
            elif fill.price == 0.0:
                self._credit(fill)
            else:
                bought.append(fill)
        return bought, sold

    def _buy_all(self, bought: Sequence[Fill]) -> None:
        for fill in bought:
            self._count += 1
            self._lots[fill.symbol].append(
                Lot(
                    number=self._count,
                    symbol=fill.symbol,
                    opened=fill.session,
                    quantity=fill.quantity,
                    entry=fill.price,
                    stop=fill.stop,
                    note=fill.note,
                    rules=fill.rules,
                )
            )

    def _sell_all(self, sold: Sequence[Fill]) -> None:
        """Sales take the lots of earlier sessions: the day's own purchases that remain are added after."""
        for fill in sold:
            held = sum([lot.quantity for lot in self._lots[fill.symbol]])
            if fill.quantity > held:
                reason = f"a sale of {fill.quantity:,} shares, but {held:,} are held"
                self._refuse(fill, reason)
            else:
                self._sell(fill)

    def _sell(self, fill: Fill) -> None:
        wanted = fill.quantity
        lots = self._lots[fill.symbol]
        while wanted:
            lot = lots.pop(0)
            taken = min(wanted, lot.quantity)
            wanted -= taken
            self._closed.append(_closed(lot, taken, fill))
            if taken < lot.quantity:
                lots.insert(0, msgspec.structs.replace(lot, quantity=lot.quantity - taken))

    def _credit(self, fill: Fill) -> None:
        """Bonus shares that the account received: those of a known action, or an action of their own."""
        held = sum(lot.quantity for lot in self._lots[fill.symbol])
        for known in self._adjusted:
            age = (fill.session - known.session).days
            if known.symbol == fill.symbol and 0 <= age <= CREDIT_DAYS:
                self._notices.append(
                    f"{fill.symbol} {fill.session}: a credit of {fill.quantity:,} shares belongs to the "
                    f"action of {known.session}"
                )
                return
        if not held:
            reason = f"a credit of {fill.quantity:,} bonus shares, but no share is held"
            self._refuse(fill, reason)
            return
        self._multiply(fill.symbol, (held + fill.quantity) / held, f"{fill.session}")

    def _refuse(self, fill: Fill, reason: str) -> None:
        place = f"{fill.symbol} {fill.session} trade {fill.trade_id}"
        self._refused.append(RefusedFill(place, reason, fill.order_key))

    def _multiply(self, symbol: str, ratio: float, when: str) -> None:
        lots = self._lots[symbol]
        self._lots[symbol], fraction = multiply_lots(lots, ratio)
        self._closed = [
            _restated_trade(trade, ratio) if trade.symbol == symbol else trade for trade in self._closed
        ]
        if fraction > RATIO_TOLERANCE:
            self._notices.append(f"{symbol} {when}: a fraction of {fraction:.3f} shares is paid in cash")

    def _rename(self, event: SymbolChange) -> None:
        moved = [
            msgspec.structs.replace(lot, symbol=event.new_symbol) for lot in self._lots.pop(event.symbol, [])
        ]
        self._lots[event.new_symbol] = sorted(
            [*self._lots[event.new_symbol], *moved], key=lambda lot: lot.number
        )
        self._closed = [
            msgspec.structs.replace(trade, symbol=event.new_symbol) if trade.symbol == event.symbol else trade
            for trade in self._closed
        ]


def _closed(lot: Lot, quantity: int, sale: Fill) -> ClosedTrade:
    return ClosedTrade(
        number=lot.number,
        symbol=lot.symbol,
        opened=lot.opened,
        closed=sale.session,
        quantity=quantity,
        entry=lot.entry,
        exit=sale.price,
        stop=lot.stop,
        note=lot.note,
        exit_note=sale.note,
        rules=lot.rules,
    )


def _restated_trade(trade: ClosedTrade, ratio: float) -> ClosedTrade:
    """Prices in the shares of today; the quantity stays what was sold times the ratio, rounded."""
    return msgspec.structs.replace(
        trade,
        quantity=round(trade.quantity * ratio),
        entry=trade.entry / ratio,
        exit=trade.exit / ratio,
        stop=None if trade.stop is None else trade.stop / ratio,
    )


def multiply_lots(lots: Sequence[Lot], ratio: float) -> tuple[list[Lot], float]:
    """The lots after an action, and the fraction of a share that is paid in cash.

    The exchange rounds the whole holding down, not each lot: the newest lots bear the difference.
    """
    total = sum(lot.quantity for lot in lots) * ratio
    whole = math.floor(total + ROUNDING)
    result, before, exact = [], 0, 0.0
    for lot in lots:
        exact += lot.quantity * ratio
        until = min(whole, math.floor(exact + ROUNDING))
        result.append(
            msgspec.structs.replace(
                lot,
                quantity=until - before,
                entry=lot.entry / ratio,
                stop=None if lot.stop is None else lot.stop / ratio,
            )
        )
        before = until
    return [lot for lot in result if lot.quantity], total - whole


def merge_orders(fills: list[Fill]) -> list[Fill]:
    """Fills of one order as one, at their average price; fills without an order stay apart."""
    if len(fills) < 2:
        return fills
    merged: dict[str, Fill] = {}
    for fill in fills:
        name = fill.order_key[-1]
        known = merged.get(name)
        if known is not None:
            quantity = known.quantity + fill.quantity
            price = (known.quantity * known.price + fill.quantity * fill.price) / quantity
            merged[name] = msgspec.structs.replace(known, quantity=quantity, price=price)
        else:
            merged[name] = fill
    return list(merged.values())


def net_of_day(bought: list[Fill], sold: list[Fill]) -> tuple[list[Fill], list[Fill], int]:
    """One symbol's purchases and sales of one session without what went both ways, and how many that were."""
    if not bought or not sold:
        return bought, sold, 0
    both = min(sum(fill.quantity for fill in bought), sum(fill.quantity for fill in sold))
    return _without(bought, both), _without(sold, both), both


def _without(fills: Sequence[Fill], quantity: int) -> list[Fill]:
    """The fills less their first `quantity` shares."""
    kept = []
    for fill in fills:
        taken = min(quantity, fill.quantity)
        quantity -= taken
        if taken < fill.quantity:
            kept.append(msgspec.structs.replace(fill, quantity=fill.quantity - taken))
    return kept
