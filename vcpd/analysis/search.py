"""The search: every anchor, every session of a window, the best chain of each session."""

from typing import Final, NamedTuple

import numpy as np

from vcpd.analysis.anchors import advance_into, find_anchors
from vcpd.analysis.contractions import MOST, Ending, Room, Table, add_peak, best_ending, open_peak
from vcpd.analysis.indicators import Bars
from vcpd.analysis.kernels import at_most, borrowing, inlined, kernel
from vcpd.analysis.swings import trace_swings, turn_thresholds
from vcpd.analysis.thresholds import Rules
from vcpd.domain.arrays import BoolArray, FloatArray, IntArray

ROUNDING: Final = 1e-9  # of a sum of values, with room to spare


class Chains(NamedTuple):
    """The best chain of each session of a window; bars are positions in the symbol's own history.

    Where no anchor has a chain, `contractions` is 0. `sound` says that the structure keeps its gates; a sound
    chain is preferred to one that is not, then the more valuable one, then the longer base.
    """

    first: int  # the window's first bar
    contractions: IntArray  # how many
    value: FloatArray
    sound: BoolArray
    confirmed: BoolArray  # a turn has confirmed the final peak
    base_depth: FloatArray  # deepest fall from the anchor, a fraction
    advance: FloatArray  # into the anchor, a fraction
    high_at: IntArray  # (sessions, 6)
    low_at: IntArray  # (sessions, 6)


class Base(NamedTuple):
    """An anchor at a session: how deep prices fell from it, and how far they rose above it."""

    anchor: int
    advance: float
    lowest: float
    highest: float


@kernel
def no_chains(first: int, last: int) -> Chains:
    sessions = last - first + 1
    return Chains(
        first,
        np.zeros(sessions, np.int64),
        np.full(sessions, -np.inf),
        np.zeros(sessions, np.bool_),
        np.zeros(sessions, np.bool_),
        np.full(sessions, np.nan),
        np.full(sessions, np.nan),
        np.full((sessions, MOST), -1),
        np.full((sessions, MOST), -1),
    )


@kernel
def search(bars: Bars, first: int, last: int, room: Room, rules: Rules) -> Chains:
    """The best chain at each of the bars first..last, each from the bars up to itself alone."""
    chains = no_chains(first, last)
    turn = turn_thresholds(bars, max(first - rules.oldest, 0), last, rules)
    table = Table(
        bars.high, bars.low, bars.close, turn, rules, room.swings, room.legs, room.links, room.best, room.back
    )
    for anchor in find_anchors(bars, first, last, rules):
        _search_below(bars, table, anchor, last, chains)
    return chains


@borrowing
def _search_below(bars: Bars, table: Table, anchor: int, last: int, chains: Chains) -> None:
    """Offer the chains below one anchor to every session it can serve."""
    swings, rules = table.swings, table.rules
    stop = min(last, anchor + rules.oldest)
    confirmed = trace_swings(bars, table.turn, anchor, stop, swings)
    base = Base(anchor, advance_into(bars, anchor, rules.advance_window), np.inf, 0.0)
    open_peak(table, 0, anchor, 0.0)
    known = peaks = 1
    for t in range(anchor + 1, stop + 1):
        base = Base(anchor, base.advance, min(base.lowest, bars.low[t]), max(base.highest, bars.high[t]))
        if base.highest > bars.high[anchor] * (1 + rules.cap):
            break
        while known < confirmed and swings.confirmed_at[known] <= t:
            if known % 2 == 0:
                low_at = swings.at[known - 1]
                open_peak(table, peaks, swings.at[known], bars.low[low_at])
                add_peak(table, peaks, low_at, True)
                peaks += 1
            known += 1
        if t >= chains.first and t - anchor >= rules.youngest and _caps(table, base):
            ending = best_ending(table, peaks, known, t, _to_beat(table, base, t, chains))
            if ending.contractions > 0:
                _offer(table, base, ending, t, chains)


