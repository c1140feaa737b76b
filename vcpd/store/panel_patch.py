"""Makes a panel snapshot of the one before and of the bars that changed since; a worker process does it.

A snapshot with new sessions alone shares the files of the one before, and fills spare columns of them. After
any other change it is a copy with the changed cells. Both equal what a build from all stored bars gives;
where they would not, nothing is written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from vcpd.domain.bars import BarSeries, BoolArray, IntArray, RecordArray
from vcpd.domain.panel import FIELDS, Panel, PanelReference, align_close
from vcpd.store.binary_format import (
    BAR_ROW,
    POSTGRES_EPOCH,
    bar_records,
    day_number,
    decode_copy,
    session_dates,
)
from vcpd.store.panel_build import SPARE_COLUMNS, Cells, PanelSpec, band_ranges, empty_band, place_bars
from vcpd.store.panel_files import (
    PanelFiles,
    PanelMetadata,
    PanelRow,
    RowBand,
    WriteArrays,
    column_capacity,
    link_planes,
    open_panel,
    open_panel_writer,
    read_metadata,
    write_columns,
)


class PanelPatchSpec(PanelSpec, frozen=True, kw_only=True):
    """Everything that makes a panel of the snapshot `base`.

    `changed` gives by instrument the session, `first` or later, from which on its bars may differ. `bars` is
    a binary copy of those bars, and of the benchmark's from `first` on.
    """

    base: PanelReference
    changed: Mapping[int, date]
    bars: bytes


def patch_panel_files(spec: PanelPatchSpec) -> PanelReference | None:
    """Write the next snapshot; None, and nothing is written, where it takes all stored bars."""
    source = Path(spec.base.path)
    head = read_metadata(source)
    patch = _Patch.of(spec, head, open_panel(spec.base))
    if patch is None:
        return None
    width = column_capacity(source) - head.first_column - patch.n_dropped
    if patch.adds_sessions_only() and len(patch.days) <= width:
        return patch.append(source, head)
    return patch.rewrite()


@dataclass(frozen=True, slots=True, eq=False)
class _Patch:
    """The next panel's days and rows, and where their bars are: in the old panel, or in `bars`.

    `rows` are those that may have a bar, in order, and `old_rows` their rows in the old panel, -1 for none.
    The old panel's last columns are the columns `kept` of the next one.
    """

    spec: PanelPatchSpec
    panel: Panel
    bars: RecordArray
    benchmark: BarSeries
    days: IntArray
    kept: IntArray
    rows: tuple[PanelRow, ...]
    old_rows: IntArray

    @classmethod
    def of(cls, spec: PanelPatchSpec, head: PanelMetadata, panel: Panel) -> "_Patch | None":
        """None where the old panel shows days that the next one must not, or comes from elsewhere."""
        old_days = (panel.sessions - POSTGRES_EPOCH).astype(np.int64)
        first, last = day_number(spec.first), day_number(spec.last)
        if head.origin is None or not len(old_days) or old_days[-1] > last:
            return None
        copied = decode_copy(spec.bars, BAR_ROW)
        bars = _bars_between(copied, [row.id for row in spec.rows], first, last)
        days = np.union1d(old_days[old_days >= first], bars["session"])[-spec.n_sessions :]
        old = {key: row for row, key in enumerate(head.origin.row_ids)}
        possible = old.keys() | set(np.unique(bars["instrument_id"]).tolist())
        if not len(days):
            return None
        rows = sorted((row for row in spec.rows if row.id in possible), key=lambda row: row.symbol)
        benchmark = bar_records(copied[copied["instrument_id"] == spec.benchmark_id])
        return cls(
            spec,
            panel,
            bars,
            BarSeries("", np.sort(benchmark, order="session")),
            days,
            np.searchsorted(days, old_days[old_days >= max(first, days[0])]),
            tuple(rows),
            np.array([old.get(row.id, -1) for row in rows], np.int64),
        )

    @property
    def n_dropped(self) -> int:
        """The number of the old panel's first columns that lie before the next one."""
        return len(self.panel.sessions) - len(self.kept)

    def adds_sessions_only(self) -> bool:
        """Whether the rows and all of their cells stay, and new columns follow."""
        n_old = len(self.panel.symbols)
        same_rows = np.array_equal(self.old_rows, np.arange(n_old))
        last, firsts = self.panel.sessions[-1].item(), self.spec.changed
        only_later = all(firsts.get(row.id, date.max) > last for row in self.rows)
        return same_rows and only_later and self._all_traded()

    def _all_traded(self) -> bool:
        """Whether every row has a bar on one of the days; most have a new one."""
        new = set(np.unique(self.bars["instrument_id"]).tolist())
        closes = self.panel.close[:, self.n_dropped :]
        others = [number for number, row in enumerate(self.rows) if row.id not in new]
        return all(not np.isnan(closes[number]).all() for number in others)

    def append(self, source: Path, head: PanelMetadata) -> PanelReference:
        """Add the new columns behind those that the old snapshot shows, in the files of both."""
        new_days = self.days[len(self.kept) :]
        cells = Cells([row.id for row in self.rows], new_days, len(new_days))
        band = empty_band(0, cells.shape)
        place_bars(band, cells, self.bars)

        def write_planes(folder: Path) -> None:
            link_planes(source, folder)
            if len(new_days):
                write_columns(folder, head.columns.stop, band)

        return self._add(self.rows, write_planes, head.first_column + self.n_dropped)

    def rewrite(self) -> PanelReference | None:
        """Copy the old panel's cells and the bars into new files; None where a day has no bar any more."""
        seen = self._seen()
        if not seen.any(axis=0).all():
            return None
        shown = np.flatnonzero(seen.any(axis=1))
        width = len(self.days) + SPARE_COLUMNS

        def write_planes(folder: Path) -> None:
            with open_panel_writer(folder, len(shown), width) as planes:
                for part in band_ranges(len(shown), width):
                    planes.write_band(self._band(part.start, shown[part], width))

        return self._add(tuple(self.rows[number] for number in shown.tolist()), write_planes, 0)

    def _seen(self) -> BoolArray:
        """(rows, days): who has a bar when."""
        seen = np.zeros((len(self.rows), len(self.days)), np.bool_)
        for part in band_ranges(*seen.shape):
            numbers = np.arange(part.start, part.stop)
            band = self._band(0, numbers, len(self.days))
            seen[part] = ~np.isnan(band.bars[:, :, FIELDS.index("close")])
        return seen

    def _band(self, first_row: int, numbers: IntArray, width: int) -> RowBand:
        """The cells of some of the rows, the old ones first, then what changed."""
        cells = Cells([self.rows[number].id for number in numbers.tolist()], self.days, width)
        band = empty_band(first_row, cells.shape)
        old_rows = self.old_rows[numbers]
        to_rows, from_rows = np.flatnonzero(old_rows >= 0)[:, None], old_rows[old_rows >= 0]
        old_bars = self.panel.values.transpose(1, 2, 0)
        band.bars[to_rows, self.kept] = old_bars[from_rows, self.n_dropped :]
        band.provisional[to_rows, self.kept] = self.panel.provisional[from_rows, self.n_dropped :]
        for place, number in enumerate(numbers.tolist()):
            self._clear_changed(band, place, self.rows[number].id)
        place_bars(band, cells, self.bars)
        return band

    def _clear_changed(self, band: RowBand, place: int, key: int) -> None:
        """Empty the cells of a row from its first changed session on."""
        first = self.spec.changed.get(key)
        if first is not None:
            column = int(np.searchsorted(self.days, day_number(first)))
            band.bars[place, column:] = np.nan
            band.provisional[place, column:] = False

    def _add(
        self, shown: tuple[PanelRow, ...], write_planes: WriteArrays, first_column: int
    ) -> PanelReference:
        closes = align_close(self.benchmark, session_dates(self.days))
        head = self.spec.metadata(shown, self.days, first_column)
        return PanelFiles(Path(self.spec.folder)).add(head, closes, write_planes)


