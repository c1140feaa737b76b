"""Upper circuits of watched shares: the limit that the market states for the day, and whether anybody sells.

A share whose price stands at its limit has no sellers above it. Where its quote has no shares on sale at
all, an order to buy is not filled: a breakout at that price cannot be bought.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from vcpd.core.errors import VcpdError
from vcpd.domain.instruments import Quote
from vcpd.ports import MarketData

LOCKED: Final = "at the upper circuit, no sellers"
AT_LIMIT: Final = "at the upper circuit"
TOLERANCE: Final = 1e-6  # relative; prices and limits are both whole ticks


@dataclass(frozen=True, slots=True)
class UpperLimit:
    """What a quote says: the highest price of the day, and the shares on sale; None where unknown."""

    price: float
    shares_on_sale: float | None


@dataclass(slots=True)
class UpperLimits:
    """The limits of the watched shares by symbol, as the last quotes state them."""

    market: MarketData
    reason: str = ""  # why the last refresh changed nothing
    _limits: dict[str, UpperLimit] = field(default_factory=dict)

    async def refresh(self, symbols: Sequence[str]) -> None:
        """Ask for the quotes of `symbols`; where the market does not answer, the limits before count on."""
        if not symbols:
            return
        try:
            quotes = await self.market.quotes(symbols)
        except VcpdError as error:
            self.reason = str(error)
            return
        self.reason = ""
        self.take(quotes.values())

    def take(self, quotes: Iterable[Quote]) -> None:
        """Keep the limits that these quotes state; one without a limit says nothing about it."""
        for quote in quotes:
            if quote.upper_limit:
                self._limits[quote.symbol] = UpperLimit(quote.upper_limit, quote.shares_on_sale)

    def note(self, symbol: str, price: float) -> str:
        """What to say of a share at this price; empty below its limit and where none is known."""
        limit = self._limits.get(symbol)
        if limit is None or math.isnan(price) or price < limit.price * (1 - TOLERANCE):
            return ""
        return LOCKED if limit.shares_on_sale == 0 else AT_LIMIT
