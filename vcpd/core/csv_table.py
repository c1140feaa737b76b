"""CSV files as named columns: unpacking, encodings, separators, numbers; errors name row and field."""

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from vcpd.core.dates import parse_date
from vcpd.core.errors import BadInputError

V = TypeVar("V")
ZIP_MAGIC: Final = b"PK\x03\x04"
OLD_EXCEL_MAGIC: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
GZIP_MAGIC: Final = b"\x1f\x8b"
UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
UNPACKED_LIMIT: Final = 64 * 1024 * 1024  # bytes
SEPARATORS: Final = (",", ";", "\t", "|")
WORKBOOK: Final = "a workbook of Excel; save it as CSV and give that file"
UNCLOSED_QUOTE: Final = "unexpected end of data"  # as the `csv` module names it
SAMPLE_BYTES: Final = 4096
EMPTY_CELLS: Final = frozenset(
    {"", "-", "--", "\N{EN DASH}", "\N{EM DASH}", "na", "n/a", "#n/a", "nan", "null", "none", "nil"}
)
MULTIPLIERS: Final[Mapping[str, float]] = {
    "": 1, "k": 1e3, "m": 1e6, "mn": 1e6, "b": 1e9, "bn": 1e9, "l": 1e5, "lac": 1e5, "lakh": 1e5,
    "lakhs": 1e5, "lacs": 1e5, "cr": 1e7, "crore": 1e7, "crores": 1e7, "inr": 1, "rs": 1,
}  # fmt: skip
_CURRENCY: Final = r"(?:rs\.?|inr|usd|eur|gbp|[\u20b9$\u20ac\u00a3])?"
_NUMBER: Final = re.compile(
    rf"(?P<sign>[+-]?)\s*{_CURRENCY}\s*(?P<inner>[+-]?)(?P<digits>[\d.,' \u00a0\u202f]*\d[\d.,]*)"
    rf"\s*(?P<unit>[a-z]*)\s*{_CURRENCY}\s*(?:/-)?",
    re.IGNORECASE,
)
_SCIENTIFIC: Final = re.compile(r"[+-]?\d+(?:\.\d*)?e[+-]?\d+", re.IGNORECASE)
_GROUPED: Final = re.compile(r"\d{1,3}(?:,\d{2,3})*,\d{3}")  # thousands, or lakhs and crores
_DECIMAL_COMMA: Final = re.compile(r"(?:\d{1,3}(?:\.\d{3})+|\d+),\d+|.*,(?:\d{1,2}|\d{4,})")
_DECIMAL_POINT: Final = re.compile(
    r"(?:\d{1,3}(?:,\d{2,3})+|\d+)\.\d+|\d{1,2}(?:,\d{2})+,\d{3}|\d+(?:,\d{3}){2,}"
)


@dataclass(frozen=True, slots=True)
class CsvTable:
    """`rows` (n) under a `header` of upper-case names; `lines` are the rows' numbers in the file.

    `damaged` gives place and reason of rows that were skipped because their cells cannot be separated.
    """

    name: str
    header: Mapping[str, int]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]
    damaged: Sequence[tuple[str, str]] = ()

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

    def numbers(self, name: str) -> NDArray[np.float64]:
        """A column as (n,), NaN for a blank cell. BadInputError for a cell that is not a number."""
        texts = self.texts(name)
        try:
            return np.array(list(map(float, texts)), np.float64)
        except ValueError:
            return np.array([self._parse(row, name, text, parse_number) for row, text in enumerate(texts)])

    def dates(self, name: str) -> list[date]:
        """A column's dates. BadInputError for a cell that is none."""
        return [self._parse(row, name, text, parse_date) for row, text in enumerate(self.texts(name))]

    def require_date(self, day: date, name: str) -> None:
        """BadInputError unless every cell of the column is this date."""
        texts = self.texts(name)
        for text in dict.fromkeys(texts):
            row = texts.index(text)
            found = self._parse(row, name, text, parse_date)
            if found != day:
                self._fail(row, name, f"expected {day}, was {found}")

    def _parse(self, row: int, name: str, text: str, read: Callable[[str], V]) -> V:
        try:
            return read(text)
        except ValueError as error:
            self._fail(row, name, str(error))

    def _fail(self, row: int, name: str, what: str) -> NoReturn:
        raise BadInputError(f"{self.name}, row {self.lines[row]}, field {name}: {what}") from None


