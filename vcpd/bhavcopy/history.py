"""Bar history on disk: one memory-mapped table ordered by symbol and session, replaced version by version.

A version is a folder with `bars.npy` (n,) of `ROW_DTYPE`, ordered by symbol and session, and `head.json`.
It is written whole and renamed into place; the files themselves remain, so it can always be made again.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Final, Self

import msgspec
import numpy as np

from vcpd.bhavcopy.layouts import FIELDS, INDEX_SERIES, BhavcopyTable, decode_bhavcopy, decode_indices
from vcpd.bhavcopy.listings import ListingIndex, ListingPeriod, SymbolPeriod, merge_periods
from vcpd.core.atomic_file import publish_folder, versions_of
from vcpd.core.errors import BadInputError, UnavailableError
from vcpd.domain.bars import BarSeries, DateArray, IntArray, RecordArray

ROW_DTYPE: Final = np.dtype([("session", "<M8[D]"), *((name, "<f8") for name in FIELDS)])
INDEX_PREFIX: Final = "^"  # before the symbol of an index, which a share may share
VERSION_PREFIX: Final = "history-"
VERSIONS_KEPT: Final = 2
ROWS_PER_WRITE: Final = 200_000


class HistoryIndex(msgspec.Struct, frozen=True):
    """What is small enough for JSON: rows [starts[i], starts[i + 1]) belong to symbols[i]."""

    symbols: tuple[str, ...] = ()
    starts: tuple[int, ...] = (0,)
    sessions: tuple[date, ...] = ()
    lives: tuple[ListingPeriod, ...] = ()


class IngestItem(msgspec.Struct, frozen=True):
    """A session's files to take in; `indices` is blank where there are none."""

    session: date
    bhavcopy_path: str
    index_path: str


class RejectedFile(msgspec.Struct, frozen=True):
    """A file that could not be understood, and why."""

    session: date
    path: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class NumberedRows:
    """Rows with the number of the symbol of each, in any order."""

    numbers: IntArray
    records: RecordArray


class BarHistory:
    """An opened version; `records` is mapped, nothing is read until it is touched."""

    def __init__(self, head: HistoryIndex, records: RecordArray, version: str = "") -> None:
        self.index = head
        self.records = records
        self.version = version
        self.sessions: DateArray = np.array(head.sessions, "M8[D]")
        self._number = {symbol: number for number, symbol in enumerate(head.symbols)}

    @classmethod
    def empty(cls) -> Self:
        return cls(HistoryIndex(), np.empty(0, ROW_DTYPE))

    @cached_property
    def listings(self) -> ListingIndex:
        return ListingIndex(self.index.lives)

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._number

    def rows(self, symbol: str) -> RecordArray:
        """A symbol's rows as published, whichever company used the symbol."""
        number = self._number.get(symbol)
        if number is None:
            return self.records[:0]
        return self.records[self.index.starts[number] : self.index.starts[number + 1]]

    def series(self, symbol: str, name: str) -> BarSeries:
        """The unadjusted bars, as `name`, of the share now called `symbol`, under all names it had."""
        parts = [_within(self.rows(period.symbol), period) for period in self.listings.symbol_periods(symbol)]
        if not parts:
            return BarSeries.empty(name)
        found = np.concatenate(parts)
        prices = (found["open"], found["high"], found["low"], found["close"])
        return BarSeries.from_columns(name, found["session"], prices, found["volume"])


def open_history(folder: Path) -> BarHistory:
    """The newest version in `folder`; an empty one where there is none that can be read."""
    for version in reversed(versions_of(folder, VERSION_PREFIX)):
        try:
            head = msgspec.json.decode((version / "head.json").read_bytes(), type=HistoryIndex)
            records = np.load(version / "bars.npy", mmap_mode="r")
        except (OSError, ValueError, EOFError, msgspec.MsgspecError):
            continue
        if head.starts[-1] == len(records) and records.dtype == ROW_DTYPE:
            return BarHistory(head, records, version.name)
    return BarHistory.empty()


def ingest_files(folder: str, orders: Sequence[IngestItem]) -> tuple[RejectedFile, ...]:
    """Decode the files and write a version that has them; for a worker.

    A session with a refused file is left out. UnavailableError where the disk is the reason.
    """
    files: list[BhavcopyTable] = []
    refused: list[RejectedFile] = []
    try:
        for order in orders:
            decoded = _decode(order)
            if isinstance(decoded, RejectedFile):
                refused.append(decoded)
            else:
                files.extend(map(_interned, decoded))
        if files:
            _write(Path(folder), open_history(Path(folder)), files)
    except OSError as error:
        raise UnavailableError(
            f"cannot write files to {folder} ({error.strerror}): free space or make it writable"
        ) from None
    return tuple(refused)