@inlined
def _caps(table: Table, base: Base) -> bool:
    """Whether the anchor still caps price, as deep as its base is."""
    high, rules = table.high[base.anchor], table.rules
    room = min(rules.cap, rules.cap_share * (high - base.lowest) / high)
    caps: bool = base.highest <= high * (1 + room)
    return caps


@inlined
def _to_beat(table: Table, base: Base, t: int, chains: Chains) -> float:
    """A value that a chain below this anchor must exceed to be kept: a little less than exact."""
    slot, high = t - chains.first, table.high[base.anchor]
    may_be_sound = _has_sound_base(table, base, (high - base.lowest) / high)
    if may_be_sound != chains.sound[slot]:
        return -np.inf if may_be_sound else np.inf
    least: float = chains.value[slot] - _length_value(table, base, t) - ROUNDING
    return least


@inlined
def _length_value(table: Table, base: Base, t: int) -> float:
    value: float = table.rules.length_bonus * np.log(1 + (t - base.anchor) / 5)
    return value


@inlined
def _offer(table: Table, base: Base, ending: Ending, t: int, chains: Chains) -> None:
    """Keep the chain for its session if it is better than the one found so far."""
    slot, high = t - chains.first, table.high[base.anchor]
    value = ending.value + _length_value(table, base, t)
    depth = (high - base.lowest) / high
    sound = _is_sound(table, base, depth, ending)
    better = sound and not chains.sound[slot]
    if not better and (sound != chains.sound[slot] or value <= chains.value[slot]):
        return
    chains.contractions[slot], chains.value[slot] = ending.contractions, value
    chains.sound[slot], chains.confirmed[slot] = sound, ending.confirmed
    chains.base_depth[slot], chains.advance[slot] = depth, base.advance
    _write(table, ending, chains.high_at[slot], chains.low_at[slot])


@inlined
def _is_sound(table: Table, base: Base, depth: float, ending: Ending) -> bool:
    """The gates that concern the structure alone."""
    rules = table.rules
    high = table.high[ending.peak_at]
    final = (high - table.low[ending.low_at]) / high
    return (
        _has_sound_base(table, base, depth)
        and at_most(rules.contractions_least, ending.contractions)
        and at_most(ending.contractions, rules.contractions_most)
        and at_most(final, rules.final_depth_most)
        and at_most(final, rules.final_to_first_most * _first_depth(table, ending))
    )


@inlined
def _has_sound_base(table: Table, base: Base, depth: float) -> bool:
    """The gates among them that no chain can change."""
    rules = table.rules
    return (
        at_most(rules.base_depth_least, depth)
        and at_most(depth, rules.base_depth_most)
        and (base.anchor < rules.advance_window or at_most(rules.advance_least, base.advance))
    )


@inlined
def _first_depth(table: Table, ending: Ending) -> float:
    link = ending.link
    for n in range(ending.contractions - 1, 1, -1):
        link = table.back[link, n]
    first: float = table.links[link].depth
    return first


@inlined
def _write(table: Table, ending: Ending, high_at: IntArray, low_at: IntArray) -> None:
    """Lay the chain out, anchor first; places beyond its end are -1."""
    high_at[:] = -1
    low_at[:] = -1
    last = ending.contractions - 1
    high_at[last], low_at[last] = ending.peak_at, ending.low_at
    link = ending.link
    for n in range(last, 0, -1):
        high_at[n - 1] = table.legs[table.links[link].peak].at
        low_at[n - 1] = table.links[link].low_at
        link = table.back[link, n]


@kernel
def first_breakout(chains: Chains, high: FloatArray, close: FloatArray, since: int) -> int:
    """The first bar from `since` on whose close was under its chain's pivot and the next one above; or -1."""
    for slot in range(since - chains.first, len(chains.contractions) - 1):
        t, count = chains.first + slot, chains.contractions[slot]
        if count > 0:
            pivot = high[chains.high_at[slot, count - 1]]
            if close[t] <= pivot < close[t + 1]:
                return t
    return -1
