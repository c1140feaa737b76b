"""CSV files of the exchange as named columns: unpacking, dates, numbers, errors with row and field."""

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, NoReturn, TypeVar

import numpy as np

from vcpd.core.errors import BadInputError
from vcpd.domain.bars import FloatArray

MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_SEPARATORS: Final = re.compile(r"[-/ ]")
ISO_YEAR_LENGTH: Final = 4
CENTURY: Final = 2000
V = TypeVar("V")
ZIP_MAGIC: Final = b"PK\x03\x04"
GZIP_MAGIC: Final = b"\x1f\x8b"
UNPACKED_LIMIT: Final = 64 * 1024 * 1024
EMPTY_CELLS: Final = frozenset({"", "-", "--", "NA", "N/A", "null", "None"})


def parse_date(text: str) -> date:
    """`2025-06-30`, `30-Jun-2025`, `30-JUNE-2025`, `30-06-2025`, `30/06/2025`, `30-Jun-25`.

    ValueError for anything else.
    """
    parts = _SEPARATORS.split(text.strip())
    if len(parts) != 3:
        raise ValueError(f"expected a date such as 30-Jun-2025, was {text.strip()[:40]!r}")
    if len(parts[0]) == ISO_YEAR_LENGTH:
        parts.reverse()
    try:
        day, month, year = int(parts[0]), _month(parts[1]), int(parts[2])
        return date(year + CENTURY if len(parts[2]) == 2 else year, month, day)
    except ValueError:
        raise ValueError(f"expected a date such as 30-Jun-2025, was {text.strip()[:40]!r}") from None


def month_name(day: date) -> str:
    """`JUN`."""
    return MONTHS[day.month - 1]


def _month(text: str) -> int:
    return int(text) if text.isdigit() else MONTHS.index(text[:3].upper()) + 1


@dataclass(frozen=True, slots=True)
class CsvTable:
    """`rows` (n) under a `header` of upper-case names; `lines` are the rows' numbers in the file."""

    name: str
    header: Mapping[str, int]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]

    def has(self, *names: str) -> bool:
        return all(name in self.header for name in names)

    def texts(self, name: str) -> list[str]:
        """A column's cells; blanks where the file has no such column."""
        at = self.header.get(name)
        return [""] * len(self.rows) if at is None else [row[at].strip() for row in self.rows]

    def select_rows(self, rows: Sequence[int]) -> "CsvTable":
        """The given rows of it."""
        kept = [self.rows[row] for row in rows]
        return CsvTable(self.name, self.header, kept, [self.lines[row] for row in rows])

    def numbers(self, name: str) -> FloatArray:
        """A column as (n,), NaN where a cell says nothing. BadInputError for what is no number."""
        texts = self.texts(name)
        try:
            return np.array(list(map(float, texts)), np.float64)
        except ValueError:
            return np.array([self._parse(row, name, text, _parse_number) for row, text in enumerate(texts)])

    def require_date(self, day: date, name: str) -> None:
        """BadInputError unless every cell of the column is this date."""
        texts = self.texts(name)
        for text in dict.fromkeys(texts):
            row = texts.index(text)
            told = self._parse(row, name, text, parse_date)
            if told != day:
                self._fail(row, name, f"expected {day}, was {told}")

    def _parse(self, row: int, name: str, text: str, read: Callable[[str], V]) -> V:
        try:
            return read(text)
        except ValueError as error:
            self._fail(row, name, str(error))

    def _fail(self, row: int, name: str, what: str) -> NoReturn:
        raise BadInputError(f"{self.name}, row {self.lines[row]}, field {name}: {what}") from None


def read_csv_table(body: bytes, name: str) -> CsvTable:
    """The sheet in a file's bytes: plain, gzipped, or the only CSV of a zip.

    BadInputError, naming the file, for a web page, a damaged archive or a row that was cut short.
    """
    text = _decode_text(_unpack(body, name), name)
    reader = csv.reader(io.StringIO(text, newline=""))
    header = [" ".join(cell.split()).upper() for cell in next(reader, [])]
    while header and not header[-1]:
        header.pop()
    rows, lines = [], []
    for row in reader:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) < len(header):
            raise BadInputError(f"{name}, row {reader.line_num}: {len(row)} of {len(header)} fields")
        rows.append(row)
        lines.append(reader.line_num)
    return CsvTable(name, {column: at for at, column in enumerate(header) if column}, rows, lines)


def _parse_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        if text in EMPTY_CELLS:
            return float("nan")
    try:
        return float(text.replace(",", ""))
    except ValueError:
        raise ValueError(f"expected a number, was {text[:40]!r}") from None


def _decode_text(body: bytes, name: str) -> str:
    if body.lstrip()[:1] == b"<":
        raise BadInputError(f"{name}: a web page instead of a bulletin")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("latin-1")  # company names, sometimes


def _unpack(body: bytes, name: str) -> bytes:
    try:
        if body.startswith(ZIP_MAGIC):
            return _only_member(body, name)
        if body.startswith(GZIP_MAGIC):
            unpacker = zlib.decompressobj(wbits=31)
            return _require_complete(unpacker.decompress(body, UNPACKED_LIMIT), unpacker.eof, name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BadInputError(f"{name}: a damaged archive: {error}") from None
    return body


def _only_member(body: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        members = [one for one in archive.infolist() if one.filename.lower().endswith(".csv")]
        if len(members) != 1:
            raise BadInputError(f"{name}: expected one CSV inside, was {len(members)}")
        if members[0].file_size > UNPACKED_LIMIT:
            raise BadInputError(f"{name}: larger than {UNPACKED_LIMIT} bytes unpacked")
        return archive.read(members[0])


def _require_complete(body: bytes, is_whole: bool, name: str) -> bytes:
    if not is_whole:
        raise BadInputError(f"{name}: the archive ends too early or is too large")
    return body
