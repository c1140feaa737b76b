"""Tables shaped as rows of bars: wide ones made long, shares picked by series, what a file was taken for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import polars as pl

from vcpd.core.dates import DateOrder
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import IntArray, RecordArray
from vcpd.domain.instruments import EQUITY_SERIES
from vcpd.store.bar_layouts import Header, match_columns
from vcpd.store.table_files import RawTable

FROM_FILE_NAME: Final = "the file's name"
ROWS_PER_RUN: Final = 10  # of equal values in a column that is read run by run
WIDE_COLUMNS: Final = ("open", "high", "low", "close", "volume")


class FileReading(msgspec.Struct, frozen=True):
    """What a file was taken for."""

    file: str
    format: str
    columns: Mapping[str, str]  # what was read, by the name that the file gives it
    rows: int
    symbols: int = 0
    first: date | None = None
    last: date | None = None
    date_order: DateOrder | None = None  # where the dates depend on it
    decimal_comma: bool = False
    unreadable_rows: int = 0
    left_out_rows: int = 0  # blank, a repeated header, or of another series than shares


class UnreadableRow(msgspec.Struct, frozen=True):
    """A row that is no bar: its number in the file, why, and its cells as they came."""

    line: int
    symbol: str
    reason: str
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class ParsedTable:
    """A file's n readable rows: `keys` (n,) count into `symbols`, `records` (n,) have `BAR_DTYPE`."""

    path: Path
    symbols: tuple[str, ...]
    keys: IntArray
    records: RecordArray
    lines: IntArray
    times: IntArray | None  # (n,) minute of the day where the file gives it
    unreadable: tuple[UnreadableRow, ...]
    reading: FileReading
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """What the caller knows beforehand: the newest possible date, the order of dates, whose bars they are.

    `zone` is the exchange's: the date of an instant with an offset is its date there.
    """

    zone: ZoneInfo
    latest: date | None = None
    date_order: DateOrder | None = None
    is_index: bool = False  # closes are enough


def stack_wide_table(table: RawTable) -> RawTable:
    """A wide table as a long one; rows in which a symbol has no value at all are left out."""
    header = table.header
    dated = header.tickers.index("")
    parts, lines = [], []
    for ticker in dict.fromkeys(filter(None, header.tickers)):
        own = [at for at, name in enumerate(header.tickers) if name == ticker]
        found = match_columns([header.names[at] for at in own])
        columns = {name: str(own[found[name]]) for name in WIDE_COLUMNS if name in found}
        part = table.frame.select(
            pl.lit(ticker).alias("0"),
            pl.col(str(dated)).alias("1"),
            *(
                pl.col(columns[name]).alias(str(at)) if name in columns else pl.lit(None).alias(str(at))
                for at, name in enumerate(WIDE_COLUMNS, 2)
            ),
        )
        filled = filled_rows(part.drop("0", "1"))
        parts.append(part.filter(filled))
        lines.append(table.lines[filled.to_numpy()])
    names = ("symbol", "date", *WIDE_COLUMNS)
    return RawTable(
        table.path,
        Header(names, header.rows),
        pl.concat(parts, how="vertical_relaxed"),
        np.concatenate(lines),
        table.separator,
    )


def filled_rows(frame: pl.DataFrame) -> pl.Series:
    """(n,): whether any cell of a row holds something."""
    cells = [
        pl.col(name).is_not_null()
        & (pl.col(name).str.strip_chars() != "" if kind == pl.String else pl.lit(value=True))
        & (pl.col(name).is_not_nan() if kind.is_float() else pl.lit(value=True))
        for name, kind in frame.schema.items()
    ]
    return frame.select(pl.any_horizontal(cells).fill_null(value=False)).to_series()


def select_shares(table: RawTable, places: Mapping[str, int]) -> tuple[RawTable, int]:
    """The rows of shares where a column names the series; of a share's several, the most ordinary."""
    at = places.get("series")
    if at is None or table.frame[str(at)].dtype != pl.String:
        return table, 0
    names = [str(places[name]) if name in places else None for name in ("symbol", "date")]
    group = [name for name in names if name is not None]
    series = pl.col(str(at)).str.strip_chars().str.to_uppercase()
    ranks = {name: rank for rank, name in enumerate(EQUITY_SERIES)}
    rank = series.replace_strict(ranks, default=None, return_dtype=pl.Int64)
    is_header = series == table.header.names[at].strip().upper()
    known = table.frame.select((rank == rank.min().over(group)) | is_header | series.is_null()).to_series()
    known = known.fill_null(value=False)
    if known.all():
        return table, 0
    kept = table.frame.filter(known)
    if not len(kept):
        raise BadInputError(f"{table.path}: no share in {len(known)} rows: none is of series EQ or the like")
    lines = table.lines[known.to_numpy()]
    return RawTable(table.path, table.header, kept, lines, table.separator), len(known) - len(kept)


def coded(column: pl.Series) -> tuple[IntArray, list[str]]:
    """Each value's place among the different texts, -1 for null, and the texts.

    A column of long runs, such as the symbols of a file that is sorted by them, is read run by run.
    """
    runs = column.rle() if len(column) else None
    if runs is not None and len(runs) <= len(column) // ROWS_PER_RUN:
        lengths = runs.struct.field("len").to_numpy()
        codes, texts = _coded(runs.struct.field("value"))
        return np.repeat(codes, lengths), texts
    return _coded(column)


def _coded(column: pl.Series) -> tuple[IntArray, list[str]]:
    texts = column.drop_nulls().unique(maintain_order=True).to_list()
    codes = column.cast(pl.Enum(texts)).to_physical().cast(pl.Int64).fill_null(-1)
    return codes.to_numpy(), texts


def whole_numbers_as_text(column: pl.Series) -> pl.Series:
    """`20250630` for a number without a fraction; others stay what they are."""
    if column.dtype.is_float():
        is_whole = column.is_null() | column.is_nan() | (column.floor() == column)
        if not is_whole.all():
            return column.cast(pl.String)
        column = column.fill_nan(None).cast(pl.Int64)
    return column.cast(pl.String)
