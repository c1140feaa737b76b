"""A symbol's own bars, running sums, ATR, volume dry-up and tightness of a base.

Every figure at bar t is made of bars 0..t alone, and of the same additions in the same order however
long the history is, so that a truncated history gives the very same bits.
"""

from typing import Final, NamedTuple

import numpy as np

from vcpd.analysis.kernels import highest, kernel, lowest
from vcpd.domain.bars import FloatArray, IntArray
from vcpd.domain.calendar import SESSIONS_PER_YEAR
from vcpd.domain.panel import Panel

# Share of a day's volume that has usually traded: busy openings, quiet noons, busier closes.
_ELAPSED_SHARES: Final = (0.0, 0.04, 0.12, 0.25, 0.5, 0.75, 0.9, 1.0)
_TRADED_SHARES: Final = (0.02, 0.10, 0.21, 0.34, 0.53, 0.72, 0.87, 1.0)
VOLUME_SESSIONS: Final = 50  # sessions of the usual volume
RANGE_SESSIONS: Final = 10


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
    block = np.asarray(panel.values)[:, row, :]  # of the plain type, which kernels take at once
    block.flags.writeable = False
    bars: Bars = _present_bars(block, share)
    return bars


def projected_share(elapsed_share: float) -> float:
    """Share of a day's volume that has usually traded when `elapsed_share` of the session is over."""
    return float(np.interp(elapsed_share, _ELAPSED_SHARES, _TRADED_SHARES))


@kernel
def _present_bars(block: FloatArray, last_share: float) -> Bars:
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
def average_true_range(bars: Bars, t: int, length: int) -> float:
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


@kernel
def measure_tightness(bars: Bars, anchor: int, peak: int, stop: int, t: int) -> TightnessMeasures:
    """Figures at bar t of a base whose final leg is bars peak+1..stop-1."""
    first = max(t - RANGE_SESSIONS + 1, 0)
    top, bottom = highest(bars.high[first : t + 1]), lowest(bars.low[first : t + 1])
    closes = bars.close[max(t - 2, 0) : t + 1]
    atr = average_true_range(bars, t, 20)
    return TightnessMeasures(
        volume_mean(bars, peak + 1, stop) / volume_mean(bars, max(t + 1 - VOLUME_SESSIONS, 0), t + 1),
        _quietest_day(bars.volume, anchor, peak + 1, stop),
        volume_ratio(bars, t),
        100 * (top - bottom) / top,
        (top - bottom) / atr,
        100 * (highest(closes) - lowest(closes)) / highest(closes),
        average_true_range(bars, t, 10) / average_true_range(bars, t, 50),
        100 * atr / bars.close[t],
        volume_mean(bars, max(t + 1 - VOLUME_SESSIONS, 0), t + 1),
    )


@kernel
def volume_ratio(bars: Bars, t: int) -> float:
    """Volume of bar t over the mean of the 50 before it."""
    ratio: float = bars.volume[t] / volume_mean(bars, max(t - VOLUME_SESSIONS, 0), t)
    return ratio


@kernel
def _quietest_day(volume: FloatArray, anchor: int, first: int, stop: int) -> float:
    """The least volume of first..stop-1 over the 10th percentile from the anchor on."""
    base = volume[anchor:stop]
    known = base[~np.isnan(base)]
    leg = volume[first:stop]
    leg = leg[~np.isnan(leg)]
    if len(leg) == 0 or 2 * len(known) < len(base):
        return np.nan
    tenth = low_percentile(known, 10)
    return lowest(leg) / tenth if tenth > 0 else np.nan


@kernel
def low_percentile(values: FloatArray, pct: float) -> float:
    """The percentile of n >= 1 numbers, linear between its two neighbours as np.percentile has it.

    Only the smallest numbers are put in order, so it is meant for small percentages; it compiles in a
    tenth of the time that np.percentile takes.
    """
    rank = (len(values) - 1) * pct / 100
    below = int(rank)
    least = np.empty(min(below + 2, len(values)))
    count = 0
    for value in values:
        if count == len(least) and value >= least[count - 1]:
            continue
        at = min(count, len(least) - 1)
        while at > 0 and least[at - 1] > value:
            least[at] = least[at - 1]
            at -= 1
        least[at] = value
        count = min(count + 1, len(least))
    share = rank - below
    percentile: float = least[below] * (1 - share) + least[count - 1] * share
    return percentile


class StrengthLine(NamedTuple):
    """The symbol's close over the index's: its value, and whether it leads."""

    ratio: float
    at_high: float  # 1 at its 252-session high, 0 below, NaN unknown
    before_price: float  # 1 where it is at its high and the close is not


@kernel
def measure_strength_line(bars: Bars, index_close: FloatArray, t: int) -> StrengthLine:
    """The relative strength line at bar t; `index_close` stands on the panel's sessions."""
    ratio = bars.close[t] / index_close[bars.column[t]]
    if np.isnan(ratio):
        return StrengthLine(np.nan, np.nan, np.nan)
    at_high = price_high = True
    for k in range(max(t - SESSIONS_PER_YEAR + 1, 0), t):
        at_high = at_high and not bars.close[k] / index_close[bars.column[k]] > ratio
        price_high = price_high and bars.close[k] <= bars.close[t]
    return StrengthLine(ratio, 1.0 if at_high else 0.0, 1.0 if at_high and not price_high else 0.0)


@kernel
def measure_base(
    bars: Bars, index_close: FloatArray, anchor: int, peak: int, stop: int
) -> tuple[TightnessMeasures, StrengthLine]:
    """Both at the last bar."""
    t = len(bars.close) - 1
    return measure_tightness(bars, anchor, peak, stop, t), measure_strength_line(bars, index_close, t)
