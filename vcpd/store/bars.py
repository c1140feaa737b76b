"""Daily bars in PostgreSQL, and the rows that were kept apart from them.

Bars are read and written in bulk by binary COPY; unchanged rows are not rewritten.
"""

import io
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import date
from typing import Final, TypeAlias

import asyncpg
import msgspec
import numpy as np

from vcpd.core.errors import BadInputError, PermanentError
from vcpd.domain.bars import BarSeries, BarTable
from vcpd.domain.quality_rules import QualityFlag, QualityRule, QuarantinedBar
from vcpd.ports import Coverage, MergeCounts, SessionSpan
from vcpd.store.binary_format import SERIES_ROW, bar_records, decode_copy, encode_copy
from vcpd.store.database import Connection, Database, affected_rows
from vcpd.store.sql_files import named_queries

SQL: Final = named_queries("bars")
COLUMNS: Final = ("instrument_id", "session", "open", "high", "low", "close", "volume", "provisional")
SCHEMA: Final = "vcpd"
BULK_ROWS: Final = 10_000  # below, asking who has bars costs more than it saves
ROWS_PER_BATCH: Final = 200_000
MAX_RESCALED_SHOWN: Final = 5
EARLIEST_DATE: Final = date(1, 1, 1)
BatchExtent: TypeAlias = tuple[list[int], date, date]  # the instruments of a batch, first and last session


