"""Risk metrics of daily returns: distribution, drawdown, beta and alpha.

Compiled; returns.pxd has the types.
"""

from typing import Final

import cython
import numpy as np

from vcpd.analysis.risk.metric_names import DRAWDOWN_DATES, DRAWDOWN_METRICS, MARKET_METRICS, RETURN_METRICS
from vcpd.analysis.risk.window import BarWindow
from vcpd.domain.bars import FloatArray, IntArray
from vcpd.domain.calendar import SESSIONS_PER_YEAR

if cython.compiled:
    from cython.cimports.libc.math import fabs, sqrt
else:
    from math import fabs, sqrt

TAIL_PCT: Final = 5  # percent of the returns that CVaR 95 averages
MIN_DEVIATION: Final = 1e-12  # a standard deviation below this is rounding, not movement
NO_POSITION: Final = -1
NO_VARIANCE: Final = 1e-30  # empyrical's own limit
_YEAR: Final = float(SESSIONS_PER_YEAR)
_ROOT_YEAR: Final = float(np.sqrt(SESSIONS_PER_YEAR))
_TAIL: Final = TAIL_PCT
_STILL: Final = MIN_DEVIATION
_NOWHERE: Final = NO_POSITION
_CONSTANT: Final = NO_VARIANCE
_UNKNOWN: Final = float("nan")
_INFINITY: Final = float("inf")


def measure_returns(window: BarWindow, returns: FloatArray) -> FloatArray:
    """(n, 10) in the order of `NAMES`, as fractions; NaN where a metric is not defined.

    As empyrical defines them; skewness and excess kurtosis are the sample-adjusted G1 and G2
    (Joanes and Gill 1998), which pandas computes.
    """
    out = np.full((len(window.first), len(RETURN_METRICS)), np.nan)
    _measure_return_rows(window.close, returns, np.sort(returns, axis=1), window.first, out)
    return out


def simple_returns(window: BarWindow) -> FloatArray:
    """(n, w - 1): column j is close j + 1 over close j less one; NaN before `first[i]`."""
    returns = np.empty((len(window.first), window.close.shape[1] - 1))
    _fill_simple_returns(window.close, window.first, returns)
    return returns


def _fill_simple_returns(close: FloatArray, first: IntArray, returns: FloatArray) -> None:
    for row in range(first.shape[0]):
        returns[row, : first[row]] = _UNKNOWN  # sorting puts them last
        for column in range(first[row], returns.shape[1]):
            returns[row, column] = close[row, column + 1] / close[row, column] - 1.0


def total_of(values: FloatArray) -> float:
    """The sum from the first number to the last, in this order."""
    found = 0.0
    for column in range(values.shape[0]):
        found += values[column]
    return found


def _low_percentile(ordered: FloatArray, percent: int) -> float:
    """Linear interpolation between order statistics, as np.percentile does by default."""
    rank = (ordered.shape[0] - 1) * percent / 100.0
    below = int(rank)
    low = ordered[below]
    high = ordered[min(below + 1, ordered.shape[0] - 1)]
    return low + (high - low) * (rank - below)


def _measure_shape(count: int, second: float, third: float, fourth: float, out: FloatArray) -> None:
    skew = sqrt(count) * third / (second * sqrt(second))
    out[8] = skew * sqrt(count * (count - 1.0)) / (count - 2.0)
    kurtosis = count * fourth / (second * second) - 3.0
    out[9] = ((count + 1.0) * kurtosis + 6.0) * (count - 1.0) / ((count - 2.0) * (count - 3.0))


