"""Instruments in PostgreSQL: followed through renames and new tokens, never deleted."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import asyncpg

from vcpd.domain.instruments import Instrument, InstrumentChanges, StoredInstrument
from vcpd.store.database import Connection, Database
from vcpd.store.instrument_list import ListPlan, plan_merge
from vcpd.store.named_queries import named_queries

SQL: Final = named_queries("instruments")


class PostgresInstrumentStore:
    """`InstrumentStore`, see ports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Sequence[StoredInstrument]:
        return [_stored(row) for row in await self._database.fetch(SQL["all"])]

    async def merge(self, listed: Sequence[Instrument], as_of: date) -> InstrumentChanges:
        """See ports; two merges at once go one after the other."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_list"])
            stored = [_stored(row) for row in await connection.fetch(SQL["all"])]
            plan = plan_merge(stored, listed)
            await _rename(connection, plan)
            await _upsert(connection, plan.current, as_of)
            await connection.execute(SQL["delist"], list(plan.changes.gone))
        return plan.changes

    async def add(self, instruments: Sequence[Instrument], as_of: date) -> int:
        """Add those whose symbol is not known yet, leave all others as they are; gives their number.

        They count as listed, and are asked of the market, from the day the exchange's list names them.
        """
        return await self._database.execute(SQL["add_unknown"], *_columns_of(instruments), as_of)

    async def set_sectors(self, sectors: Mapping[str, str]) -> int:
        """See ports."""
        return await self._database.execute(SQL["set_sectors"], list(sectors), list(sectors.values()))

    async def sector_of(self, symbol: str) -> str | None:
        """The sector of a symbol, None where no list told it."""
        sector: str | None = await self._database.fetch_value(SQL["sector_of"], symbol)
        return sector


async def _rename(connection: Connection, plan: ListPlan) -> None:
    if not plan.renames:
        return
    ids, old, new = ([rename[place] for rename in plan.renames] for place in range(3))
    await connection.execute(SQL["rename"], ids, new)
    await connection.execute(SQL["clear_flags"], new)
    await connection.execute(SQL["rename_flags"], old, new)
    await connection.execute(SQL["rename_quarantine"], old, new)


async def _upsert(connection: Connection, listed: Sequence[Instrument], as_of: date) -> None:
    await connection.execute(SQL["upsert"], *_columns_of(listed), as_of)


def _columns_of(listed: Sequence[Instrument]) -> list[list[object]]:
    columns = ("symbol", "token", "name", "tick_size", "lot_size", "segment", "series")
    return [[getattr(instrument, name) for instrument in listed] for name in columns]


def _stored(row: asyncpg.Record) -> StoredInstrument:
    instrument = Instrument(
        row["symbol"],
        row["token"],
        row["name"],
        row["tick_size"],
        row["lot_size"],
        row["segment"],
        row["series"],
    )
    seen = row["first_seen"], row["last_seen"]
    return StoredInstrument(row["id"], instrument, row["listed"], *seen, row["sector"])
