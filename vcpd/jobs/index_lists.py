"""Index lists as the exchange publishes them: who is a member, and of which industry."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from vcpd.domain.errors import BadInputError

EXCHANGE: Final = "NSE"
SYMBOL: Final = "symbol"
INDUSTRY: Final = "industry"


def full_symbol(symbol: str) -> str:
    """`NSE:INFY` for `infy` and for itself."""
    name = symbol.strip().upper()
    return name if ":" in name else f"{EXCHANGE}:{name}"


def members(text: str, name: str) -> list[str]:
    """The `Symbol` column of a list. Raises BadInputError naming `name`."""
    return [row[SYMBOL] for row in _rows(text, name, (SYMBOL,)) if row[SYMBOL]]


def industries(text: str, name: str) -> dict[str, str]:
    """Industry by full symbol, where the list tells one. Raises BadInputError naming `name`."""
    rows = _rows(text, name, (SYMBOL, INDUSTRY))
    return {full_symbol(row[SYMBOL]): row[INDUSTRY] for row in rows if row[SYMBOL] and row[INDUSTRY]}


def tells_industries(text: str) -> bool:
    """Whether a list has the column at all: a plain list of symbols has none."""
    return INDUSTRY in _header(next(_records(text), []))


def read_lists(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The texts of list files by path; relative ones lie below `folder`. Raises BadInputError."""
    return {str(folder / name): _read(folder / name) for name in names}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: the list cannot be read: {error}") from None


def _rows(text: str, name: str, wanted: tuple[str, ...]) -> Iterator[Mapping[str, str]]:
    """The wanted columns of each row, stripped; a short row has empty ones."""
    records = _records(text)
    header = _header(next(records, []))
    for column in wanted:
        if column not in header:
            was = ", ".join(header) or "nothing"
            raise BadInputError(f"{name}: expected a column `{column.title()}`, was {was}")
    places = {column: header.index(column) for column in wanted}
    for record in records:
        yield {name: record[at].strip() if len(record) > at else "" for name, at in places.items()}


def _records(text: str) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text.lstrip("\ufeff")))


def _header(cells: list[str]) -> list[str]:
    return [cell.strip().lower() for cell in cells]
