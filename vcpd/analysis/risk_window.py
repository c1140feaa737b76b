"""The bars that risk looks at: each symbol's own last final bars, packed side by side."""

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from vcpd.domain.arrays import BoolArray, FloatArray, IntArray
from vcpd.domain.panel import FIELDS, Panel

PACKED_FIELDS: Final = (*FIELDS, "index")

S = TypeVar("S", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """n symbols x up to w bars, right-aligned: row i holds its bars in the columns `first[i]`..w-1.

    `bars` (6, n, w) in the order of `PACKED_FIELDS`, the index joined by date; `positions` (n, w) says
    which session of the panel a column is. Columns before `first[i]` hold nothing of meaning.
    """

    bars: FloatArray
    positions: IntArray
    first: IntArray

    @property
    def open(self) -> FloatArray:
        return self._plane(0)

    @property
    def high(self) -> FloatArray:
        return self._plane(1)

    @property
    def low(self) -> FloatArray:
        return self._plane(2)

    @property
    def close(self) -> FloatArray:
        return self._plane(3)

    @property
    def volume(self) -> FloatArray:
        return self._plane(4)

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


def pack(panel: Panel, rows: range, stop: int, width: int) -> Window:
    """The last `width` final bars of each of `rows` among the sessions before `stop`."""
    bars = np.empty((len(PACKED_FIELDS), len(rows), width))
    positions = np.zeros((len(rows), width), np.int64)
    first = np.empty(len(rows), np.int64)
    _pack(
        _readonly(panel.values),
        _readonly(panel.provisional),
        _readonly(panel.index_close),
        rows.start,
        stop,
        bars,
        positions,
        first,
    )
    return Window(bars, positions, first)


def _readonly(array: NDArray[S]) -> NDArray[S]:
    # a mapped panel is read-only: one kind of array keeps the kernel at one compiled form
    view = array.view()
    view.flags.writeable = False
    return view


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _is_price(value: float) -> bool:
    return value > 0.0 and value < np.inf  # false for NaN


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _pack_row(
    values: FloatArray,
    provisional: BoolArray,
    index_close: FloatArray,
    stop: int,
    bars: FloatArray,
    positions: IntArray,
) -> int:
    """Walk back from `stop`; gives the first filled column."""
    column = positions.shape[0]
    for session in range(stop - 1, -1, -1):
        if column == 0:
            break
        if provisional[session] or not _is_price(values[3, session]):
            continue
        if _is_price(values[0, session]) and _is_price(values[1, session]) and _is_price(values[2, session]):
            column -= 1
            for plane in range(5):
                bars[plane, column] = values[plane, session]
            bars[5, column] = index_close[session]
            positions[column] = session
    return column


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _pack(
    values: FloatArray,
    provisional: BoolArray,
    index_close: FloatArray,
    start: int,
    stop: int,
    bars: FloatArray,
    positions: IntArray,
    first: IntArray,
) -> None:
    for row in range(first.shape[0]):
        first[row] = _pack_row(
            values[:, start + row, :],
            provisional[start + row],
            index_close,
            stop,
            bars[:, row, :],
            positions[row],
        )
