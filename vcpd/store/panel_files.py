"""Panel snapshots on disk: built block by block from copied bars, one folder for each version.

A version is written whole, then renamed into place; a worker process does it. Its folder holds `values.npy`
(5, n, m), `provisional.npy` (n, m), `index_close.npy` (m,) and `panel.json` with the rest. Versions are
numbered in the order in which they were written.
"""

import io
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
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
from vcpd.domain.bars import BAR_DTYPE, BarSeries, BoolArray, DateArray, FloatArray, IntArray, RecordArray
from vcpd.domain.panel import FIELDS, Panel, PanelReference, align_close
from vcpd.store.binary_format import BAR_ROW, CopyFileReader, bar_records, day_number, session_dates

PANEL_FOLDER: Final = "panel"  # below the state directory
KEPT_VERSIONS: Final = 2
VERSION_PREFIX: Final = "panel-"
VALUES: Final = "values.npy"
PROVISIONAL: Final = "provisional.npy"
INDEX_CLOSE: Final = "index_close.npy"
METADATA: Final = "panel.json"
WriteArrays = Callable[[Path], None]  # makes VALUES and PROVISIONAL in a folder


class PanelMetadata(msgspec.Struct, frozen=True):
    """What is small enough for JSON."""

    symbols: tuple[str, ...]
    sessions: tuple[date, ...]
    tick_size: tuple[float, ...]
    exclusions: Mapping[str, str]


def open_panel(reference: PanelReference) -> Panel:
    """Map a snapshot: nothing is read until it is touched, and all processes share the pages.

    Raises RetryableError when the snapshot is gone because newer ones took its place.
    """
    folder = Path(reference.path)
    try:
        head = _read_metadata(folder)
        values = np.load(folder / VALUES, mmap_mode="r")
        provisional = np.load(folder / PROVISIONAL, mmap_mode="r")
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


def _read_metadata(folder: Path) -> PanelMetadata:
    return msgspec.json.decode((folder / METADATA).read_bytes(), type=PanelMetadata)


def _save_arrays(panel: Panel, folder: Path) -> None:
    np.save(folder / VALUES, panel.values)
    np.save(folder / PROVISIONAL, panel.provisional)


def _link_planes(source: Path, folder: Path) -> None:
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
        head = _read_metadata(source)
        excluded = {symbol: reasons[symbol] for symbol in head.symbols if symbol in reasons}
        changed = msgspec.structs.replace(head, exclusions=excluded)
        return self.add(changed, np.load(source / INDEX_CLOSE), partial(_link_planes, source))

    def add(self, head: PanelMetadata, index_close: FloatArray, write_planes: WriteArrays) -> PanelReference:
        """Add a snapshot, its planes written by `write_planes`, and delete what is too old.

        Raises UnavailableError where the disk is the reason.
        """
        try:
            with publish_folder(self.folder, VERSION_PREFIX, KEPT_VERSIONS) as (unfinished, final):
                write_planes(unfinished)
                np.save(unfinished / INDEX_CLOSE, index_close)
                (unfinished / METADATA).write_bytes(msgspec.json.encode(head))
        except OSError as error:
            raise UnavailableError(
                f"cannot write the panel to {self.folder} ({error.strerror}): free space or make it writable"
            ) from None
        return PanelReference(str(final), final.name, len(head.symbols), len(head.sessions))


CELLS_PER_BAND: Final = 640_000  # 26 MB
NOT_FOUND: Final = -(1 << 40)


class RowBand(NamedTuple):
    """Neighbouring rows of a panel from `first_row` on: `values` (5, k, m) and `provisional` (k, m)."""

    first_row: int
    values: FloatArray
    provisional: BoolArray


