"""Bar files: reads and writes bars as parquet or CSV.

A file is taken whole or refused: what cannot be read as bars at all (columns, dates, types) raises
BadInputError with file, row and reason; rows that break a rule of quality are kept apart with theirs.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl

from vcpd.core.errors import BadInputError, UnavailableError
from vcpd.domain.bars import BAR_DTYPE, PRICE_FIELDS, BarSeries, BarTable, IntArray, RecordArray
from vcpd.domain.quality_rules import ANY_SESSION, CheckedTable, QuarantinedBar, ValidSessions, check_table

BAR_FILE_COLUMNS: Final = ("symbol", "date", "open", "high", "low", "close", "volume")
NUMERIC_COLUMNS: Final = BAR_FILE_COLUMNS[2:]
DATE_COLUMN_NAMES: Final = ("date", "timestamp", "datetime", "time", "session")
MARKET_TIME_ZONE: Final = "Asia/Kolkata"
MISSING_VALUES: Final = ("", "nan", "null", "none", "na", "n/a", "-")
DATE_FORMATS: Final = ("%Y-%m-%d", "%Y%m%d", "%d-%b-%Y", "%d-%m-%Y", "%d/%m/%Y", "%Y/%m/%d")
INSTANT_PATTERN: Final = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}"
ZONED_INSTANT_PATTERN: Final = r"(Z|[+-]\d{2}:?\d{2})$"
HEADER_ROWS: Final = {".csv": 1, ".gz": 1}


def parse_columns(frame: pl.DataFrame, path: Path, header_rows: int) -> pl.DataFrame:
    """The frame as symbol (text), date, and five floats, NaN for unknown.

    `header_rows` come before the first row in the file. Raises BadInputError with file, row and reason.
    """
    place = _RowReference(path, header_rows)
    named = _select_columns(frame, path)
    columns = [_parse_symbols(named["symbol"], place), _parse_dates(named["date"], place)]
    columns += [_parse_numbers(named[name], place) for name in NUMERIC_COLUMNS]
    return pl.DataFrame(columns)


class _RowReference:
    """Names a row of a file in an error."""

    def __init__(self, path: Path, header_rows: int) -> None:
        self._path = path
        self._offset = header_rows + 1

    def reject(self, wrong: pl.Series, column: pl.Series, expected: str) -> None:
        """Raise for the first row where `wrong` holds; nothing when none does."""
        if (row := wrong.arg_max()) is not None and wrong[row]:
            was = "nothing" if column[row] is None else repr(column[row])
            where = f"{self._path}, row {row + self._offset}, column `{column.name}`"
            raise BadInputError(f"{where}: expected {expected}, was {was}")


def _select_columns(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """The wanted columns by their lower-case names."""
    found: dict[str, str] = {}
    for given in frame.columns:
        name = given.strip().lstrip("\ufeff").lower()
        if name in found:
            raise BadInputError(f"{path}: two columns are named `{name}`")
        found[name] = given
    dated = next((name for name in DATE_COLUMN_NAMES if name in found), "date")
    wanted = {name: found.get(dated if name == "date" else name) for name in BAR_FILE_COLUMNS}
    if missing := [name for name, given in wanted.items() if given is None]:
        raise BadInputError(
            f"{path}: missing columns: {', '.join(missing)}; expected {', '.join(BAR_FILE_COLUMNS)}, "
            f"was {', '.join(frame.columns)}"
        )
    return frame.select(pl.col(given).alias(name) for name, given in wanted.items() if given is not None)


def _parse_symbols(column: pl.Series, place: _RowReference) -> pl.Series:
    if not isinstance(column.dtype, pl.String | pl.Categorical | pl.Enum):
        place.reject(pl.Series([True]), column, "a symbol as text")
    text = column.cast(pl.String).str.strip_chars()
    place.reject((text == "").fill_null(value=True), column, "a symbol")
    return text


def _parse_numbers(column: pl.Series, place: _RowReference) -> pl.Series:
    """Floats; null, an empty field and the usual words for unknown become NaN."""
    if column.dtype.is_numeric() or column.dtype == pl.Null:
        return column.cast(pl.Float64).fill_null(float("nan"))
    if column.dtype != pl.String:
        place.reject(pl.Series([True]), column, "a number")
    numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
    if numbers.null_count():
        unknown = column.str.strip_chars().str.to_lowercase().is_in(MISSING_VALUES).fill_null(value=True)
        place.reject(numbers.is_null() & ~unknown, column, "a number")
    return numbers.fill_null(float("nan"))


def _parse_dates(column: pl.Series, place: _RowReference) -> pl.Series:
    """Dates on the exchange's wall; an instant with a time zone is brought there first."""
    if column.dtype.is_integer():
        column = column.cast(pl.String)
    if column.dtype == pl.String:
        readings = list(_candidate_dates(column.str.strip_chars()))
        dates = min(readings, key=lambda reading: reading.null_count())
    elif isinstance(column.dtype, pl.Datetime):
        dates = _local_dates(column)
    else:
        dates = (
            column.cast(pl.Date)
            if column.dtype == pl.Date
            else pl.Series([None] * len(column), dtype=pl.Date)
        )
    place.reject(dates.is_null(), column, "a date such as 2025-06-30")
    return dates.alias("date")


