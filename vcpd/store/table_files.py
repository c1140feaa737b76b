"""Table files: finds them, reads their rows as they stand, writes tables whole or not at all."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl

from vcpd.core.atomic_file import write_atomic
from vcpd.core.csv_table import SEPARATORS, csv_rows, decode_csv
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import IntArray
from vcpd.store.bar_layouts import SAMPLE_ROWS, Header, find_header, header_matches, parquet_header
from vcpd.store.read_ahead import parquet_frame

TABLE_SUFFIXES: Final = (".parquet", ".csv", ".tsv", ".txt", ".csv.gz", ".zip")
OPTIONAL_SUFFIX: Final = ".txt"  # in a folder it may as well be a note
SPREADSHEET_SUFFIXES: Final = (".xlsx", ".xls", ".ods")
SAMPLE_CHARACTERS: Final = 100_000
UNPACKED_LIMIT: Final = 2 * 1024**3  # bytes
SEPARATOR_NAMES: Final[Mapping[str, str]] = {
    ",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe",
}  # fmt: skip
EXPECTED_SUFFIX: Final = "expected a name that ends in .parquet, .csv, .csv.gz, .tsv, .txt or .zip"


class NoRowsError(BadInputError):
    """A table with a header and nothing below it."""


class NoHeaderError(BadInputError):
    """A text in which no row names the columns of bars."""


@dataclass(frozen=True, slots=True, eq=False)
class RawTable:
    """A file's n rows as they stand, in columns named `0`, `1`, ...; text unless the file types them.

    `lines` (n,) are the rows' numbers in the file, counted from 1; `separator` is blank for parquet.
    """

    path: Path
    header: Header
    frame: pl.DataFrame
    lines: IntArray
    separator: str = ""

    @property
    def format_name(self) -> str:
        return f"text, separator {SEPARATOR_NAMES[self.separator]}" if self.separator else "parquet"


def table_files(path: Path) -> list[Path]:
    """The file itself, or the tables anywhere below a folder, by name. BadInputError where there is none."""
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if _is_table(file, path)]
        if not files:
            raise BadInputError(f"{path}: neither the folder nor its sub-folders hold a parquet or CSV file")
        return files
    if not path.exists():
        raise BadInputError(f"{path}: no such file")
    if not path.name.lower().endswith(TABLE_SUFFIXES):
        hint = "; save the spreadsheet as CSV" if path.suffix.lower() in SPREADSHEET_SUFFIXES else ""
        raise BadInputError(f"{path}: {EXPECTED_SUFFIX}{hint}")
    return [path]


def spreadsheets(path: Path) -> list[Path]:
    """Spreadsheets below a folder, which are not read."""
    return [file for file in sorted(path.rglob("*")) if file.suffix.lower() in SPREADSHEET_SUFFIXES]


def _is_table(file: Path, folder: Path) -> bool:
    parts = file.relative_to(folder).parts
    is_hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
    return not is_hidden and file.name.lower().endswith(TABLE_SUFFIXES) and file.is_file()


def file_stem(path: Path) -> str:
    """The name without what says its kind: `infy` for `infy.csv.gz`."""
    name = path.name
    for suffix in (".zip", ".gz", ".parquet", ".csv", ".tsv", ".txt"):
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
    return name


def read_table(path: Path) -> RawTable:
    """The rows of a file. BadInputError when it cannot be read or names no columns of bars.

    NoRowsError for a table that is only a header.
    """
    try:
        table = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_text(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise BadInputError(f"{path}: cannot be read as a table: {_error_line(error)}") from None
    if not len(table.frame):
        raise NoRowsError(f"{path}: the file holds no rows")
    return table


def _read_parquet(path: Path) -> RawTable:
    frame = parquet_frame(path)
    header = parquet_header(frame.columns)
    frame.columns = [str(at) for at in range(frame.width)]
    return RawTable(path, header, frame, np.arange(1, len(frame) + 1))


def _read_text(path: Path) -> RawTable:
    text = decode_csv(path.read_bytes(), str(path), UNPACKED_LIMIT)
    if not text.strip():
        raise NoRowsError(f"{path}: the file is empty")
    separator, header = _find_separator(text, path)
    start = _offset_of_line(text, header.rows, separator)
    below = text[start[0] :]
    frame = _read_regular(below, separator, header)
    if frame is None:
        return _read_irregular(path, below, separator, header, start[1])
    return RawTable(path, header, frame, np.arange(len(frame)) + start[1] + 1, separator)


def _find_separator(text: str, path: Path) -> tuple[str, Header]:
    """The separator by which the first rows name the most columns, and the header it gives."""
    sample = text[:SAMPLE_CHARACTERS]
    found = [(separator, find_header(_sample_rows(sample, separator))) for separator in SEPARATORS]
    separator, header = max(found, key=lambda pair: header_matches(pair[1]))
    if header is None:
        first = next(iter(text.strip().splitlines()), "")[:120]
        raise NoHeaderError(
            f"{path}: no row names columns of bars: missing columns: symbol, date, open, high, low, close, "
            f"volume; the first row was {first!r}"
        )
    return separator, header


def _sample_rows(sample: str, separator: str) -> list[list[str]]:
    try:
        return [row for _, row in islice(csv_rows(sample, separator), SAMPLE_ROWS)]
    except BadInputError:
        return []


def _offset_of_line(text: str, rows: int, separator: str) -> tuple[int, int]:
    """Where in `text` the rows below the first `rows` begin, and how many lines come before."""
    top = text[: 2 * SAMPLE_CHARACTERS]
    number = [line for line, _ in islice(csv_rows(top, separator), rows)][-1]
    lines = io.StringIO(top, newline="")
    return sum(len(next(lines)) for _ in range(number)), number


def _read_regular(text: str, separator: str, header: Header) -> pl.DataFrame | None:
    """The rows at full speed; None where a row is longer than the first or a cell holds a line's end."""
    if "\r" in text[:SAMPLE_CHARACTERS] and "\n" not in text[:SAMPLE_CHARACTERS]:
        return None
    first = next(iter(_sample_rows(text[:SAMPLE_CHARACTERS], separator)), [])
    if len(first) > len(header.names) and any(cell.strip() for cell in first[len(header.names) :]):
        return None
    schema = {str(at): pl.String for at in range(max(len(first), len(header.names)))}
    try:
        frame = pl.read_csv(
            text.encode(), has_header=False, separator=separator, infer_schema=False, schema=schema
        )
    except (pl.exceptions.PolarsError, UnicodeEncodeError):
        return None
    count = text.count("\n") + (not text.endswith("\n") and bool(text))
    return frame if len(frame) == count else None


