"""Panel snapshots on disk, one folder for each version.

A version is written whole, then renamed into place; a worker process does it. Its folder holds
`bars_by_symbol.npy` (n, w, 5), `provisional_by_session.npy` (w, n), `index_close.npy` (m,) and `panel.json`
with the rest. So arranged, a new session changes one page of the disk for each symbol and one for the marks,
however many sessions there are. Versions are numbered in the order in which they were written.

A snapshot shows m of the w columns, `first_column` and those after it. The later ones are spare: a version
with one more session can share the files of the version before, whose readers never look at a spare column.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO, Final, NamedTuple

import msgspec
import numpy as np
import structlog
from numpy.lib import format as npy

from vcpd.core.atomic_file import publish_folder, versions_of
from vcpd.core.errors import RetryableError, UnavailableError
from vcpd.domain.bars import BoolArray, DateArray, FloatArray
from vcpd.domain.panel import FIELDS, Panel, PanelReference

log = structlog.get_logger("vcpd.store")
PANEL_FOLDER: Final = "panel"  # below the state directory
KEPT_VERSIONS: Final = 2
VERSION_PREFIX: Final = "panel-"
BARS: Final = "bars_by_symbol.npy"  # an older program, which arranges bars otherwise, does not find it
PROVISIONAL: Final = "provisional_by_session.npy"
INDEX_CLOSE: Final = "index_close.npy"
METADATA: Final = "panel.json"
LOCK: Final = "refresh.lock"
CELL: Final = np.dtype(np.float64)
BAR_BYTES: Final = len(FIELDS) * CELL.itemsize
# Linux 6.16 keeps what one call writes together in its cache, and looks at the whole of it when a bar in it
# is written later, and when that is synced: a refresh takes twice as long. Smaller pieces are written slower.
PIECE_BYTES: Final = 16_384
UNIX_EPOCH: Final = np.datetime64(0, "D")
WriteArrays = Callable[[Path], None]  # makes BARS and PROVISIONAL in a folder


class PanelRow(msgspec.Struct, frozen=True):
    """An instrument that may have a row in the panel."""

    id: int
    symbol: str
    tick_size: float


class BarChange(msgspec.Struct, frozen=True):
    """The newest change of bars that a snapshot contains; the token is of this change alone."""

    number: int
    token: str


class PanelOrigin(msgspec.Struct, frozen=True):
    """Which stored bars a snapshot shows: those of `candidates` from `first` on, after `change`.

    `row_ids` are the candidates that have rows, in their order.
    """

    change: BarChange
    candidates: tuple[int, ...]
    row_ids: tuple[int, ...]
    first: date
    n_sessions: int


class PanelMetadata(msgspec.Struct, frozen=True):
    """What is small enough for JSON."""

    symbols: tuple[str, ...]
    sessions: tuple[date, ...]
    tick_size: tuple[float, ...]
    exclusions: Mapping[str, str]
    first_column: int = 0
    origin: PanelOrigin | None = None  # None: of bars from elsewhere

    @property
    def columns(self) -> slice:
        """The columns of the files that the snapshot shows."""
        return slice(self.first_column, self.first_column + len(self.sessions))


def open_panel(reference: PanelReference) -> Panel:
    """Map a snapshot: nothing is read until it is touched, and all processes share the pages.

    Raises RetryableError when the snapshot is gone because newer ones took its place.
    """
    folder = Path(reference.path)
    try:
        head = read_metadata(folder)
        bars = np.asarray(np.load(folder / BARS, mmap_mode="r"))[:, head.columns]
        provisional = np.asarray(np.load(folder / PROVISIONAL, mmap_mode="r"))[head.columns]
        index_close = np.load(folder / INDEX_CLOSE)
    except FileNotFoundError:
        raise RetryableError(f"the panel {reference.version} was deleted: newer ones replaced it") from None
    return Panel(
        head.symbols,
        _date_array(head.sessions),
        bars.transpose(2, 0, 1),
        provisional.T,
        index_close,
        np.array(head.tick_size, np.float64),
        head.exclusions,
    )


def _date_array(days: Sequence[date]) -> DateArray:
    """The days (m,); NumPy's own conversion takes thirty times as long."""
    ordinals = np.fromiter(map(date.toordinal, days), np.int64, len(days))
    dates: DateArray = UNIX_EPOCH + (ordinals - UNIX_EPOCH.item().toordinal()).astype("m8[D]")
    return dates