def _candidate_dates(text: pl.Series) -> Iterator[pl.Series]:
    """The text read in each known way, null where it does not fit; stops at one that fits throughout."""
    for form in DATE_FORMATS:
        dates = text.str.to_date(form, strict=False, exact=True)
        yield dates
        if not dates.null_count():
            return
    yield _parse_instants(text)


def _parse_instants(text: pl.Series) -> pl.Series:
    """The dates of ISO instants; one without a zone stands on the exchange's wall already."""
    shaped = text.str.contains(INSTANT_PATTERN)
    zoned = text.str.contains(ZONED_INSTANT_PATTERN)
    absolute = text.str.to_datetime(strict=False, time_zone="UTC", time_unit="us") if zoned.any() else None
    plain = text.str.head(10).str.to_date("%Y-%m-%d", strict=False)
    if absolute is not None:
        plain = _local_dates(absolute).zip_with(zoned, plain)
    return plain.zip_with(shaped, pl.Series([None], dtype=pl.Date))


def _local_dates(column: pl.Series) -> pl.Series:
    zone = getattr(column.dtype, "time_zone", None)
    return (column.dt.convert_time_zone(MARKET_TIME_ZONE) if zone else column).dt.date()


def _read_csv(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, infer_schema=False)


READERS: Final[Mapping[str, Callable[[Path], pl.DataFrame]]] = {
    ".parquet": pl.read_parquet,
    ".csv": _read_csv,
    ".csv.gz": _read_csv,
}


def table_files(path: Path) -> list[Path]:
    """The file itself, or a folder's table files by name. BadInputError where there is none."""
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if _table_suffix(file) is not None)
        if not files:
            raise BadInputError(f"{path}: the folder holds no parquet or CSV file")
        return files
    if not path.exists():
        raise BadInputError(f"{path}: no such file")
    if _table_suffix(path) is None:
        raise BadInputError(f"{path}: expected a name that ends in .parquet, .csv or .csv.gz")
    return [path]


def read_frame(path: Path) -> pl.DataFrame:
    """The table as it stands, a CSV's values as text. BadInputError when it cannot be read or is empty."""
    reader = READERS[_table_suffix(path) or ".csv"]
    try:
        frame = reader(path)
    except pl.exceptions.NoDataError:
        raise BadInputError(f"{path}: the file is empty") from None
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: cannot be read as a table: {_error_line(error)}") from None
    if not len(frame):
        raise BadInputError(f"{path}: the file holds no rows")
    return frame


def write_frame(path: Path, frame: pl.DataFrame) -> None:
    """Write beside and rename, so that no reader meets half a file."""
    kind = path.suffix.lower()
    if kind not in {".parquet", ".csv"}:
        raise BadInputError(f"{path}: expected a name that ends in .parquet or .csv")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if kind == ".parquet":
            frame.write_parquet(beside, compression="zstd")
        else:
            frame.write_csv(beside)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UnavailableError(f"{path}: cannot be written: {_error_line(error)}") from None


