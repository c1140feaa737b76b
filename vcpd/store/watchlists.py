"""Watch lists, price levels and snoozes in PostgreSQL; they follow a renamed symbol, see `instruments`."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import asyncpg

from vcpd.domain.watchlists import LevelKind, ListedCompany, PriceLevel, StoredLevel, WatchlistBook
from vcpd.store.database import Database
from vcpd.store.sql_files import named_queries

SQL: Final = named_queries("watchlists")


class PostgresWatchlistStore:
    """`WatchlistStore`, see jobs.price_levels."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def version(self) -> str:
        version: str = await self._database.fetch_value(SQL["version"])
        return version

    async def book(self) -> WatchlistBook:
        async with self._database.transaction() as connection:
            lists = await connection.fetch(SQL["lists"])
            levels = await connection.fetch(SQL["levels"])
            snoozes = await connection.fetch(SQL["snoozes"])
        return WatchlistBook(
            lists={row["list"]: tuple(row["symbols"]) for row in lists},
            levels=tuple(_stored_level(row) for row in levels),
            snoozed_until={row["symbol"]: row["until_session"] for row in snoozes},
        )

    async def companies(self, symbols: Sequence[str]) -> Mapping[str, ListedCompany]:
        rows = await self._database.fetch(SQL["companies"], list(symbols))
        return {row["symbol"]: ListedCompany(row["id"], row["name"]) for row in rows}

    async def add(self, name: str, symbols: Sequence[str]) -> int:
        return await self._database.execute(SQL["add"], name, list(symbols))

    async def remove(self, name: str, symbols: Sequence[str] | None) -> int:
        if symbols is None:
            return await self._database.execute(SQL["remove_list"], name)
        return await self._database.execute(SQL["remove"], name, list(symbols))

    async def rename(self, name: str, new_name: str) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(SQL["rename"], name, new_name)
            await connection.execute(SQL["remove_list"], name)

    async def put_level(self, level: PriceLevel) -> int:
        number: int = await self._database.fetch_value(
            SQL["put_level"], level.symbol, level.kind.value, level.price, level.average, level.note
        )
        return number

    async def remove_levels(self, ids: Sequence[int]) -> int:
        return await self._database.execute(SQL["remove_levels"], list(ids))

    async def snooze(self, symbol: str, until: date | None) -> None:
        if until is None:
            await self._database.execute(SQL["end_snooze"], symbol)
        else:
            await self._database.execute(SQL["snooze"], symbol, until)


def _stored_level(row: asyncpg.Record) -> StoredLevel:
    level = PriceLevel(
        symbol=row["symbol"],
        kind=LevelKind(row["kind"]),
        price=row["price"],
        average=row["average"],
        note=row["note"],
    )
    return StoredLevel(
        id=row["id"],
        level=level,
        reference_session=row["reference_session"],
        reference_close=row["reference_close"],
        present_close=row["present_close"],
    )
