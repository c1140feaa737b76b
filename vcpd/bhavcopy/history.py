"""All bulletins as one table on disk, a symbol's sessions side by side: a history is a slice of it.

A version is a folder with `bars.npy` (n,) of `ROW_DTYPE`, ordered by symbol and session, and `head.json`.
It is written whole and renamed into place; the bulletins themselves remain, so it can always be made again.
"""

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Final, Self

import msgspec
import numpy as np

from vcpd.bhavcopy.identity import Identities, Life, Stretch, merge_lives
from vcpd.bhavcopy.layouts import FIELDS, INDEX_SERIES, Bulletin, decode_bulletin, decode_indices
from vcpd.domain.arrays import DateArray, IntArray, RecordArray
from vcpd.domain.bars import BarSeries
from vcpd.domain.errors import BadInputError, UnavailableError

ROW_DTYPE: Final = np.dtype([("session", "<M8[D]"), *((name, "<f8") for name in FIELDS)])
INDEX_MARK: Final = "^"  # before the symbol of an index, which a share may share
PREFIX: Final = "history-"
UNFINISHED: Final = "unfinished-"
KEPT: Final = 2
ROWS_AT_ONCE: Final = 200_000


class Head(msgspec.Struct, frozen=True):
    """What is small enough for JSON: rows [starts[i], starts[i + 1]) belong to symbols[i]."""

    symbols: tuple[str, ...] = ()
    starts: tuple[int, ...] = (0,)
    sessions: tuple[date, ...] = ()
    lives: tuple[Life, ...] = ()


class Order(msgspec.Struct, frozen=True):
    """A session's files to take in; `indices` is blank where there are none."""

    session: date
    bulletin: str
    indices: str


class Refusal(msgspec.Struct, frozen=True):
    """A file that could not be understood, and why."""

    session: date
    path: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows with the number of the symbol of each, in any order."""

    numbers: IntArray
    records: RecordArray


class History:
    """An opened version; `records` is mapped, nothing is read until it is touched."""

    def __init__(self, head: Head, records: RecordArray, version: str = "") -> None:
        self.head = head
        self.records = records
        self.version = version
        self.sessions: DateArray = np.array(head.sessions, "M8[D]")
        self._number = {symbol: number for number, symbol in enumerate(head.symbols)}

    @classmethod
    def empty(cls) -> Self:
        return cls(Head(), np.empty(0, ROW_DTYPE))

    @cached_property
    def identities(self) -> Identities:
        return Identities(self.head.lives)

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._number

    def rows(self, symbol: str) -> RecordArray:
        """A symbol's rows as they were published, whoever bore it."""
        number = self._number.get(symbol)
        if number is None:
            return self.records[:0]
        return self.records[self.head.starts[number] : self.head.starts[number + 1]]

    def series(self, symbol: str, name: str) -> BarSeries:
        """The unadjusted bars, as `name`, of the share now called `symbol`, under all names it had."""
        parts = [_within(self.rows(one.symbol), one) for one in self.identities.stretches(symbol)]
        if not parts:
            return BarSeries.empty(name)
        found = np.concatenate(parts)
        prices = (found["open"], found["high"], found["low"], found["close"])
        return BarSeries.from_columns(name, found["session"], prices, found["volume"])


def open_history(folder: Path) -> History:
    """The newest version in `folder`; an empty one where there is none that can be read."""
    for version in reversed(_versions(folder)):
        try:
            head = msgspec.json.decode((version / "head.json").read_bytes(), type=Head)
            records = np.load(version / "bars.npy", mmap_mode="r")
        except (OSError, ValueError, EOFError, msgspec.MsgspecError):
            continue
        if head.starts[-1] == len(records) and records.dtype == ROW_DTYPE:
            return History(head, records, version.name)
    return History.empty()


def take_in(folder: str, orders: Sequence[Order]) -> tuple[Refusal, ...]:
    """Decode the files and write a version that has them; for a worker.

    A session with a refused file is left out. UnavailableError where the disk is the reason.
    """
    bulletins: list[Bulletin] = []
    refused: list[Refusal] = []
    try:
        for order in orders:
            decoded = _decode(order)
            if isinstance(decoded, Refusal):
                refused.append(decoded)
            else:
                bulletins.extend(map(_interned, decoded))
        if bulletins:
            _write(Path(folder), open_history(Path(folder)), bulletins)
    except OSError as error:
        raise UnavailableError(
            f"cannot write bulletins to {folder} ({error.strerror}): free space or make it writable"
        ) from None
    return tuple(refused)


def _decode(order: Order) -> list[Bulletin] | Refusal:
    path = Path(order.bulletin)
    try:
        found = [decode_bulletin(path.read_bytes(), path.name, order.session)]
        if order.indices:
            path = Path(order.indices)
            found.append(decode_indices(path.read_bytes(), path.name, order.session))
    except BadInputError as error:
        return Refusal(order.session, str(path), str(error))
    except FileNotFoundError:
        return Refusal(order.session, str(path), f"{path.name}: the file is gone")
    return found