def _table_suffix(path: Path) -> str | None:
    name = path.name.lower()
    if name.startswith("."):
        return None
    return next((suffix for suffix in READERS if name.endswith(suffix)), None)


def _error_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


@dataclass(frozen=True, slots=True, eq=False)
class BarFile:
    """Histories by ascending symbol, rows kept apart, and sentences for the owner about the files."""

    series: tuple[BarSeries, ...]
    quarantined: tuple[QuarantinedBar, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _FileRows:
    """The typed rows of all files, in file order, and where each file's rows begin."""

    frame: pl.DataFrame
    files: Sequence[Path]
    starts: IntArray

    def source_of(self, row: int) -> tuple[str, int]:
        """File and line of a row: counted from 1, a CSV's header included."""
        number = int(np.searchsorted(self.starts, row, side="right")) - 1
        path = self.files[number]
        return str(path), row - int(self.starts[number]) + 1 + HEADER_ROWS.get(path.suffix.lower(), 0)


def read_bars(path: Path, sessions: ValidSessions = ANY_SESSION) -> BarFile:
    """Read one file, or every parquet and CSV file of a folder, as one body of bars.

    Raises BadInputError naming file, row and reason; nothing is half-loaded.
    """
    rows = _read_files(table_files(path))
    symbols = rows.frame["symbol"].unique().sort().to_list()
    checked = check_table(_bar_table(rows.frame, symbols), dict(enumerate(symbols)), sessions)
    apart = tuple(
        _with_source(bar, *rows.source_of(row))
        for bar, row in zip(checked.quarantined, checked.rows, strict=True)
    )
    return BarFile(_split_by_symbol(checked.accepted, symbols), apart, _notices(path, checked))


def write_bars(path: Path, series: Iterable[BarSeries]) -> int:
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
    flat = [{key: _json_text(value) for key, value in row.items()} for row in rows]
    write_frame(path, pl.DataFrame(flat, infer_schema_length=None))
    return len(flat)


def _json_text(value: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list | tuple) else value


def _read_files(files: Sequence[Path]) -> _FileRows:
    frames = [
        parse_columns(read_frame(path), path, HEADER_ROWS.get(path.suffix.lower(), 0)) for path in files
    ]
    starts = np.cumsum([0, *(len(frame) for frame in frames[:-1])])
    return _FileRows(pl.concat(frames), files, starts)


def _bar_table(frame: pl.DataFrame, symbols: list[str]) -> BarTable:
    """The rows as structured records; the id of a symbol is its place in `symbols`."""
    keys = frame["symbol"].cast(pl.Enum(symbols)).to_physical().to_numpy().astype(np.int64)
    records: RecordArray = np.zeros(len(frame), BAR_DTYPE)
    records["session"] = frame["date"].to_numpy()
    for name in (*PRICE_FIELDS, "volume"):
        records[name] = frame[name].to_numpy()
    return BarTable(keys, records)


def _split_by_symbol(table: BarTable, symbols: list[str]) -> tuple[BarSeries, ...]:
    present, starts = np.unique(table.instrument_id, return_index=True)
    parts = np.split(table.records, starts[1:])
    return tuple(BarSeries(symbols[key], part) for key, part in zip(present.tolist(), parts, strict=False))


def _with_source(bar: QuarantinedBar, file: str, row: int) -> QuarantinedBar:
    """The bar with the place it came from."""
    payload = bar.payload | {"file": file, "row": row}
    return msgspec.structs.replace(bar, reason=f"{file}, row {row}: {bar.reason}", payload=payload)


def _notices(path: Path, checked: CheckedTable) -> tuple[str, ...]:
    found = []
    if checked.quarantined:
        found.append(f"{path}: {len(checked.quarantined)} rows kept apart")
    if checked.duplicates:
        found.append(f"{path}: {checked.duplicates} equal copies of rows left out")
    return tuple(found)
