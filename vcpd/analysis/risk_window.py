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
    which session of the panel a column is. Columns before `first[i]` hold 1.0.
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
    source = (_readonly(panel.values), _readonly(panel.provisional), _readonly(panel.index_close))
    _pack(source, rows.start, stop, (bars, positions, first))
    return Window(bars, positions, first)


def _readonly(array: NDArray[S]) -> NDArray[S]:
    # a mapped panel is read-only: one kind of array keeps the kernel at one compiled form
    view = array.view()
    view.flags.writeable = False
    return view


@njit(cache=True, nogil=True)
def _is_price(value: float) -> bool:
    return (value > 0.0) & (value < np.inf)  # false for NaN; no short cut, so that loops go wide


@njit(cache=True, nogil=True)
def _is_bar(values: FloatArray, provisional: BoolArray, session: int) -> bool:
    return (
        _is_price(values[3, session])
        & _is_price(values[0, session])
        & _is_price(values[1, session])
        & _is_price(values[2, session])
        & (not provisional[session])
    )


@njit(cache=True, nogil=True)
def _count_bars(values: FloatArray, provisional: BoolArray, start: int, stop: int) -> int:
    count = 0
    for session in range(start, stop):
        count += _is_bar(values, provisional, session)
    return count


@njit(cache=True, nogil=True)
def _final_positions(values: FloatArray, provisional: BoolArray, stop: int, positions: IntArray) -> int:
    """Fill `positions` from its end with the last final bars; gives the first filled column."""
    width = len(positions)
    if stop >= width and _count_bars(values, provisional, stop - width, stop) == width:
        for column in range(width):
            positions[column] = stop - width + column
        return 0
    column = width
    session = stop - 1
    while session >= 0 and column > 0:
        if _is_bar(values, provisional, session):
            column -= 1
            positions[column] = session
        session -= 1
    return column


@njit(cache=True, nogil=True)
def _gather(plane: FloatArray, positions: IntArray, first: int, packed: FloatArray) -> None:
    width = len(positions)
    packed[:first] = 1.0  # a harmless price: whole-block arithmetic passes over it
    if first < width and positions[-1] - positions[first] == width - 1 - first:
        packed[first:] = plane[positions[first] : positions[-1] + 1]
        return
    for column in range(first, width):
        packed[column] = plane[positions[column]]


@njit(cache=True, nogil=True)
def _pack(
    source: tuple[FloatArray, BoolArray, FloatArray],
    start: int,
    stop: int,
    target: tuple[FloatArray, IntArray, IntArray],
) -> None:
    values, provisional, index_close = source
    bars, positions, first = target
    for row in range(len(first)):
        own = values[:, start + row, :]
        first[row] = _final_positions(own, provisional[start + row], stop, positions[row])
        for plane in range(own.shape[0]):
            _gather(own[plane], positions[row], first[row], bars[plane, row])
        _gather(index_close, positions[row], first[row], bars[-1, row])