class PostgresBarStore:
    """`BarStore`, see ports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def coverage(self) -> Mapping[int, Coverage]:
        rows = await self._database.fetch(SQL["coverage"])
        return {
            row["id"]: Coverage(
                _span(row["asked_first"], row["asked_last"]), row["last_bar"], row["first_provisional"]
            )
            for row in rows
        }

    async def newest_session(self) -> date | None:
        """The newest session of which any bar is stored."""
        newest: date | None = await self._database.fetch_value(SQL["newest_session"])
        return newest

    async def merge(
        self, bars: BarTable, asked: Mapping[int, SessionSpan], *, refuses_other_scale: bool = False
    ) -> MergeCounts:
        """See ports. Raises PermanentError for an unknown instrument or a session given twice."""
        keys = sorted({int(key) for key in np.unique(bars.instrument_id)} | asked.keys())
        async with self._database.transaction() as connection:
            await _lock_instruments(connection, keys)
            counts = await _merge_bars(connection, bars, compares_scale=refuses_other_scale)
            await _widen_coverage(connection, asked)
        return counts

    async def replace(self, instrument_id: int, series: BarSeries, asked: SessionSpan) -> MergeCounts:
        """See ports. Old bars within `asked` that `series` lacks go; earlier and later ones stay."""
        table = BarTable.gather([(instrument_id, series)])
        async with self._database.transaction() as connection:
            await _lock_instruments(connection, [instrument_id])
            await connection.execute(SQL["stage"])
            await _copy_in(connection, "incoming_bars", table, temporary=True)
            span = (asked.first, asked.last)
            dropped = affected_rows(await connection.execute(SQL["drop_superseded"], instrument_id, *span))
            updated = affected_rows(await connection.execute(SQL["replace_staged"]))
            inserted = await connection.fetchval(SQL["insert_staged"])
            if dropped or updated or inserted:
                await connection.execute(SQL["note_whole_histories"], [instrument_id])
            await connection.execute(SQL["set_asked"], instrument_id, *span)
        return MergeCounts(inserted, updated, len(table) - updated - inserted)

    async def series(self, instrument_id: int, first: date | None = None) -> BarSeries:
        """See ports. Raises KeyError for an unknown instrument."""
        async with self._database.connection() as connection:
            symbol = await connection.fetchval(SQL["symbol"], instrument_id)
            if symbol is None:
                raise KeyError(instrument_id)
            content = io.BytesIO()
            await connection.copy_from_query(
                SQL["series"], instrument_id, first or EARLIEST_DATE, output=content, format="binary"
            )
        return BarSeries(symbol, bar_records(decode_copy(content.getvalue(), SERIES_ROW)))


def _span(first: date | None, last: date | None) -> SessionSpan | None:
    return SessionSpan(first, last) if first is not None and last is not None else None


async def _lock_instruments(connection: Connection, keys: Sequence[int]) -> None:
    """Begin to change bars. Two merges of one instrument go in sequence; ascending keys cannot deadlock.

    The caller notes in `bar_changes` what it changes.
    """
    await connection.execute(SQL["begin_noting_changes"])
    rows = await connection.fetch(SQL["lock_instruments"], keys)
    if len(rows) < len(keys):
        unknown = sorted(set(keys) - {row["id"] for row in rows})
        raise PermanentError(f"bars of unknown instruments: {', '.join(map(str, unknown[:5]))}")


async def _merge_bars(connection: Connection, bars: BarTable, *, compares_scale: bool) -> MergeCounts:
    """Merges bars in bulk: copies those of instruments without bars, compares the others first."""
    if len(bars) < BULK_ROWS:
        return await _merge_by_comparison(connection, bars, compares_scale=compares_scale)
    keys = [int(key) for key in np.unique(bars.instrument_id)]
    filled = [row["id"] for row in await connection.fetch(SQL["with_bars"], keys)]
    known = np.isin(bars.instrument_id, filled)
    fresh = _select_rows(bars, ~known)
    if len(fresh):
        await _copy_in(connection, "bars", fresh)
        await connection.execute(SQL["note_whole_histories"], np.unique(fresh.instrument_id).tolist())
    rest = _select_rows(bars, known)
    compared = await _merge_by_comparison(connection, rest, compares_scale=compares_scale)
    return MergeCounts(compared.inserted + len(fresh), compared.updated, compared.unchanged)


def _select_rows(bars: BarTable, chosen: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> BarTable:
    return bars if chosen.all() else BarTable(bars.instrument_id[chosen], bars.records[chosen])


async def _merge_by_comparison(
    connection: Connection, bars: BarTable, *, compares_scale: bool
) -> MergeCounts:
    """A batch of instruments at a time, so that each comparison fits into the server's memory."""
    if not len(bars):
        return MergeCounts()
    await connection.execute(SQL["stage"])
    inserted = updated = 0
    for batch in _batches(bars):
        await connection.execute(SQL["clear_stage"])
        await _copy_in(connection, "incoming_bars", batch, temporary=True)
        extent = _batch_extent(batch)
        merge = _merge_on_same_scale if compares_scale else _merge_staged
        row = await merge(connection, extent)
        inserted, updated = inserted + row["inserted"], updated + row["updated"]
    return MergeCounts(inserted, updated, len(bars) - inserted - updated)


async def _merge_staged(connection: Connection, extent: BatchExtent) -> asyncpg.Record:
    return await connection.fetchrow(SQL["merge_staged"], *extent)


async def _merge_on_same_scale(connection: Connection, extent: BatchExtent) -> asyncpg.Record:
    """The same, after a comparison of scales where a price would change; an unchanged file needs none."""
    attempt = connection.transaction()
    await attempt.start()
    row = await _merge_staged(connection, extent)
    if not row["updated"]:
        await attempt.commit()
        return row
    await attempt.rollback()
    await _require_same_scale(connection, extent)
    return await _merge_staged(connection, extent)


async def _require_same_scale(connection: Connection, extent: BatchExtent) -> None:
    """BadInputError naming the instruments whose staged prices are a multiple of the stored ones."""
    rows = await connection.fetch(SQL["rescaled_staged"], *extent)
    if not rows:
        return
    named = [
        f"{row['symbol']} ({row['ratio']:.4g} times the stored price on {row['rescaled']} of "
        f"{row['compared']} sessions, {row['first']} to {row['last']})"
        for row in rows[:MAX_RESCALED_SHOWN]
    ]
    more = f" and {len(rows) - MAX_RESCALED_SHOWN} more" if len(rows) > MAX_RESCALED_SHOWN else ""
    raise BadInputError(f"prices on another scale than the stored ones: {', '.join(named)}{more}")


