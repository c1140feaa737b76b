"""Facts of shares that a market states in its quotes: their daily price bands.

A market that publishes lists of facts needs none of this. Where quotes are all there is, those of a session
are looked at as they are fetched for bars; only what they left out is requested.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from vcpd.core.errors import VcpdError
from vcpd.domain.facts import SymbolFacts
from vcpd.domain.instruments import Quote, StoredInstrument, quote_batches
from vcpd.domain.price_bands import PriceBands
from vcpd.jobs.gaps import BarFinality
from vcpd.jobs.universe import Universe
from vcpd.ports import Clock, MarketData

MAX_SESSIONS: Final = 2  # a collection may look at the session before while another one runs


class QuotedFacts:
    """The price bands in the quotes that were taken, and which symbols' quotes those were."""

    def __init__(self, bands: PriceBands) -> None:
        self._bands = bands
        self._bands_of: dict[date, dict[str, float]] = {}
        self._taken: dict[date, set[str]] = {}

    def take(
        self, instruments: Iterable[StoredInstrument], quotes: Mapping[str, Quote], session: date
    ) -> None:
        """Keep the bands that quotes of `session` state; one without a known band changes nothing."""
        kept, taken = self._bands_of.setdefault(session, {}), self._taken.setdefault(session, set())
        for item in instruments:
            taken.add(item.symbol)
            quote = quotes.get(item.symbol)
            if quote is None or quote.day_text != session.isoformat():
                continue
            width_pct = self._bands.of_quote(quote, item.instrument)
            if width_pct is not None:
                kept[item.symbol] = width_pct
        self._forget_old()

    def not_taken(self, instruments: Iterable[StoredInstrument], session: date) -> list[StoredInstrument]:
        """Returns the instruments without a quote in `session`, as where their bars came as candles."""
        taken = self._taken.get(session, set())
        return [item for item in instruments if item.symbol not in taken]

    def known(self, session: date) -> Sequence[SymbolFacts]:
        """The band of each share whose quotes of `session` stated it."""
        known = self._bands_of.get(session, {})
        return [SymbolFacts(symbol=symbol, price_band_pct=width) for symbol, width in known.items()]

    def _forget_old(self) -> None:
        for session in sorted(self._bands_of)[:-MAX_SESSIONS]:
            del self._bands_of[session], self._taken[session]


@dataclass(frozen=True, slots=True)
class QuotedFactsSource:
    """`FactsSource` of the bands of the whole universe, the same by whichever way its bars came."""

    quoted: QuotedFacts
    market: MarketData
    universe: Universe
    finality: BarFinality
    clock: Clock

    async def facts(self, session: date) -> Sequence[SymbolFacts]:
        """The known bands; quotes that were not requested yet are, while they are those of `session`.

        Raises as `MarketData` does where no band is known.
        """
        try:
            await self._request_others(session)
        except VcpdError:
            if not self.quoted.known(session):
                raise
        return self.quoted.known(session)

    async def _request_others(self, session: date) -> None:
        if not self.finality.quotes_cover(session, self.clock.now()):
            return
        chosen = await self.universe.current()
        for part in quote_batches(self.quoted.not_taken(chosen.all_instruments, session)):
            quotes = await self.market.quotes([item.symbol for item in part])
            self.quoted.take(part, quotes, session)
