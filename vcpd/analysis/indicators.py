"""A symbol's own bars, running sums, ATR, volume dry-up and tightness of a base.

Every figure at bar t is made of bars 0..t alone, and of the same additions in the same order however
long the history is, so that a truncated history gives the very same bits.

Compiled; indicators.pxd has the types.
"""

from typing import Final, NamedTuple

import cython
import numpy as np

from vcpd.domain.bars import FloatArray, IntArray
from vcpd.domain.calendar import SESSIONS_PER_YEAR
from vcpd.domain.panel import Panel

if cython.compiled:
    from cython.cimports.libc.math import isnan
else:
    from math import isnan

# Share of a day's volume that has usually traded: busy openings, quiet noons, busier closes.
_ELAPSED_SHARES: Final = (0.0, 0.04, 0.12, 0.25, 0.5, 0.75, 0.9, 1.0)
_TRADED_SHARES: Final = (0.02, 0.10, 0.21, 0.34, 0.53, 0.72, 0.87, 1.0)
VOLUME_SESSIONS: Final = 50  # sessions of the usual volume
RANGE_SESSIONS: Final = 10
_UNKNOWN: Final = float("nan")


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
    return _present_bars(np.asarray(panel.values)[:, row, :], share)


def projected_share(elapsed_share: float) -> float:
    """Share of a day's volume that has usually traded when `elapsed_share` of the session is over."""
    return float(np.interp(elapsed_share, _ELAPSED_SHARES, _TRADED_SHARES))


def _present_bars(block: FloatArray, last_share: float) -> Bars:
    """The bars of a (5, sessions) block; the volume at its last session is divided by `last_share`."""
    sessions = block.shape[1]
    column, kept = np.empty(sessions, np.int64), np.empty((5, sessions))
    count = _keep_present(block, column, kept)
    if count > 0 and column[count - 1] == sessions - 1:
        kept[4, count - 1] /= last_share
    sums = np.zeros((4, count + 1))
    _fill_running_sums(kept, count, sums)
    return Bars(
        column[:count],
        *(kept[0, :count], kept[1, :count], kept[2, :count], kept[3, :count], kept[4, :count]),
        *(sums[0], sums[1], sums[2], sums[3]),
    )


def _keep_present(block: FloatArray, column: IntArray, kept: FloatArray) -> int:
    """Write the sessions with all four prices to `column`, their values to `kept`; gives how many."""
    count = 0
    for session in range(block.shape[1]):
        if not isnan(block[0, session] + block[1, session] + block[2, session] + block[3, session]):
            column[count] = session
            for plane in range(5):
                kept[plane, count] = block[plane, session]
            count += 1
    return count


def _fill_running_sums(kept: FloatArray, count: int, sums: FloatArray) -> None:
    """Sums of closes, true ranges, known volumes and their count before each bar, `sums` (4, n + 1)."""
    for t in range(count):
        top, bottom = kept[1, t], kept[2, t]
        if t > 0:
            top, bottom = max(top, kept[3, t - 1]), min(bottom, kept[3, t - 1])
        unknown = isnan(kept[4, t])
        sums[0, t + 1] = sums[0, t] + kept[3, t]
        sums[1, t + 1] = sums[1, t] + (top - bottom)
        sums[2, t + 1] = sums[2, t] + (0.0 if unknown else kept[4, t])
        sums[3, t + 1] = sums[3, t] + (0.0 if unknown else 1.0)


def mean_of(sums: FloatArray, t: int, length: int) -> float:
    """Mean of the `length` values up to and including bar t; NaN where there are fewer."""
    if t + 1 < length:
        return _UNKNOWN
    return (sums[t + 1] - sums[t + 1 - length]) / length


def average_true_range(bars: Bars, t: int, length: int) -> float:
    """ATR: mean true range of the last `length` bars up to t, of all of them in a shorter history."""
    return float(mean_of(bars.range_sum, t, min(length, t + 1)))  # plain Python has a number of NumPy here


def volume_mean(bars: Bars, first: int, stop: int) -> float:
    """Mean known volume of bars first..stop-1; NaN where not half of them are known or nothing traded."""
    known = bars.volume_count.item(stop) - bars.volume_count.item(first)
    total = bars.volume_sum.item(stop) - bars.volume_sum.item(first)
    if stop <= first or 2 * known < stop - first or total <= 0:
        return _UNKNOWN
    return total / known