def _batches(bars: BarTable) -> Iterator[BarTable]:
    for start in range(0, len(bars), ROWS_PER_BATCH):
        part = slice(start, start + ROWS_PER_BATCH)
        yield BarTable(bars.instrument_id[part], bars.records[part])


def _batch_extent(bars: BarTable) -> BatchExtent:
    """The instruments of a batch, its first and its last session."""
    sessions = bars.records["session"]
    return np.unique(bars.instrument_id).tolist(), sessions.min().item(), sessions.max().item()


async def _copy_in(connection: Connection, table: str, bars: BarTable, *, temporary: bool = False) -> None:
    await connection.copy_to_table(
        table,
        schema_name=None if temporary else SCHEMA,
        columns=COLUMNS,
        format="binary",
        source=_encode_stream(bars),
    )


async def _encode_stream(bars: BarTable) -> AsyncIterator[bytes]:
    for chunk in encode_copy(bars.instrument_id, bars.records):
        yield chunk


async def _widen_coverage(connection: Connection, asked: Mapping[int, SessionSpan]) -> None:
    if asked:
        spans = list(asked.values())
        await connection.execute(
            SQL["widen_asked"], list(asked), [span.first for span in spans], [span.last for span in spans]
        )


QUARANTINE_SQL: Final = named_queries("quarantine")


class PostgresQuarantineStore:
    """`QuarantineStore`, see ports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, bars: Sequence[QuarantinedBar]) -> int:
        if not bars:
            return 0
        return await self._database.execute(
            QUARANTINE_SQL["add"],
            [bar.symbol for bar in bars],
            [bar.session for bar in bars],
            [bar.rule.value for bar in bars],
            [bar.reason for bar in bars],
            [msgspec.json.encode(bar.payload, order="sorted").decode() for bar in bars],
        )

    async def set_flags(self, judged: Sequence[str], flags: Sequence[QualityFlag]) -> None:
        symbols = [flag.symbol for flag in flags]
        rules = [flag.rule.value for flag in flags]
        sessions = [flag.session for flag in flags]
        reasons = [flag.reason for flag in flags]
        excludes = [flag.excludes for flag in flags]
        async with self._database.transaction() as connection:
            await connection.execute(QUARANTINE_SQL["drop_flags"], list(judged), symbols, rules, sessions)
            await connection.execute(QUARANTINE_SQL["put_flags"], symbols, rules, sessions, reasons, excludes)

    async def flags(self) -> Sequence[QualityFlag]:
        rows = await self._database.fetch(QUARANTINE_SQL["flags"])
        return [
            QualityFlag(
                row["symbol"], QualityRule(row["rule"]), row["session"], row["reason"], row["excludes"]
            )
            for row in rows
        ]

    async def recent(
        self, limit: int, symbol: str | None = None, rule: QualityRule | None = None
    ) -> Sequence[QuarantinedBar]:
        rows = await self._database.fetch(QUARANTINE_SQL["recent"], limit, symbol, rule)
        return [
            QuarantinedBar(
                row["symbol"],
                row["session"],
                QualityRule(row["rule"]),
                row["reason"],
                msgspec.json.decode(row["payload"]),
            )
            for row in rows
        ]

    async def counts(self) -> Mapping[QualityRule, int]:
        return {
            QualityRule(row["rule"]): row["rows"]
            for row in await self._database.fetch(QUARANTINE_SQL["counts"])
        }

    async def unscheduled_sessions(self, since: date) -> Mapping[date, int]:
        """Symbols that traded, by day that was no session when their bars came, from `since` on."""
        rows = await self._database.fetch(QUARANTINE_SQL["unscheduled_sessions"], since)
        return {row["session"]: row["symbols"] for row in rows}
