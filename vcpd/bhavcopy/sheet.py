"""A published CSV as named columns: blanks trimmed, dashes understood, every complaint with its place."""

import csv
import io
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, NoReturn, TypeVar

import numpy as np

from vcpd.bhavcopy.dates import read_date
from vcpd.domain.arrays import FloatArray
from vcpd.domain.errors import BadInputError

V = TypeVar("V")
ZIP_MAGIC: Final = b"PK\x03\x04"
GZIP_MAGIC: Final = b"\x1f\x8b"
UNPACKED_LIMIT: Final = 64 * 1024 * 1024
NOTHING: Final = frozenset({"", "-", "--", "NA", "N/A", "null", "None"})


@dataclass(frozen=True, slots=True)
class Sheet:
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

    def only(self, rows: Sequence[int]) -> "Sheet":
        """The given rows of it."""
        kept = [self.rows[row] for row in rows]
        return Sheet(self.name, self.header, kept, [self.lines[row] for row in rows])

    def numbers(self, name: str) -> FloatArray:
        """A column as (n,), NaN where a cell says nothing. BadInputError for what is no number."""
        texts = self.texts(name)
        try:
            return np.array(list(map(float, texts)), np.float64)
        except ValueError:
            return np.array([self._read(row, name, text, _number) for row, text in enumerate(texts)])

    def must_tell_of(self, day: date, name: str) -> None:
        """BadInputError unless every cell of the column is this date."""
        texts = self.texts(name)
        for text in dict.fromkeys(texts):
            row = texts.index(text)
            told = self._read(row, name, text, read_date)
            if told != day:
                self._refuse(row, name, f"expected {day}, was {told}")

    def _read(self, row: int, name: str, text: str, read: Callable[[str], V]) -> V:
        try:
            return read(text)
        except ValueError as error:
            self._refuse(row, name, str(error))

    def _refuse(self, row: int, name: str, what: str) -> NoReturn:
        raise BadInputError(f"{self.name}, row {self.lines[row]}, field {name}: {what}") from None


def read_sheet(body: bytes, name: str) -> Sheet:
    """The sheet in a file's bytes: plain, gzipped, or the only CSV of a zip.

    BadInputError, naming the file, for a web page, a damaged archive or a row that was cut short.
    """
    text = _text(_unpacked(body, name), name)
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
    return Sheet(name, {column: at for at, column in enumerate(header) if column}, rows, lines)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        if text in NOTHING:
            return float("nan")
    try:
        return float(text.replace(",", ""))
    except ValueError:
        raise ValueError(f"expected a number, was {text[:40]!r}") from None


def _text(body: bytes, name: str) -> str:
    if body.lstrip()[:1] == b"<":
        raise BadInputError(f"{name}: a web page instead of a bulletin")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("latin-1")  # company names, sometimes


def _unpacked(body: bytes, name: str) -> bytes:
    try:
        if body.startswith(ZIP_MAGIC):
            return _only_member(body, name)
        if body.startswith(GZIP_MAGIC):
            unpacker = zlib.decompressobj(wbits=31)
            return _whole(unpacker.decompress(body, UNPACKED_LIMIT), unpacker.eof, name)
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


def _whole(body: bytes, is_whole: bool, name: str) -> bytes:
    if not is_whole:
        raise BadInputError(f"{name}: the archive ends too early or is too large")
    return body
