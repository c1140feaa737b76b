"""Compare what a broker reports with the trades that are stored: differences are listed, none is corrected.

A holding of a company without any stored trade becomes a lot of unknown date at its average price: it has a
cost, but neither stop nor R until its trades are added.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from math import floor

import msgspec

from vcpd.analysis.broker_shares import CompanyNames, CountedAccount, count_shares
from vcpd.analysis.lots import CREDIT_DAYS, ROUNDING
from vcpd.domain.broker import BrokerAccount
from vcpd.domain.broker_comparison import BrokerComparison, CompanyShares, ShareDifference
from vcpd.domain.instruments import base_symbol
from vcpd.domain.portfolio import Lot, LotBook, ShareAdjustment


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