def _decode(order: IngestItem) -> list[BhavcopyTable] | RejectedFile:
    path = Path(order.bhavcopy_path)
    try:
        found = [decode_bhavcopy(path.read_bytes(), path.name, order.session)]
        if order.index_path:
            path = Path(order.index_path)
            found.append(decode_indices(path.read_bytes(), path.name, order.session))
    except BadInputError as error:
        return RejectedFile(order.session, str(path), str(error))
    except FileNotFoundError:
        return RejectedFile(order.session, str(path), f"{path.name}: the file no longer exists")
    return found


def _interned(file: BhavcopyTable) -> BhavcopyTable:
    """Hundreds of files name the same few thousand shares: each text is stored once."""
    return replace(
        file,
        symbols=[sys.intern(text) for text in file.symbols],
        series=[sys.intern(text) for text in file.series],
        isins=[sys.intern(text) for text in file.isins],
        companies=[sys.intern(text) for text in file.companies],
    )


def _write(folder: Path, known: BarHistory, files: Sequence[BhavcopyTable]) -> None:
    sessions = sorted({*known.index.sessions, *(file.session for file in files)})
    symbols = sorted({*known.index.symbols, *(name for file in files for name in _history_symbols(file))})
    number = {symbol: at for at, symbol in enumerate(symbols)}
    rows = _concatenated([_existing_rows(known, files, number), *(_new_rows(file, number) for file in files)])
    order = np.lexsort((rows.records["session"], rows.numbers))
    starts = np.searchsorted(rows.numbers[order], np.arange(len(symbols) + 1))
    lives = merge_periods([*known.index.lives, *_listing_periods(files)])
    head = HistoryIndex(tuple(symbols), tuple(starts.tolist()), tuple(sessions), tuple(lives))
    _write_version(folder, head, rows.records, order)


def _existing_rows(
    known: BarHistory, files: Iterable[BhavcopyTable], number: Mapping[str, int]
) -> NumberedRows:
    """The rows that are there already, without those of sessions that come once more."""
    again = np.array([file.session for file in files], "M8[D]")
    own = np.array([number[symbol] for symbol in known.index.symbols], np.int64)
    numbers = np.repeat(own, np.diff(known.index.starts))
    kept = ~np.isin(known.records["session"], again)
    return NumberedRows(numbers[kept], known.records[kept] if not kept.all() else known.records)


def _new_rows(file: BhavcopyTable, number: Mapping[str, int]) -> NumberedRows:
    records = np.empty(len(file), ROW_DTYPE)
    records["session"] = np.datetime64(file.session, "D")
    for at, name in enumerate(FIELDS):
        records[name] = file.values[:, at]
    return NumberedRows(np.array([number[name] for name in _history_symbols(file)], np.int64), records)


def _concatenated(parts: Sequence[NumberedRows]) -> NumberedRows:
    return NumberedRows(
        np.concatenate([part.numbers for part in parts]), np.concatenate([part.records for part in parts])
    )


def _history_symbols(file: BhavcopyTable) -> list[str]:
    marks = (INDEX_PREFIX if name == INDEX_SERIES else "" for name in file.series)
    return [mark + symbol for mark, symbol in zip(marks, file.symbols, strict=True)]


def _listing_periods(files: Sequence[BhavcopyTable]) -> list[ListingPeriod]:
    """The listing periods in these files, without a value for each line."""
    first: dict[tuple[str, str], date] = {}
    last: dict[tuple[str, str], tuple[date, str, str]] = {}
    for table in sorted(files, key=lambda file: file.session):
        for key, series, company in zip(_keys(table), table.series, table.companies, strict=True):
            first.setdefault(key, table.session)
            last[key] = (table.session, series, company or last.get(key, ("", "", ""))[2])
    return [
        ListingPeriod(*key, first[key], session, series, company)
        for key, (session, series, company) in last.items()
    ]


def _keys(file: BhavcopyTable) -> Iterator[tuple[str, str]]:
    return zip(_history_symbols(file), file.isins, strict=True)


def _within(rows: RecordArray, stretch: SymbolPeriod) -> RecordArray:
    first = np.searchsorted(rows["session"], np.datetime64(stretch.first, "D"))
    stop = np.searchsorted(rows["session"], np.datetime64(stretch.last, "D"), side="right")
    return rows[first:stop]


def _write_version(folder: Path, head: HistoryIndex, records: RecordArray, order: IntArray) -> None:
    """Write piece by piece, so that a worker never holds the table twice.

    With ordinary writes: a full disk would end a process that writes into mapped memory.
    """
    layout = {
        "descr": np.lib.format.dtype_to_descr(ROW_DTYPE),
        "fortran_order": False,
        "shape": (len(order),),
    }
    with publish_folder(folder, VERSION_PREFIX, VERSIONS_KEPT) as (unfinished, _):
        with (unfinished / "bars.npy").open("wb") as bars:
            np.lib.format.write_array_header_1_0(bars, layout)
            for start in range(0, len(order), ROWS_PER_WRITE):
                bars.write(records[order[start : start + ROWS_PER_WRITE]].tobytes())
        (unfinished / "head.json").write_bytes(msgspec.json.encode(head))
