"""PostgreSQL's binary formats (COPY rows, float arrays) to and from NumPy arrays.

Each row: int16 number of fields, then per field int32 length and its bytes, all big-endian; before the rows
a signature of 19 bytes, after them int16 -1.
"""

import io
from collections.abc import Iterator
from datetime import date
from typing import Final

import numpy as np

from vcpd.core.errors import RetryableError
from vcpd.domain.bars import BAR_DTYPE, PRICE_FIELDS, DateArray, FloatArray, IntArray, RecordArray

COPY_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER: Final = b"\xff\xff"
POSTGRES_EPOCH: Final = np.datetime64("2000-01-01", "D")
ROWS_PER_CHUNK: Final = 16_384
ROWS_PER_BLOCK: Final = 8_192
NUMERIC_FIELDS: Final = (*PRICE_FIELDS, "volume")
TYPE_WIDTHS: Final = {"i4": 4, "f8": 8, "?": 1}
ARRAY_HEADER_BYTES: Final = 20  # dimensions, nulls, type of the elements, length, lower bound: 4 bytes each
ARRAY_ELEMENT: Final = np.dtype([("length", ">i4"), ("value", ">f8")])


def _row_dtype(columns: tuple[tuple[str, str], ...]) -> np.dtype[np.void]:
    parts: list[tuple[str, str]] = [("fields", ">i2")]
    for name, kind in columns:
        parts += [(f"{name}_length", ">i4"), (name, kind if kind == "?" else f">{kind}")]
    return np.dtype(parts)


_BAR_COLUMNS: Final = (
    ("session", "i4"),
    *((name, "f8") for name in NUMERIC_FIELDS),
    ("provisional", "?"),
)


SERIES_ROW: Final = _row_dtype(_BAR_COLUMNS)
BAR_ROW: Final = _row_dtype((("instrument_id", "i4"), *_BAR_COLUMNS))
_KEY_BYTES: Final = _row_dtype((("instrument_id", "i4"), ("session", "i4"))).itemsize
_BAR_ROW_NUMBERS: Final = np.dtype(  # the same bytes as BAR_ROW, with prices and volume as one array
    [("key", f"V{_KEY_BYTES}"), ("numbers", ARRAY_ELEMENT, (len(NUMERIC_FIELDS),)), ("mark", "V5")]
)


def encode_copy(instrument_id: IntArray, records: RecordArray) -> Iterator[bytes]:
    """The bytes of a whole COPY of (instrument_id, session, prices, volume, provisional), piece by piece."""
    yield COPY_HEADER
    for start in range(0, len(records), ROWS_PER_CHUNK):
        part = slice(start, start + ROWS_PER_CHUNK)
        yield _encode_rows(instrument_id[part], records[part])
    yield COPY_TRAILER


def _encode_rows(instrument_id: IntArray, records: RecordArray) -> bytes:
    rows = np.empty(len(records), BAR_ROW)
    rows["fields"] = 1 + len(_BAR_COLUMNS)
    rows["instrument_id_length"] = TYPE_WIDTHS["i4"]
    rows["instrument_id"] = instrument_id
    for name, kind in _BAR_COLUMNS:
        rows[f"{name}_length"] = TYPE_WIDTHS[kind]
        rows[name] = records[name] if name != "session" else _day_numbers(records)
    return rows.tobytes()


def _day_numbers(records: RecordArray) -> IntArray:
    """Sessions as PostgreSQL counts them."""
    days: IntArray = (records["session"] - POSTGRES_EPOCH).astype(np.int64)
    return days


def decode_copy(content: bytes, row: np.dtype[np.void]) -> RecordArray:
    """The rows of a whole binary COPY as `row` records, without a copy.

    Raises RetryableError when the bytes are not whole or not of that width.
    """
    n_rows = _count_rows(len(content), content[-len(COPY_TRAILER) :], row)
    rows: RecordArray = np.frombuffer(content, row, n_rows, len(COPY_HEADER))
    _check_field_count(rows)
    return rows


class CopyFileReader:
    """The rows of a file that holds a whole binary COPY, read a piece at a time; good while `file` is open.

    A row's field lies 83 bytes from the next row's, so a piece is as large as fits into the processor's
    cache. The same memory serves for all pieces: each is good until the next is read.
    """

    def __init__(self, file: io.FileIO, row: np.dtype[np.void]) -> None:
        """Raises RetryableError when the file is not whole or its rows are not of that width."""
        self._file = file
        self._n_rows = _count_rows(file.seek(0, io.SEEK_END), _last_bytes(file), row)
        self._memory: RecordArray = np.empty(min(ROWS_PER_BLOCK, self._n_rows), row)

    @property
    def n_blocks(self) -> int:
        return -(-self._n_rows // ROWS_PER_BLOCK)

    def read_block(self, number: int) -> RecordArray:
        """Raises RetryableError when the rows have another number of fields."""
        start = number * ROWS_PER_BLOCK
        rows = self._memory[: self._n_rows - start]
        self._file.seek(len(COPY_HEADER) + start * rows.itemsize)
        if self._file.readinto(rows.view(np.uint8).data) != rows.nbytes:
            raise RetryableError(f"a copy from the store was truncated while it was read: {self._file.name}")
        _check_field_count(rows)
        return rows


def _last_bytes(file: io.FileIO) -> bytes:
    file.seek(-min(len(COPY_TRAILER), file.seek(0, io.SEEK_END)), io.SEEK_END)
    return file.read()


def _count_rows(n_bytes: int, last: bytes, row: np.dtype[np.void]) -> int:
    """How many rows a whole copy of `n_bytes` holds. Raises RetryableError when it is not whole."""
    n_rows, rest = divmod(n_bytes - len(COPY_HEADER) - len(COPY_TRAILER), row.itemsize)
    if n_rows < 0 or rest or last != COPY_TRAILER:
        raise RetryableError(f"a copy from the store is incomplete: {n_bytes} bytes")
    return n_rows


def _check_field_count(rows: RecordArray) -> None:
    if not (rows["fields"] == len(rows.dtype.names or ()) // 2).all():
        raise RetryableError("a copy from the store has rows with other columns")


def day_number(day: date) -> int:
    """A date as PostgreSQL counts days."""
    return int((np.datetime64(day, "D") - POSTGRES_EPOCH).astype(np.int64))


def session_dates(days: IntArray) -> DateArray:
    """Dates from PostgreSQL's day numbers."""
    dates: DateArray = POSTGRES_EPOCH + days.astype("m8[D]")
    return dates


def bar_numbers(rows: RecordArray) -> FloatArray:
    """(n, 5): the prices and the volume of rows of `BAR_ROW`, a view; one pass copies them all."""
    numbers: FloatArray = rows.view(_BAR_ROW_NUMBERS)["numbers"]["value"]
    return numbers


def bar_records(rows: RecordArray) -> RecordArray:
    """Rows of a copy as records of `BAR_DTYPE`."""
    records = np.empty(len(rows), BAR_DTYPE)
    records["session"] = session_dates(rows["session"])
    for name in (*NUMERIC_FIELDS, "provisional"):
        records[name] = rows[name]
    return records


def decode_float_array(content: bytes) -> FloatArray:
    """The numbers (n,) of what `array_send` gives for a one-dimensional array without nulls."""
    elements = np.frombuffer(content, ARRAY_ELEMENT, offset=ARRAY_HEADER_BYTES)
    return elements["value"].astype(np.float64)
