"""Stars and notes of symbols, and the session of each symbol's setup that was looked at last, in PostgreSQL.

A star is the membership in a list named `starred`, so that further named lists need no further table. Marks
follow a renamed symbol, see `store.instruments`.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from vcpd.domain.instruments import SymbolMark
from vcpd.domain.watchlists import STARRED
from vcpd.store.database import Connection, Database
from vcpd.store.sql_files import named_queries

SQL: Final = named_queries("marks")


class PostgresMarkStore:
    """`MarkStore`, see web.context."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def marks(self) -> Sequence[SymbolMark]:
        return [_mark(row["symbol"], row) for row in await self._database.fetch(SQL["marks"], STARRED)]

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
                await connection.execute(SQL["put_seen"], symbol, seen)
            rows = await connection.fetch(SQL["mark"], STARRED, symbol)
        return _mark(symbol, rows[0])


def _mark(symbol: str, row: Mapping[str, Any]) -> SymbolMark:
    return SymbolMark(symbol, row["starred"], row["note"], row["seen"])


async def _set_star(connection: Connection, symbol: str, *, starred: bool) -> None:
    await connection.execute(SQL["add_to_list" if starred else "remove_from_list"], STARRED, symbol)


async def _set_note(connection: Connection, symbol: str, note: str) -> None:
    if note:
        await connection.execute(SQL["put_note"], symbol, note)
    else:
        await connection.execute(SQL["remove_note"], symbol)
