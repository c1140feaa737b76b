"""Bar files: reads bars from files and folders in the layouts that people have, and writes them.

A file is taken whole or refused: what is no table of daily bars, or can be read two ways, raises
BadInputError that names the file and what was expected. Rows that cannot be read, or break a rule of
quality, are kept apart with file, row and reason. docs/import.md lists the layouts.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import polars as pl

from vcpd.core.dates import DateOrder
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import BAR_DTYPE, PRICE_FIELDS, BarSeries, BarTable, IntArray, RecordArray
from vcpd.domain.quality_rules import (
    ANY_SESSION,
    CheckedTable,
    QualityRule,
    QuarantinedBar,
    ValidSessions,
    check_table,
)
from vcpd.store.bar_columns import OpenDateOrderError, parse_table
from vcpd.store.bar_layouts import normalized_name
from vcpd.store.bar_rows import FROM_FILE_NAME, FileReading, ParsedTable, ReadingOptions
from vcpd.store.needed_rows import NeededRows, select_needed
from vcpd.store.table_files import (
    OPTIONAL_SUFFIX,
    NoHeaderError,
    NoRowsError,
    read_table,
    spreadsheets,
    table_files,
    write_frame,
)

MAX_DISPUTED_ROWS: Final = 20  # and half of the rows: more are no duplicates but another kind of bars
INTRADAY_SHARE: Final = 0.1  # of the sessions of a file that have several times of day
MIN_WEEKLY_STEPS: Final = 12
MAX_NAMES_SHOWN: Final = 5
DATES_AS_WRITTEN: Final = ZoneInfo("UTC")  # where no exchange is known
WEEKLY_STEP_DAYS: Final = 5
ROWS_OF_DAILY_STEPS: Final = 10_000  # they usually show that bars are daily, without a look at all rows


@dataclass(frozen=True, slots=True, eq=False)
class BarFile:
    """Histories by ascending symbol, rows kept apart, sentences for the user, and what was read as what."""

    series: tuple[BarSeries, ...]
    quarantined: tuple[QuarantinedBar, ...]
    notices: tuple[str, ...]
    readings: tuple[FileReading, ...] = ()


@dataclass(slots=True, eq=False)
class _FolderReader:
    """Reads a path's files one after another; files whose dates stay open are decided by the other files."""

    path: Path
    options: ReadingOptions
    needed: NeededRows | None = None  # of a single file
    parsed: list[ParsedTable] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def read(self) -> list[ParsedTable]:
        """BadInputError where a file cannot be used or none holds a row."""
        waiting: list[tuple[Path, OpenDateOrderError]] = []
        for path in table_files(self.path):
            try:
                self._parse(path, self.options)
            except OpenDateOrderError as error:
                waiting.append((path, error))
            except (NoRowsError, NoHeaderError) as error:
                self._leave_out(path, error)
        for path, refusal in waiting:
            self._parse_like_others(path, refusal)
        if not self.parsed:
            raise BadInputError("; ".join(self.notices) or f"{self.path}: no rows")
        if self.path.is_dir():
            self.notices += [f"{file}: left out: save it as CSV" for file in spreadsheets(self.path)]
        return self._without_index_files()

    def _parse(self, path: Path, options: ReadingOptions) -> None:
        table = read_table(path)
        if self.needed is not None and path == self.path:
            table = select_needed(table, self.needed)
        self.parsed.append(parse_table(table, options))

    def _leave_out(self, path: Path, error: BadInputError) -> None:
        is_note = isinstance(error, NoHeaderError) and path.suffix.lower() == OPTIONAL_SUFFIX
        if not self.path.is_dir() or (isinstance(error, NoHeaderError) and not is_note):
            raise error
        self.notices.append(f"{error}: left out")

    def _parse_like_others(self, path: Path, error: OpenDateOrderError) -> None:
        """A daily file's one date is read as the other files of its folder settle it."""
        orders = {table.reading.date_order for table in self.parsed} - {None}
        if len(orders) != 1:
            raise error
        self._parse(path, replace(self.options, date_order=orders.pop()))
        self.notices.append(f"{path}: dates read {self.parsed[-1].reading.date_order}, as in the other files")

    def _without_index_files(self) -> list[ParsedTable]:
        """The exchange's daily index values lie beside its daily files of shares, and are no shares."""
        own = [table for table in self.parsed if not _is_index_values(table)]
        if not own or len(own) == len(self.parsed):
            return self.parsed
        self.notices.append(
            f"{self.path}: {len(self.parsed) - len(own)} files of index values left out: read them alone"
        )
        return own


def _is_index_values(table: ParsedTable) -> bool:
    return normalized_name(table.reading.columns["symbol"]) == "indexname"


