"""Upper circuits of watched shares: the day's price limit, and whether shares are on offer.

A share whose price stands at its limit has no sellers above it. Where its quote has no shares on sale at
all, an order to buy is not filled: a breakout at that price cannot be bought. Where both limits show a narrow
price band, that is said beside it: such a share may not be sold again for days.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from vcpd.core.errors import VcpdError
from vcpd.domain.facts import NO_PRICE_BANDS, PriceBands, narrow_band_text
from vcpd.domain.instruments import Instrument, Quote
from vcpd.ports import MarketData

LOCKED: Final = "at the upper circuit, no sellers"
AT_LIMIT: Final = "at the upper circuit"
TOLERANCE: Final = 1e-6  # relative; prices and limits are both whole ticks


@dataclass(frozen=True, slots=True)
class UpperLimit:
    """Values of a quote: the day's highest price, the shares on offer, the band; None where unknown."""

    price: float
    shares_on_sale: float | None
    band_pct: float | None


@dataclass(slots=True)
class UpperLimits:
    """The limits of the watched shares by symbol, as the last quotes state them."""

    market: MarketData
    bands: PriceBands = NO_PRICE_BANDS
    reason: str = ""  # why the last refresh changed nothing
    _limits: dict[str, UpperLimit] = field(default_factory=dict)

    async def refresh(self, instruments: Sequence[Instrument]) -> None:
        """Request their quotes; the former limits remain where the market does not answer."""
        if not instruments:
            return
        try:
            quotes = await self.market.quotes([instrument.symbol for instrument in instruments])
        except VcpdError as error:
            self.reason = str(error)
            return
        self.reason = ""
        self.take(instruments, quotes)

    def take(self, instruments: Sequence[Instrument], quotes: Mapping[str, Quote]) -> None:
        """Keep the limits that these quotes state; one without a limit says nothing about it."""
        for instrument in instruments:
            quote = quotes.get(instrument.symbol)
            if quote is not None and quote.upper_limit:
                band_pct = self.bands.of_quote(quote, instrument)
                self._limits[quote.symbol] = UpperLimit(quote.upper_limit, quote.shares_on_sale, band_pct)

    def note(self, symbol: str, price: float) -> str:
        """The note on a share at this price; empty below its limit and where no limit is known."""
        limit = self._limits.get(symbol)
        if limit is None or math.isnan(price) or price < limit.price * (1 - TOLERANCE):
            return ""
        said = LOCKED if limit.shares_on_sale == 0 else AT_LIMIT
        return ", ".join(filter(None, (said, narrow_band_text(limit.band_pct))))
