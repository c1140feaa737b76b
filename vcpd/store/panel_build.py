"""Builds a panel snapshot block by block from files of copied bars; a worker process does it."""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from vcpd.domain.bars import BAR_DTYPE, BarSeries, BoolArray, IntArray, RecordArray
from vcpd.domain.panel import FIELDS, PanelReference, align_close
from vcpd.store.binary_format import (
    BAR_ROW,
    CopyFileReader,
    bar_numbers,
    bar_records,
    day_number,
    session_dates,
)
from vcpd.store.panel_files import (
    BarChange,
    PanelFiles,
    PanelMetadata,
    PanelOrigin,
    PanelRow,
    RowBand,
    open_panel_writer,
)

CELLS_PER_BAND: Final = 640_000  # 26 MB
SPARE_COLUMNS: Final = 32  # sessions that later versions can add without a copy of the others
NOT_FOUND: Final = -(1 << 40)


class PanelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a panel shows: the bars of `rows` in `first` to `last`, as they are after `change`."""

    folder: str
    rows: tuple[PanelRow, ...]
    benchmark_id: int | None
    first: date
    last: date
    n_sessions: int
    exclusions: Mapping[str, str]
    change: BarChange

    def metadata(self, shown: Sequence[PanelRow], days: IntArray, first_column: int = 0) -> PanelMetadata:
        """That of a snapshot whose rows are `shown`, on days as PostgreSQL counts them."""
        origin = PanelOrigin(
            self.change,
            tuple(sorted(row.id for row in self.rows)),
            tuple(row.id for row in shown),
            self.first,
            self.n_sessions,
        )
        return PanelMetadata(
            tuple(row.symbol for row in shown),
            tuple(session_dates(days).tolist()),
            tuple(row.tick_size for row in shown),
            {row.symbol: self.exclusions[row.symbol] for row in shown if row.symbol in self.exclusions},
            first_column,
            origin,
        )


class PanelBuildSpec(PanelSpec, frozen=True, kw_only=True):
    """Everything that makes a panel from files of copied bars."""

    copy_files: tuple[str, ...]


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
    shown = [wanted[row] for row in rows]

    def write_planes(folder: Path) -> None:
        width = len(days) + SPARE_COLUMNS
        with open_panel_writer(folder, len(rows), width) as planes:
            for part in band_ranges(len(rows), width):
                pieces = bars.blocks(partial(survey.overlaps, rows[part]))
                cells = Cells([instrument.id for instrument in shown[part]], days, width)
                planes.write_band(_fill_band(part.start, (piece for _, piece in pieces), cells))

    closes = align_close(survey.benchmark, session_dates(days))
    return PanelFiles(Path(arrangement.folder)).add(arrangement.metadata(shown, days), closes, write_planes)


def band_ranges(n_rows: int, n_columns: int) -> list[slice]:
    """Rows in parts that take little memory."""
    height = max(1, CELLS_PER_BAND // max(1, n_columns))
    return [slice(start, min(start + height, n_rows)) for start in range(0, n_rows, height)]


def _fill_band(first_row: int, pieces: Iterable[RecordArray], cells: "Cells") -> RowBand:
    """Every bar at its (row, column), NaN where there is none; bars without a place are left out."""
    band = empty_band(first_row, cells.shape)
    for piece in pieces:
        place_bars(band, cells, piece)
    return band


def empty_band(first_row: int, shape: tuple[int, int]) -> RowBand:
    """Rows without a bar."""
    return RowBand(first_row, np.full((*shape, len(FIELDS)), np.nan), np.zeros(shape, np.bool_))


def place_bars(band: RowBand, cells: "Cells", piece: RecordArray) -> None:
    """Put the bars of a piece into their cells; bars without a cell are left out."""
    at, bars = cells.of(piece)
    band.bars.reshape(-1, len(FIELDS))[at] = bar_numbers(bars)
    band.provisional.reshape(-1)[at] = bars["provisional"]


class Cells:
    """The cells of a block of instruments (rows) and days (columns), counted row by row.

    A row has `width` columns, at least one a day.
    """

    def __init__(self, ids: Sequence[int], days: IntArray, width: int) -> None:
        self.shape = (len(ids), width)
        self._row_starts = _IndexTable(ids, width)
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
    cells = Cells(ids, np.arange(first, last + 1), last - first + 1)
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