def _bars_between(bars: RecordArray, ids: list[int], first: int, last: int) -> RecordArray:
    """The bars of these instruments on days `first` to `last`."""
    wanted = np.isin(bars["instrument_id"], ids)
    chosen: RecordArray = bars[wanted & (bars["session"] >= first) & (bars["session"] <= last)]
    return chosen


def panel_difference(kept: PanelReference, built: PanelReference) -> str:
    """What differs between two snapshots of the same bars; empty where nothing does."""
    left, right = open_panel(kept), open_panel(built)
    if left.symbols != right.symbols or not np.array_equal(left.sessions, right.sessions):
        return (
            f"{len(left.symbols)} symbols on {len(left.sessions)} sessions were kept, "
            f"{len(right.symbols)} on {len(right.sessions)} are stored"
        )
    different = [
        left.symbols[row]
        for row in range(len(left.symbols))
        if not np.array_equal(left.values[:, row], right.values[:, row], equal_nan=True)
        or not np.array_equal(left.provisional[row], right.provisional[row])
    ]
    if different:
        return f"{len(different)} symbols' bars were kept otherwise than stored, first {different[0]}"
    same_index = np.array_equal(left.index_close, right.index_close, equal_nan=True)
    return "" if same_index else "the benchmark's closes were kept otherwise than stored"
