"""Each symbol's last final bars, packed right-aligned for the risk kernels."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from vcpd.analysis.kernels import kernel
from vcpd.domain.bars import BoolArray, FloatArray, IntArray, PricePlanes
from vcpd.domain.panel import FIELDS, Panel, readonly

PACKED_FIELDS: Final = (*FIELDS, "index")
PanelArrays = tuple[FloatArray, BoolArray, FloatArray]  # values, provisional, index close of a panel


@dataclass(frozen=True, slots=True, eq=False)
class BarWindow(PricePlanes):
    """n symbols x up to w bars, right-aligned: row i holds its bars in the columns `first[i]`..w-1.

    `bars` (6, n, w) in the order of `PACKED_FIELDS`, the index joined by date; `positions` (n, w) says
    which session of the panel a column is. Columns before `first[i]` hold 1.0.
    """

    bars: FloatArray
    positions: IntArray
    first: IntArray

    @property
    def index(self) -> FloatArray:
        return self._plane(5)

    @property
    def counts(self) -> IntArray:
        """Bars held, by row (n,)."""
        counts: IntArray = self.positions.shape[1] - self.first
        return counts

    def _plane(self, number: int) -> FloatArray:
        plane: FloatArray = self.bars[number]
        return plane


def pack_window(panel: Panel, rows: range, stop: int, width: int) -> BarWindow:
    """The last `width` final bars of each of `rows` among the sessions before `stop`."""
    source = (readonly(panel.values), readonly(panel.provisional), readonly(panel.index_close))
    bars = np.empty((len(PACKED_FIELDS), len(rows), width))
    positions = np.empty((len(rows), width), np.int64)
    whole = np.zeros(len(rows), np.bool_)
    if stop >= width:  # most rows have all of the last sessions: copied at once, only the others one by one
        last = slice(stop - width, stop)
        bars[:-1] = panel.values[:, rows.start : rows.stop, last]
        bars[-1] = panel.index_close[last]
        positions[:] = np.arange(stop - width, stop)
        _mark_complete_rows(bars, source[1], (rows.start, stop - width), whole)
    first = np.where(whole, 0, width)
    _pack_incomplete_rows(source, rows.start, stop, (bars, positions, first))
    return BarWindow(bars, positions, first)


@kernel
def _count_prices(values: FloatArray) -> int:
    count = 0
    for value in values:
        count += (value > 0.0) & (value < np.inf)  # false for NaN; no short cut, so that the loop goes wide
    return count


@kernel
def _mark_complete_rows(
    bars: FloatArray, provisional: BoolArray, corner: tuple[int, int], whole: BoolArray
) -> None:
    """Say of each row whether its bars, copied from the row and session `corner` on, are all final."""
    start, since = corner
    width = bars.shape[2]
    for row in range(len(whole)):
        prices = 0
        for plane in range(4):
            prices += _count_prices(bars[plane, row])
        waiting = False
        for session in range(since, since + width):
            waiting |= provisional[start + row, session]
        whole[row] = prices == 4 * width and not waiting


@kernel
def _is_price(value: float) -> bool:
    return value > 0.0 and value < np.inf


@kernel
def _final_positions(source: PanelArrays, row: int, stop: int, positions: IntArray) -> int:
    """Fill `positions` from its end with the row's last final bars; gives the first filled column."""
    values, provisional, _ = source
    opening, high, low, close = values[0, row], values[1, row], values[2, row], values[3, row]
    column = len(positions)
    session = stop - 1
    while session >= 0 and column > 0:
        has_prices = _is_price(opening[session]) and _is_price(high[session]) and _is_price(low[session])
        if has_prices and _is_price(close[session]) and not provisional[row, session]:
            column -= 1
            positions[column] = session
        session -= 1
    return column


@kernel
def _gather_plane(plane: FloatArray, positions: IntArray, first: int, packed: FloatArray) -> None:
    packed[:first] = 1.0  # a harmless price: whole-block arithmetic passes over it
    for column in range(first, len(positions)):
        packed[column] = plane[positions[column]]


@kernel
def _pack_incomplete_rows(
    source: PanelArrays, start: int, stop: int, target: tuple[FloatArray, IntArray, IntArray]
) -> None:
    """Pack the rows that nothing was found for yet (`first` at the width)."""
    values, _, index_close = source
    bars, positions, first = target
    for row in range(len(first)):
        if first[row] < positions.shape[1]:
            continue
        first[row] = _final_positions(source, start + row, stop, positions[row])
        positions[row, : first[row]] = 0
        for plane in range(values.shape[0]):
            _gather_plane(values[plane, start + row], positions[row], first[row], bars[plane, row])
        _gather_plane(index_close, positions[row], first[row], bars[-1, row])
