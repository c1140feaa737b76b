"""The deepest fall of the closes from their running high: depth, dates, length."""

from typing import Final

import numpy as np

from vcpd.analysis.risk_kernels import kernel
from vcpd.analysis.risk_window import Window
from vcpd.domain.arrays import FloatArray, IntArray

NAMES: Final = ("max_drawdown", "max_drawdown_sessions")
DATE_NAMES: Final = ("max_drawdown_peak", "max_drawdown_trough", "max_drawdown_recovery")
NEVER: Final = -1


def measure_drawdown(window: Window) -> tuple[FloatArray, IntArray]:
    """(n, 2) in the order of `NAMES` and (n, 3) panel positions in the order of `DATE_NAMES`.

    The depth is a fraction <= 0 (empyrical). The peak is the last close at the running high before the
    trough, recovery the first later close at or above it; the length counts sessions from peak to
    recovery, or to the window's end while there is none. Without a fall all positions are `NEVER`.
    Of equally deep falls the first counts.
    """
    out = np.full((len(window.first), len(NAMES)), np.nan)
    at = np.full((len(window.first), len(DATE_NAMES)), NEVER, np.int64)
    _measure(window.close, window.positions, window.first, out, at)
    return out, at


@kernel
def _deepest(close: FloatArray, highs: FloatArray, falls: FloatArray) -> tuple[float, int, int]:
    """Depth, peak and trough; peak and trough are 0 without a fall. `highs` and `falls` are room to work."""
    highs[0] = close[0]
    for column in range(1, len(close)):
        highs[column] = max(highs[column - 1], close[column])
    for column in range(len(close)):  # apart from the loop above: this one goes wide
        falls[column] = close[column] / highs[column] - 1.0
    trough = 0
    for column in range(len(close)):
        if falls[column] < falls[trough]:
            trough = column
    peak = trough
    while close[peak] != highs[trough]:
        peak -= 1
    return falls[trough], peak, trough


@kernel
def _recovery(close: FloatArray, peak: int, trough: int) -> int:
    for column in range(trough + 1, len(close)):
        if close[column] >= close[peak]:
            return column
    return NEVER


@kernel
def _measure_row(
    close: FloatArray, room: FloatArray, positions: IntArray, out: FloatArray, at: IntArray
) -> None:
    depth, peak, trough = _deepest(close, room[0], room[1])
    out[0] = depth
    out[1] = 0.0
    if trough == 0:
        return
    recovery = _recovery(close, peak, trough)
    at[0], at[1] = positions[peak], positions[trough]
    if recovery == NEVER:
        out[1] = len(close) - 1 - peak
    else:
        out[1] = recovery - peak
        at[2] = positions[recovery]


@kernel
def _measure(close: FloatArray, positions: IntArray, first: IntArray, out: FloatArray, at: IntArray) -> None:
    room = np.empty((2, close.shape[1]))
    for row in range(len(first)):
        start = first[row]
        if start < close.shape[1]:
            _measure_row(close[row, start:], room, positions[row, start:], out[row], at[row])
