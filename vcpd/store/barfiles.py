"""Bars from files and into files: parquet or CSV with symbol, date, open, high, low, close, volume.

A file is taken whole or refused: what cannot be read as bars at all (columns, dates, types) raises
BadInputError with file, row and reason; rows that break a rule of quality are kept apart with theirs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl

from vcpd.domain.arrays import IntArray, RecordArray
from vcpd.domain.bars import BAR_DTYPE, PRICE_FIELDS, BarSeries, BarTable
from vcpd.domain.quality import QuarantinedBar
from vcpd.domain.quality_rules import ANY_DAY, CheckedTable, Sessions, check_table
from vcpd.store.barcolumns import typed
from vcpd.store.tables import read_frame, table_files, write_frame

HEADER_ROWS: Final = {".csv": 1, ".gz": 1}


@dataclass(frozen=True, slots=True, eq=False)
class BarFile:
    """Histories by ascending symbol, rows kept apart, and sentences for the owner about the files."""

    series: tuple[BarSeries, ...]
    quarantined: tuple[QuarantinedBar, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The typed rows of all files, in file order, and where each file's rows begin."""

    frame: pl.DataFrame
    files: Sequence[Path]
    starts: IntArray

    def place(self, row: int) -> tuple[str, int]:
        """File and line of a row: counted from 1, a CSV's header included."""
        number = int(np.searchsorted(self.starts, row, side="right")) - 1
        path = self.files[number]
        return str(path), row - int(self.starts[number]) + 1 + HEADER_ROWS.get(path.suffix.lower(), 0)


def read(path: Path, sessions: Sessions = ANY_DAY) -> BarFile:
    """Read one file, or every parquet and CSV file of a folder, as one body of bars.

    Raises BadInputError naming file, row and reason; nothing is half-loaded.
    """
    rows = _gather(table_files(path))
    symbols = rows.frame["symbol"].unique().sort().to_list()
    checked = check_table(_table(rows.frame, symbols), dict(enumerate(symbols)), sessions)
    apart = tuple(
        _placed(bar, *rows.place(row)) for bar, row in zip(checked.quarantined, checked.rows, strict=True)
    )
    return BarFile(_split(checked.accepted, symbols), apart, _problems(path, checked))


def write(path: Path, series: Iterable[BarSeries]) -> int:
    """Write the histories as parquet or CSV, by the suffix of `path`; gives the number of rows."""
    parts = [one for one in series if len(one)]
    records = np.concatenate([one.records for one in parts]) if parts else np.empty(0, BAR_DTYPE)
    names = pl.Series([one.symbol for one in parts], dtype=pl.String)
    lengths = np.array([len(one) for one in parts], np.int64)
    columns: dict[str, Any] = {"symbol": names.gather(np.repeat(np.arange(len(parts)), lengths))}
    columns["date"] = np.ascontiguousarray(records["session"])
    columns |= {name: np.ascontiguousarray(records[name]) for name in (*PRICE_FIELDS, "volume")}
    write_frame(path, pl.DataFrame(columns).with_columns(pl.col("volume").fill_nan(None)))
    return len(records)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> int:
    """Write plain rows (setups, risk) as parquet or CSV; nested values become JSON text."""
    flat = [{key: _flat(value) for key, value in row.items()} for row in rows]
    write_frame(path, pl.DataFrame(flat, infer_schema_length=None))
    return len(flat)


def _flat(value: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list | tuple) else value


def _gather(files: Sequence[Path]) -> _Rows:
    frames = [typed(read_frame(path), path, HEADER_ROWS.get(path.suffix.lower(), 0)) for path in files]
    starts = np.cumsum([0, *(len(frame) for frame in frames[:-1])])
    return _Rows(pl.concat(frames), files, starts)


def _table(frame: pl.DataFrame, symbols: list[str]) -> BarTable:
    """The rows as structured records; the id of a symbol is its place in `symbols`."""
    keys = frame["symbol"].cast(pl.Enum(symbols)).to_physical().to_numpy().astype(np.int64)
    records: RecordArray = np.zeros(len(frame), BAR_DTYPE)
    records["session"] = frame["date"].to_numpy()
    for name in (*PRICE_FIELDS, "volume"):
        records[name] = frame[name].to_numpy()
    return BarTable(keys, records)


def _split(table: BarTable, symbols: list[str]) -> tuple[BarSeries, ...]:
    present, starts = np.unique(table.instrument_id, return_index=True)
    parts = np.split(table.records, starts[1:])
    return tuple(BarSeries(symbols[key], part) for key, part in zip(present.tolist(), parts, strict=False))


def _placed(bar: QuarantinedBar, file: str, row: int) -> QuarantinedBar:
    """The bar with the place it came from."""
    payload = bar.payload | {"file": file, "row": row}
    return msgspec.structs.replace(bar, reason=f"{file}, row {row}: {bar.reason}", payload=payload)


def _problems(path: Path, checked: CheckedTable) -> tuple[str, ...]:
    found = []
    if checked.quarantined:
        found.append(f"{path}: {len(checked.quarantined)} rows kept apart")
    if checked.copies:
        found.append(f"{path}: {checked.copies} equal copies of rows left out")
    return tuple(found)
