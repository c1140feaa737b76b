"""Facts of shares that a market states in its quotes: their daily price bands.

A market that publishes lists of facts needs none of this. Where quotes are all there is, those of a session
are looked at as they are fetched, so that no further request is sent for the bands.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final

from vcpd.domain.facts import SymbolFacts
from vcpd.domain.instruments import Quote, StoredInstrument
from vcpd.domain.price_bands import PriceBands

MAX_SESSIONS: Final = 2  # a collection may look at the session before while another one runs


class QuotedFacts:
    """`FactsSource` of the price bands in the quotes that were taken; nothing is requested."""

    def __init__(self, bands: PriceBands) -> None:
        self._bands = bands
        self._bands_of: dict[date, dict[str, float]] = {}

    def take(
        self, instruments: Iterable[StoredInstrument], quotes: Mapping[str, Quote], session: date
    ) -> None:
        """Keep the bands that quotes of `session` state; one without a known band changes nothing."""
        kept = self._bands_of.setdefault(session, {})
        for item in instruments:
            quote = quotes.get(item.symbol)
            if quote is None or quote.day_text != session.isoformat():
                continue
            width_pct = self._bands.of_quote(quote, item.instrument)
            if width_pct is not None:
                kept[item.symbol] = width_pct
        self._forget_old()

    async def facts(self, session: date) -> Sequence[SymbolFacts]:
        """The band of each share whose quotes of `session` stated it."""
        known = self._bands_of.get(session, {})
        return [SymbolFacts(symbol=symbol, price_band_pct=width) for symbol, width in known.items()]

    def _forget_old(self) -> None:
        for session in sorted(self._bands_of)[:-MAX_SESSIONS]:
            del self._bands_of[session]
