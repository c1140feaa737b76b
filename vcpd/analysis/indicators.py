"""A symbol's own bars, running sums, ATR, volume dry-up and tightness of a base, and their rounding.

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
    from cython.cimports.libc.math import copysign, fabs, floor, isnan
else:
    from math import copysign, fabs, floor, isnan

# Share of a day's volume that has usually traded: busy openings, quiet noons, busier closes.
_ELAPSED_SHARES: Final = (0.0, 0.04, 0.12, 0.25, 0.5, 0.75, 0.9, 1.0)
_TRADED_SHARES: Final = (0.02, 0.10, 0.21, 0.34, 0.53, 0.72, 0.87, 1.0)
VOLUME_SESSIONS: Final = 50  # sessions of the usual volume
RANGE_SESSIONS: Final = 10
_UNKNOWN: Final = float("nan")
_MOST_SCALED: Final = 1e9  # below it a product is off by a tenth of the margin at most
_ROUNDING_MARGIN: Final = 1e-6
_MOST_DIGITS: Final = 6


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
    """The bars that row `row` of the panel has; a bar needs all four prices. Views where none is missing.

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
    if last_share == 1 and block.strides[1] == block.itemsize and _count_present(block) == sessions:
        return _with_sums(np.arange(sessions), block, sessions)
    column, kept = np.empty(sessions, np.int64), np.empty((5, sessions))
    count = _keep_present(block, column, kept)
    if count > 0 and column[count - 1] == sessions - 1:
        kept[4, count - 1] /= last_share
    return _with_sums(column, kept, count)


def _with_sums(column: IntArray, kept: FloatArray, count: int) -> Bars:
    """The first `count` bars of `kept` (5, sessions) and their running sums."""
    sums = np.zeros((4, count + 1))
    _fill_running_sums(kept, count, sums)
    return Bars(
        column[:count],
        *(kept[0, :count], kept[1, :count], kept[2, :count], kept[3, :count], kept[4, :count]),
        *(sums[0], sums[1], sums[2], sums[3]),
    )


def _count_present(block: FloatArray) -> int:
    """Count the sessions with all four prices."""
    count = 0
    for session in range(block.shape[1]):
        missing = isnan(block[0, session] + block[1, session] + block[2, session] + block[3, session])
        count += 0 if missing else 1
    return count


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
    top, bottom = _highest(bars.high, first, t + 1), _lowest(bars.low, first, t + 1)
    first_of_three = max(t - 2, 0)
    high_close, low_close = (
        _highest(bars.close, first_of_three, t + 1),
        _lowest(bars.close, first_of_three, t + 1),
    )
    atr = average_true_range(bars, t, 20)
    usual_volume = volume_mean(bars, max(t + 1 - VOLUME_SESSIONS, 0), t + 1)
    return TightnessMeasures(
        volume_mean(bars, peak + 1, stop) / usual_volume,
        _quietest_day(bars.volume, anchor, peak + 1, stop),
        volume_ratio(bars, t),
        100 * (top - bottom) / top,
        _quotient(top - bottom, atr),
        100 * (high_close - low_close) / high_close,
        _quotient(average_true_range(bars, t, 10), average_true_range(bars, t, 50)),
        100 * atr / bars.close.item(t),
        usual_volume,
    )


def _highest(values: FloatArray, first: int, stop: int) -> float:
    """The highest of first..stop-1, of which there is one at least."""
    highest = values[first]
    for t in range(first + 1, stop):
        highest = max(highest, values[t])
    return float(highest)


def _lowest(values: FloatArray, first: int, stop: int) -> float:
    """The lowest of first..stop-1 that is known; NaN where none is."""
    lowest = _UNKNOWN
    for t in range(first, stop):
        if isnan(lowest) or values[t] < lowest:
            lowest = values[t]
    return float(lowest)


def _quotient(dividend: float, divisor: float) -> float:
    """NaN where the divisor is 0: a share that stood still has no range to compare with."""
    return dividend / divisor if divisor else _UNKNOWN


def volume_ratio(bars: Bars, t: int) -> float:
    """Volume of bar t over the mean of the 50 before it."""
    return bars.volume.item(t) / volume_mean(bars, max(t - VOLUME_SESSIONS, 0), t)


