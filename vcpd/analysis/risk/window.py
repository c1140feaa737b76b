"""Each symbol's last final bars, packed right-aligned for the risk kernels.

Compiled; window.pxd has the types.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vcpd.domain.bars import FloatArray, IntArray, PricePlanes
from vcpd.domain.panel import FIELDS, Panel, readonly

PACKED_FIELDS: Final = (*FIELDS, "index")
FlagArray = NDArray[np.uint8]  # 1 or 0
_INFINITY: Final = float("inf")


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
    bars = np.empty((len(PACKED_FIELDS), len(rows), width))
    positions = np.empty((len(rows), width), np.int64)
    whole = np.zeros(len(rows), np.uint8)
    values, provisional = readonly(panel.values), readonly(panel.provisional).view(np.uint8)
    if stop >= width:  # most rows have all of the last sessions: copied at once, only the others one by one
        last = slice(stop - width, stop)
        bars[:5] = panel.values[:, rows.start : rows.stop, last]
        bars[5] = panel.index_close[last]
        positions[:] = np.arange(stop - width, stop)
        _mark_complete_rows(bars, provisional, rows.start, stop - width, whole)
    window = BarWindow(bars, positions, np.where(whole, 0, width))
    _pack_incomplete_rows(values, provisional, readonly(panel.index_close), rows.start, stop, window)
    return window


def _is_price(value: float) -> float:
    """1.0 where `value` is finite and above zero, else 0.0: a number to multiply, no branch."""
    above = 1.0 if value > 0.0 else 0.0
    return above if value < _INFINITY else 0.0


def _count_bars(opening: FloatArray, high: FloatArray, low: FloatArray, close: FloatArray) -> float:
    """How many bars have four prices."""
    count = 0.0
    for column in range(close.shape[0]):
        ends = _is_price(opening[column]) * _is_price(close[column])
        count += ends * _is_price(high[column]) * _is_price(low[column])
    return count


def _mark_complete_rows(
    bars: FloatArray, provisional: FlagArray, start: int, since: int, whole: FlagArray
) -> None:
    """Say of each row whether its bars, copied from row `start` and session `since` on, are all final."""
    width = bars.shape[2]
    for row in range(whole.shape[0]):
        count = _count_bars(bars[0, row], bars[1, row], bars[2, row], bars[3, row])
        waiting = 0
        for session in range(since, since + width):
            waiting |= provisional[start + row, session]
        whole[row] = 1 if count == width and not waiting else 0


def _final_positions(values: FloatArray, provisional: FlagArray, stop: int, positions: IntArray) -> int:
    """Fill `positions` from its end with a row's last final bars; gives the first filled column."""
    column = positions.shape[0]
    session = stop - 1
    while session >= 0 and column > 0:
        prices = 0
        for plane in range(4):
            prices += 1 if 0.0 < values[plane, session] < _INFINITY else 0
        if prices == 4 and not provisional[session]:
            column -= 1
            positions[column] = session
        session -= 1
    return column


def _gather(
    planes: FloatArray, index: FloatArray, positions: IntArray, first: int, packed: FloatArray
) -> None:
    packed[:, :first] = 1.0  # a harmless price: whole-block arithmetic passes over it
    for column in range(first, positions.shape[0]):
        for plane in range(5):
            packed[plane, column] = planes[plane, positions[column]]
        packed[5, column] = index[positions[column]]


def _pack_incomplete_rows(
    values: FloatArray, provisional: FlagArray, index: FloatArray, start: int, stop: int, window: BarWindow
) -> None:
    """Pack the rows that nothing was found for yet (`first` at the width)."""
    bars, positions, first = window.bars, window.positions, window.first
    for row in np.flatnonzero(first == positions.shape[1]).tolist():
        first[row] = _final_positions(values[:, start + row], provisional[start + row], stop, positions[row])
        positions[row, : first[row]] = 0
        _gather(values[:, start + row], index, positions[row], first[row], bars[:, row])
