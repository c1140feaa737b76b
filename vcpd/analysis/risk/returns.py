"""Risk metrics of daily returns: distribution, drawdown, beta and alpha."""

import math
from typing import Final

import numpy as np

from vcpd.analysis.kernels import fastmath_kernel, kernel, total_of
from vcpd.analysis.risk.metric_names import DRAWDOWN_DATES, DRAWDOWN_METRICS, MARKET_METRICS, RETURN_METRICS
from vcpd.analysis.risk.window import BarWindow
from vcpd.domain.bars import FloatArray, IntArray
from vcpd.domain.calendar import SESSIONS_PER_YEAR

TAIL_PCT: Final = 5  # percent of the returns that CVaR 95 averages
MIN_DEVIATION: Final = 1e-12  # a standard deviation below this is rounding, not movement
NO_POSITION: Final = -1
NO_VARIANCE: Final = 1e-30  # empyrical's own limit


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


@kernel
def _fill_simple_returns(close: FloatArray, first: IntArray, returns: FloatArray) -> None:
    for row in range(len(first)):
        returns[row, : first[row]] = np.nan  # sorting puts them last
        for column in range(first[row], returns.shape[1]):
            returns[row, column] = close[row, column + 1] / close[row, column] - 1.0


@fastmath_kernel
def _moments(returns: FloatArray) -> tuple[float, float, float, float, float]:
    """Mean, sums of the second, third and fourth power of deviations, sum of squared losses."""
    count = len(returns)
    total = 0.0
    losses = 0.0
    for value in returns:
        total += value
        loss = min(value, 0.0)
        losses += loss * loss
    mean = total / count
    second = third = fourth = 0.0
    for value in returns:
        deviation = value - mean
        square = deviation * deviation
        second += square
        third += square * deviation
        fourth += square * square
    return mean, second, third, fourth, losses


@kernel
def _low_percentile(ordered: FloatArray, percent: int) -> float:
    """Linear interpolation between order statistics, as np.percentile does by default."""
    rank = (len(ordered) - 1) * percent / 100.0
    below = int(rank)
    low = ordered[below]
    high = ordered[min(below + 1, len(ordered) - 1)]
    percentile: float = low + (high - low) * (rank - below)
    return percentile


@kernel
def _measure_shape(count: int, second: float, third: float, fourth: float, out: FloatArray) -> None:
    skew = math.sqrt(count) * third / second**1.5
    out[8] = skew * math.sqrt(count * (count - 1.0)) / (count - 2.0)
    kurtosis = count * fourth / (second * second) - 3.0
    out[9] = ((count + 1.0) * kurtosis + 6.0) * (count - 1.0) / ((count - 2.0) * (count - 3.0))


@kernel
def _measure_deviation(returns: FloatArray, out: FloatArray) -> None:
    count = len(returns)
    mean, second, third, fourth, losses = _moments(returns)
    deviation = math.sqrt(second / (count - 1))
    out[1] = deviation * math.sqrt(SESSIONS_PER_YEAR)
    out[2] = math.sqrt(losses / count) * math.sqrt(SESSIONS_PER_YEAR)
    if deviation > MIN_DEVIATION:
        out[3] = mean / deviation * math.sqrt(SESSIONS_PER_YEAR)
        _measure_shape(count, second, third, fourth, out)
    if out[2] > MIN_DEVIATION:
        out[4] = mean * SESSIONS_PER_YEAR / out[2]


@kernel
def _measure_tail(ordered: FloatArray, out: FloatArray) -> None:
    out[5] = _low_percentile(ordered, TAIL_PCT)
    out[6] = _low_percentile(ordered, 1)
    averaged = int((len(ordered) - 1) * (TAIL_PCT / 100.0)) + 1
    out[7] = total_of(ordered[:averaged]) / averaged


@kernel
def _measure_return_rows(
    close: FloatArray, returns: FloatArray, ordered: FloatArray, first: IntArray, out: FloatArray
) -> None:
    for row in range(len(first)):
        own = returns[row, first[row] :]
        if len(own) > 3:
            out[row, 0] = (close[row, -1] / close[row, first[row]]) ** (SESSIONS_PER_YEAR / len(own)) - 1.0
            _measure_deviation(own, out[row])
            _measure_tail(ordered[row, : len(own)], out[row])


