"""Zigzag swings over highs and lows from an anchor on, with a turn threshold per bar.

Compiled; swings.pxd has the types.
"""

from typing import Final

import numpy as np

from vcpd.analysis.indicators import Bars
from vcpd.analysis.thresholds import TIE_TOLERANCE, SearchRules
from vcpd.domain.bars import FloatArray, IntArray

_LEAST_SHARE: Final = 1 - TIE_TOLERANCE  # of a turn: a fall that equals it is one
_ATR_SESSIONS: Final = 20
_INFINITY: Final = float("inf")


class SwingTracer:
    """Turning points from an anchor on: even numbers are highs, odd ones lows; number 0 is the anchor.

    `extreme` and `counter` give, for each bar, the swing in progress as that bar left it: its most
    extreme bar, and the bar furthest against it since (the same bar where there is none yet).
    """

    def __init__(self, bars: int, longest: int) -> None:
        """Work space for histories of up to `bars` bars and zigzags of up to `longest`."""
        self.at: IntArray = np.zeros(longest + 2, np.int64)  # bar of each swing
        self.confirmed_at: IntArray = np.zeros(longest + 2, np.int64)  # bar after which it was known
        self.extreme: IntArray = np.zeros(bars, np.int64)  # per bar of the history
        self.counter: IntArray = np.zeros(bars, np.int64)
        self._turn: FloatArray = np.zeros(bars)  # per bar: by how much of its extreme a swing turns there
        self._high: FloatArray = self._turn
        self._low: FloatArray = self._turn
        self._atr_share = self._min_turn = self._max_turn = 0.0

    def set_market(self, bars: Bars, first: int, last: int, rules: SearchRules) -> None:
        """Trace these bars from now on; none before `first` and none after `last`."""
        self._high, self._low = bars.high, bars.low
        self._atr_share, self._min_turn, self._max_turn = rules.turn_atr_share, rules.min_turn, rules.max_turn
        self._fill_turns(bars.range_sum, bars.close, first, last)

    def _fill_turns(self, range_sum: FloatArray, close: FloatArray, first: int, last: int) -> None:
        """By how much of the extreme a swing turns at the bars first..last: clip(share x ATR20 / C)."""
        for t in range(first, last + 1):
            length = min(_ATR_SESSIONS, t + 1)
            average = (range_sum[t + 1] - range_sum[t + 1 - length]) / length
            share = self._atr_share * average / close[t]
            self._turn[t] = min(max(share, self._min_turn), self._max_turn)

    def trace(self, anchor: int, last: int) -> int:
        """Fill the swings from the anchor's high to bar `last`; gives how many are confirmed.

        Prices carry the sign of the leg: along it they rise, whichever way it goes.
        """
        self.at[0], self.confirmed_at[0] = anchor, anchor
        count = 1
        extreme = counter = anchor + 1
        rising, origin = False, -self._high[anchor]
        furthest, nearest = -_INFINITY, _INFINITY
        for t in range(anchor + 1, last + 1):
            along = self._high[t] if rising else -self._low[t]
            against = self._low[t] if rising else -self._high[t]
            broken = t > extreme and against < origin
            if t == anchor + 1 or (not broken and along > furthest):
                extreme = counter = t
                furthest, nearest = along, against
            elif t > extreme:
                if counter == extreme or against < nearest:
                    counter, nearest = t, against
                if broken or furthest - against >= self._turn[t] * abs(furthest) * _LEAST_SHARE:
                    self.at[count], self.confirmed_at[count] = extreme, t
                    count += 1
                    origin, furthest = -furthest, -nearest
                    extreme = counter
                    counter = self._furthest_bar(rising, counter, t)
                    rising = not rising
                    nearest = self._low[counter] if rising else -self._high[counter]
            self.extreme[t], self.counter[t] = extreme, counter
        return count

    def _furthest_bar(self, rising: bool, extreme: int, t: int) -> int:
        """After a turn, the bar since the new extreme that lies furthest against the new leg."""
        best = extreme
        for k in range(extreme + 1, t + 1):
            further = self._high[k] > self._high[best] if rising else self._low[k] < self._low[best]
            if best == extreme or further:
                best = k
        return best
