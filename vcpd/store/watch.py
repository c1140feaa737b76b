"""Live watch in PostgreSQL: provisional events of followed bases, and volume curves."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import asyncpg

from vcpd.domain.instruments import Instrument
from vcpd.domain.live import LiveEvent, StoredVolumeCurve
from vcpd.domain.setups import EventKind
from vcpd.store.binary_format import decode_float_array
from vcpd.store.database import Database
from vcpd.store.sql_files import named_queries

SQL: Final = named_queries("watch")
EVENT_COLUMNS: Final = ("symbol", "anchor_date", "session", "kind", "price", "detail", "at", "volume_ratio")


class PostgresWatchStore:
    """`WatchStore`, see ports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def version(self) -> str:
        return str(await self._database.fetch_value(SQL["version"]))

    async def instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        rows = await self._database.fetch(SQL["instruments"], list(symbols))
        return {row["symbol"]: Instrument(**row) for row in rows}

    async def add(self, events: Sequence[LiveEvent]) -> int:
        """See ports; one of a base that is no longer there is left out.

        One statement, whose commit does not wait for the disk: an alert follows, and its commit, which
        comes later in the same log, waits for both.
        """
        columns = [[getattr(event, name) for event in events] for name in EVENT_COLUMNS]
        return await self._database.execute(SQL["add"], *columns)

    async def events_of(self, session: date) -> Sequence[LiveEvent]:
        return [
            _live_event_from_row(row) for row in await self._database.fetch(SQL["events_of_session"], session)
        ]

    async def curves(self) -> Sequence[StoredVolumeCurve]:
        rows = await self._database.fetch(SQL["curves"])
        return [_curve_from_row(row) for row in rows]

    async def put_curve(self, curve: StoredVolumeCurve) -> None:
        await self._database.execute(
            SQL["put_curve"], curve.symbol, curve.learned_on, curve.sessions, curve.shares.tolist()
        )


def _curve_from_row(row: asyncpg.Record) -> StoredVolumeCurve:
    return StoredVolumeCurve(
        row["symbol"], row["learned_on"], row["sessions"], decode_float_array(row["shares"])
    )


def _live_event_from_row(row: asyncpg.Record) -> LiveEvent:
    values = dict(row)
    return LiveEvent(at=values.pop("seen_at"), kind=EventKind(values.pop("kind")), **values)
