"""What the live watch keeps in PostgreSQL: provisional events of followed bases, and volume curves."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import asyncpg

from vcpd.domain.instruments import Instrument
from vcpd.domain.live import Sighting, StoredCurve
from vcpd.domain.setups import EventKind
from vcpd.store.array_format import floats_of
from vcpd.store.database import Database
from vcpd.store.named_queries import named_queries

SQL: Final = named_queries("watch")
COLUMNS: Final = ("symbol", "anchor_date", "session", "kind", "price", "detail", "at", "volume_ratio")


class PostgresWatchStore:
    """`WatchStore`, see ports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def version(self) -> str:
        return str(await self._database.fetch_value(SQL["version"]))

    async def instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        rows = await self._database.fetch(SQL["instruments"], list(symbols))
        return {row["symbol"]: Instrument(**row) for row in rows}

    async def add(self, sightings: Sequence[Sighting]) -> int:
        """See ports; one of a base that is no longer there is left out.

        One statement, whose commit does not wait for the disk: an alert follows, and its commit, which
        comes later in the same log, waits for both.
        """
        columns = [[getattr(one, name) for one in sightings] for name in COLUMNS]
        return await self._database.execute(SQL["add"], *columns)

    async def seen(self, session: date) -> Sequence[Sighting]:
        return [_sighting(row) for row in await self._database.fetch(SQL["seen"], session)]

    async def curves(self) -> Sequence[StoredCurve]:
        rows = await self._database.fetch(SQL["curves"])
        return [_curve(row) for row in rows]

    async def put_curve(self, curve: StoredCurve) -> None:
        await self._database.execute(
            SQL["put_curve"], curve.symbol, curve.learned_on, curve.sessions, curve.shares.tolist()
        )


def _curve(row: asyncpg.Record) -> StoredCurve:
    return StoredCurve(row["symbol"], row["learned_on"], row["sessions"], floats_of(row["shares"]))


def _sighting(row: asyncpg.Record) -> Sighting:
    values = dict(row)
    return Sighting(at=values.pop("seen_at"), kind=EventKind(values.pop("kind")), **values)
