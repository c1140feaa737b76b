"""PostgreSQL's binary COPY format for rows of fixed width without NULL, as NumPy structured arrays.

Each row: int16 number of fields, then per field int32 length and its bytes, all big-endian; before the rows
a signature of 19 bytes, after them int16 -1.
"""

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from vcpd.domain.arrays import DateArray, IntArray, RecordArray
from vcpd.domain.bars import BAR_DTYPE, PRICE_FIELDS
from vcpd.domain.errors import RetryableError

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"
POSTGRES_EPOCH: Final = np.datetime64("2000-01-01", "D")
ROWS_A_CHUNK: Final = 16_384
ROWS_A_PIECE: Final = 8_192
PIECES_A_RELEASE: Final = 32  # some 20 MB
NUMBER_FIELDS: Final = (*PRICE_FIELDS, "volume")
WIDTHS: Final = {"i4": 4, "f8": 8, "?": 1}


def _row_dtype(columns: tuple[tuple[str, str], ...]) -> np.dtype[np.void]:
    parts: list[tuple[str, str]] = [("fields", ">i2")]
    for name, kind in columns:
        parts += [(f"{name}_length", ">i4"), (name, kind if kind == "?" else f">{kind}")]
    return np.dtype(parts)


_BAR_COLUMNS: Final = (
    ("session", "i4"),
    *((name, "f8") for name in NUMBER_FIELDS),
    ("provisional", "?"),
)
SERIES_ROW: Final = _row_dtype(_BAR_COLUMNS)
BAR_ROW: Final = _row_dtype((("instrument_id", "i4"), *_BAR_COLUMNS))


def bar_chunks(instrument_id: IntArray, records: RecordArray) -> Iterator[bytes]:
    """The bytes of a whole COPY of (instrument_id, session, prices, volume, provisional), piece by piece."""
    yield HEADER
    for start in range(0, len(records), ROWS_A_CHUNK):
        part = slice(start, start + ROWS_A_CHUNK)
        yield _rows(instrument_id[part], records[part])
    yield TRAILER


def _rows(instrument_id: IntArray, records: RecordArray) -> bytes:
    rows = np.empty(len(records), BAR_ROW)
    rows["fields"] = 1 + len(_BAR_COLUMNS)
    rows["instrument_id_length"] = WIDTHS["i4"]
    rows["instrument_id"] = instrument_id
    for name, kind in _BAR_COLUMNS:
        rows[f"{name}_length"] = WIDTHS[kind]
        rows[name] = records[name] if name != "session" else _days(records)
    return rows.tobytes()


def _days(records: RecordArray) -> IntArray:
    """Sessions as PostgreSQL counts them."""
    days: IntArray = (records["session"] - POSTGRES_EPOCH).astype(np.int64)
    return days


def parse_rows(content: bytes | mmap.mmap, row: np.dtype[np.void]) -> RecordArray:
    """The rows of a whole binary COPY as `row` records, without a copy.

    Raises RetryableError when the bytes are not whole or not of that width.
    """
    n_rows, rest = divmod(len(content) - len(HEADER) - len(TRAILER), row.itemsize)
    if n_rows < 0 or rest or content[-len(TRAILER) :] != TRAILER:
        raise RetryableError(f"a copy from the store is not whole: {len(content)} bytes")
    rows: RecordArray = np.frombuffer(content, row, n_rows, len(HEADER))
    n_fields = len(row.names or ()) // 2
    if not all((piece["fields"] == n_fields).all() for piece in Pieces([rows])):
        raise RetryableError("a copy from the store has rows of another shape")
    return rows


def read_rows(path: Path, row: np.dtype[np.void]) -> RecordArray:
    """The rows of a file that holds a whole binary COPY, mapped into memory. Errors as `parse_rows`."""
    with path.open("rb") as file:
        return parse_rows(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), row)


class Pieces:
    """Parts that fit into the processor's cache: a field of a row lies 83 bytes from the next row's.

    Where the rows are a mapped file, the pages that have been read are let go of, many at a time: they
    stay in the machine's memory but do not count as this process's own.
    """

    def __init__(self, copied: Sequence[RecordArray]) -> None:
        self._copied = copied

    def __iter__(self) -> Iterator[RecordArray]:
        for rows in self._copied:
            for number, start in enumerate(range(0, len(rows), ROWS_A_PIECE), start=1):
                yield rows[start : start + ROWS_A_PIECE]
                if number % PIECES_A_RELEASE == 0:
                    _let_go(rows)
            _let_go(rows)


def _let_go(rows: RecordArray) -> None:
    view = rows.base
    if isinstance(view, memoryview) and isinstance(view.obj, mmap.mmap):
        view.obj.madvise(mmap.MADV_DONTNEED)


def session_dates(days: IntArray) -> DateArray:
    """Dates from PostgreSQL's day numbers."""
    dates: DateArray = POSTGRES_EPOCH + days.astype("m8[D]")
    return dates


def bar_records(rows: RecordArray) -> RecordArray:
    """Rows of a copy as records of `BAR_DTYPE`."""
    records = np.empty(len(rows), BAR_DTYPE)
    records["session"] = session_dates(rows["session"])
    for name in (*NUMBER_FIELDS, "provisional"):
        records[name] = rows[name]
    return records
