"""Listing periods: follows a share through new symbols, series and ISINs.

A file names a share by symbol and ISIN as of its session. A split brings a new ISIN under the same
symbol, a rename a new symbol under the same ISIN. An old symbol that comes back for another company
after a pause is another share.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from hashlib import blake2b
from typing import Final

import msgspec

ISIN_ISSUER: Final = slice(2, 7)  # of an ISIN: the company, whatever it issues
MAX_LISTING_GAP: Final = timedelta(days=60)
TOKEN_BYTES: Final = 6


class ListingPeriod(msgspec.Struct, frozen=True):
    """A share under one symbol and one ISIN: its first and last session, and its latest data."""

    symbol: str
    isin: str
    first: date
    last: date
    series: str
    company: str = ""


class SymbolPeriod(msgspec.Struct, frozen=True):
    """Sessions [first, last] of a history that use `symbol`."""

    symbol: str
    first: date
    last: date


def merge_periods(periods: Iterable[ListingPeriod]) -> list[ListingPeriod]:
    """Merge periods of the same symbol and ISIN; the latest file wins."""
    merged: dict[tuple[str, str], ListingPeriod] = {}
    for period in sorted(periods, key=lambda period: period.last):
        known = merged.get((period.symbol, period.isin), period)
        merged[period.symbol, period.isin] = msgspec.structs.replace(
            period, first=min(known.first, period.first), company=period.company or known.company
        )
    return list(merged.values())


def periods_by_symbol(periods: Iterable[ListingPeriod]) -> dict[str, list[ListingPeriod]]:
    """The listing periods of each symbol, the latest first."""
    found: dict[str, list[ListingPeriod]] = {}
    for period in sorted(periods, key=lambda period: (period.last, period.first), reverse=True):
        found.setdefault(period.symbol, []).append(period)
    return found


class ListingIndex:
    """The listing periods of a market's shares, and queries on them."""

    def __init__(self, periods: Sequence[ListingPeriod]) -> None:
        self._by_symbol = periods_by_symbol(periods)
        self._by_isin: dict[str, list[ListingPeriod]] = {}
        for period in periods:
            if period.isin:
                self._by_isin.setdefault(period.isin, []).append(period)

    def listed(self, since: date) -> list[ListingPeriod]:
        """The latest listing period of each share seen since; replaced symbols are left out."""
        latest = [periods[0] for periods in self._by_symbol.values()]
        return [period for period in latest if period.last >= since and not self._has_successor(period)]

    def isin_of(self, symbol: str) -> str:
        """The last known ISIN, blank where no file gave one."""
        return next((period.isin for period in self._by_symbol.get(symbol, ()) if period.isin), "")

    def symbol_periods(self, symbol: str) -> list[SymbolPeriod]:
        """The symbols and sessions of the history of the share now called `symbol`, oldest first."""
        found: list[SymbolPeriod] = []
        seen: set[str] = set()
        limit = date.max
        while symbol and symbol not in seen:
            seen.add(symbol)
            own = _periods_of_latest_share(
                [period for period in self._by_symbol.get(symbol, ()) if period.first <= limit]
            )
            if not own:
                break
            first, last = min(period.first for period in own), min(own[0].last, limit)
            found.append(SymbolPeriod(symbol, first, last))
            symbol, limit = self._predecessor(own, first, seen)
        return found[::-1]

    def _predecessor(self, own: Sequence[ListingPeriod], first: date, seen: set[str]) -> tuple[str, date]:
        """The symbol of an earlier period under one of the same ISINs, and the day before this one."""
        earlier = [
            period
            for isin in {period.isin for period in own if period.isin}
            for period in self._by_isin.get(isin, ())
            if period.first < first and period.symbol not in seen
        ]
        if not earlier:
            return "", first
        return max(earlier, key=lambda period: period.last).symbol, first - timedelta(days=1)

    def _has_successor(self, period: ListingPeriod) -> bool:
        others = self._by_isin.get(period.isin, ()) if period.isin else ()
        return any(other.symbol != period.symbol and other.first > period.last for other in others)


def instrument_token(isin: str, name: str) -> int:
    """A number that stays with the ISIN through renames and new series, or with the name without one."""
    return int.from_bytes(blake2b((isin or name).encode(), digest_size=TOKEN_BYTES).digest())


def _periods_of_latest_share(periods: Sequence[ListingPeriod]) -> list[ListingPeriod]:
    """Keeps the listing periods, latest first, that are of the same share as the first."""
    kept = list(periods[:1])
    for period in periods[1:]:
        later = kept[-1]
        if later.first - period.last > MAX_LISTING_GAP and not _same_issuer(later, period):
            break
        kept.append(period)
    return kept


def _same_issuer(period: ListingPeriod, other: ListingPeriod) -> bool:
    return not period.isin or not other.isin or period.isin[ISIN_ISSUER] == other.isin[ISIN_ISSUER]