def _quietest_day(volume: FloatArray, anchor: int, first: int, stop: int) -> float:
    """The least volume of first..stop-1 over the 10th percentile from the anchor on."""
    sessions = max(stop - anchor, 0)
    known = np.empty(sessions)
    count, least = _keep_known(volume, anchor, stop, known), _lowest(volume, first, stop)
    if isnan(least) or 2 * count < sessions:
        return _UNKNOWN
    tenth = low_percentile(known[:count], 10)
    return least / tenth if tenth > 0 else _UNKNOWN


def _keep_known(values: FloatArray, first: int, stop: int, known: FloatArray) -> int:
    """Write the values of first..stop-1 that are not NaN to `known`; gives how many."""
    count = 0
    for t in range(first, stop):
        if not isnan(values[t]):
            known[count] = values[t]
            count += 1
    return count


def low_percentile(values: FloatArray, pct: float) -> float:
    """The percentile of n >= 1 numbers, linear between its two neighbours as np.percentile has it."""
    rank = (len(values) - 1) * pct / 100
    below = int(rank)
    above = min(below + 1, len(values) - 1)
    ordered = np.empty(above + 1)
    _keep_least(values, ordered)
    share = rank - below
    return ordered.item(below) * (1 - share) + ordered.item(above) * share


def _keep_least(values: FloatArray, least: FloatArray) -> None:
    """Fill `least`, which is no longer than `values`, with the least of them, ascending."""
    size = least.shape[0]
    for number in range(values.shape[0]):
        value, at = values[number], min(number, size - 1)
        if number >= size and value >= least[at]:
            continue
        while at > 0 and least[at - 1] > value:
            least[at] = least[at - 1]
            at -= 1
        least[at] = value


class StrengthLine(NamedTuple):
    """The symbol's close over the index's: its value, and whether it leads."""

    ratio: float
    at_high: float  # 1 at its 252-session high, 0 below, NaN unknown
    before_price: float  # 1 where it is at its high and the close is not


def measure_strength_line(bars: Bars, index_close: FloatArray, t: int) -> StrengthLine:
    """The relative strength line at bar t; `index_close` lies on the panel's sessions."""
    since = max(t - SESSIONS_PER_YEAR + 1, 0)
    ratio = float(bars.close[t] / index_close[bars.column[t]])  # plain Python has numbers of NumPy here
    if isnan(ratio):
        return StrengthLine(_UNKNOWN, _UNKNOWN, _UNKNOWN)
    at_high = _is_line_at_high(bars.close, index_close, bars.column, since, t)
    price_high = _highest(bars.close, since, t + 1) <= bars.close.item(t)
    return StrengthLine(ratio, 1.0 if at_high else 0.0, 1.0 if at_high and not price_high else 0.0)


def _is_line_at_high(
    close: FloatArray, index_close: FloatArray, column: IntArray, first: int, t: int
) -> bool:
    """Whether the closes over the index's at the bars first..t are nowhere above that of bar t."""
    now = close[t] / index_close[column[t]]
    for k in range(first, t):
        if close[k] / index_close[column[k]] > now:
            return False
    return True


def measure_base(
    bars: Bars, index_close: FloatArray, anchor: int, peak: int, stop: int
) -> tuple[TightnessMeasures, StrengthLine]:
    """Both at the last bar."""
    t = len(bars.close) - 1
    return measure_tightness(bars, anchor, peak, stop, t), measure_strength_line(bars, index_close, t)


def rounded(value: float, digits: int) -> float:
    """The same as `round(float(value), digits)`, bit for bit and faster: a verdict rounds some fifty numbers.

    Where the number times 10^digits is clearly nearer to one integer than to the other, that integer over
    10^digits is the nearest number to the rounded decimal. Elsewhere Python's own way decides.
    """
    if 0 <= digits <= _MOST_DIGITS:
        scale = 1.0
        for _ in range(digits):
            scale *= 10.0
        scaled = fabs(value) * scale
        if scaled < _MOST_SCALED:
            whole = floor(scaled)
            share = scaled - whole
            if fabs(share - 0.5) > _ROUNDING_MARGIN:
                return float(copysign((whole if share < 0.5 else whole + 1) / scale, value))
    return round(float(value), digits)