def measure_drawdown(window: BarWindow) -> tuple[FloatArray, IntArray]:
    """(n, 2) in the order of `NAMES` and (n, 3) panel positions in the order of `DATE_NAMES`.

    The depth is a fraction <= 0 (empyrical). The peak is the last close at the running high before the
    trough, recovery the first later close at or above it; the length counts sessions from peak to
    recovery, or to the window's end while there is none. Without a fall all positions are `NEVER`.
    Of equally deep falls the first counts.
    """
    out = np.full((len(window.first), len(DRAWDOWN_METRICS)), np.nan)
    at = np.full((len(window.first), len(DRAWDOWN_DATES)), NO_POSITION, np.int64)
    _measure_drawdowns(window.close, window.positions, window.first, out, at)
    return out, at


@kernel
def _deepest_drawdown(close: FloatArray, highs: FloatArray, falls: FloatArray) -> tuple[float, int, int]:
    """Depth, peak and trough; peak and trough are 0 without a fall. `highs` and `falls` are workspace."""
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
def _recovery_bar(close: FloatArray, peak: int, trough: int) -> int:
    for column in range(trough + 1, len(close)):
        if close[column] >= close[peak]:
            return column
    return NO_POSITION


@kernel
def _measure_drawdown_row(
    close: FloatArray, workspace: FloatArray, positions: IntArray, out: FloatArray, at: IntArray
) -> None:
    depth, peak, trough = _deepest_drawdown(close, workspace[0], workspace[1])
    out[0] = depth
    out[1] = 0.0
    if trough == 0:
        return
    recovery = _recovery_bar(close, peak, trough)
    at[0], at[1] = positions[peak], positions[trough]
    if recovery == NO_POSITION:
        out[1] = len(close) - 1 - peak
    else:
        out[1] = recovery - peak
        at[2] = positions[recovery]


@kernel
def _measure_drawdowns(
    close: FloatArray, positions: IntArray, first: IntArray, out: FloatArray, at: IntArray
) -> None:
    workspace = np.empty((2, close.shape[1]))
    for row in range(len(first)):
        start = first[row]
        if start < close.shape[1]:
            _measure_drawdown_row(close[row, start:], workspace, positions[row, start:], out[row], at[row])


def measure_market(window: BarWindow, returns: FloatArray, minimum_pairs: int) -> FloatArray:
    """(n, 3) in the order of `NAMES`, as empyrical defines beta and (annualised) alpha.

    The index return runs between the same two dates as the symbol's own; a pair without an index
    close at either date is left out. NaN with fewer than `minimum_pairs`.
    """
    out = np.full((len(window.first), len(MARKET_METRICS)), np.nan)
    _measure_market_rows(window.index, returns, window.first, max(minimum_pairs, 2), out)
    return out


@kernel
def _pair_returns(index: FloatArray, returns: FloatArray, own: FloatArray, market: FloatArray) -> int:
    """Write the returns that both have to `own` and `market`; gives how many."""
    count = 0
    for column in range(len(returns)):
        change = index[column + 1] / index[column] - 1.0
        if math.isfinite(change):
            own[count] = returns[column]
            market[count] = change
            count += 1
    return count


@fastmath_kernel
def _regress(own: FloatArray, market: FloatArray, out: FloatArray) -> None:
    count = len(own)
    own_mean = total_of(own) / count
    market_mean = total_of(market) / count
    together = own_squares = market_squares = 0.0
    for column in range(count):
        own_deviation = own[column] - own_mean
        market_deviation = market[column] - market_mean
        together += own_deviation * market_deviation
        own_squares += own_deviation * own_deviation
        market_squares += market_deviation * market_deviation
    if market_squares / count < NO_VARIANCE:
        return
    out[0] = together / market_squares
    out[1] = (1.0 + own_mean - out[0] * market_mean) ** SESSIONS_PER_YEAR - 1.0
    if own_squares / count >= NO_VARIANCE:
        correlation = together / math.sqrt(own_squares * market_squares)
        out[2] = min(max(correlation, -1.0), 1.0)


@kernel
def _measure_market_rows(
    index: FloatArray, returns: FloatArray, first: IntArray, minimum_pairs: int, out: FloatArray
) -> None:
    own = np.empty(returns.shape[1])
    market = np.empty(returns.shape[1])
    for row in range(len(first)):
        start = first[row]
        count = _pair_returns(index[row, start:], returns[row, start:], own, market)
        if count >= minimum_pairs:
            _regress(own[:count], market[:count], out[row])