def _read_irregular(path: Path, text: str, separator: str, header: Header, before: int) -> RawTable:
    """The rows one by one: short ones end in nothing, of long ones every cell is kept."""
    found = [(line + before, row) for line, row in _rows_of_lines(text, separator) if row]
    lines, rows = [line for line, _ in found], [row for _, row in found]
    width = max([len(header.names), *map(len, rows)])
    columns = zip(*(row + [""] * (width - len(row)) for row in rows), strict=True)
    series = {str(at): pl.Series(column, dtype=pl.String) for at, column in enumerate(columns)}
    return RawTable(path, header, pl.DataFrame(series), np.array(lines, np.int64), separator)


def _rows_of_lines(text: str, separator: str) -> list[tuple[int, list[str]]]:
    """Each row with the number of its line, counted from 1.

    A quotation mark without its counterpart would join all that follows into one cell. Where a cell holds a
    line's end, each line is therefore read by itself, and one that cannot be read is a single cell.
    """
    try:
        found = list(csv_rows(text, separator))
    except BadInputError:
        found = []
    if found and not any("\n" in cell or "\r" in cell for _, row in found for cell in row):
        return found
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [(number, _cells_of_line(line, separator)) for number, line in enumerate(lines, 1)]


def _cells_of_line(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error:
        return [line]


def write_frame(path: Path, frame: pl.DataFrame) -> None:
    """Write beside and rename, so that no reader meets half a file."""
    kind = path.suffix.lower()
    if kind not in {".parquet", ".csv"}:
        raise BadInputError(f"{path}: expected a name that ends in .parquet or .csv")
    content = io.BytesIO()
    if kind == ".parquet":
        frame.write_parquet(content, compression="zstd")
    else:
        frame.write_csv(content)
    write_atomic(path, content.getvalue(), folder_mode=None)


def flat_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """One column a value: `components: {gap: 1}` becomes `components_gap`, a list is numbered from 1."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            flat |= flat_row({f"{key}_{name}": inner for name, inner in value.items()})
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
            flat |= flat_row({f"{key}_{number}": inner for number, inner in enumerate(value, 1)})
        else:
            flat[key] = value
    return flat


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> int:
    """Write results (setups, risk, bases) as parquet or CSV, one column a value; gives the rows' count."""
    write_frame(path, rows_frame(rows))
    return len(rows)


def rows_frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """One row each, one column a value; text where the rows give a column both numbers and texts."""
    flat = [flat_row(row) for row in rows]
    columns = {name: [row.get(name) for row in flat] for name in _column_names(flat)}
    nested = {name for name in columns if any(other.startswith(f"{name}_") for other in columns)}
    kept = {
        name: _column(values)
        for name, values in columns.items()
        if name not in nested or any(value is not None for value in values)
    }
    return pl.DataFrame(kept)


def results_frame(results: Sequence[msgspec.Struct]) -> pl.DataFrame:
    """The same of results such as setups and risk scores, dates and instants as such."""
    return rows_frame([msgspec.to_builtins(result, builtin_types=(date, datetime)) for result in results])


def _column_names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of all rows, each after the one that came before it where it first stood."""
    names: list[str] = []
    known: set[str] = set()
    for row in rows:
        if row.keys() <= known:
            continue
        at = 0
        for name in row:
            if name not in known:
                names.insert(at, name)
            at = names.index(name) + 1
        known |= row.keys()
    return names


def _column(values: list[Any]) -> pl.Series:
    kinds = {type(value) for value in values if value is not None}
    if len(kinds - {int, float}) and len(kinds) > 1:
        values = [None if value is None else str(value) for value in values]
    return pl.Series(values, strict=False)


def _error_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
