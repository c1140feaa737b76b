"""Regimes of the market and ranks of its sectors in PostgreSQL, a row for each session."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final, TypeVar

import msgspec

from vcpd.core.errors import PermanentError
from vcpd.domain.market_regime import EncodedRegime, MarketContext, MarketRegime, SectorLevel, SectorRank
from vcpd.store.database import Database
from vcpd.store.sql_files import named_queries

T = TypeVar("T")
SQL: Final = named_queries("regimes")
ROWS_PER_STATEMENT: Final = 100  # half a megabyte with the sectors, packed between two ticks of the loop
_regime_decoder = msgspec.json.Decoder(MarketRegime)
_sectors_decoder = msgspec.json.Decoder(list[SectorRank])
_context_decoder = msgspec.json.Decoder(MarketContext)


class PostgresRegimeStore:
    """`RegimeStore`, see jobs.market_regime, and `RegimeReader`, see web.context."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def last_before(self, session: date) -> date | None:
        last: date | None = await self._database.fetch_value(SQL["last_before"], session)
        return last

    async def texts_until(self, session: date, limit: int) -> Sequence[str]:
        rows = await self._database.fetch(SQL["texts_until"], session, limit)
        return [row["regime"] for row in rows]

    async def put(self, regimes: Sequence[EncodedRegime], setup_sessions: int) -> None:
        """All sessions appear at once; the setups are counted for the last one alone."""
        async with self._database.transaction() as connection:
            for start in range(0, len(regimes), ROWS_PER_STATEMENT):
                part = regimes[start : start + ROWS_PER_STATEMENT]
                await connection.execute(
                    SQL["put"],
                    [regime.session for regime in part],
                    [regime.term for regime in part],
                    [regime.text for regime in part],
                    [regime.sectors for regime in part],
                    setup_sessions,
                )
            if regimes:
                await connection.execute(SQL["count_setups"], regimes[-1].session)

    async def regimes(self, until: date | None, limit: int) -> Sequence[MarketRegime]:
        rows = await self._database.fetch(SQL["regimes"], until, limit)
        return [_decode(_regime_decoder, row["regime"]) for row in rows]

    async def sectors(
        self, until: date | None, level: SectorLevel = SectorLevel.SECTOR
    ) -> tuple[date | None, Sequence[SectorRank]]:
        rows = await self._database.fetch(SQL["sectors"], until)
        if not rows:
            return None, ()
        ranks = _decode(_sectors_decoder, rows[0]["sectors"])
        return rows[0]["session"], [rank for rank in ranks if rank.level is level]

    async def market_context(self, symbol: str, session: date) -> tuple[str | None, MarketContext | None]:
        """The sector of a symbol, and what stands beside its setup after `session`; None is unknown."""
        (row,) = await self._database.fetch(SQL["market_context"], session, symbol)
        context = row["context"]
        return row["sector"], None if context is None else _decode(_context_decoder, context)

    async def sector_history(
        self, until: date | None, limit: int, level: SectorLevel = SectorLevel.SECTOR
    ) -> Mapping[str, Mapping[date, int | None]]:
        ranks: dict[str, dict[date, int | None]] = defaultdict(dict)
        for row in await self._database.fetch(SQL["sector_history"], until, limit, level):
            ranks[row["sector"]][row["session"]] = row["rank"]
        return ranks


def _decode(decoder: "msgspec.json.Decoder[T]", text: str) -> T:
    """PermanentError when the text is no regime of this program's shape."""
    try:
        return decoder.decode(text)
    except msgspec.MsgspecError as error:
        raise PermanentError(f"a stored regime of the market cannot be read: {error}") from None
