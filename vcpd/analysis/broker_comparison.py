"""Compare what a broker reports with the trades that are stored: differences are listed, none is corrected.

The quantity is settled + unsettled (T1) + pledged + today's net delivery trades. One company is one row,
whichever exchange its shares were bought on: they are joined by ISIN. What is no share for delivery is named
and left out. A holding of a company without any stored trade becomes a lot of unknown date at its average
price: it has a cost, but neither stop nor R until its trades are added.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from math import floor
from typing import Final

import msgspec

from vcpd.analysis.lots import CREDIT_DAYS, ROUNDING
from vcpd.domain.broker import (
    BrokerAccount,
    BrokerComparison,
    BrokerHolding,
    BrokerPosition,
    CompanyShares,
    LeftOutPosition,
    ShareDifference,
)
from vcpd.domain.instruments import base_symbol
from vcpd.domain.portfolio import Lot, LotBook, ShareAdjustment

FINANCED: Final = "margin trading facility"


class CountedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Companies in the order of their symbols, what was left out, and what one must know."""

    companies: tuple[CompanyShares, ...]
    left_out: tuple[LeftOutPosition, ...]
    notices: tuple[str, ...]


class CompanyNames:
    """Finds for each symbol that a broker or a trade gives the symbol of its company.

    `exchange` is the one whose symbols name companies: `NSE`. `symbols_by_isin` gives the symbol that it has
    for an ISIN, as far as that is known; otherwise the holdings' own rows of this exchange do. A company
    without either keeps its other symbol.
    """

    def __init__(
        self, holdings: Sequence[BrokerHolding], exchange: str, symbols_by_isin: Mapping[str, str]
    ) -> None:
        self.exchange = exchange
        self._symbol_of = {isin: base_symbol(name) for isin, name in symbols_by_isin.items()}
        for holding in holdings:
            if holding.isin and self.has(holding.symbol):
                self._symbol_of.setdefault(holding.isin, base_symbol(holding.symbol))
        self._isin_of = {name: isin for isin, name in self._symbol_of.items()}
        self._isin_of |= {base_symbol(holding.symbol): holding.isin for holding in holdings if holding.isin}

    def has(self, symbol: str) -> bool:
        """Whether it is a symbol of the exchange."""
        return symbol.startswith(f"{self.exchange}:")

    def isin(self, symbol: str) -> str:
        """Empty where it is not known."""
        return self._isin_of.get(base_symbol(symbol), "")

    def symbol(self, symbol: str) -> str:
        """Returns the symbol of the same ISIN; without one, the symbol without the suffix of its series."""
        return self._symbol_of.get(self.isin(symbol), base_symbol(symbol))


def count_shares(account: BrokerAccount, names: CompanyNames) -> CountedAccount:
    """Counts each company once."""
    held: dict[str, list[BrokerHolding]] = defaultdict(list)
    traded: dict[str, list[BrokerPosition]] = defaultdict(list)
    for holding in account.holdings:
        held[names.symbol(holding.symbol)].append(holding)
    for position in account.positions:
        if position.reason_left_out is None:
            traded[names.symbol(position.symbol)].append(position)
    symbols = sorted(held.keys() | traded.keys())
    unnamed = [
        f"{name}: its ISIN names no symbol of {names.exchange}" for name in symbols if not names.has(name)
    ]
    uncertain = [text for name in symbols for text in _notices(name, held[name], traded[name])]
    return CountedAccount(
        companies=tuple(_company(name, names.isin(name), held[name], traded[name]) for name in symbols),
        left_out=tuple(_left_out(account)),
        notices=(*unnamed, *uncertain),
    )


def _company(
    symbol: str, isin: str, held: Sequence[BrokerHolding], traded: Sequence[BrokerPosition]
) -> CompanyShares:
    parts = {
        "settled": sum(holding.settled for holding in held),
        "unsettled": sum(holding.unsettled for holding in held),
        "pledged": sum(holding.pledged for holding in held),
        "traded_today": sum(position.net_today for position in traded),
    }
    return CompanyShares(
        symbol=symbol,
        isin=isin,
        quantity=sum(parts.values()),
        **parts,
        average_price=_average_price(held, traded),
    )


def _average_price(held: Sequence[BrokerHolding], traded: Sequence[BrokerPosition]) -> float | None:
    """Returns the average price; None without purchases, and where the price of one is not given."""
    parts = [(holding.quantity, holding.average_price) for holding in held if holding.quantity]
    parts += [(position.bought, position.buy_price) for position in traded if position.bought]
    if not parts or any(price <= 0 for _, price in parts):
        return None
    return sum(shares * price for shares, price in parts) / sum(shares for shares, _ in parts)


