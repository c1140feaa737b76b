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
            [one.symbol for one in facts],
            [one.delivery_pct for one in facts],
            [one.market_cap for one in facts],
            [None if one.band_hit is None else one.band_hit.value for one in facts],
            [one.results_on for one in facts],
            [SEPARATOR.join(one.surveillance) or None for one in facts],
            [results_in_sessions.get(one.symbol) for one in facts],
        )