def read_bars(  # noqa: PLR0913 - the optional ones are keywords
    path: Path,
    sessions: ValidSessions = ANY_SESSION,
    *,
    zone: ZoneInfo = DATES_AS_WRITTEN,
    date_order: DateOrder | None = None,
    is_index: bool = False,
    needed: NeededRows | None = None,
) -> BarFile:
    """Read one file, or every table anywhere below a folder, as one body of daily bars.

    `zone` is the exchange's, for dates that are written as instants; `date_order` reads dates that allow two
    orders; with `is_index` closes are enough; `needed` leaves out what one symbol's evaluation does not need.
    Raises BadInputError naming file, row and reason; nothing is half-loaded.
    """
    latest = sessions.latest or datetime.now(UTC).date()
    reader = _FolderReader(path, ReadingOptions(zone, latest, date_order, is_index), needed)
    tables = reader.read()
    rows = _joined(tables)
    _require_daily(path, rows)
    names = dict(enumerate(rows.symbols))
    checked = check_table(BarTable(rows.keys, rows.records), names, sessions, in_place=True)
    apart = [
        _with_source(bar, *rows.source_of(row))
        for bar, row in zip(checked.quarantined, checked.rows, strict=True)
    ]
    _require_undisputed(path, apart, len(rows.keys))
    unreadable = list(_unreadable_bars(tables))
    notices = [*reader.notices, *dict.fromkeys(text for table in tables for text in table.notices)]
    notices += [*_name_notices(path, tables), *_count_notices(path, len(apart) + len(unreadable), checked)]
    readings = tuple(table.reading for table in tables)
    return BarFile(
        _split_by_symbol(checked.accepted, rows.symbols), (*unreadable, *apart), tuple(notices), readings
    )


@dataclass(frozen=True, slots=True, eq=False)
class _JoinedRows:
    """The rows of all files in their order, and where each file's rows begin."""

    symbols: tuple[str, ...]
    keys: IntArray
    records: RecordArray
    lines: IntArray
    times: IntArray | None
    files: Sequence[Path]
    starts: IntArray

    def source_of(self, row: int) -> tuple[str, int]:
        """File and line of a row."""
        number = int(np.searchsorted(self.starts, row, side="right")) - 1
        return str(self.files[number]), int(self.lines[row])


def _joined(tables: Sequence[ParsedTable]) -> _JoinedRows:
    if len(tables) == 1:  # a large file is not copied; its symbols are in ascending order
        own = tables[0]
        return _JoinedRows(
            own.symbols, own.keys, own.records, own.lines, own.times, [own.path], np.zeros(1, np.int64)
        )
    symbols = sorted({symbol for table in tables for symbol in table.symbols})
    number = {symbol: at for at, symbol in enumerate(symbols)}
    keys = [np.array([number[symbol] for symbol in table.symbols], np.int64)[table.keys] for table in tables]
    times = [table.times for table in tables if table.times is not None]
    counts = [len(table.keys) for table in tables]
    return _JoinedRows(
        tuple(symbols),
        np.concatenate(keys),
        np.concatenate([table.records for table in tables]),
        np.concatenate([table.lines for table in tables]),
        np.concatenate(times) if len(times) == len(tables) else None,
        [table.path for table in tables],
        np.cumsum([0, *counts[:-1]]),
    )


def _require_daily(path: Path, rows: _JoinedRows) -> None:
    """BadInputError for bars of hours or minutes, and for bars of weeks or months."""
    if rows.times is not None and len(np.unique(rows.times)) > 1 and _is_intraday(rows):
        raise BadInputError(
            f"{path}: intraday bars: several times of day in one session; vcpd reads daily bars"
        )
    steps = _session_steps(rows, ROWS_OF_DAILY_STEPS)
    if len(steps) and steps.min() < WEEKLY_STEP_DAYS:
        return
    steps = _session_steps(rows, len(rows.keys))
    if len(steps) >= MIN_WEEKLY_STEPS and steps.min() >= WEEKLY_STEP_DAYS:
        raise BadInputError(
            f"{path}: at least {int(steps.min())} days lie between any two bars of a symbol: weekly or "
            "monthly bars? vcpd reads daily bars"
        )


def _is_intraday(rows: _JoinedRows) -> bool:
    """Whether a share of the sessions has bars of one symbol at several times of day."""
    frame = pl.DataFrame({"key": rows.keys, "day": rows.records["session"].copy(), "time": rows.times})
    counts = frame.group_by("key", "day").agg(pl.col("time").n_unique())["time"]
    return bool((counts > 1).sum() > INTRADAY_SHARE * len(counts))


def _session_steps(rows: _JoinedRows, limit: int) -> IntArray:
    """(k,): days between neighbouring sessions of a symbol, in the first `limit` rows as they come."""
    days, keys = rows.records["session"][:limit].astype(np.int64), rows.keys[:limit]
    steps = np.abs(np.diff(days))[keys[1:] == keys[:-1]]
    found: IntArray = steps[steps > 0]
    return found


def _require_undisputed(path: Path, apart: Sequence[QuarantinedBar], rows: int) -> None:
    """BadInputError where most rows contradict another one: such a table is not one of daily bars."""
    disputed = [bar for bar in apart if bar.rule is QualityRule.DUPLICATE_SESSION]
    if len(disputed) > max(MAX_DISPUTED_ROWS, rows / 2):
        first = disputed[0]
        raise BadInputError(
            f"{path}: {len(disputed)} of {rows} rows give several bars for one session, the first of "
            f"{first.symbol} on {first.session}: intraday bars, or several exchanges or series in one file? "
            "vcpd reads daily bars"
        )


