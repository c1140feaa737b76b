"""Search for bases: every anchor and session of a window, the best contraction chain of each session.

Compiled; base_search.pxd has the types.
"""

from typing import Final, NamedTuple

import cython
import numpy as np

from vcpd.analysis.contractions import MAX_CONTRACTIONS, VALUE_TOLERANCE, ContractionTable, SwingTracer
from vcpd.analysis.indicators import Bars
from vcpd.analysis.thresholds import TIE_TOLERANCE, SearchRules
from vcpd.domain.bars import BoolArray, FloatArray, IntArray

if cython.compiled:
    from cython.cimports.libc.math import log
else:
    from math import log

VALUE_MARGIN: Final = 1e-9  # of a sum of values, with room to spare
_MARGIN: Final = VALUE_MARGIN
_TOLERANCE: Final = VALUE_TOLERANCE
_TIE: Final = 1 + TIE_TOLERANCE
_INFINITY: Final = float("inf")
_MOST: Final = MAX_CONTRACTIONS


class ChainArrays(NamedTuple):
    """The best chain of each session of a window; bars are positions in the symbol's own history.

    Where no anchor has a chain, `contractions` is 0. `valid` says that the structure keeps its gates; a valid
    chain is preferred to one that is not, then the more valuable one, then the longer base.
    """

    first: int  # the window's first bar
    contractions: IntArray  # how many
    value: FloatArray
    valid: BoolArray
    confirmed: BoolArray  # a turn has confirmed the final peak
    base_depth: FloatArray  # deepest fall from the anchor, a fraction
    advance: FloatArray  # into the anchor, a fraction
    high_at: IntArray  # (sessions, 6)
    low_at: IntArray  # (sessions, 6)


def empty_chains(first: int, last: int) -> ChainArrays:
    """No chain at any of the bars first..last."""
    sessions = last - first + 1
    value, unknown, flags = np.empty(sessions), np.empty((2, sessions)), np.zeros((2, sessions), np.bool_)
    value.fill(-np.inf)
    unknown.fill(np.nan)
    places = np.empty((2, sessions, MAX_CONTRACTIONS), np.int64)
    places.fill(-1)
    return ChainArrays(
        first,
        np.zeros(sessions, np.int64),
        value,
        *(flags[0], flags[1], unknown[0], unknown[1], places[0], places[1]),
    )


def first_breakout(chains: ChainArrays, bars: Bars, since: int) -> int:
    """The first bar from `since` on whose close was under its chain's pivot and the next one above; or -1."""
    return _first_breakout(
        chains.contractions, chains.high_at, bars.high, bars.close, chains.first, since - chains.first
    )


def _first_breakout(
    contractions: IntArray, high_at: IntArray, high: FloatArray, close: FloatArray, first: int, since: int
) -> int:
    """The same from slot `since` on of the chains from bar `first` on."""
    for slot in range(since, contractions.shape[0] - 1):
        if contractions[slot] > 0:
            pivot = high[high_at[slot, contractions[slot] - 1]]
            if close[first + slot] <= pivot < close[first + slot + 1]:
                return first + slot
    return -1


