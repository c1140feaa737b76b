"""The trend template: eight criteria (Minervini 2013), each with its two numbers.

Compiled; trend.pxd has the types.
"""

from typing import Final, NamedTuple

import cython
import numpy as np

from vcpd.analysis.gates import STRICT_CRITERIA
from vcpd.analysis.indicators import Bars
from vcpd.analysis.thresholds import TIE_TOLERANCE, TrendRules
from vcpd.domain.bars import FloatArray, IntArray

if cython.compiled:
    from cython.cimports.libc.math import isnan
    from cython.cimports.vcpd.analysis.indicators import mean_of
else:
    from math import isnan

    from vcpd.analysis.indicators import mean_of

_STRICT: Final = STRICT_CRITERIA
_ABOVE: Final = 1 + TIE_TOLERANCE
_AT_LEAST: Final = 1 - TIE_TOLERANCE


class Trend(NamedTuple):
    """Per session of the window: the two numbers of each criterion, and how many fail or are unknown."""

    value: FloatArray  # (sessions, 8), NaN where unknown
    limit: FloatArray  # (sessions, 8)
    holds: IntArray  # (sessions, 8): 1 holds, 0 fails, -1 unknown
    failed: IntArray  # (sessions,)
    held: IntArray  # (sessions,)


def evaluate_trend(bars: Bars, ratings: FloatArray, first: int, last: int, rules: TrendRules) -> Trend:
    """The template at bars first..last; `ratings` (last - first + 1,) is NaN where unknown."""
    sessions = last - first + 1
    numbers, holds = np.empty((2, sessions, 8)), np.empty((sessions, 8), np.int64)
    counts = np.empty((2, sessions), np.int64)
    trend = Trend(numbers[0], numbers[1], holds, counts[0], counts[1])
    _fill_prices(bars.close, ratings, rules.rating_least, first, trend.value, trend.limit)
    _fill_extremes(bars.low, -1.0, rules.window, rules.above_low, first, 5, trend.limit)
    _fill_extremes(bars.high, 1.0, rules.window, rules.below_high, first, 6, trend.limit)
    _fill_averages(bars.close, bars.close_sum, rules.rise_sessions, first, trend.value, trend.limit)
    _judge(trend.value, trend.limit, trend.holds, trend.held, trend.failed)
    return trend


def _judge(value: FloatArray, limit: FloatArray, holds: IntArray, held: IntArray, failed: IntArray) -> None:
    """Which criteria hold: above the limit for the first ones, at least the limit for the others."""
    for slot in range(value.shape[0]):
        held[slot] = failed[slot] = 0
        for number in range(8):
            holds[slot, number] = -1
            if isnan(value[slot, number] + limit[slot, number]):
                continue
            if number < _STRICT:
                passes = value[slot, number] > limit[slot, number] * _ABOVE
            else:
                passes = value[slot, number] >= limit[slot, number] * _AT_LEAST
            holds[slot, number] = 1 if passes else 0
            held[slot] += 1 if passes else 0
            failed[slot] += 0 if passes else 1


def _fill_prices(
    close: FloatArray, ratings: FloatArray, least: float, first: int, value: FloatArray, limit: FloatArray
) -> None:
    """The closes that the yearly extremes are compared with, and the rating with its limit."""
    for slot in range(value.shape[0]):
        value[slot, 5] = value[slot, 6] = close[first + slot]
        value[slot, 7], limit[slot, 7] = ratings[slot], least


def _fill_averages(
    close: FloatArray, sums: FloatArray, rise: int, first: int, value: FloatArray, limit: FloatArray
) -> None:
    """The criteria that compare moving averages; NaN + x is NaN, so an unknown average stays unknown."""
    for slot in range(value.shape[0]):
        t = first + slot
        sma50, sma150, sma200 = mean_of(sums, t, 50), mean_of(sums, t, 150), mean_of(sums, t, 200)
        higher = sma150 if isnan(sma200) or sma150 > sma200 else sma200
        value[slot, 0], limit[slot, 0] = close[t], higher
        value[slot, 1], limit[slot, 1] = sma150, sma200
        value[slot, 2], limit[slot, 2] = sma200, mean_of(sums, t - rise, 200)
        value[slot, 3], limit[slot, 3] = sma50, higher
        value[slot, 4], limit[slot, 4] = close[t], sma50


def _fill_extremes(
    prices: FloatArray, sign: float, window: int, share: float, first: int, number: int, limit: FloatArray
) -> None:
    """A share of the highest (sign 1) or lowest (sign -1) of the last `window` prices at each bar.

    It is the limit of the criterion `number`.
    """
    known = -1
    for slot in range(limit.shape[0]):
        known = _extreme_bar(prices, sign, known, first + slot, window)
        limit[slot, number] = share * prices[known]


def _extreme_bar(prices: FloatArray, sign: float, known: int, t: int, window: int) -> int:
    """Where the highest (sign 1) or lowest (sign -1) of the last `window` prices up to t lies.

    `known` is the answer at t - 1, or -1.
    """
    start = max(0, t - window + 1)
    if known >= start:
        return t if sign * prices[t] >= sign * prices[known] else known
    best = start
    for k in range(start + 1, t + 1):
        if sign * prices[k] >= sign * prices[best]:
            best = k
    return best
