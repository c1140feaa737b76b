"""Keep what the market states of shares beside bars: delivery, market value, bands, results, measures.

A market that publishes lists of facts is asked for them. Where quotes are all there is, they state the daily
price bands: those of a session are looked at as they are fetched for bars, and only what they left out is
requested.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Protocol

from vcpd.core.errors import VcpdError
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.facts import PriceBands, SymbolFacts
from vcpd.domain.instruments import Quote, StoredInstrument, quote_batches
from vcpd.jobs.gaps import BarFinality
from vcpd.jobs.universe import Universe
from vcpd.ports import Clock, MarketData

MAX_SESSIONS: Final = 2  # a collection may look at the session before while another one runs


class FactsSource(Protocol):
    """A market that publishes facts; raises as `MarketData` does."""

    async def facts(self, session: date) -> Sequence[SymbolFacts]:
        """The facts of each symbol that a published file of `session` names; empty while there is none."""
        ...


class FactsStore(Protocol):
    async def put(
        self, session: date, facts: Sequence[SymbolFacts], results_in_sessions: Mapping[str, int]
    ) -> int:
        """Keep the facts of known symbols, one transaction; what is None leaves a known value as it is.

        Gives how many symbols have new facts.
        """
        ...


@dataclass(frozen=True, slots=True)
class FactsSync:
    """Takes in the facts of a session; it may be called again while files are still to come."""

    source: FactsSource
    store: FactsStore
    calendar: TradingCalendar

    async def __call__(self, session: date) -> tuple[int, str]:
        """How many symbols have new facts, and why there may be more to come: facts never fail a run."""
        try:
            facts = await self.source.facts(session)
        except VcpdError as error:
            return 0, f"the facts of {session} were not stored: {error}"
        ahead = {
            fact.symbol: sessions
            for fact in facts
            if fact.results_on is not None
            and (sessions := self.calendar.sessions_until(session, fact.results_on)) is not None
        }
        return await self.store.put(session, facts, ahead), ""


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