class PanelWriter:
    """`values.npy` (5, n, m) and `provisional.npy` (n, m) in a folder; every row must be written once."""

    def __init__(self, values: BinaryIO, provisional: BinaryIO, n_symbols: int, n_sessions: int) -> None:
        shape = (len(FIELDS), n_symbols, n_sessions)
        self._values = _ArrayFileRows(values, np.dtype(np.float64), shape)
        self._provisional = _ArrayFileRows(provisional, np.dtype(np.bool_), shape[1:])

    def write_band(self, band: RowBand) -> None:
        """Put the rows where they belong."""
        for plane, rows in enumerate(band.values):
            self._values.write(plane, band.first_row, rows)
        self._provisional.write(0, band.first_row, band.provisional)


@contextmanager
def open_panel_writer(folder: Path, n_symbols: int, n_sessions: int) -> Iterator[PanelWriter]:
    """New files in `folder`, open within the context."""
    with (folder / VALUES).open("wb") as values, (folder / PROVISIONAL).open("wb") as provisional:
        yield PanelWriter(values, provisional, n_symbols, n_sessions)


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


class PanelRow(msgspec.Struct, frozen=True):
    """An instrument that may have a row in the panel."""

    id: int
    symbol: str
    tick_size: float


class PanelBuildSpec(msgspec.Struct, frozen=True):
    """Everything that makes a panel from files of copied bars; the rows' bars lie in `first` to `last`."""

    copy_files: tuple[str, ...]
    folder: str
    rows: tuple[PanelRow, ...]
    benchmark_id: int | None
    first: date
    last: date
    n_sessions: int
    exclusions: Mapping[str, str]


class _BarBlocks:
    """All copied bars, a piece at a time."""

    def __init__(self, files: Iterable[io.FileIO]) -> None:
        self._files = [CopyFileReader(file, BAR_ROW) for file in files]

    def blocks(self, chosen: Callable[[int], bool]) -> Iterator[tuple[int, RecordArray]]:
        """The chosen of all pieces with their numbers; those that are not chosen are not read."""
        places = [(copied, number) for copied in self._files for number in range(copied.n_blocks)]
        for number, (file, at) in enumerate(places):
            if chosen(number):
                yield number, file.read_block(at)


@dataclass(frozen=True, slots=True, eq=False)
class _BarScan:
    """Who has bars when: `seen` is (rows, days), its first column for day `first_day`.

    `spans` gives, by piece, the first and the last row of which it has bars; a piece without any is absent.
    """

    seen: BoolArray
    first_day: int
    spans: Mapping[int, tuple[int, int]]
    benchmark: BarSeries

    def last_days(self, n_sessions: int) -> IntArray:
        """The last days on which any of the rows has a bar, as PostgreSQL counts days."""
        days: IntArray = self.first_day + np.flatnonzero(self.seen.any(axis=0))[-n_sessions:]
        return days

    def rows_seen_on(self, days: IntArray) -> list[int]:
        """The rows that have a bar on any of the days."""
        rows: list[int] = np.flatnonzero(self.seen[:, days - self.first_day].any(axis=1)).tolist()
        return rows

    def overlaps(self, rows: Sequence[int], piece: int) -> bool:
        """Whether the piece may have bars of one of these ascending rows."""
        first, last = self.spans.get(piece, (-1, -1))
        return first <= rows[-1] and rows[0] <= last


def build_panel_files(arrangement: PanelBuildSpec) -> PanelReference:
    """Write the snapshot of the copied bars: symbols ascending, the last sessions on which any traded."""
    with ExitStack() as stack:
        files = [stack.enter_context(Path(path).open("rb", buffering=0)) for path in arrangement.copy_files]
        return _build(_BarBlocks(files), arrangement)


def _build(bars: _BarBlocks, arrangement: PanelBuildSpec) -> PanelReference:
    wanted = sorted(arrangement.rows, key=lambda row: row.symbol)
    survey = _scan_bars(bars, [row.id for row in wanted], arrangement)
    days = survey.last_days(arrangement.n_sessions)
    rows = survey.rows_seen_on(days)
    sessions, shown = session_dates(days), [wanted[row] for row in rows]

    def write_planes(folder: Path) -> None:
        with open_panel_writer(folder, len(rows), len(days)) as planes:
            for part in _band_ranges(len(rows), len(days)):
                pieces = bars.blocks(partial(survey.overlaps, rows[part]))
                ids = [instrument.id for instrument in shown[part]]
                planes.write_band(_fill_band(part.start, (piece for _, piece in pieces), _Cells(ids, days)))

    head = _metadata(shown, sessions, arrangement.exclusions)
    closes = align_close(survey.benchmark, sessions)
    return PanelFiles(Path(arrangement.folder)).add(head, closes, write_planes)


