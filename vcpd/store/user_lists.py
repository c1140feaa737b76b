"""What the user keeps, in PostgreSQL: watch lists, price levels, snoozes, marks of symbols, saved scans.

A star is the membership in a list named `starred`. A mark is star, note, and the session of the symbol's
setup that was looked at last. All that belongs to a symbol follows when it is renamed, see `instruments`.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import asyncpg

from vcpd.domain.instruments import SymbolMark
from vcpd.domain.scans import SavedScan
from vcpd.domain.watchlists import STARRED, LevelKind, ListedCompany, PriceLevel, StoredLevel, WatchlistBook
from vcpd.store.database import Connection, Database
from vcpd.store.sql_files import named_queries

LIST_SQL: Final = named_queries("watchlists")
MARK_SQL: Final = named_queries("marks")
SCAN_SQL: Final = named_queries("saved_scans")


class PostgresWatchlistStore:
    """`WatchlistStore`, see jobs.price_levels."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def version(self) -> str:
        version: str = await self._database.fetch_value(LIST_SQL["version"])
        return version

    async def book(self) -> WatchlistBook:
        async with self._database.transaction() as connection:
            lists = await connection.fetch(LIST_SQL["lists"])
            levels = await connection.fetch(LIST_SQL["levels"])
            snoozes = await connection.fetch(LIST_SQL["snoozes"])
        return WatchlistBook(
            lists={row["list"]: tuple(row["symbols"]) for row in lists},
            levels=tuple(_stored_level(row) for row in levels),
            snoozed_until={row["symbol"]: row["until_session"] for row in snoozes},
        )

    async def companies(self, symbols: Sequence[str]) -> Mapping[str, ListedCompany]:
        rows = await self._database.fetch(LIST_SQL["companies"], list(symbols))
        return {row["symbol"]: ListedCompany(row["id"], row["name"]) for row in rows}

    async def add(self, name: str, symbols: Sequence[str]) -> int:
        return await self._database.execute(LIST_SQL["add"], name, list(symbols))

    async def remove(self, name: str, symbols: Sequence[str] | None) -> int:
        if symbols is None:
            return await self._database.execute(LIST_SQL["remove_list"], name)
        return await self._database.execute(LIST_SQL["remove"], name, list(symbols))

    async def rename(self, name: str, new_name: str) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(LIST_SQL["rename"], name, new_name)
            await connection.execute(LIST_SQL["remove_list"], name)

    async def put_level(self, level: PriceLevel) -> int:
        number: int = await self._database.fetch_value(
            LIST_SQL["put_level"], level.symbol, level.kind.value, level.price, level.average, level.note
        )
        return number

    async def remove_levels(self, ids: Sequence[int]) -> int:
        return await self._database.execute(LIST_SQL["remove_levels"], list(ids))

    async def snooze(self, symbol: str, until: date | None) -> None:
        if until is None:
            await self._database.execute(LIST_SQL["end_snooze"], symbol)
        else:
            await self._database.execute(LIST_SQL["snooze"], symbol, until)


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


class PostgresMarkStore:
    """`MarkStore`, see web.context."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def marks(self) -> Sequence[SymbolMark]:
        return [_mark(row["symbol"], row) for row in await self._database.fetch(MARK_SQL["marks"], STARRED)]

    async def change(
        self, symbol: str, *, starred: bool | None, note: str | None, seen: date | None = None
    ) -> SymbolMark:
        """Changes what is not None; removes the note if it is empty. Returns the resulting mark."""
        async with self._database.transaction() as connection:
            if starred is not None:
                await _set_star(connection, symbol, starred=starred)
            if note is not None:
                await _set_note(connection, symbol, note.strip())
            if seen is not None:
                await connection.execute(MARK_SQL["put_seen"], symbol, seen)
            rows = await connection.fetch(MARK_SQL["mark"], STARRED, symbol)
        return _mark(symbol, rows[0])


def _mark(symbol: str, row: Mapping[str, Any]) -> SymbolMark:
    return SymbolMark(symbol, row["starred"], row["note"], row["seen"])


async def _set_star(connection: Connection, symbol: str, *, starred: bool) -> None:
    await connection.execute(MARK_SQL["add_to_list" if starred else "remove_from_list"], STARRED, symbol)


async def _set_note(connection: Connection, symbol: str, note: str) -> None:
    if note:
        await connection.execute(MARK_SQL["put_note"], symbol, note)
    else:
        await connection.execute(MARK_SQL["remove_note"], symbol)


class PostgresSavedScans:
    """`SavedScanStore`, see jobs.scan."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Sequence[SavedScan]:
        return [SavedScan(**row) for row in await self._database.fetch(SCAN_SQL["all"])]

    async def put(self, scan: SavedScan) -> None:
        await self._database.execute(SCAN_SQL["put"], scan.name, scan.expression, scan.followed)

    async def remove(self, name: str) -> bool:
        return await self._database.execute(SCAN_SQL["remove"], name) > 0
