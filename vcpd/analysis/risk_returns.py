"""How daily simple returns are spread: volatility, return for risk taken, losses to expect, shape."""

import math
from typing import Final

import numpy as np

from vcpd.analysis.risk_kernels import kernel, wide_kernel
from vcpd.analysis.risk_window import Window
from vcpd.domain.arrays import FloatArray, IntArray

SESSIONS_A_YEAR: Final = 252
TAIL: Final = 5  # percent of the returns that CVaR 95 averages
FLAT: Final = 1e-12  # a standard deviation below this is rounding, not movement

NAMES: Final = (
    "annual_return",
    "annual_volatility",
    "downside_deviation",
    "sharpe",
    "sortino",
    "var_95",
    "var_99",
    "cvar_95",
    "skewness",
    "excess_kurtosis",
)


def measure_returns(window: Window, returns: FloatArray) -> FloatArray:
    """(n, 10) in the order of `NAMES`, as fractions; NaN where a metric is not defined.

    As empyrical defines them; skewness and excess kurtosis are the sample-adjusted G1 and G2
    (Joanes and Gill 1998), which pandas computes.
    """
    out = np.full((len(window.first), len(NAMES)), np.nan)
    _measure(window.close, returns, np.sort(returns, axis=1), window.first, out)
    return out


def simple_returns(window: Window) -> FloatArray:
    """(n, w - 1): column j is close j + 1 over close j less one; NaN before `first[i]`."""
    returns = np.empty((len(window.first), window.close.shape[1] - 1))
    _simple_returns(window.close, window.first, returns)
    return returns


@kernel
def _simple_returns(close: FloatArray, first: IntArray, returns: FloatArray) -> None:
    for row in range(len(first)):
        returns[row, : first[row]] = np.nan  # sorting puts them last
        for column in range(first[row], returns.shape[1]):
            returns[row, column] = close[row, column + 1] / close[row, column] - 1.0


@wide_kernel
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
def _measure_spread(returns: FloatArray, out: FloatArray) -> None:
    count = len(returns)
    mean, second, third, fourth, losses = _moments(returns)
    deviation = math.sqrt(second / (count - 1))
    out[1] = deviation * math.sqrt(SESSIONS_A_YEAR)
    out[2] = math.sqrt(losses / count) * math.sqrt(SESSIONS_A_YEAR)
    if deviation > FLAT:
        out[3] = mean / deviation * math.sqrt(SESSIONS_A_YEAR)
        _measure_shape(count, second, third, fourth, out)
    if out[2] > FLAT:
        out[4] = mean * SESSIONS_A_YEAR / out[2]


@kernel
def _measure_tail(ordered: FloatArray, out: FloatArray) -> None:
    out[5] = _low_percentile(ordered, TAIL)
    out[6] = _low_percentile(ordered, 1)
    averaged = int((len(ordered) - 1) * (TAIL / 100.0)) + 1
    out[7] = ordered[:averaged].sum() / averaged


@kernel
def _measure(
    close: FloatArray, returns: FloatArray, ordered: FloatArray, first: IntArray, out: FloatArray
) -> None:
    for row in range(len(first)):
        own = returns[row, first[row] :]
        if len(own) > 3:
            out[row, 0] = (close[row, -1] / close[row, first[row]]) ** (SESSIONS_A_YEAR / len(own)) - 1.0
            _measure_spread(own, out[row])
            _measure_tail(ordered[row, : len(own)], out[row])