def _interned(bulletin: Bulletin) -> Bulletin:
    """Hundreds of bulletins name the same few thousand shares: each text is kept once."""
    return replace(
        bulletin,
        symbols=[sys.intern(text) for text in bulletin.symbols],
        series=[sys.intern(text) for text in bulletin.series],
        isins=[sys.intern(text) for text in bulletin.isins],
        companies=[sys.intern(text) for text in bulletin.companies],
    )


def _write(folder: Path, known: History, bulletins: Sequence[Bulletin]) -> None:
    sessions = sorted({*known.head.sessions, *(one.session for one in bulletins)})
    symbols = sorted({*known.head.symbols, *(name for one in bulletins for name in _names(one))})
    number = {symbol: at for at, symbol in enumerate(symbols)}
    rows = _gathered([_known_rows(known, bulletins, number), *(_new_rows(one, number) for one in bulletins)])
    order = np.lexsort((rows.records["session"], rows.numbers))
    starts = np.searchsorted(rows.numbers[order], np.arange(len(symbols) + 1))
    lives = merge_lives([*known.head.lives, *_lives(bulletins)])
    head = Head(tuple(symbols), tuple(starts.tolist()), tuple(sessions), tuple(lives))
    _write_version(folder, head, rows.records, order)


def _known_rows(known: History, bulletins: Iterable[Bulletin], number: Mapping[str, int]) -> Rows:
    """The rows that are there already, without those of sessions that come once more."""
    again = np.array([one.session for one in bulletins], "M8[D]")
    own = np.array([number[symbol] for symbol in known.head.symbols], np.int64)
    numbers = np.repeat(own, np.diff(known.head.starts))
    kept = ~np.isin(known.records["session"], again)
    return Rows(numbers[kept], known.records[kept] if not kept.all() else known.records)


def _new_rows(bulletin: Bulletin, number: Mapping[str, int]) -> Rows:
    records = np.empty(len(bulletin), ROW_DTYPE)
    records["session"] = np.datetime64(bulletin.session, "D")
    for at, name in enumerate(FIELDS):
        records[name] = bulletin.values[:, at]
    return Rows(np.array([number[name] for name in _names(bulletin)], np.int64), records)


def _gathered(parts: Sequence[Rows]) -> Rows:
    return Rows(
        np.concatenate([part.numbers for part in parts]), np.concatenate([part.records for part in parts])
    )


def _names(bulletin: Bulletin) -> list[str]:
    marks = (INDEX_MARK if one == INDEX_SERIES else "" for one in bulletin.series)
    return [mark + symbol for mark, symbol in zip(marks, bulletin.symbols, strict=True)]


def _lives(bulletins: Sequence[Bulletin]) -> list[Life]:
    """The lives that these bulletins tell of, without a value for each line of them."""
    first: dict[tuple[str, str], date] = {}
    last: dict[tuple[str, str], tuple[date, str, str]] = {}
    for one in sorted(bulletins, key=lambda bulletin: bulletin.session):
        for key, series, company in zip(_keys(one), one.series, one.companies, strict=True):
            first.setdefault(key, one.session)
            last[key] = (one.session, series, company or last.get(key, ("", "", ""))[2])
    return [
        Life(*key, first[key], session, series, company) for key, (session, series, company) in last.items()
    ]


def _keys(bulletin: Bulletin) -> Iterator[tuple[str, str]]:
    return zip(_names(bulletin), bulletin.isins, strict=True)


def _within(rows: RecordArray, stretch: Stretch) -> RecordArray:
    first = np.searchsorted(rows["session"], np.datetime64(stretch.first, "D"))
    stop = np.searchsorted(rows["session"], np.datetime64(stretch.last, "D"), side="right")
    return rows[first:stop]


def _write_version(folder: Path, head: Head, records: RecordArray, order: IntArray) -> None:
    """Write piece by piece, so that a worker never holds the table twice."""
    unfinished = folder / f"{UNFINISHED}{os.getpid()}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    bars = np.lib.format.open_memmap(unfinished / "bars.npy", "w+", ROW_DTYPE, (len(order),))
    for start in range(0, len(order), ROWS_AT_ONCE):
        piece = slice(start, start + ROWS_AT_ONCE)
        bars[piece] = records[order[piece]]
    bars.flush()
    (unfinished / "head.json").write_bytes(msgspec.json.encode(head))
    versions = _versions(folder)
    following = int(versions[-1].name.removeprefix(PREFIX)) + 1 if versions else 1
    unfinished.rename(folder / f"{PREFIX}{following:08d}")
    _clean(folder)


def _clean(folder: Path) -> None:
    """Delete old versions, and what killed writers left unfinished."""
    for old in [*_versions(folder)[:-KEPT], *folder.glob(f"{UNFINISHED}*")]:
        shutil.rmtree(old, ignore_errors=True)


def _versions(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{PREFIX}*"))