def _unreadable_bars(tables: Sequence[ParsedTable]) -> Iterator[QuarantinedBar]:
    for table in tables:
        for row in table.unreadable:
            payload: dict[str, object] = {"file": str(table.path), "row": row.line, "cells": dict(row.cells)}
            reason = f"{table.path}, row {row.line}: {row.reason}"
            yield QuarantinedBar(row.symbol, None, QualityRule.UNREADABLE_ROW, reason, payload)


def _split_by_symbol(table: BarTable, symbols: Sequence[str]) -> tuple[BarSeries, ...]:
    """The histories of a table in ascending order of its keys."""
    keys = table.instrument_id
    if not len(keys):
        return ()
    starts = np.concatenate([[0], np.flatnonzero(keys[1:] != keys[:-1]) + 1])
    parts = np.split(table.records, starts[1:])
    return tuple(BarSeries(symbols[key], part) for key, part in zip(keys[starts], parts, strict=True))


def _with_source(bar: QuarantinedBar, file: str, row: int) -> QuarantinedBar:
    """The bar with the place it came from."""
    payload = bar.payload | {"file": file, "row": row}
    return msgspec.structs.replace(bar, reason=f"{file}, row {row}: {bar.reason}", payload=payload)


def _name_notices(path: Path, tables: Sequence[ParsedTable]) -> Iterator[str]:
    """Which symbols the names of files gave."""
    named = [table for table in tables if table.reading.columns["symbol"] == FROM_FILE_NAME]
    if named:
        symbols = ", ".join(table.symbols[0] for table in named[:MAX_NAMES_SHOWN])
        more = f" and {len(named) - MAX_NAMES_SHOWN} more" if len(named) > MAX_NAMES_SHOWN else ""
        yield f"{path}: no symbol column: by the file's name taken as bars of {symbols}{more}"


def _count_notices(path: Path, apart: int, checked: CheckedTable) -> Iterator[str]:
    if apart:
        yield f"{path}: {apart} rows kept apart"
    if checked.duplicates:
        yield f"{path}: {checked.duplicates} equal copies of rows left out"
    if checked.unknown_volumes:
        yield f"{path}: {checked.unknown_volumes} bars moved with a volume of 0: taken as unknown volume"


def describe_reading(found: BarFile) -> list[str]:
    """A few lines on what was read as what; files that were read alike stand together."""
    groups: dict[tuple[object, ...], list[FileReading]] = {}
    for reading in found.readings:
        form = (reading.format, tuple(reading.columns.items()), reading.date_order, reading.decimal_comma)
        groups.setdefault(form, []).append(reading)
    return [line for group in groups.values() for line in _describe_group(group)]


def _describe_group(group: Sequence[FileReading]) -> Iterator[str]:
    sample = group[0]
    yield sample.file if len(group) == 1 else f"{sample.file} and {len(group) - 1} more files"
    dates = f", dates {sample.date_order}" if sample.date_order else ""
    yield f"  format    {sample.format}{', decimal comma' if sample.decimal_comma else ''}{dates}"
    yield "  columns   " + ", ".join(f"{name} <- {given}" for name, given in sample.columns.items())
    symbols = f"{sample.symbols} symbols, " if len(group) == 1 else ""
    rows, unreadable = sum(part.rows for part in group), sum(part.unreadable_rows for part in group)
    first = min(part.first for part in group if part.first is not None)
    last = max(part.last for part in group if part.last is not None)
    left_out = sum(part.left_out_rows for part in group)
    yield f"  rows      {symbols}{rows:,} bars from {first} to {last}"
    if unreadable or left_out:
        yield f"  not read  {unreadable:,} rows kept apart, {left_out:,} left out"


def write_bars(path: Path, series: Iterable[BarSeries]) -> int:
    """Write the histories as parquet or CSV, by the suffix of `path`; gives the number of rows."""
    frame = bars_frame(series)
    write_frame(path, frame)
    return frame.height


def bars_frame(series: Iterable[BarSeries]) -> pl.DataFrame:
    """A row for each bar: symbol, date, open, high, low, close, volume (null is unknown)."""
    parts = [entry for entry in series if len(entry)]
    records = np.concatenate([part.records for part in parts]) if parts else np.empty(0, BAR_DTYPE)
    names = pl.Series([part.symbol for part in parts], dtype=pl.String)
    lengths = np.array([len(part) for part in parts], np.int64)
    columns: dict[str, Any] = {"symbol": names.gather(np.repeat(np.arange(len(parts)), lengths))}
    columns["date"] = np.ascontiguousarray(records["session"])
    columns |= {name: np.ascontiguousarray(records[name]) for name in (*PRICE_FIELDS, "volume")}
    return pl.DataFrame(columns).with_columns(pl.col("volume").fill_nan(None))
