"""Risk scores by session, in PostgreSQL."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from vcpd.domain.risk import Band, RiskMark, RiskScore
from vcpd.store.database import Database
from vcpd.store.named_queries import named_queries
from vcpd.store.verdicts import VERDICTS_A_STATEMENT, decoded, encoded, instrument_ids

SQL: Final = named_queries("risk")


class PostgresRiskStore:
    """`RiskStore`, see ports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, as_of: date, scores: Sequence[RiskScore]) -> None:
        """See ports; the session's scores become these. Raises PermanentError for an unknown symbol."""
        verdicts = await encoded(scores)
        async with self._database.transaction() as connection:
            symbols = [one.symbol for one in scores]
            ids = await instrument_ids(connection, SQL["instrument_ids"], symbols)
            keys = [ids[symbol] for symbol in symbols]
            await connection.execute(SQL["note_session"], as_of)
            await connection.execute(SQL["drop_others"], as_of, keys)
            columns = keys, [one.score for one in scores], [one.band for one in scores], verdicts
            for start in range(0, len(scores), VERDICTS_A_STATEMENT):
                some = (column[start : start + VERDICTS_A_STATEMENT] for column in columns)
                await connection.execute(SQL["put"], as_of, *some)

    async def as_of(self, session: date | None = None) -> tuple[date | None, Sequence[RiskScore]]:
        """See ports. (None, nothing) where that session, or any, was never scored."""
        query = "latest_session" if session is None else "was_scored"
        arguments = () if session is None else (session,)
        scored: date | None = await self._database.fetch_value(SQL[query], *arguments)
        if scored is None:
            return None, ()
        return scored, await decoded(await self._database.fetch(SQL["of_session"], scored), RiskScore)

    async def of(self, symbol: str) -> Sequence[RiskScore]:
        return await decoded(await self._database.fetch(SQL["of_symbol"], symbol), RiskScore)

    async def marks(self, session: date) -> Mapping[str, RiskMark]:
        """See ports."""
        rows = await self._database.fetch(SQL["marks"], session)
        return {symbol: RiskMark(score, None if band is None else Band(band)) for symbol, score, band in rows}