def read_csv_table(body: bytes, name: str, *, is_utf8: bool = False, skips_damaged: bool = False) -> CsvTable:
    """The table in a file's bytes: plain, gzipped, or the only CSV of a zip.

    BadInputError, naming the file, for a web page, a damaged archive or a row of another length; with
    `is_utf8` for another encoding too. `skips_damaged` as `parse_csv_table` has it.
    """
    return parse_csv_table(decode_csv(body, name, is_utf8=is_utf8), name, skips_damaged=skips_damaged)


def parse_csv_table(
    text: str, name: str, *, pads_rows: bool = False, skips_damaged: bool = False
) -> CsvTable:
    """The table in a text whose first row that is not blank is its header.

    With `pads_rows` a short row ends in blank cells. BadInputError for a row of another length or with a
    stray quotation mark; with `skips_damaged` such a row is listed as damaged instead, and so is one that is
    longer than the header by blank cells (a comma in a number shifts cells) or whose quotation marks hold a
    line break and commas (one was forgotten, and rows became a cell).
    """
    rows: list[Sequence[str]] = []
    lines: list[int] = []
    damaged: list[tuple[str, str]] = []
    header: list[str] | None = None
    width = 0
    for place, line, row, reason in _numbered_rows(text, name):
        if header is None and not reason:
            header, width = _normalized_header(row), len(row)
        elif wrong := (
            reason
            or _misfit(row, len(header or ()), pads=pads_rows)
            or (_shifted(row, width) if skips_damaged else "")
        ):
            if header is None or not skips_damaged:
                raise BadInputError(f"{place}: {wrong}")
            damaged.append((place, wrong))
        else:
            rows.append(row + [""] * (len(header or ()) - len(row)))
            lines.append(line)
    names = {column: at for at, column in enumerate(header or ()) if column}
    return CsvTable(name, names, rows, lines, damaged)


def _numbered_rows(text: str, name: str) -> Iterator[tuple[str, int, list[str], str]]:
    """Yields each row that is not blank: place, last line, cells, and why these cannot be separated, if so.

    BadInputError for a quotation mark that is never closed: what follows it is not known to be rows.
    """
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    while True:
        first, row, reason = reader.line_num + 1, [""], ""
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if str(error) == UNCLOSED_QUOTE:
                raise BadInputError(f"{name}, row {first}: a quotation mark is never closed") from None
            reason = str(error)
        if reason or any(cell.strip() for cell in row):
            yield _place(name, first, reader.line_num), reader.line_num, row, reason


def _place(name: str, first: int, last: int) -> str:
    return f"{name}, row {first}" if first == last else f"{name}, rows {first} to {last}"


def _normalized_header(cells: Sequence[str]) -> list[str]:
    header = [" ".join(cell.split()).upper() for cell in cells]
    while header and not header[-1]:
        header.pop()
    return header


def _misfit(row: list[str], length: int, *, pads: bool) -> str:
    """What is wrong with a row's length, if anything: a cell is missing, or one too many is filled."""
    if len(row) < length and not pads:
        return f"{len(row)} of {length} fields"
    if any(cell.strip() for cell in row[length:]):
        return f"{len(row)} fields, expected {length}"
    return ""


def _shifted(row: list[str], width: int) -> str:
    """Why the cells of a row may not be those that its author wrote, if so."""
    if len(row) > width:
        return f"{len(row)} fields, expected {width}; a number with commas needs quotation marks"
    if any("\n" in cell and "," in cell for cell in row):
        return "a quotation mark that opens in one row is closed in a later one"
    return ""