class BaseSearch:
    """The search with its work space, for one symbol after the other."""

    def __init__(self, bars: int, longest: int) -> None:
        """For histories of up to `bars` bars and bases of up to `longest` sessions."""
        self._tracer = SwingTracer(bars, longest)
        self._table = ContractionTable(self._tracer, longest)
        self._write_to(empty_chains(0, -1))
        self._high: FloatArray = np.zeros(0)
        self._low: FloatArray = self._high
        self._highest_later: FloatArray = np.zeros(bars + 1)  # per bar: of it and those to the window's first
        self._anchor = 0
        self._own_advance = self._lowest = self._highest = 0.0

    def find(self, bars: Bars, first: int, last: int, rules: SearchRules) -> ChainArrays:
        """The best chain at each of the bars first..last, each from the bars up to itself alone."""
        chains = empty_chains(first, last)
        self._write_to(chains)
        self._set_rules(rules)
        self._high, self._low = bars.high, bars.low
        self._tracer.set_market(bars, max(first - rules.max_base_sessions, 0), last, rules)
        self._table.set_market(bars, rules)
        self._search(last)
        return chains

    def _write_to(self, chains: ChainArrays) -> None:
        self._first = chains.first
        self._contractions, self._value = chains.contractions, chains.value
        self._valid, self._confirmed = chains.valid.view(np.uint8), chains.confirmed.view(np.uint8)
        self._base_depth, self._advance = chains.base_depth, chains.advance
        self._high_at, self._low_at = chains.high_at, chains.low_at

    def _set_rules(self, rules: SearchRules) -> None:
        self._anchor_side, self._anchor_lookback = rules.anchor_side, rules.anchor_lookback
        self._min_base_sessions, self._max_base_sessions = rules.min_base_sessions, rules.max_base_sessions
        self._max_rise, self._cap_share = rules.max_rise_above_anchor, rules.cap_share
        self._min_contractions, self._max_contractions = rules.min_contractions, rules.max_contractions
        self._base_depth_least, self._base_depth_most = rules.base_depth_least, rules.base_depth_most
        self._final_depth_most, self._max_final_to_first = rules.final_depth_most, rules.max_final_to_first
        self._advance_least, self._advance_window = rules.advance_least, rules.advance_window
        self._length_bonus = rules.length_bonus

    def _search(self, last: int) -> None:
        """Offer the chains below each anchor, oldest first, to the sessions up to `last`."""
        oldest = max(self._first - self._max_base_sessions, self._anchor_side)
        self._fill_highest_later(oldest)
        for anchor in range(oldest, last - self._min_base_sessions + 1):
            if self._is_anchor(anchor):
                self._search_anchor(anchor, min(last, anchor + self._max_base_sessions))

    def _fill_highest_later(self, oldest: int) -> None:
        """The highest high of each bar and those after it up to the window's first, asked of every anchor."""
        self._highest_later[self._first + 1] = 0.0
        for t in range(self._first, oldest - 1, -1):
            self._highest_later[t] = max(self._highest_later[t + 1], self._high[t])

    def _is_anchor(self, anchor: int) -> bool:
        """A local high, the highest of the bars before it, not topped by more than the cap too early."""
        most = self._high[anchor] * (1 + self._max_rise) * _TIE
        if anchor < self._first and self._highest_later[anchor + 1] > most:
            return False
        for k in range(max(anchor - self._anchor_lookback, 0), anchor + self._anchor_side + 1):
            if self._high[k] > self._high[anchor]:
                return False
        return True

    def _prior_advance(self, anchor: int) -> float:
        """Rise from the lowest low of the bars before the anchor to its high, as a fraction."""
        lowest = _INFINITY
        for k in range(max(anchor - self._advance_window, 0), anchor):
            lowest = min(lowest, self._low[k])
        return self._high[anchor] / lowest - 1

    def _search_anchor(self, anchor: int, stop: int) -> None:
        """Offer the chains below one anchor to every session it can serve, the last one `stop`."""
        confirmed = self._tracer.trace(anchor, stop)
        self._anchor, self._own_advance = anchor, self._prior_advance(anchor)
        self._lowest, self._highest = _INFINITY, 0.0
        self._table.open_peak(0, anchor, 0.0)
        known = peaks = 1
        for t in range(anchor + 1, stop + 1):
            self._lowest, self._highest = min(self._lowest, self._low[t]), max(self._highest, self._high[t])
            if self._highest > self._high[anchor] * (1 + self._max_rise) * _TIE:
                break
            while known < confirmed and self._tracer.confirmed_at[known] <= t:
                if known % 2 == 0:
                    self._add_peak(peaks, known)
                    peaks += 1
                known += 1
            if t >= self._first and t - anchor >= self._min_base_sessions and self._still_caps():
                self._table.complete(peaks, known, t, self._minimum_value(t))
                if self._table.end_contractions > 0:
                    self._keep_if_better(t)

    def _add_peak(self, peak: int, swing: int) -> None:
        low_at = self._tracer.at[swing - 1]
        self._table.open_peak(peak, self._tracer.at[swing], self._low[low_at])
        self._table.add_peak(peak, low_at, True)

    def _still_caps(self) -> bool:
        """Whether the anchor still caps price, as deep as its base is."""
        high = self._high[self._anchor]
        rise = min(self._max_rise, self._cap_share * (high - self._lowest) / high)
        return self._highest <= high * (1 + rise)

    def _minimum_value(self, t: int) -> float:
        """A value that a chain below this anchor must exceed to be kept: a little less than exact."""
        slot, may_be_valid = t - self._first, self._base_holds()
        if may_be_valid != (self._valid[slot] != 0):
            return -_INFINITY if may_be_valid else _INFINITY
        return self._value[slot] - self._bonus(t) - _MARGIN

    def _bonus(self, t: int) -> float:
        return self._length_bonus * log(1 + (t - self._anchor) / 5.0)

    def _base_holds(self) -> bool:
        """The gates of the structure that no chain can change."""
        high = self._high[self._anchor]
        depth = (high - self._lowest) / high
        is_known = self._anchor >= self._advance_window
        return (
            self._base_depth_least <= depth * _TIE
            and depth <= self._base_depth_most * _TIE
            and (not is_known or self._advance_least <= self._own_advance * _TIE)
        )

    def _chain_holds(self) -> bool:
        """The gates of the structure that concern its chain: how many contractions, how deep the last is."""
        high = self._high[self._table.end_peak_at]
        final = (high - self._low[self._table.end_low_at]) / high
        contractions = self._table.end_contractions
        return (
            self._min_contractions <= contractions <= self._max_contractions
            and final <= self._final_depth_most * _TIE
            and final <= self._max_final_to_first * self._first_depth() * _TIE
        )

    def _first_depth(self) -> float:
        link = self._table.end_link
        for n in range(self._table.end_contractions - 1, 1, -1):
            link = self._table.back[link, n]
        return self._table.link_depth[link]

    def _keep_if_better(self, t: int) -> None:
        """Keep the chain for its session if it is better than the one found so far."""
        slot, high = t - self._first, self._high[self._anchor]
        value = self._table.end_value + self._bonus(t)
        valid, was_valid = self._base_holds() and self._chain_holds(), self._valid[slot] != 0
        if valid == was_valid:
            if value <= self._value[slot] + _TOLERANCE:
                return
        elif was_valid:
            return
        self._contractions[slot], self._value[slot] = self._table.end_contractions, value
        self._valid[slot], self._confirmed[slot] = valid, self._table.end_is_confirmed
        self._base_depth[slot], self._advance[slot] = (high - self._lowest) / high, self._own_advance
        self._write_chain(slot)

    def _write_chain(self, slot: int) -> None:
        """Lay the chain out, anchor first; places beyond its end are -1."""
        last, link = self._table.end_contractions - 1, self._table.end_link
        for n in range(_MOST):
            self._high_at[slot, n] = self._low_at[slot, n] = -1
        self._high_at[slot, last] = self._table.end_peak_at
        self._low_at[slot, last] = self._table.end_low_at
        for n in range(last, 0, -1):
            self._high_at[slot, n - 1] = self._table.peak_at[self._table.link_peak[link]]
            self._low_at[slot, n - 1] = self._table.link_low_at[link]
            link = self._table.back[link, n]
