"""Columns of a table as bars: symbols, dates and numbers as arrays; unreadable rows with their reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from vcpd.core.csv_table import find_decimal_comma, parse_number
from vcpd.core.dates import (
    EXPECTED_DATE,
    AmbiguousDateError,
    DateColumn,
    DateOrder,
    market_date,
    read_date_column,
)
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import (
    PRICE_FIELDS,
    BoolArray,
    DateArray,
    FloatArray,
    IntArray,
    RecordArray,
    interleave_columns,
)
from vcpd.domain.instruments import plain_symbol
from vcpd.store.bar_layouts import (
    REQUIRED_COLUMNS,
    REQUIRED_INDEX_COLUMNS,
    file_symbol,
    is_bhavcopy,
    match_columns,
)
from vcpd.store.bar_rows import (
    FROM_FILE_NAME,
    FileReading,
    ParsedTable,
    ReadingOptions,
    UnreadableRow,
    coded,
    filled_rows,
    select_shares,
    stack_wide_table,
    whole_numbers_as_text,
)
from vcpd.store.table_files import RawTable, file_stem

NUMBER_COLUMNS: Final = (*PRICE_FIELDS, "volume")
MAX_CELL_LENGTH: Final = 80
UNKNOWN_SYMBOL: Final = "?"
DATE_ORDER_HINT: Final = "write dates as 2025-06-30, or use --date-order day-first or month-first"


UNADJUSTED_NOTICE: Final = (
    "the exchange's daily files hold prices as traded, not adjusted for splits and bonuses: "
    'market = "bhavcopy" adjusts them (docs/bhavcopy.md)'
)


class OpenDateOrderError(BadInputError):
    """A file whose dates allow two orders; the message names both readings."""


@dataclass(slots=True, eq=False)
class _RowChecks:
    """Collects which rows are no bars and why; the first reason of a row counts."""

    bad: BoolArray
    reasons: dict[int, str] = field(default_factory=dict)

    def reject(self, rows: IntArray, column: pl.Series, name: str, expected: str) -> None:
        """Mark `rows`, in which `column` does not hold what was expected."""
        for row in rows[~self.bad[rows]].tolist():
            was = "nothing" if column[row] is None or column[row] == "" else repr(column[row])
            self.reasons[row] = f"column `{name}`: expected {expected}, was {was[:MAX_CELL_LENGTH]}"
        self.bad[rows] = True


def parse_table(table: RawTable, options: ReadingOptions) -> ParsedTable:
    """The bars of a table. BadInputError for a table that is none, OpenDateOrderError for open dates."""
    if table.header.tickers:
        table = stack_wide_table(table)
    names = table.header.names
    try:
        places = match_columns(names)
    except BadInputError as error:
        raise BadInputError(f"{table.path}: {error}") from None
    places = {name: at for name, at in places.items() if str(at) in table.frame.columns}
    symbol = file_symbol(file_stem(table.path)) if "symbol" not in places else None
    _require_columns(table, places, symbol, options)
    kept, left_out = select_shares(table, places)
    return _TableParser(kept, places, symbol, options).parse(left_out)


def _require_columns(
    table: RawTable, places: Mapping[str, int], symbol: str | None, options: ReadingOptions
) -> None:
    required = REQUIRED_INDEX_COLUMNS if options.is_index else REQUIRED_COLUMNS
    given = {*places, *(["symbol"] if symbol else [])}
    if missing := [name for name in required if name not in given]:
        hint = "; the file's name gives no symbol either" if "symbol" in missing else ""
        raise BadInputError(
            f"{table.path}: missing columns: {', '.join(missing)}; expected {', '.join(required)}, "
            f"was {', '.join(map(str.strip, table.header.names))}{hint}"
        )


class _TableParser:
    """Parses one long table column by column."""

    def __init__(
        self, table: RawTable, places: Mapping[str, int], symbol: str | None, options: ReadingOptions
    ) -> None:
        self._table = table
        self._places = places
        self._symbol = symbol
        self._options = options
        self._checks = _RowChecks(np.zeros(len(table.frame), np.bool_))
        self._date_order: DateOrder | None = None
        self._decimal_comma = False
        self._notices: list[str] = []

    def parse(self, left_out: int) -> ParsedTable:
        sessions, times = self._sessions()
        symbols, keys = self._symbols()
        records = self._records(sessions)
        self._reject_surplus()
        skipped = self._skipped_rows()
        good: BoolArray | slice = ~self._checks.bad if self._checks.bad.any() else slice(None)
        readable: RecordArray = records[good]
        unreadable = self._unreadable_rows(skipped)
        self._require_readable(len(readable), unreadable)
        reading = self._reading(readable, keys[good], len(unreadable), left_out + len(skipped))
        return ParsedTable(
            self._table.path, symbols, keys[good], readable, self._table.lines[good],
            None if times is None else times[good], unreadable, reading, tuple(self._notices),
        )  # fmt: skip

    def _column(self, name: str) -> pl.Series:
        return self._table.frame[str(self._places[name])]

    def _given_name(self, name: str) -> str:
        return self._table.header.names[self._places[name]].strip()

    def _symbols(self) -> tuple[tuple[str, ...], IntArray]:
        """The symbols and each row's place among them; spellings of one symbol fold into one."""
        if self._symbol is not None:
            return (self._symbol,), np.zeros(len(self._table.frame), np.int64)
        column = self._column("symbol")
        if not isinstance(column.dtype, pl.String | pl.Categorical | pl.Enum):
            raise BadInputError(
                f"{self._table.path}: column `{self._given_name('symbol')}`: expected a symbol as text, "
                f"was {column[0]!r}"
            )
        codes, spellings = coded(column.cast(pl.String))
        folded = [plain_symbol(text) for text in spellings]
        self._note_spellings(spellings, folded)
        names = sorted({name for name in folded if name})
        number = {name: at for at, name in enumerate(names)}
        lookup = np.array([*(number.get(name, -1) for name in folded), -1], np.int64)
        keys = lookup[codes]
        self._checks.reject(np.flatnonzero(keys < 0), column, self._given_name("symbol"), "a symbol")
        return tuple(names), np.maximum(keys, 0)

    def _note_spellings(self, spellings: Sequence[str], folded: Sequence[str]) -> None:
        by_name: dict[str, list[str]] = {}
        for text, name in zip(spellings, folded, strict=True):
            by_name.setdefault(name, []).append(text.strip())
        for name, texts in by_name.items():
            if len(set(texts)) > 1:
                self._notices.append(
                    f"{self._table.path}: {' and '.join(dict.fromkeys(texts))} are one symbol, {name}"
                )

    def _sessions(self) -> tuple[DateArray, IntArray | None]:
        """(n,) sessions, NaT where unreadable, and the minute of the day where the file gives one."""
        column, name = self._column("date"), self._given_name("date")
        if column.dtype.is_numeric():
            column = whole_numbers_as_text(column)
        if column.dtype == pl.Date:
            sessions, times = column.to_numpy().astype("M8[D]"), None
        elif isinstance(column.dtype, pl.Datetime):
            sessions, times = self._instants(column)
        elif column.dtype == pl.String:
            sessions, times = self._written_dates(column)
        else:
            sessions, times = np.full(len(column), np.datetime64("NaT", "D"), "M8[D]"), None
        self._checks.reject(np.flatnonzero(np.isnat(sessions)), column, name or "date", EXPECTED_DATE)
        if times is None and "time" in self._places:
            times = coded(self._column("time").cast(pl.String))[0]
        return sessions, times

    def _instants(self, column: pl.Series) -> tuple[DateArray, IntArray]:
        unique = column.unique()
        values = unique.to_list()
        try:
            days = [_instant_date(value, self._options.zone) for value in values]
        except AmbiguousDateError as error:
            raise BadInputError(f"{self._table.path}: column `{self._given_name('date')}`: {error}") from None
        minutes = [-1 if value is None else value.hour * 60 + value.minute for value in values]
        codes = unique.to_frame("value").with_columns(
            day=pl.Series(days, dtype=pl.Date), minute=pl.Series(minutes, dtype=pl.Int64)
        )
        joined = column.to_frame("value").join(
            codes, on="value", how="left", maintain_order="left", nulls_equal=True
        )
        return joined["day"].to_numpy().astype("M8[D]"), joined["minute"].to_numpy()

    def _written_dates(self, column: pl.Series) -> tuple[DateArray, IntArray | None]:
        codes, texts = coded(column)
        try:
            found = read_date_column(texts, self._options.zone, self._options.latest)
        except AmbiguousDateError as error:
            raise BadInputError(f"{self._table.path}: column `{self._given_name('date')}`: {error}") from None
        dates = found.dates(self._choose_order(found))
        days = np.array([*(dates.get(text) for text in texts), None], "M8[D]")
        minutes = [
            -1
            if (parsed := found.readable.get(text)) is None or parsed.at is None
            else parsed.at.hour * 60 + parsed.at.minute
            for text in texts
        ]
        has_times = any(minute >= 0 for minute in minutes)
        return days[codes], np.array([*minutes, -1], np.int64)[codes] if has_times else None

    def _choose_order(self, found: DateColumn) -> DateOrder:
        where = f"{self._table.path}: column `{self._given_name('date')}`"
        if not found.orders:
            raise BadInputError(f"{where}: {found.contradiction()}; {DATE_ORDER_HINT}")
        if not found.has_open_order:
            self._date_order = found.orders[0] if found.is_ordered else None
            return found.orders[0]
        if self._options.date_order in found.orders:
            self._date_order = self._options.date_order
            return self._options.date_order
        raise OpenDateOrderError(f"{where}: {found.open_readings()}; {DATE_ORDER_HINT}")

    def _records(self, sessions: DateArray) -> RecordArray:
        self._decimal_comma = self._has_decimal_comma()
        columns = {name: self._numbers(name) for name in NUMBER_COLUMNS if name in self._places}
        records = interleave_columns(sessions, columns)
        if self._options.is_index:
            _fill_from_close(records)
        return records

    def _has_decimal_comma(self) -> bool:
        """BadInputError where every price may as well have thousands as three decimals."""
        texts = [self._column(name) for name in PRICE_FIELDS if name in self._places]
        written = [column for column in texts if column.dtype == pl.String]
        cells = [
            cell
            for column in written
            for cell in column.filter(column.str.contains(",", literal=True)).unique().to_list()
        ]
        found = find_decimal_comma(cells) if cells else False
        if found is None and self._table.separator != ",":
            if any(column.str.contains(".", literal=True).any() for column in written):
                return False
            plain = cells[0].strip()
            raise BadInputError(
                f"{self._table.path}: {plain!r} can be {plain.replace(',', '')} (thousands) or "
                f"{plain.replace(',', '.')} (a decimal comma); write prices with a decimal point"
            )
        return bool(found)

    def _numbers(self, name: str) -> FloatArray:
        """(n,) floats; null, an empty cell and the usual words for unknown become NaN."""
        column = self._column(name)
        if column.dtype.is_numeric() or column.dtype == pl.Null:
            return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        if column.dtype != pl.String:
            raise BadInputError(
                f"{self._table.path}: column `{self._given_name(name)}`: expected a number, was {column[0]!r}"
            )
        if self._decimal_comma:
            numbers = np.full(len(column), np.nan)
            rest = np.arange(len(column))
        else:
            cast = column.cast(pl.Float64, strict=False)
            numbers = cast.fill_null(float("nan")).to_numpy().copy()
            rest = np.flatnonzero((cast.is_null() & column.is_not_null()).to_numpy())
        if len(rest):
            numbers[rest] = self._read_numbers(column, rest, name)
        return numbers

    def _read_numbers(self, column: pl.Series, rows: IntArray, name: str) -> FloatArray:
        codes, texts = coded(column.gather(rows))
        read = [_number_or_none(text, decimal_comma=self._decimal_comma) for text in texts]
        wrong = np.array([*(number is None for number in read), False])
        self._checks.reject(rows[wrong[codes]], column, self._given_name(name), "a number")
        values = [float("nan") if number is None else number for number in read]
        return np.array([*values, float("nan")], np.float64)[codes]

    def _reject_surplus(self) -> None:
        """A row with more cells than the header has been shifted, by an unquoted comma perhaps."""
        width = len(self._table.header.names)
        surplus = self._table.frame.select(self._table.frame.columns[width:])
        if not surplus.width:
            return
        for row in np.flatnonzero(filled_rows(surplus).to_numpy()).tolist():
            if not self._checks.bad[row]:
                self._checks.reasons[row] = f"more cells than the {width} columns"
                self._checks.bad[row] = True

    def _skipped_rows(self) -> frozenset[int]:
        """The rows that hold nothing, or the header once more."""
        names = [name.strip().lower() for name in self._table.header.names]
        skipped = []
        for row in self._checks.reasons:
            cells = ["" if cell is None else str(cell).strip() for cell in self._table.frame.row(row)]
            if not any(cells) or [cell.lower() for cell in cells[: len(names)]] == names:
                skipped.append(row)
        if skipped:
            lines = ", ".join(str(self._table.lines[row]) for row in skipped[:5])
            self._notices.append(
                f"{self._table.path}: {len(skipped)} blank rows or repeated headers left out (row {lines}"
                f"{', ...' if len(skipped) > 5 else ''})"
            )
        return frozenset(skipped)

    def _unreadable_rows(self, skipped: frozenset[int]) -> tuple[UnreadableRow, ...]:
        return tuple(
            UnreadableRow(int(self._table.lines[row]), self._symbol_at(row), reason, self._cells(row))
            for row, reason in sorted(self._checks.reasons.items())
            if row not in skipped
        )

    def _symbol_at(self, row: int) -> str:
        if self._symbol is not None:
            return self._symbol
        return plain_symbol(str(self._column("symbol")[row] or "")) or UNKNOWN_SYMBOL

    def _cells(self, row: int) -> Mapping[str, str]:
        """The row's cells by the header's names, cut where they are long."""
        names = self._table.header.names
        cells = enumerate(self._table.frame.row(row))
        return {
            names[at].strip() if at < len(names) else f"cell {at + 1}": str(cell)[:MAX_CELL_LENGTH]
            for at, cell in cells
            if cell is not None and cell != ""
        }

    def _require_readable(self, good: int, unreadable: Sequence[UnreadableRow]) -> None:
        """Most rows must be bars: else the file is not what it was taken for."""
        broken = [row for row in unreadable if len(row.cells) > 1]
        if good >= len(broken) and good:
            return
        if not unreadable:
            raise BadInputError(f"{self._table.path}: the file holds no rows")
        first = next(iter(broken), unreadable[0])
        more = (
            f"; {len(unreadable)} of {len(unreadable) + good} rows are like it" if len(unreadable) > 1 else ""
        )
        raise BadInputError(f"{self._table.path}, row {first.line}, {first.reason}{more}")

    def _reading(self, records: RecordArray, keys: IntArray, unreadable: int, left_out: int) -> FileReading:
        columns = {name: self._given_name(name) for name in self._places if name in REQUIRED_COLUMNS}
        if self._symbol is not None:
            columns = {"symbol": FROM_FILE_NAME, **columns}
        sessions = records["session"]
        if is_bhavcopy(self._table.header.names):
            self._notices.append(UNADJUSTED_NOTICE)
        return FileReading(
            file=str(self._table.path),
            format=self._table.format_name,
            columns=columns,
            rows=len(records),
            symbols=int(np.count_nonzero(np.bincount(keys))),
            first=sessions.min().item(),
            last=sessions.max().item(),
            date_order=self._date_order,
            decimal_comma=self._decimal_comma,
            unreadable_rows=unreadable,
            left_out_rows=left_out,
        )


def _instant_date(value: datetime | None, zone: ZoneInfo) -> date | None:
    if value is None or value.tzinfo is None:
        return None if value is None else value.date()
    return market_date(value, zone)


def _number_or_none(text: str, *, decimal_comma: bool) -> float | None:
    try:
        return parse_number(text, decimal_comma=decimal_comma)
    except ValueError:
        return None


def _fill_from_close(records: RecordArray) -> None:
    """Puts the close in place of open, high and low where a file of an index has closes alone."""
    closes_only = np.logical_and.reduce([np.isnan(records[name]) for name in PRICE_FIELDS[:3]])
    for name in PRICE_FIELDS[:3]:
        records[name][closes_only] = records["close"][closes_only]
