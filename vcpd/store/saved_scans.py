"""Scans that were saved on the page, in PostgreSQL."""

from collections.abc import Sequence
from typing import Final

from vcpd.domain.scans import SavedScan
from vcpd.store.database import Database
from vcpd.store.sql_files import named_queries

SQL: Final = named_queries("saved_scans")


class PostgresSavedScans:
    """`SavedScanStore`, see jobs.scan_library."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Sequence[SavedScan]:
        return [SavedScan(**row) for row in await self._database.fetch(SQL["all"])]

    async def put(self, scan: SavedScan) -> None:
        await self._database.execute(SQL["put"], scan.name, scan.expression, scan.followed)

    async def remove(self, name: str) -> bool:
        return await self._database.execute(SQL["remove"], name) > 0