def _metadata(shown: Sequence[PanelRow], sessions: DateArray, reasons: Mapping[str, str]) -> PanelMetadata:
    return PanelMetadata(
        tuple(instrument.symbol for instrument in shown),
        tuple(sessions.tolist()),
        tuple(instrument.tick_size for instrument in shown),
        {
            instrument.symbol: reasons[instrument.symbol]
            for instrument in shown
            if instrument.symbol in reasons
        },
    )


def _band_ranges(n_rows: int, n_days: int) -> list[slice]:
    """Rows in parts that take little memory."""
    height = max(1, CELLS_PER_BAND // max(1, n_days))
    return [slice(start, min(start + height, n_rows)) for start in range(0, n_rows, height)]


def _fill_band(first_row: int, pieces: Iterable[RecordArray], cells: "_Cells") -> RowBand:
    """Every bar at its (row, column), NaN where there is none; bars without a place are left out."""
    values = np.full((len(FIELDS), *cells.shape), np.nan)
    provisional = np.zeros(cells.shape, np.bool_)
    planes, marks = values.reshape(len(FIELDS), -1), provisional.reshape(-1)
    for piece in pieces:
        at, bars = cells.of(piece)
        for plane, name in zip(planes, FIELDS, strict=True):
            plane[at] = bars[name]
        marks[at] = bars["provisional"]
    return RowBand(first_row, values, provisional)


class _Cells:
    """The cells of a block of instruments (rows) and days (columns), counted row by row."""

    def __init__(self, ids: Sequence[int], days: IntArray) -> None:
        self.shape = (len(ids), len(days))
        self._row_starts = _IndexTable(ids, len(days))
        self._columns = _IndexTable(days, 1)

    def of(self, bars: RecordArray) -> tuple[IntArray, RecordArray]:
        """The cells of those bars that have one, and these bars."""
        at = self._row_starts.of(bars["instrument_id"]) + self._columns.of(bars["session"])
        placed = at >= 0
        return (at, bars) if placed.all() else (at[placed], bars[placed])


class _IndexTable:
    """The place of integers in a list of keys, times `step`; far below zero where they are not in it."""

    def __init__(self, keys: Sequence[int] | IntArray, step: int) -> None:
        numbers = np.asarray(keys, np.int64)
        self._before = int(numbers.min(initial=0)) - 1
        self._table = np.full(int(numbers.max(initial=0)) - self._before + 2, NOT_FOUND)
        self._table[numbers - self._before] = np.arange(len(numbers)) * step

    def of(self, numbers: IntArray) -> IntArray:
        """Shape as `numbers`; what lies outside the keys' range meets the table's ends, which no key has."""
        places: IntArray = self._table.take(numbers.astype(np.int64) - self._before, mode="clip")
        return places


def _scan_bars(bars: _BarBlocks, ids: Sequence[int], arrangement: PanelBuildSpec) -> _BarScan:
    first, last = day_number(arrangement.first), day_number(arrangement.last)
    cells = _Cells(ids, np.arange(first, last + 1))
    seen = np.zeros(cells.shape, np.bool_)
    marks, n_days = seen.reshape(-1), last - first + 1
    spans, benchmark = {}, [np.empty(0, BAR_DTYPE)]
    for number, piece in bars.blocks(lambda _: True):
        at, _ = cells.of(piece)
        if len(at):
            marks[at] = True
            spans[number] = (int(at.min()) // n_days, int(at.max()) // n_days)
        benchmark.append(bar_records(piece[piece["instrument_id"] == arrangement.benchmark_id]))
    records = np.sort(np.concatenate(benchmark), order="session")
    return _BarScan(seen, first, spans, BarSeries("", records))