def _read_reference(folder: Path) -> PanelReference | None:
    """The snapshot in a folder, if all of its files are whole."""
    try:
        panel = open_panel(PanelReference(str(folder), folder.name, 0, 0))
    except (ValueError, EOFError, RetryableError):
        return None
    return PanelReference(str(folder), folder.name, len(panel.symbols), len(panel.sessions))


def read_metadata(folder: Path) -> PanelMetadata:
    """The metadata of the snapshot in a folder. FileNotFoundError where there is none."""
    return msgspec.json.decode((folder / METADATA).read_bytes(), type=PanelMetadata)


def _save_arrays(panel: Panel, folder: Path) -> None:
    np.save(folder / BARS, np.ascontiguousarray(panel.values.transpose(1, 2, 0)))
    np.save(folder / PROVISIONAL, np.ascontiguousarray(panel.provisional.T))


def link_planes(source: Path, folder: Path) -> None:
    """The same planes under another version, without a copy where the disk can share a file."""
    for name in (BARS, PROVISIONAL):
        try:
            (folder / name).hardlink_to(source / name)
        except OSError:
            shutil.copyfile(source / name, folder / name)


class PanelFiles:
    """The snapshots in one folder; only the newest two are kept, so that readers of the last can finish."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes that would lock the folder from it within the context.

        Raises RetryableError while another process has locked it, UnavailableError as `add`.
        """
        with self._disk_errors():
            self.folder.mkdir(parents=True, exist_ok=True)
            file = (self.folder / LOCK).open("a+b", buffering=0)
        with file:  # the kernel forgets the lock with the file, also that of a killed process
            self._lock(file)
            yield

    def _lock(self, file: IO[bytes]) -> None:
        """Where the file system knows no locks, as some of the network, the panel is made without one."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise RetryableError(
                f"another process of vcpd ({file.read().decode() or 'number unknown'}) is making a panel in "
                f"{self.folder}: wait until it has finished, or give each its own [daemon] state_dir"
            ) from None
        except OSError as error:
            log.warning("panel.not_locked", folder=str(self.folder), reason=error.strerror)
        with suppress(OSError):  # the number only tells others who it is
            file.truncate(0)
            file.write(str(os.getpid()).encode())

    def current(self) -> PanelReference | None:
        """The newest snapshot; None where there is none, or a power cut left it without its contents."""
        versions = versions_of(self.folder, VERSION_PREFIX)
        return _read_reference(versions[-1]) if versions else None

    def write(self, panel: Panel) -> PanelReference:
        """Add a panel that lies in memory as a snapshot. Errors as `add`."""
        head = PanelMetadata(
            panel.symbols,
            tuple(panel.sessions.tolist()),
            tuple(panel.tick_size.tolist()),
            dict(panel.exclusions),
        )
        return self.add(head, panel.index_close, partial(_save_arrays, panel))

    def with_exclusions(self, reasons: Mapping[str, str]) -> PanelReference:
        """Add the newest snapshot anew, with the symbols in `reasons` excluded and no others.

        Raises RetryableError where there is none; errors as `add`.
        """
        latest = self.current()
        if latest is None:
            raise RetryableError("there is no panel yet: the next collect creates it")
        source = Path(latest.path)
        head = read_metadata(source)
        excluded = {symbol: reasons[symbol] for symbol in head.symbols if symbol in reasons}
        changed = msgspec.structs.replace(head, exclusions=excluded)
        return self.add(changed, np.load(source / INDEX_CLOSE), partial(link_planes, source))

    def add(self, head: PanelMetadata, index_close: FloatArray, write_planes: WriteArrays) -> PanelReference:
        """Add a snapshot, its planes written by `write_planes`, and delete what is too old.

        Raises UnavailableError where the disk is the reason, FileNotFoundError where `write_planes` lacks a
        file.
        """
        with (
            self._disk_errors(),
            publish_folder(self.folder, VERSION_PREFIX, KEPT_VERSIONS) as (unfinished, final),
        ):
            write_planes(unfinished)
            np.save(unfinished / INDEX_CLOSE, index_close)
            (unfinished / METADATA).write_bytes(msgspec.json.encode(head))
        return PanelReference(str(final), final.name, len(head.symbols), len(head.sessions))

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise UnavailableError(
                f"cannot write the panel to {self.folder} ({error.strerror}): free space or make it writable"
            ) from None


class RowBand(NamedTuple):
    """Neighbouring rows of a panel from `first_row` on: `bars` (k, w, 5) and `provisional` (k, w)."""

    first_row: int
    bars: FloatArray
    provisional: BoolArray


class PanelWriter:
    """Writes the bars of n symbols and w sessions to a file, and collects their marks of provisional bars."""

    def __init__(self, bars: BinaryIO, n_symbols: int, n_columns: int) -> None:
        shape = (n_symbols, n_columns, len(FIELDS))
        npy.write_array_header_1_0(bars, {"descr": CELL.str, "fortran_order": False, "shape": shape})
        self._bars = bars
        self._start = bars.tell()
        self._row_bytes = n_columns * BAR_BYTES
        self.provisional: BoolArray = np.zeros((n_columns, n_symbols), np.bool_)

    def write_band(self, band: RowBand) -> None:
        """Put the rows where they belong; every row must be written once."""
        self._bars.seek(self._start + band.first_row * self._row_bytes)
        content = band.bars.reshape(-1).view(np.uint8).data
        for start in range(0, len(content), PIECE_BYTES):
            self._bars.write(content[start : start + PIECE_BYTES])
        if band.provisional.any():  # most have none: pages of zeros that nobody wrote take no memory
            self.provisional[:, band.first_row : band.first_row + len(band.bars)] = band.provisional.T


@contextmanager
def open_panel_writer(folder: Path, n_symbols: int, n_columns: int) -> Iterator[PanelWriter]:
    """Both files anew in `folder`, whole after the context."""
    with (folder / BARS).open("wb") as bars:
        writer = PanelWriter(bars, n_symbols, n_columns)
        yield writer
    np.save(folder / PROVISIONAL, writer.provisional)


def write_columns(folder: Path, first: int, band: RowBand) -> None:
    """Put whole columns, `bars` (n, k, 5) and `provisional` (n, k), into the files from column `first` on.

    No published snapshot may show one of them. They are written, not mapped: a full disk kills a process that
    stores into a mapping.
    """
    with (folder / BARS).open("r+b") as file:
        row_bytes = _array_shape(file)[1] * BAR_BYTES
        start = file.tell() + first * BAR_BYTES
        for number, bars in enumerate(band.bars):
            _write_at(file, bars.data, start + number * row_bytes)
    with (folder / PROVISIONAL).open("r+b") as file:
        n_symbols = _array_shape(file)[1]
        _write_at(file, np.ascontiguousarray(band.provisional.T).data, file.tell() + first * n_symbols)


def _write_at(file: BinaryIO, content: memoryview, offset: int) -> None:
    """OSError where the disk takes but a part of it."""
    if os.pwrite(file.fileno(), content, offset) < content.nbytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file.name)


def column_capacity(folder: Path) -> int:
    """The number w of columns of a snapshot's files, spare ones included."""
    with (folder / BARS).open("rb") as file:
        return _array_shape(file)[1]


def _array_shape(file: BinaryIO) -> tuple[int, ...]:
    """The shape of an `.npy` file, which is read up to its first cell."""
    npy.read_magic(file)
    shape: tuple[int, ...] = npy.read_array_header_1_0(file)[0]
    return shape