def _measure_deviation(returns: FloatArray, out: FloatArray) -> None:
    count = returns.shape[0]
    losses = second = third = fourth = 0.0
    mean = total_of(returns) / count
    for column in range(count):
        loss = min(returns[column], 0.0)
        losses += loss * loss
        deviation = returns[column] - mean
        square = deviation * deviation
        second += square
        third += square * deviation
        fourth += square * square
    spread = sqrt(second / (count - 1))
    out[1], out[2] = spread * _ROOT_YEAR, sqrt(losses / count) * _ROOT_YEAR
    if spread > _STILL:
        out[3] = mean / spread * _ROOT_YEAR
        _measure_shape(count, second, third, fourth, out)
    if out[2] > _STILL:
        out[4] = mean * _YEAR / out[2]


def _measure_tail(ordered: FloatArray, out: FloatArray) -> None:
    out[5] = _low_percentile(ordered, _TAIL)
    out[6] = _low_percentile(ordered, 1)
    last = int((ordered.shape[0] - 1) * (_TAIL / 100.0))
    out[7] = total_of(ordered[: last + 1]) / (last + 1)


def _measure_return_rows(
    close: FloatArray, returns: FloatArray, ordered: FloatArray, first: IntArray, out: FloatArray
) -> None:
    for row in range(first.shape[0]):
        start, width = first[row], returns.shape[1]
        count = width - start
        if count > 3:
            out[row, 0] = (close[row, width] / close[row, start]) ** (_YEAR / count) - 1.0
            _measure_deviation(returns[row, start:], out[row])
            _measure_tail(ordered[row, :count], out[row])


def measure_drawdown(window: BarWindow) -> tuple[FloatArray, IntArray]:
    """(n, 2) in the order of `NAMES` and (n, 3) panel positions in the order of `DATE_NAMES`.

    The depth is a fraction <= 0 (empyrical). The peak is the last close at the running high before the
    trough, recovery the first later close at or above it; the length counts sessions from peak to
    recovery, or to the window's end while there is none. Without a fall all positions are `NEVER`.
    Of equally deep falls the first counts.
    """
    out = np.full((len(window.first), len(DRAWDOWN_METRICS)), np.nan)
    at = np.full((len(window.first), len(DRAWDOWN_DATES)), NO_POSITION, np.int64)
    work = np.empty((2, window.close.shape[1]))
    _measure_drawdowns(window.close, window.positions, window.first, work, out, at)
    return out, at


def _measure_drawdowns(
    close: FloatArray, positions: IntArray, first: IntArray, work: FloatArray, out: FloatArray, at: IntArray
) -> None:
    """`work` (2, w) is work space."""
    for row in range(first.shape[0]):
        start, width = first[row], close.shape[1]
        if start < width:
            highs, falls = work[0, start:], work[1, start:]
            _measure_falls(close[row, start:], highs, falls)
            _measure_drawdown_row(close[row, start:], highs, falls, positions[row, start:], out[row], at[row])


def _measure_falls(close: FloatArray, highs: FloatArray, falls: FloatArray) -> None:
    """The highest close up to each bar, and how far each close is below it, a fraction <= 0."""
    high = close[0]
    for column in range(close.shape[0]):
        high = max(high, close[column])
        highs[column] = high
    for column in range(close.shape[0]):
        falls[column] = close[column] / highs[column] - 1.0


def _measure_drawdown_row(
    close: FloatArray,
    highs: FloatArray,
    falls: FloatArray,
    positions: IntArray,
    out: FloatArray,
    at: IntArray,
) -> None:
    trough, last = _deepest(falls), close.shape[0] - 1
    out[0], out[1] = falls[trough], 0.0
    if falls[trough] == 0.0:
        return
    peak = trough
    while close[peak] < highs[trough]:
        peak -= 1
    recovery = _recovery_bar(close, peak, trough)
    at[0], at[1] = positions[peak], positions[trough]
    if recovery == _NOWHERE:
        out[1] = last - peak
    else:
        out[1] = recovery - peak
        at[2] = positions[recovery]


def _deepest(falls: FloatArray) -> int:
    """Where the first of the deepest falls is, 0 without any."""
    deepest, trough = 0.0, 0
    for column in range(falls.shape[0]):
        trough = column if falls[column] < deepest else trough
        deepest = min(deepest, falls[column])
    return trough


