"""Facts of symbols in PostgreSQL, by session; setups show the latest ones (`setups.sql`)."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from vcpd.domain.facts import SymbolFacts
from vcpd.store.database import Database
from vcpd.store.sql_files import named_queries

SQL: Final = named_queries("facts")
SEPARATOR: Final = "; "  # between the measures of surveillance in one text


class PostgresFactsStore:
    """`FactsStore`, see jobs.facts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(
        self, session: date, facts: Sequence[SymbolFacts], results_in_sessions: Mapping[str, int]
    ) -> int:
        return await self._database.execute(
            SQL["put"],
            session,
            [fact.symbol for fact in facts],
            [fact.delivery_pct for fact in facts],
            [fact.market_cap for fact in facts],
            [None if fact.band_hit is None else fact.band_hit.value for fact in facts],
            [fact.results_on for fact in facts],
            [SEPARATOR.join(fact.surveillance) or None for fact in facts],
            [results_in_sessions.get(fact.symbol) for fact in facts],
            [fact.price_band_pct for fact in facts],
            [fact.series_change for fact in facts],
        )
