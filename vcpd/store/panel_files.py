"""Panel snapshots on disk, one folder for each version.

A version is written whole, then renamed into place; a worker process does it. Its folder holds `bars.npy`
(5, n, w), `provisional.npy` (n, w), `index_close.npy` (m,) and `panel.json` with the rest. Versions are
numbered in the order in which they were written.

A snapshot shows m of the w columns, `first_column` and those after it. The later ones are spare: a version
with one more session can share the files of the version before, whose readers never look at a spare column.
"""

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import msgspec
import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from vcpd.core.atomic_file import publish_folder, versions_of
from vcpd.core.errors import RetryableError, UnavailableError
from vcpd.domain.bars import BoolArray, FloatArray
from vcpd.domain.panel import FIELDS, Panel, PanelReference

PANEL_FOLDER: Final = "panel"  # below the state directory
KEPT_VERSIONS: Final = 2
VERSION_PREFIX: Final = "panel-"
VALUES: Final = "bars.npy"  # version 0.1.0, which knows no spare columns, does not find it and makes its own
PROVISIONAL: Final = "provisional.npy"
INDEX_CLOSE: Final = "index_close.npy"
METADATA: Final = "panel.json"
WriteArrays = Callable[[Path], None]  # makes VALUES and PROVISIONAL in a folder


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
        values = np.asarray(np.load(folder / VALUES, mmap_mode="r"))[:, :, head.columns]
        provisional = np.asarray(np.load(folder / PROVISIONAL, mmap_mode="r"))[:, head.columns]
        index_close = np.load(folder / INDEX_CLOSE)
    except FileNotFoundError:
        raise RetryableError(f"the panel {reference.version} was deleted: newer ones replaced it") from None
    return Panel(
        head.symbols,
        np.array(head.sessions, "M8[D]"),
        values,
        provisional,
        index_close,
        np.array(head.tick_size, np.float64),
        head.exclusions,
    )


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
    np.save(folder / VALUES, panel.values)
    np.save(folder / PROVISIONAL, panel.provisional)


def link_planes(source: Path, folder: Path) -> None:
    """The same planes under another version, without a copy where the disk can share a file."""
    for name in (VALUES, PROVISIONAL):
        try:
            (folder / name).hardlink_to(source / name)
        except OSError:
            shutil.copyfile(source / name, folder / name)


class PanelFiles:
    """The snapshots in one folder; only the newest two are kept, so that readers of the last can finish."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

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
        try:
            with publish_folder(self.folder, VERSION_PREFIX, KEPT_VERSIONS) as (unfinished, final):
                write_planes(unfinished)
                np.save(unfinished / INDEX_CLOSE, index_close)
                (unfinished / METADATA).write_bytes(msgspec.json.encode(head))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise UnavailableError(
                f"cannot write the panel to {self.folder} ({error.strerror}): free space or make it writable"
            ) from None
        return PanelReference(str(final), final.name, len(head.symbols), len(head.sessions))


class RowBand(NamedTuple):
    """Neighbouring rows of a panel from `first_row` on: `values` (5, k, w) and `provisional` (k, w)."""

    first_row: int
    values: FloatArray
    provisional: BoolArray


class PanelWriter:
    """`bars.npy` (5, n, w) and `provisional.npy` (n, w) in a folder; every row must be written once."""

    def __init__(self, values: BinaryIO, provisional: BinaryIO, n_symbols: int, n_columns: int) -> None:
        shape = (len(FIELDS), n_symbols, n_columns)
        self._values = _ArrayFileRows(values, np.dtype(np.float64), shape)
        self._provisional = _ArrayFileRows(provisional, np.dtype(np.bool_), shape[1:])

    def write_band(self, band: RowBand) -> None:
        """Put the rows where they belong."""
        for plane, rows in enumerate(band.values):
            self._values.write(plane, band.first_row, rows)
        self._provisional.write(0, band.first_row, band.provisional)


@contextmanager
def open_panel_writer(folder: Path, n_symbols: int, n_columns: int) -> Iterator[PanelWriter]:
    """New files in `folder`, open within the context."""
    with (folder / VALUES).open("wb") as values, (folder / PROVISIONAL).open("wb") as provisional:
        yield PanelWriter(values, provisional, n_symbols, n_columns)


class _ArrayFileRows:
    """An `.npy` file whose last two dimensions are rows and columns."""

    def __init__(self, file: BinaryIO, cell: np.dtype[Any], shape: tuple[int, ...]) -> None:
        npy.write_array_header_1_0(file, {"descr": cell.str, "fortran_order": False, "shape": shape})
        self._file = file
        self._start = file.tell()
        self._n_rows = shape[-2]
        self._row_bytes = shape[-1] * cell.itemsize

    def write(self, plane: int, first_row: int, rows: NDArray[Any]) -> None:
        self._file.seek(self._start + (plane * self._n_rows + first_row) * self._row_bytes)
        self._file.write(rows.data)


def write_columns(folder: Path, first: int, band: RowBand) -> None:
    """Put whole columns, `values` (5, n, k) and `provisional` (n, k), into the files from column `first` on.

    No published snapshot may show one of them. They are written, not mapped: a full disk kills a process that
    stores into a mapping.
    """
    for name, cells in ((VALUES, band.values), (PROVISIONAL, band.provisional)):
        with (folder / name).open("r+b") as file:
            row_bytes = _array_shape(file)[-1] * cells.itemsize
            start = file.tell() + first * cells.itemsize
            body, width = memoryview(cells.tobytes()), cells.shape[-1] * cells.itemsize
            for number in range(len(body) // width):
                piece = body[number * width : (number + 1) * width]
                if os.pwrite(file.fileno(), piece, start + number * row_bytes) < width:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / name))


def column_capacity(folder: Path) -> int:
    """The number w of columns of a snapshot's files, spare ones included."""
    with (folder / VALUES).open("rb") as file:
        return _array_shape(file)[-1]


def _array_shape(file: BinaryIO) -> tuple[int, ...]:
    """The shape of an `.npy` file, which is read up to its first cell."""
    npy.read_magic(file)
    shape: tuple[int, ...] = npy.read_array_header_1_0(file)[0]
    return shape
