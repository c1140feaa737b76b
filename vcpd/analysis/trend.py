"""The trend template: eight criteria (Minervini 2013), each with its two numbers."""

from typing import NamedTuple

import numpy as np

from vcpd.analysis.gates import STRICT_CRITERIA
from vcpd.analysis.indicators import Bars, mean_of
from vcpd.analysis.kernels import kernel
from vcpd.analysis.thresholds import TIE_TOLERANCE, TrendRules
from vcpd.domain.bars import FloatArray, IntArray


class Trend(NamedTuple):
    """Per session of the window: the two numbers of each criterion, and how many fail or are unknown."""

    value: FloatArray  # (sessions, 8), NaN where unknown
    limit: FloatArray  # (sessions, 8)
    holds: IntArray  # (sessions, 8): 1 holds, 0 fails, -1 unknown
    failed: IntArray  # (sessions,)
    held: IntArray  # (sessions,)


@kernel
def evaluate_trend(bars: Bars, ratings: FloatArray, first: int, last: int, rules: TrendRules) -> Trend:
    """The template at bars first..last; `ratings` (last - first + 1,) is NaN where unknown."""
    sessions = last - first + 1
    trend = Trend(
        np.full((sessions, 8), np.nan),
        np.full((sessions, 8), np.nan),
        np.full((sessions, 8), -1),
        np.zeros(sessions, np.int64),
        np.zeros(sessions, np.int64),
    )
    lowest, highest = -1, -1
    for t in range(first, last + 1):
        lowest = _extreme_bar(bars.low, -1.0, lowest, t, rules.window)
        highest = _extreme_bar(bars.high, 1.0, highest, t, rules.window)
        value, limit = trend.value[t - first], trend.limit[t - first]
        _average_criteria(bars, t, rules.rise_sessions, value, limit)
        value[5], limit[5] = bars.close[t], rules.above_low * bars.low[lowest]
        value[6], limit[6] = bars.close[t], rules.below_high * bars.high[highest]
        value[7], limit[7] = ratings[t - first], rules.rating_least
        for number in range(8):
            if not np.isnan(value[number] + limit[number]):
                holds = criterion_holds(number, value[number], limit[number])
                trend.holds[t - first, number] = holds
                trend.held[t - first] += holds
                trend.failed[t - first] += not holds
    return trend


@kernel
def criterion_holds(number: int, value: float, limit: float) -> bool:
    """Whether a criterion holds: above its limit for the first ones, at least the limit for the others."""
    if number < STRICT_CRITERIA:
        return value > limit * (1 + TIE_TOLERANCE)
    return value >= limit * (1 - TIE_TOLERANCE)


@kernel
def _average_criteria(bars: Bars, t: int, rise_sessions: int, value: FloatArray, limit: FloatArray) -> None:
    """The criteria that compare moving averages; NaN + x is NaN, so an unknown average stays unknown."""
    close = bars.close[t]
    sma50 = mean_of(bars.close_sum, t, 50)
    sma150 = mean_of(bars.close_sum, t, 150)
    sma200 = mean_of(bars.close_sum, t, 200)
    higher = sma150 if np.isnan(sma200) or sma150 > sma200 else sma200
    value[0], limit[0] = close, higher
    value[1], limit[1] = sma150, sma200
    value[2], limit[2] = sma200, mean_of(bars.close_sum, t - rise_sessions, 200)
    value[3], limit[3] = sma50, higher
    value[4], limit[4] = close, sma50


@kernel
def _extreme_bar(prices: FloatArray, sign: float, known: int, t: int, window: int) -> int:
    """Where the highest (sign 1) or lowest (sign -1) of the last `window` prices up to t stands.

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