def csv_rows(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each row with the number of its last line, counted from 1; a stray quote is part of its cell."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise BadInputError(f"row {reader.line_num}: {error}") from None


def parse_number(text: str, *, decimal_comma: bool = False) -> float:
    """`1,234.50`, `12,34,567`, `Rs. 10`, `5.2M`, NaN where the cell is blank or says so; else ValueError."""
    stripped = text.strip()
    if stripped.lower() in EMPTY_CELLS:
        return float("nan")
    if stripped.startswith("(") and stripped.endswith(")"):
        return -parse_number(stripped[1:-1], decimal_comma=decimal_comma)
    if _SCIENTIFIC.fullmatch(stripped):
        return float(stripped)
    match = _NUMBER.fullmatch(stripped)
    multiplier = MULTIPLIERS.get(match["unit"].lower()) if match is not None else None
    if match is None or multiplier is None:
        raise ValueError(f"expected a number, was {text[:40]!r}")
    sign = -1.0 if "-" in match["sign"] + match["inner"] else 1.0
    number = sign * _ungrouped(match["digits"], text, decimal_comma=decimal_comma)
    return number if multiplier == 1 else round(number * multiplier, 4)


def _ungrouped(digits: str, text: str, *, decimal_comma: bool) -> float:
    plain = re.sub(r"[' \u00a0\u202f]", "", digits)
    if decimal_comma:
        plain = plain.translate(str.maketrans(".,", ",."))
    whole, _, fraction = plain.partition(".")
    if ("," in whole and not _GROUPED.fullmatch(whole)) or "," in fraction:
        raise ValueError(f"expected a number, was {text[:40]!r}")
    try:
        return float(plain.replace(",", ""))
    except ValueError:
        raise ValueError(f"expected a number, was {text[:40]!r}") from None


def find_decimal_comma(cells: Sequence[str]) -> bool | None:
    """Whether the numbers in `cells` have a decimal comma; None where no number shows it."""
    for cell in cells:
        digits = re.sub(r"[^\d.,]", "", cell)
        if "," in digits and _DECIMAL_POINT.fullmatch(digits):
            return False
        if _is_decimal_comma(digits):
            return True
    return None


def _is_decimal_comma(digits: str) -> bool:
    """`1.234,50` and `12,5` have one; `1,234` need not."""
    whole, comma, fraction = digits.rpartition(",")
    if not comma or "." in fraction:
        return False
    return bool(_DECIMAL_COMMA.fullmatch(digits)) and ("." in whole or len(fraction) != 3)


def decode_csv(body: bytes, name: str, limit: int = UNPACKED_LIMIT, *, is_utf8: bool = False) -> str:
    """The text in a file's bytes, unpacked: UTF-8 or UTF-16 with or without its mark, else Latin-1.

    BadInputError for a web page, a damaged archive or one with more than `limit` bytes.
    """
    if body.startswith(OLD_EXCEL_MAGIC):
        raise BadInputError(f"{name}: {WORKBOOK}")
    plain = _unpack(body, name, limit)
    if plain.lstrip()[:1] == b"<" and not re.match(rb"\s*<\w+>\s*[,;\t|]", plain):
        raise BadInputError(f"{name}: a web page instead of a table")
    if plain.startswith(UTF16_MARKS) or b"\0" in plain[:SAMPLE_BYTES]:
        return _decode_utf16(plain, name)
    try:
        return plain.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if is_utf8:
            raise BadInputError(f"{name}: cannot be read as UTF-8: {error.reason}") from None
        return plain.decode("latin-1")  # company names, sometimes


def _decode_utf16(body: bytes, name: str) -> str:
    """Decodes UTF-16 by its byte order mark, else by the position of the zero bytes of Western text."""
    encoding = "utf-16"
    if not body.startswith(UTF16_MARKS):
        encoding = "utf-16-be" if body[:1] == b"\0" else "utf-16-le"
    try:
        return body.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise BadInputError(f"{name}: cannot be read as text: {error.reason}") from None


def _unpack(body: bytes, name: str, limit: int) -> bytes:
    try:
        if body.startswith(ZIP_MAGIC):
            return _only_member(body, name, limit)
        if body.startswith(GZIP_MAGIC):
            return _gunzip(body, name, limit)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BadInputError(f"{name}: a damaged archive: {error}") from None
    return body


def _only_member(body: bytes, name: str, limit: int) -> bytes:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        if any(member.filename.startswith("xl/") for member in archive.infolist()):
            raise BadInputError(f"{name}: {WORKBOOK}")
        members = [member for member in archive.infolist() if member.filename.lower().endswith(".csv")]
        if len(members) != 1:
            raise BadInputError(f"{name}: expected one CSV inside, was {len(members)}")
        if members[0].file_size > limit:
            raise BadInputError(f"{name}: larger than {limit} bytes unpacked")
        return archive.read(members[0])


def _gunzip(body: bytes, name: str, limit: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    unpacked = unpacker.decompress(body, limit)
    if unpacker.unconsumed_tail:
        raise BadInputError(f"{name}: larger than {limit} bytes unpacked")
    if not unpacker.eof:
        raise BadInputError(f"{name}: the archive ends too early")
    return unpacked
