"""A symbol's own bars, without the holes of the calendar, and the running figures made of them.

Every figure at bar t is made of bars 0..t alone, and of the same additions in the same order however
long the history is, so that a truncated history gives the very same bits.
"""

from typing import Final, NamedTuple

import numpy as np

from vcpd.analysis.kernels import kernel
from vcpd.domain.arrays import FloatArray, IntArray
from vcpd.domain.panel import Panel

# Share of a day's volume that has usually traded: busy openings, quiet noons, busier closes.
_ELAPSED: Final = (0.0, 0.04, 0.12, 0.25, 0.5, 0.75, 0.9, 1.0)
_TRADED: Final = (0.02, 0.10, 0.21, 0.34, 0.53, 0.72, 0.87, 1.0)


class Bars(NamedTuple):
    """One symbol's n bars, oldest first, and sums (n + 1,) of which a difference is a window's sum."""

    column: IntArray  # the panel's session of each bar
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    close_sum: FloatArray
    range_sum: FloatArray  # of true ranges
    volume_sum: FloatArray  # of the known volumes
    volume_count: FloatArray  # how many are known


def bars_of(panel: Panel, row: int, elapsed_share: float = 1.0) -> Bars:
    """The bars that row `row` of the panel has; a bar needs all four prices.

    The volume of a provisional last bar is projected to the close of a session of which
    `elapsed_share` is over.
    """
    share = 1.0
    if elapsed_share < 1 and panel.provisional.shape[1] and panel.provisional[row, -1]:
        share = projected_share(elapsed_share)
    bars: Bars = _gathered(np.asarray(panel.values)[:, row, :], share)
    return bars


def projected_share(elapsed_share: float) -> float:
    """Share of a day's volume that has usually traded when `elapsed_share` of the session is over."""
    return float(np.interp(elapsed_share, _ELAPSED, _TRADED))


@kernel
def _gathered(block: FloatArray, last_share: float) -> Bars:
    """The bars of a (5, sessions) block; the volume at its last session is divided by `last_share`."""
    sessions = block.shape[1]
    column = np.empty(sessions, np.int64)
    count = 0
    for session in range(sessions):
        if not np.isnan(block[0, session] + block[1, session] + block[2, session] + block[3, session]):
            column[count] = session
            count += 1
    column = column[:count].copy()
    kept = np.empty((5, count))
    for plane in range(5):
        for t in range(count):
            kept[plane, t] = block[plane, column[t]]
    if count > 0 and column[count - 1] == sessions - 1:
        kept[4, count - 1] /= last_share
    closes, ranges, volumes, known = running_sums(kept[1], kept[2], kept[3], kept[4])
    return Bars(column, kept[0], kept[1], kept[2], kept[3], kept[4], closes, ranges, volumes, known)


@kernel
def running_sums(
    high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Sums of closes, true ranges, known volumes and their count before each bar, each (n + 1,)."""
    n = len(close)
    closes, ranges, volumes, known = np.zeros(n + 1), np.zeros(n + 1), np.zeros(n + 1), np.zeros(n + 1)
    for t in range(n):
        top, bottom = high[t], low[t]
        if t > 0:
            top, bottom = max(top, close[t - 1]), min(bottom, close[t - 1])
        is_known = not np.isnan(volume[t])
        closes[t + 1] = closes[t] + close[t]
        ranges[t + 1] = ranges[t] + (top - bottom)
        volumes[t + 1] = volumes[t] + (volume[t] if is_known else 0.0)
        known[t + 1] = known[t] + (1.0 if is_known else 0.0)
    return closes, ranges, volumes, known


@kernel
def mean_of(sums: FloatArray, t: int, length: int) -> float:
    """Mean of the `length` values up to and including bar t; NaN where there are fewer."""
    if t + 1 < length:
        return np.nan
    mean: float = (sums[t + 1] - sums[t + 1 - length]) / length
    return mean


@kernel
def true_range_mean(bars: Bars, t: int, length: int) -> float:
    """ATR: mean true range of the last `length` bars up to t, of all of them in a shorter history."""
    return mean_of(bars.range_sum, t, min(length, t + 1))


@kernel
def volume_mean(bars: Bars, first: int, stop: int) -> float:
    """Mean known volume of bars first..stop-1; NaN where not half of them are known or nothing traded."""
    known = bars.volume_count[stop] - bars.volume_count[first]
    total = bars.volume_sum[stop] - bars.volume_sum[first]
    if stop <= first or 2 * known < stop - first or total <= 0:
        return np.nan
    mean: float = total / known
    return mean