class TightnessMeasures(NamedTuple):
    """Ratios are plain, percentages say so; NaN is unknown."""

    dry_up: float  # final leg's mean volume over its 50-session average
    quietest: float  # its quietest day over the base's 10th percentile
    breakout_volume: float  # the session's volume over the average of the 50 before
    range_pct: float  # high to low of ten sessions
    range_atr: float  # the same in ATR 20
    closes_pct: float  # spread of three closes
    atr_ratio: float  # ATR 10 over ATR 50
    atr_pct: float  # ATR 20 over the close
    volume_average: float  # of the last 50 sessions: what the next one's volume is measured against


def measure_tightness(bars: Bars, anchor: int, peak: int, stop: int, t: int) -> TightnessMeasures:
    """Figures at bar t of a base whose final leg is bars peak+1..stop-1."""
    first = max(t - RANGE_SESSIONS + 1, 0)
    top, bottom = float(bars.high[first : t + 1].max()), float(bars.low[first : t + 1].min())
    closes = bars.close[max(t - 2, 0) : t + 1].tolist()
    atr = average_true_range(bars, t, 20)
    return TightnessMeasures(
        volume_mean(bars, peak + 1, stop) / volume_mean(bars, max(t + 1 - VOLUME_SESSIONS, 0), t + 1),
        _quietest_day(bars.volume, anchor, peak + 1, stop),
        volume_ratio(bars, t),
        100 * (top - bottom) / top,
        _quotient(top - bottom, atr),
        100 * (max(closes) - min(closes)) / max(closes),
        _quotient(average_true_range(bars, t, 10), average_true_range(bars, t, 50)),
        100 * atr / bars.close.item(t),
        volume_mean(bars, max(t + 1 - VOLUME_SESSIONS, 0), t + 1),
    )


def _quotient(dividend: float, divisor: float) -> float:
    """NaN where the divisor is 0: a share that stood still has no range to compare with."""
    return dividend / divisor if divisor else _UNKNOWN


def volume_ratio(bars: Bars, t: int) -> float:
    """Volume of bar t over the mean of the 50 before it."""
    return bars.volume.item(t) / volume_mean(bars, max(t - VOLUME_SESSIONS, 0), t)


def _quietest_day(volume: FloatArray, anchor: int, first: int, stop: int) -> float:
    """The least volume of first..stop-1 over the 10th percentile from the anchor on."""
    base = volume[anchor:stop]
    known = base[~np.isnan(base)]
    leg = volume[first:stop]
    leg = leg[~np.isnan(leg)]
    if len(leg) == 0 or 2 * len(known) < len(base):
        return _UNKNOWN
    tenth = low_percentile(known, 10)
    return float(leg.min()) / tenth if tenth > 0 else _UNKNOWN


def low_percentile(values: FloatArray, pct: float) -> float:
    """The percentile of n >= 1 numbers, linear between its two neighbours as np.percentile has it."""
    rank = (len(values) - 1) * pct / 100
    below = int(rank)
    above = min(below + 1, len(values) - 1)
    ordered = np.partition(values, (below, above))
    share = rank - below
    return float(ordered[below] * (1 - share) + ordered[above] * share)


class StrengthLine(NamedTuple):
    """The symbol's close over the index's: its value, and whether it leads."""

    ratio: float
    at_high: float  # 1 at its 252-session high, 0 below, NaN unknown
    before_price: float  # 1 where it is at its high and the close is not


def measure_strength_line(bars: Bars, index_close: FloatArray, t: int) -> StrengthLine:
    """The relative strength line at bar t; `index_close` lies on the panel's sessions."""
    since = max(t - SESSIONS_PER_YEAR + 1, 0)
    close = bars.close[since : t + 1]
    line = close / index_close[bars.column[since : t + 1]]
    ratio, now = line.item(t - since), close.item(t - since)
    if isnan(ratio):
        return StrengthLine(_UNKNOWN, _UNKNOWN, _UNKNOWN)
    at_high, price_high = not (line > ratio).any(), not (close > now).any()
    return StrengthLine(ratio, 1.0 if at_high else 0.0, 1.0 if at_high and not price_high else 0.0)


def measure_base(
    bars: Bars, index_close: FloatArray, anchor: int, peak: int, stop: int
) -> tuple[TightnessMeasures, StrengthLine]:
    """Both at the last bar."""
    t = len(bars.close) - 1
    return measure_tightness(bars, anchor, peak, stop, t), measure_strength_line(bars, index_close, t)
