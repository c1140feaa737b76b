"""Swings of price from an anchor on, and the best chain of shrinking contractions over them.

The chain is found by dynamic programming. Work grows with a base: each newly confirmed peak is linked to the
peaks before it once, and every session only asks which links its final leg completes best. Neighbouring
sessions share everything else.
Compiled; contractions.pxd has the types.
"""

import math
from typing import Final

import cython
import numpy as np

from vcpd.analysis.indicators import Bars
from vcpd.analysis.thresholds import TIE_TOLERANCE, SearchRules
from vcpd.domain.bars import FloatArray, IntArray

if cython.compiled:
    from cython.cimports.libc.math import fabs, log2
else:
    from math import fabs, log2

MAX_CONTRACTIONS: Final = 6  # contractions of a chain
# Where each depth is at least half of the one before, only the first and the last decide the value: many
# chains are worth the same, and without this rounding would choose.
VALUE_TOLERANCE: Final = 1e-9
_MOST: Final = MAX_CONTRACTIONS
_TOLERANCE: Final = VALUE_TOLERANCE
_TIE: Final = 1 + TIE_TOLERANCE
_INFINITY: Final = float("inf")
_LEAST_SHARE: Final = 1 - TIE_TOLERANCE  # of a turn: a fall that equals it is one
_ATR_SESSIONS: Final = 20


