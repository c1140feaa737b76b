"""Swings: a zigzag over highs and lows that starts at an anchor, with a threshold of its own at each bar."""

from typing import NamedTuple

import numpy as np

from vcpd.analysis.indicators import Bars, true_range_mean
from vcpd.analysis.kernels import kernel
from vcpd.analysis.thresholds import Rules
from vcpd.domain.arrays import FloatArray, IntArray


class Swings(NamedTuple):
    """Turning points from an anchor on: even numbers are highs, odd ones lows; number 0 is the anchor.

    `extreme` and `counter` tell, for each bar, the swing in progress as that bar left it: its most
    extreme bar, and the bar furthest against it since (the same bar where there is none yet).
    """

    at: IntArray  # bar of each swing
    price: FloatArray
    confirmed_at: IntArray  # bar after which it was known
    extreme: IntArray  # per bar of the history
    counter: IntArray  # per bar of the history


def room_for_swings(bars: int, longest: int) -> Swings:
    """Work space for histories of up to `bars` bars and zigzags of up to `longest`."""
    size = longest + 2
    return Swings(
        np.zeros(size, np.int64),
        np.zeros(size),
        np.zeros(size, np.int64),
        np.zeros(bars, np.int64),
        np.zeros(bars, np.int64),
    )


@kernel
def turn_thresholds(bars: Bars, first: int, last: int, rules: Rules) -> FloatArray:
    """By how much of the extreme a swing turns at each of the bars first..last: clip(share x ATR20 / C)."""
    threshold = np.zeros(last + 1)
    for t in range(first, last + 1):
        share = rules.turn_atr * true_range_mean(bars, t, 20) / bars.close[t]
        threshold[t] = min(max(share, rules.turn_least), rules.turn_most)
    return threshold


@kernel
def trace_swings(bars: Bars, threshold: FloatArray, anchor: int, last: int, swings: Swings) -> int:
    """Fill `swings` from the anchor's high to bar `last`; gives how many are confirmed."""
    swings.at[0], swings.price[0], swings.confirmed_at[0] = anchor, bars.high[anchor], anchor
    count = 1
    extreme = counter = anchor + 1
    along, against, sign = bars.low, bars.high, -1.0
    for t in range(anchor + 1, last + 1):
        broken = t > extreme and sign * against[t] < sign * swings.price[count - 1]
        if not broken and sign * along[t] > sign * along[extreme]:
            extreme = counter = t
        elif t > extreme:
            if counter == extreme or sign * against[t] < sign * against[counter]:
                counter = t
            if broken or sign * (along[extreme] - against[t]) >= threshold[t] * along[extreme]:
                swings.at[count], swings.price[count] = extreme, along[extreme]
                swings.confirmed_at[count] = t
                count += 1
                extreme = counter
                counter = _furthest(along, sign, extreme, t)
                along, against, sign = against, along, -sign
        swings.extreme[t], swings.counter[t] = extreme, counter
    return count


@kernel
def _furthest(along: FloatArray, sign: float, extreme: int, t: int) -> int:
    """After a turn, the bar since the new extreme that stands furthest against the new leg."""
    best = extreme
    for k in range(extreme + 1, t + 1):
        if best == extreme or sign * along[k] > sign * along[best]:
            best = k
    return best