def _left_out(account: BrokerAccount) -> Iterator[LeftOutPosition]:
    for holding in account.holdings:
        if holding.financed:
            yield LeftOutPosition(holding.symbol, holding.financed, FINANCED)
    for position in account.positions:
        if (reason := position.reason_left_out) is not None:
            yield LeftOutPosition(position.symbol, position.net_quantity, reason)


def _notices(symbol: str, held: Sequence[BrokerHolding], traded: Sequence[BrokerPosition]) -> Iterator[str]:
    """What makes the count of a company uncertain."""
    if any(not holding.is_consistent for holding in held):
        yield f"{symbol}: the broker's own sums are not those of its settled, T1 and pledged shares"
    if any(holding.has_discrepancy for holding in held):
        yield f"{symbol}: the broker marks the holding as one with a discrepancy"
    if short := sum(holding.short for holding in held):
        yield f"{symbol}: {short:,} bought shares were not delivered by the seller"
    unsettled = sum(holding.unsettled for holding in held)
    if (carried := sum(position.carried for position in traded)) and carried != unsettled:
        yield (
            f"{symbol}: the positions carry {carried:,} shares from earlier sessions, the holding has "
            f"{unsettled:,} as T1: only the holding's are counted"
        )


class TradedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What the trades up to `as_of` leave, and the splits and bonuses that it counts in already."""

    book: LotBook
    as_of: date
    adjustments: tuple[ShareAdjustment, ...] = ()


def compare_with_broker(
    account: BrokerAccount, traded: TradedAccount, exchange: str, symbols_by_isin: Mapping[str, str]
) -> BrokerComparison:
    """Compares company by company; `exchange` and `symbols_by_isin` are those of `CompanyNames`."""
    names = CompanyNames(account.holdings, exchange, symbols_by_isin)
    counted = count_shares(account, names)
    book_shares = _shares_by_company(traded.book, names)
    known = book_shares.keys() | {names.symbol(trade.symbol) for trade in traded.book.closed}
    unknown = [company for company in counted.companies if _is_unknown_lot(company, known)]
    lots = _unknown_lots(unknown, traded.book)
    explained = {company.symbol for company in unknown}
    return BrokerComparison(
        companies=counted.companies,
        differences=tuple(_differences(counted, book_shares, explained, traded)),
        unknown_lots=tuple(lots),
        left_out=counted.left_out,
        notices=counted.notices,
    )


def _shares_by_company(book: LotBook, names: CompanyNames) -> Mapping[str, int]:
    shares: dict[str, int] = defaultdict(int)
    for lot in book.lots:
        shares[names.symbol(lot.symbol)] += lot.quantity
    return shares


def _is_unknown_lot(company: CompanyShares, known: Iterable[str]) -> bool:
    """Whether nothing was ever stored of it, and its cost is known."""
    return company.symbol not in known and company.quantity > 0 and company.average_price is not None


def _unknown_lots(companies: Iterable[CompanyShares], book: LotBook) -> Iterator[Lot]:
    """Lots numbered after all those of the book, which keep their numbers."""
    numbers = [*(lot.number for lot in book.lots), *(trade.number for trade in book.closed)]
    for number, company in enumerate(companies, max(numbers, default=0) + 1):
        if company.average_price is not None:
            yield Lot(
                number=number,
                symbol=company.symbol,
                opened=None,
                quantity=company.quantity,
                entry=company.average_price,
            )


def _differences(
    counted: CountedAccount, book_shares: Mapping[str, int], explained: Iterable[str], traded: TradedAccount
) -> Iterator[ShareDifference]:
    at_broker = {company.symbol: company.quantity for company in counted.companies}
    for symbol in sorted((at_broker.keys() | book_shares.keys()) - set(explained)):
        broker, trades = at_broker.get(symbol, 0), book_shares.get(symbol, 0)
        if broker != trades:
            text = f"the broker reports {broker:,} shares, the stored trades leave {trades:,}"
            remark = _late_credit(symbol, broker, trades, traded)
            yield ShareDifference(symbol=symbol, at_broker=broker, in_trades=trades, text=text + remark)


def _late_credit(symbol: str, broker: int, trades: int, traded: TradedAccount) -> str:
    """Names a recent split or bonus whose new shares are exactly those that the broker lacks; else empty."""
    for action in traded.adjustments:
        age_days = (traded.as_of - action.session).days
        after = floor(broker * action.ratio + ROUNDING)
        if base_symbol(action.symbol) == symbol and 0 <= age_days <= CREDIT_DAYS and after == trades:
            return (
                f"; the split or bonus of {action.session} ({action.ratio:g} shares for each) may not be "
                "credited yet"
            )
    return ""