class SwingTracer:
    """Zigzag over highs and lows from an anchor on, with a turn threshold per bar.

    Of the turning points even numbers are highs, odd ones lows; number 0 is the anchor.
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


def contraction_value(ratio: float, rules: SearchRules) -> float:
    """Value of one contraction by its depth over the depth before it."""
    off = abs(math.log2(ratio) - rules.ideal_ratio_log2)
    return 1 - rules.ratio_penalty * off - rules.leg_cost


def is_reclaimed(low: FloatArray, close: FloatArray, level: float, sessions: int) -> bool:
    """Whether every low under `level` saw a close above it within `sessions`.

    The last ones may still be waiting for theirs.
    """
    under_since = -1
    for t in range(low.shape[0]):
        if under_since < 0 and low[t] < level:
            under_since = t
        if under_since >= 0:
            if close[t] > level:
                under_since = -1
            elif t - under_since >= sessions:
                return False
    return True


class ContractionTable:
    """Peaks below one anchor, the contractions between them, and the chains that these make.

    Per peak, what has happened below it so far: its leg. A closed leg can hold no further peak. Per pair
    (peak, next peak) one complete contraction: a link. `best[link, n]` is the value of the best chain whose
    n-th contraction the link is, -inf where none; `back[link, n]` the link before it, -1 at the anchor. What
    a step finds stands in `leg` (the leg under consideration) and `end` attributes (the best completion).
    """

    def __init__(self, tracer: SwingTracer, longest: int) -> None:
        """Work space for bases of up to `longest` sessions over the swings of `tracer`."""
        peaks = longest // 2 + 3
        pairs = peaks * (peaks - 1) // 2
        self._swing_at, self._extreme, self._counter = tracer.at, tracer.extreme, tracer.counter
        self._high: FloatArray = np.zeros(0)
        self._low: FloatArray = self._high
        self._close: FloatArray = self._high
        self._allocate_peaks(peaks)
        self._allocate_links(pairs)
        self._reset_leg()
        self._reset_end(0.0)

    def _allocate_peaks(self, peaks: int) -> None:
        self._is_open: IntArray = np.zeros(peaks, np.int64)
        self.peak_at: IntArray = np.zeros(peaks, np.int64)  # bar of the peak
        self._peak_high: FloatArray = np.zeros(peaks)  # the peak itself
        self._peak_low: FloatArray = np.zeros(peaks)  # deepest since
        self._peak_low_at: IntArray = np.zeros(peaks, np.int64)
        self._top: FloatArray = np.zeros(peaks)  # highest since that low, 0 where none
        self._top_ever: FloatArray = np.zeros(peaks)  # highest since the peak
        self._pullback: FloatArray = np.zeros(peaks)  # deepest fall since that low, as a fraction of its top
        self._fall: FloatArray = np.zeros(peaks)  # the base's deepest fall in price when the peak was made
        self._first_link: IntArray = np.zeros(peaks, np.int64)  # links that end with this peak: first..stop-1
        self._stop_link: IntArray = np.zeros(peaks, np.int64)

    def _allocate_links(self, pairs: int) -> None:
        self.link_peak: IntArray = np.zeros(pairs, np.int64)
        self.link_depth: FloatArray = np.zeros(pairs)
        self._link_low: FloatArray = np.zeros(pairs)
        self.link_low_at: IntArray = np.zeros(pairs, np.int64)
        self._link_pullback: FloatArray = np.zeros(pairs)
        self._link_most: FloatArray = np.zeros(pairs)  # value of the best chain that a final one may complete
        self.best: FloatArray = np.zeros((pairs, MAX_CONTRACTIONS))
        self.back: IntArray = np.zeros((pairs, MAX_CONTRACTIONS), np.int64)

    def set_market(self, bars: Bars, rules: SearchRules) -> None:
        """Search these bars by these rules from now on."""
        self._high, self._low, self._close = bars.high, bars.low, bars.close
        self._min_rally_recovery, self._max_peak_rise = rules.min_rally_recovery, rules.max_peak_rise
        self._max_depth_ratio, self._max_hidden_pullback = rules.max_depth_ratio, rules.max_hidden_pullback
        self._min_peak_gap, self._min_final_sessions = rules.min_peak_gap, rules.min_final_sessions
        self._deep_final_depth, self._min_depth = rules.deep_final_depth, rules.min_depth
        self._ideal_ratio_log2, self._ratio_penalty = rules.ideal_ratio_log2, rules.ratio_penalty
        self._leg_cost, self._max_reclaim_sessions = rules.leg_cost, rules.max_reclaim_sessions
        self._undercut_share = rules.undercut_share

    def _reset_leg(self) -> None:
        self._leg_is_open = False
        self._leg_low, self._leg_low_at = 0.0, 0
        self._leg_top, self._leg_top_ever, self._leg_pullback = 0.0, 0.0, 0.0

    def _reset_end(self, value: float) -> None:
        self.end_value, self.end_link, self.end_contractions = value, -1, 0
        self.end_peak_at, self.end_low_at, self.end_is_confirmed = -1, -1, False

    def open_peak(self, peak: int, at: int, low: float) -> None:
        """Begin the leg below the peak numbered `peak` at bar `at`; `low` is the swing before it."""
        self._is_open[peak], self.peak_at[peak], self._peak_high[peak] = 1, at, self._high[at]
        self._peak_low[peak], self._peak_low_at[peak], self._top[peak] = _INFINITY, -1, 0.0
        self._top_ever[peak], self._pullback[peak], self._fall[peak] = 0.0, 0.0, 0.0
        self._first_link[peak] = self._stop_link[peak] = 0
        if peak > 0:
            self._fall[peak] = max(self._fall[peak - 1], self._peak_high[0] - low)
            self._first_link[peak] = self._stop_link[peak] = self._stop_link[peak - 1]

    def _extend_leg(self, peak: int, low_at: int, low: float, high: float) -> None:
        """The leg after one more low and the high that follows it."""
        self._leg_is_open, self._leg_top = True, self._top[peak]
        self._leg_low, self._leg_low_at = self._peak_low[peak], self._peak_low_at[peak]
        self._leg_pullback = self._pullback[peak]
        if low < self._leg_low:
            self._leg_is_open = self._top_ever[peak] <= self._peak_high[peak]
            self._leg_low, self._leg_low_at, self._leg_top, self._leg_pullback = low, low_at, 0.0, 0.0
        else:
            self._leg_pullback = max(self._leg_pullback, (self._leg_top - low) / self._leg_top)
        if high > self._peak_high[peak] * self._max_peak_rise * _TIE:
            self._leg_is_open = False
        self._leg_top = max(self._leg_top, high)
        self._leg_top_ever = max(self._top_ever[peak], high)

    def add_peak(self, peak: int, low_at: int, keep: bool) -> None:
        """Link an opened peak to those before it; `low_at` is the swing low it rose from.

        With `keep` the earlier legs remember it; without, it stands only for the session that asks.
        """
        high, low = self._peak_high[peak], self._low[low_at]
        count = self._first_link[peak]
        for number in range(peak):
            if self._is_open[number] == 0:
                continue
            self._extend_leg(number, low_at, low, high)
            if self._leg_is_open and high >= self._leg_top and self._is_contraction(number, peak):
                count += self._add_link(count, number, self.peak_at[peak])
            if keep:
                self._keep_leg(number)
        self._stop_link[peak] = count
        if count == self._first_link[peak]:
            self._is_open[peak] = 0  # no chain comes here, so none goes on from here

    def _keep_leg(self, peak: int) -> None:
        self._is_open[peak] = 1 if self._leg_is_open else 0
        self._peak_low[peak], self._peak_low_at[peak] = self._leg_low, self._leg_low_at
        self._top[peak], self._top_ever[peak] = self._leg_top, self._leg_top_ever
        self._pullback[peak] = self._leg_pullback

    def _is_contraction(self, peak: int, next_peak: int) -> bool:
        fall = self._peak_high[peak] - self._leg_low
        rally = self._peak_high[next_peak] - self._leg_low
        return (
            self.peak_at[next_peak] - self.peak_at[peak] >= self._min_peak_gap
            and fall * _TIE >= self._min_depth * self._peak_high[peak]
            and rally * _TIE >= self._min_rally_recovery * fall
        )

    def _add_link(self, slot: int, peak: int, next_at: int) -> int:
        """Write the link into `slot` if any chain reaches it; gives 1 then, else 0."""
        depth = (self._peak_high[peak] - self._leg_low) / self._peak_high[peak]
        for n in range(_MOST):
            self.best[slot, n] = -_INFINITY
        reached = peak == 0
        if reached:
            self.best[slot, 1], self.back[slot, 1] = 0.0, -1
        for before in range(self._first_link[peak], self._stop_link[peak]):
            if self._is_shallower(before, depth) and self._holds_prior_low(peak, next_at, before):
                reached = True
                self._extend_chains(slot, before, self._merit(depth / self.link_depth[before]))
        if not reached:
            return 0
        self.link_peak[slot], self.link_depth[slot] = peak, depth
        self._link_low[slot], self.link_low_at[slot] = self._leg_low, self._leg_low_at
        self._link_pullback[slot], self._link_most[slot] = self._leg_pullback, self._highest_value(slot)
        return 1

    def _extend_chains(self, slot: int, before: int, merit: float) -> None:
        """Let the chains that end with the link `before` go on to the one in `slot` where that is best."""
        for n in range(1, _MOST - 1):
            value = self.best[before, n] + merit
            if value > self.best[slot, n + 1] + _TOLERANCE:
                self.best[slot, n + 1], self.back[slot, n + 1] = value, before

    def _highest_value(self, slot: int) -> float:
        highest = -_INFINITY
        for n in range(1, _MOST):
            highest = max(highest, self.best[slot, n])
        return highest

    def _merit(self, ratio: float) -> float:
        """As `contraction_value`, compiled."""
        return 1 - self._ratio_penalty * fabs(log2(ratio) - self._ideal_ratio_log2) - self._leg_cost

    def _is_shallower(self, before: int, depth: float) -> bool:
        """Whether a contraction so deep may follow the link `before`, whose rally hides nothing deeper."""
        return (
            depth <= self._max_depth_ratio * self.link_depth[before] * _TIE
            and self._link_pullback[before] <= self._max_hidden_pullback * depth * _TIE
        )

    def _holds_prior_low(self, peak: int, last: int, before: int) -> bool:
        """Whether the leg of a peak, as deep as it is by bar `last`, spares the low before or shakes out."""
        level = self._link_low[before]
        if self._leg_low >= level:
            return True
        if level - self._leg_low > self._undercut_share * self._fall[peak] * _TIE:
            return False
        first, stop = self.peak_at[peak] + 1, last + 1
        return is_reclaimed(self._low[first:stop], self._close[first:stop], level, self._max_reclaim_sessions)

    def complete(self, peaks: int, known: int, t: int, to_beat: float) -> None:
        """The best complete chain at session t, of the first `known` swings with `peaks` confirmed peaks.

        None, with no contractions, where it is not worth more than `to_beat`.
        """
        extreme, counter = self._extreme[t], self._counter[t]
        self._reset_end(to_beat)
        for number in range(1, peaks):
            if self._is_open[number] == 0:
                continue
            if known % 2 == 1:
                self._leg_while_falling(number, extreme)
            else:
                self._leg_while_rising(number, self._swing_at[known - 1], extreme, counter)
            if self._leg_is_open:
                self._complete_with(number, t)
        if known % 2 == 0 and counter > extreme:
            self._with_unconfirmed_peak(peaks, self._swing_at[known - 1], t)

    def _leg_while_falling(self, peak: int, extreme: int) -> None:
        """The leg below a peak while prices fall: the low in progress is its last swing."""
        low, self._leg_is_open = self._low[extreme], True
        self._leg_low, self._leg_low_at = self._peak_low[peak], self._peak_low_at[peak]
        self._leg_top, self._leg_top_ever, self._leg_pullback = 0.0, 0.0, 0.0
        if low < self._leg_low:
            self._leg_is_open = self._top_ever[peak] <= self._peak_high[peak]
            self._leg_low, self._leg_low_at = low, extreme
        else:
            self._leg_pullback = max(self._pullback[peak], (self._top[peak] - low) / self._top[peak])

    def _leg_while_rising(self, peak: int, low_at: int, extreme: int, counter: int) -> None:
        """The same while they rise: a confirmed low, the high in progress, and the fall from it."""
        self._extend_leg(peak, low_at, self._low[low_at], self._high[extreme])
        if counter != extreme:
            fall = (self._leg_top - self._low[counter]) / self._leg_top
            self._leg_pullback = max(self._leg_pullback, fall)

    def _with_unconfirmed_peak(self, peaks: int, low_at: int, t: int) -> None:
        """The same, when the high that no turn has confirmed yet may be the final peak."""
        extreme, counter = self._extreme[t], self._counter[t]
        high, low = self._high[extreme], self._low[counter]
        if not self._is_final(extreme, t, (high - low) / high):
            return
        self.open_peak(peaks, extreme, self._low[low_at])
        self.add_peak(peaks, low_at, False)
        self._leg_is_open, self._leg_low, self._leg_low_at = True, low, counter
        self._leg_top, self._leg_top_ever, self._leg_pullback = 0.0, 0.0, 0.0
        self._complete_with(peaks, t)
        if self.end_peak_at == extreme:
            self.end_is_confirmed = False

    def _is_final(self, peak_at: int, t: int, depth: float) -> bool:
        """Whether a fall of this depth since a peak is long or deep enough to be the final contraction."""
        if depth * _TIE < self._min_depth:
            return False
        return t - peak_at >= self._min_final_sessions or depth * _TIE >= self._deep_final_depth

    def _complete_with(self, peak: int, t: int) -> None:
        """Take the best chain whose final contraction is the leg of `peak`, if it is worth more."""
        depth = (self._peak_high[peak] - self._leg_low) / self._peak_high[peak]
        if not self._is_final(self.peak_at[peak], t, depth):
            return
        if self._leg_pullback > self._max_hidden_pullback * depth * _TIE:
            return
        most_merit = 1 - self._leg_cost
        for slot in range(self._first_link[peak], self._stop_link[peak]):
            if self._link_most[slot] + most_merit < self.end_value - _TOLERANCE:
                continue
            if self._is_shallower(slot, depth):
                self._complete_after(slot, peak, t, self._merit(depth / self.link_depth[slot]))

    def _complete_after(self, slot: int, peak: int, t: int, merit: float) -> None:
        """The same, of the chains that end with the link in `slot`."""
        for n in range(1, _MOST):
            value = self.best[slot, n] + merit
            if self._is_better(value, n + 1) and self._holds_prior_low(peak, t, slot):
                self.end_value, self.end_link, self.end_contractions = value, slot, n + 1
                self.end_peak_at, self.end_low_at = self.peak_at[peak], self._leg_low_at
                self.end_is_confirmed = True

    def _is_better(self, value: float, contractions: int) -> bool:
        """More valuable, or as valuable with more contractions."""
        if value > self.end_value + _TOLERANCE:
            return True
        return value >= self.end_value - _TOLERANCE and contractions > self.end_contractions