def _recovery_bar(close: FloatArray, peak: int, trough: int) -> int:
    for column in range(trough + 1, close.shape[0]):
        if close[column] >= close[peak]:
            return column
    return _NOWHERE


def measure_market(window: BarWindow, returns: FloatArray, minimum_pairs: int) -> FloatArray:
    """(n, 3) in the order of `NAMES`, as empyrical defines beta and (annualised) alpha.

    The index return runs between the same two dates as the symbol's own; a pair without an index
    close at either date is left out. NaN with fewer than `minimum_pairs`.
    """
    out = np.full((len(window.first), len(MARKET_METRICS)), np.nan)
    index, positions, first = window.index, window.positions, window.first
    work = np.empty((3, returns.shape[1]))
    _measure_market_rows(index, positions, returns, first, max(minimum_pairs, 2), work, out)
    return out


def _fill_index_returns(index: FloatArray, changes: FloatArray) -> int:
    """Write the index's returns; gives how many are known."""
    known = 0.0
    for column in range(index.shape[0] - 1):
        change = index[column + 1] / index[column] - 1.0
        changes[column] = change
        known += 1.0 if fabs(change) < _INFINITY else 0.0  # not for NaN
    return int(known)


def _gather_pairs(returns: FloatArray, changes: FloatArray, own: FloatArray, market: FloatArray) -> None:
    """Write the returns that both have to `own` and `market`."""
    count = 0
    for column in range(returns.shape[0]):
        if fabs(changes[column]) < _INFINITY:
            own[count], market[count] = returns[column], changes[column]
            count += 1


def _regress(own: FloatArray, market: FloatArray, out: FloatArray) -> None:
    count = own.shape[0]
    own_mean = market_mean = 0.0
    for column in range(count):
        own_mean += own[column]
        market_mean += market[column]
    own_mean /= count
    market_mean /= count
    together = own_squares = market_squares = 0.0
    for column in range(count):
        own_deviation = own[column] - own_mean
        market_deviation = market[column] - market_mean
        together += own_deviation * market_deviation
        own_squares += own_deviation * own_deviation
        market_squares += market_deviation * market_deviation
    if market_squares / count < _CONSTANT:
        return
    out[0] = together / market_squares
    out[1] = (1.0 + own_mean - out[0] * market_mean) ** _YEAR - 1.0
    if own_squares / count >= _CONSTANT:
        correlation = together / sqrt(own_squares * market_squares)
        out[2] = min(max(correlation, -1.0), 1.0)


def _has_sessions_of(other: int, row: int, positions: IntArray, first: IntArray) -> bool:
    """Whether two rows are known to hold the same sessions: as many, without a hole, up to the same one."""
    last = positions.shape[1] - 1
    if first[row] != first[other] or first[row] > last or positions[row, last] != positions[other, last]:
        return False
    unbroken = positions[row, last] - (last - first[row])
    return positions[row, first[row]] == unbroken and positions[other, first[row]] == unbroken


def _measure_market_rows(
    index: FloatArray,
    positions: IntArray,
    returns: FloatArray,
    first: IntArray,
    minimum_pairs: int,
    work: FloatArray,
    out: FloatArray,
) -> None:
    """`work` (3, w - 1) is work space. Rows of the same sessions share the index's returns."""
    changes, own, market = work[0], work[1], work[2]
    known = 0
    for row in range(first.shape[0]):
        start = first[row]
        if row == 0 or not _has_sessions_of(row - 1, row, positions, first):
            known = _fill_index_returns(index[row, start:], changes)
        if known < minimum_pairs:
            continue
        if known == returns.shape[1] - start:
            _regress(returns[row, start:], changes[:known], out[row])
        else:
            _gather_pairs(returns[row, start:], changes, own, market)
            _regress(own[:known], market[:known], out[row])
