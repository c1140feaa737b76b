"""Keep what the market publishes beside bars: delivery, market value, band hits, results, measures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from vcpd.core.errors import VcpdError
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.facts import SymbolFacts


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
