"""Zigzag swings over highs and lows from an anchor on, with a turn threshold per bar."""

from typing import NamedTuple

import numpy as np

from vcpd.analysis.indicators import Bars, average_true_range
from vcpd.analysis.kernels import kernel
from vcpd.analysis.thresholds import TIE_TOLERANCE, SearchRules
from vcpd.domain.bars import FloatArray, IntArray


class Swings(NamedTuple):
    """Turning points from an anchor on: even numbers are highs, odd ones lows; number 0 is the anchor.

    `extreme` and `counter` give, for each bar, the swing in progress as that bar left it: its most
    extreme bar, and the bar furthest against it since (the same bar where there is none yet).
    """

    at: IntArray  # bar of each swing
    price: FloatArray
    confirmed_at: IntArray  # bar after which it was known
    extreme: IntArray  # per bar of the history
    counter: IntArray  # per bar of the history


def allocate_swings(bars: int, longest: int) -> Swings:
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
def turn_thresholds(bars: Bars, first: int, last: int, rules: SearchRules) -> FloatArray:
    """By how much of the extreme a swing turns at each of the bars first..last: clip(share x ATR20 / C)."""
    threshold = np.zeros(last + 1)
    for t in range(first, last + 1):
        share = rules.turn_atr_share * average_true_range(bars, t, 20) / bars.close[t]
        threshold[t] = min(max(share, rules.min_turn), rules.max_turn)
    return threshold


@kernel
def trace_swings(bars: Bars, threshold: FloatArray, anchor: int, last: int, swings: Swings) -> int:
    """Fill `swings` from the anchor's high to bar `last`; gives how many are confirmed.

    Prices carry the sign of the leg: along it they rise, whichever way it goes. What the loop compares at
    each bar stands in plain numbers, because swapping arrays would cost more than the rest of it.
    """
    swings.at[0], swings.price[0], swings.confirmed_at[0] = anchor, bars.high[anchor], anchor
    count = 1
    extreme = counter = anchor + 1
    rising, origin = False, -bars.high[anchor]
    furthest, nearest = -np.inf, np.inf
    for t in range(anchor + 1, last + 1):
        along, against = (bars.high[t], bars.low[t]) if rising else (-bars.low[t], -bars.high[t])
        broken = t > extreme and against < origin
        if t == anchor + 1 or (not broken and along > furthest):
            extreme = counter = t
            furthest, nearest = along, against
        elif t > extreme:
            if counter == extreme or against < nearest:
                counter, nearest = t, against
            if broken or furthest - against >= threshold[t] * abs(furthest) * (1 - TIE_TOLERANCE):
                swings.at[count], swings.price[count] = extreme, abs(furthest)
                swings.confirmed_at[count] = t
                count += 1
                origin, furthest = -furthest, -nearest
                extreme, counter = counter, _furthest(bars, rising, counter, t)
                rising = not rising
                nearest = bars.low[counter] if rising else -bars.high[counter]
        swings.extreme[t], swings.counter[t] = extreme, counter
    return count


@kernel
def _furthest(bars: Bars, rising: bool, extreme: int, t: int) -> int:
    """After a turn, the bar since the new extreme that stands furthest against the new leg."""
    best = extreme
    for k in range(extreme + 1, t + 1):
        further = bars.high[k] > bars.high[best] if rising else bars.low[k] < bars.low[best]
        if best == extreme or further:
            best = k
    return best
