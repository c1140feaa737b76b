"""Search for bases: every anchor and session of a window, the best contraction chain of each session."""

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from vcpd.analysis.contractions import (
    MAX_CONTRACTIONS,
    VALUE_TOLERANCE,
    ChainCompletion,
    ContractionTable,
    Workspace,
    add_peak,
    best_completion,
    open_peak,
)
from vcpd.analysis.gates import TIE, base_holds, contractions_hold
from vcpd.analysis.indicators import Bars
from vcpd.analysis.kernels import inline_kernel, kernel, uncounted_kernel
from vcpd.analysis.swings import trace_swings, turn_thresholds
from vcpd.analysis.thresholds import SearchRules
from vcpd.domain.bars import BoolArray, FloatArray, IntArray
from vcpd.domain.setups import Contraction, Undercut

VALUE_MARGIN: Final = 1e-9  # of a sum of values, with workspace to spare


@kernel
def find_anchors(bars: Bars, first: int, last: int, rules: SearchRules) -> IntArray:
    """Bars that may anchor a base at some session of first..last, oldest first.

    A local high, the highest of the bars before it, within reach of a session, and not yet topped by
    more than the cap when the first of these sessions comes.
    """
    oldest = max(first - rules.max_base_sessions, rules.anchor_side)
    youngest = last - rules.min_base_sessions
    found = np.empty(max(youngest - oldest + 1, 0), np.int64)
    count = 0
    highest_until_first = 0.0
    seen = first + 1
    for a in range(youngest, oldest - 1, -1):
        while seen > a + 1 and seen > 0:
            seen -= 1
            highest_until_first = max(highest_until_first, bars.high[seen])
        capped = highest_until_first <= bars.high[a] * (1 + rules.max_rise_above_anchor) * TIE
        if capped and _is_anchor_high(bars, a, rules):
            found[count] = a
            count += 1
    return found[:count][::-1].copy()


@kernel
def _is_anchor_high(bars: Bars, a: int, rules: SearchRules) -> bool:
    for k in range(max(a - rules.anchor_lookback, 0), a + rules.anchor_side + 1):
        if bars.high[k] > bars.high[a]:
            return False
    return True


@kernel
def prior_advance(bars: Bars, anchor: int, window: int) -> float:
    """Rise from the lowest low of the `window` bars before the anchor to its high, as a fraction."""
    lowest = np.inf
    for k in range(max(anchor - window, 0), anchor):
        lowest = min(lowest, bars.low[k])
    advance: float = bars.high[anchor] / lowest - 1
    return advance


class ChainArrays(NamedTuple):
    """The best chain of each session of a window; bars are positions in the symbol's own history.

    Where no anchor has a chain, `contractions` is 0. `sound` says that the structure keeps its gates; a sound
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


class BaseExtent(NamedTuple):
    """An anchor at a session: how deep prices fell from it, and how far they rose above it."""

    anchor: int
    advance: float
    lowest: float
    highest: float


@kernel
def empty_chains(first: int, last: int) -> ChainArrays:
    sessions = last - first + 1
    return ChainArrays(
        first,
        np.zeros(sessions, np.int64),
        np.full(sessions, -np.inf),
        np.zeros(sessions, np.bool_),
        np.zeros(sessions, np.bool_),
        np.full(sessions, np.nan),
        np.full(sessions, np.nan),
        np.full((sessions, MAX_CONTRACTIONS), -1),
        np.full((sessions, MAX_CONTRACTIONS), -1),
    )


@kernel
def find_chains(bars: Bars, first: int, last: int, workspace: Workspace, rules: SearchRules) -> ChainArrays:
    """The best chain at each of the bars first..last, each from the bars up to itself alone."""
    chains = empty_chains(first, last)
    turn = turn_thresholds(bars, max(first - rules.max_base_sessions, 0), last, rules)
    table = ContractionTable(
        bars.high,
        bars.low,
        bars.close,
        turn,
        rules,
        workspace.swings,
        workspace.legs,
        workspace.links,
        workspace.best,
        workspace.back,
    )
    for anchor in find_anchors(bars, first, last, rules):
        _search_anchor(bars, table, anchor, last, chains)
    return chains


@uncounted_kernel
def _search_anchor(bars: Bars, table: ContractionTable, anchor: int, last: int, chains: ChainArrays) -> None:
    """Offer the chains below one anchor to every session it can serve."""
    swings, rules = table.swings, table.rules
    stop = min(last, anchor + rules.max_base_sessions)
    confirmed = trace_swings(bars, table.turn, anchor, stop, swings)
    base = BaseExtent(anchor, prior_advance(bars, anchor, rules.advance_window), np.inf, 0.0)
    open_peak(table, 0, anchor, 0.0)
    known = peaks = 1
    for t in range(anchor + 1, stop + 1):
        base = BaseExtent(
            anchor, base.advance, min(base.lowest, bars.low[t]), max(base.highest, bars.high[t])
        )
        if base.highest > bars.high[anchor] * (1 + rules.max_rise_above_anchor) * TIE:
            break
        while known < confirmed and swings.confirmed_at[known] <= t:
            if known % 2 == 0:
                low_at = swings.at[known - 1]
                open_peak(table, peaks, swings.at[known], bars.low[low_at])
                add_peak(table, peaks, low_at, True)
                peaks += 1
            known += 1
        if t >= chains.first and t - anchor >= rules.min_base_sessions and _still_caps(table, base):
            ending = best_completion(table, peaks, known, t, _minimum_value(table, base, t, chains))
            if ending.contractions > 0:
                _keep_if_better(table, base, ending, t, chains)


@inline_kernel
def _still_caps(table: ContractionTable, base: BaseExtent) -> bool:
    """Whether the anchor still caps price, as deep as its base is."""
    high, rules = table.high[base.anchor], table.rules
    workspace = min(rules.max_rise_above_anchor, rules.cap_share * (high - base.lowest) / high)
    caps: bool = base.highest <= high * (1 + workspace)
    return caps


@inline_kernel
def _minimum_value(table: ContractionTable, base: BaseExtent, t: int, chains: ChainArrays) -> float:
    """A value that a chain below this anchor must exceed to be kept: a little less than exact."""
    slot, high = t - chains.first, table.high[base.anchor]
    may_be_sound = _has_valid_base(table, base, (high - base.lowest) / high)
    if may_be_sound != chains.valid[slot]:
        return -np.inf if may_be_sound else np.inf
    least: float = chains.value[slot] - _length_bonus(table, base, t) - VALUE_MARGIN
    return least


@inline_kernel
def _length_bonus(table: ContractionTable, base: BaseExtent, t: int) -> float:
    value: float = table.rules.length_bonus * np.log(1 + (t - base.anchor) / 5)
    return value


@inline_kernel
def _keep_if_better(
    table: ContractionTable, base: BaseExtent, ending: ChainCompletion, t: int, chains: ChainArrays
) -> None:
    """Keep the chain for its session if it is better than the one found so far."""
    slot, high = t - chains.first, table.high[base.anchor]
    value = ending.value + _length_bonus(table, base, t)
    depth = (high - base.lowest) / high
    sound = _is_valid(table, base, depth, ending)
    better = sound and not chains.valid[slot]
    if not better and (sound != chains.valid[slot] or value <= chains.value[slot] + VALUE_TOLERANCE):
        return
    chains.contractions[slot], chains.value[slot] = ending.contractions, value
    chains.valid[slot], chains.confirmed[slot] = sound, ending.confirmed
    chains.base_depth[slot], chains.advance[slot] = depth, base.advance
    _write_chain(table, ending, chains.high_at[slot], chains.low_at[slot])


base_holds_kernel = inline_kernel(base_holds)
contractions_hold_kernel = inline_kernel(contractions_hold)


@inline_kernel
def _is_valid(table: ContractionTable, base: BaseExtent, depth: float, ending: ChainCompletion) -> bool:
    """The gates that concern the structure alone."""
    high = table.high[ending.peak_at]
    final = (high - table.low[ending.low_at]) / high
    first = _first_depth(table, ending)
    valid: bool = _has_valid_base(table, base, depth) and contractions_hold_kernel(
        ending.contractions, first, final, table.rules
    )
    return valid


@inline_kernel
def _has_valid_base(table: ContractionTable, base: BaseExtent, depth: float) -> bool:
    """The gates among them that no chain can change."""
    known = base.anchor >= table.rules.advance_window
    valid: bool = base_holds_kernel(depth, base.advance, known, table.rules)
    return valid


@inline_kernel
def _first_depth(table: ContractionTable, ending: ChainCompletion) -> float:
    link = ending.link
    for n in range(ending.contractions - 1, 1, -1):
        link = table.back[link, n]
    first: float = table.links[link].depth
    return first


@inline_kernel
def _write_chain(
    table: ContractionTable, ending: ChainCompletion, high_at: IntArray, low_at: IntArray
) -> None:
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
def first_breakout(chains: ChainArrays, high: FloatArray, close: FloatArray, since: int) -> int:
    """The first bar from `since` on whose close was under its chain's pivot and the next one above; or -1."""
    for slot in range(since - chains.first, len(chains.contractions) - 1):
        t, count = chains.first + slot, chains.contractions[slot]
        if count > 0:
            pivot = high[chains.high_at[slot, count - 1]]
            if close[t] <= pivot < close[t + 1]:
                return t
    return -1


class Chain(NamedTuple):
    """k contractions from the anchor `high_at[0]` on; the pivot is the high at `high_at[-1]`."""

    high_at: tuple[int, ...]
    low_at: tuple[int, ...]
    value: float
    valid: bool
    confirmed: bool
    base_depth: float
    advance: float
    variant: str = ""  # an admission beyond the first definition

    @property
    def anchor(self) -> int:
        return self.high_at[0]

    @property
    def peak(self) -> int:
        return self.high_at[-1]


def chain_at(chains: ChainArrays, slot: int) -> Chain | None:
    """The chain of one session of the window."""
    count = int(chains.contractions[slot])
    if count == 0:
        return None
    return Chain(
        tuple(chains.high_at[slot, :count].tolist()),
        tuple(chains.low_at[slot, :count].tolist()),
        float(chains.value[slot]),
        bool(chains.valid[slot]),
        bool(chains.confirmed[slot]),
        float(chains.base_depth[slot]),
        float(chains.advance[slot]),
    )


def depths_pct(bars: Bars, chain: Chain) -> list[float]:
    """Depth of each contraction in percent of its high."""
    pairs = zip(chain.high_at, chain.low_at, strict=True)
    return [100 * (1 - bars.low.item(low) / bars.high.item(high)) for high, low in pairs]


def base_weeks(chain: Chain, t: int) -> int:
    """Sessions from the anchor to bar t, in weeks of five, half a week rounded up."""
    return int((t - chain.anchor) / 5 + 0.5)


def footprint_of(bars: Bars, chain: Chain, t: int) -> str:
    """`{weeks}W {first depth}/{final depth} {contractions}T`, depths in whole percent."""
    return footprint_text(depths_pct(bars, chain), base_weeks(chain, t))


def footprint_text(depths: Sequence[float], weeks: int) -> str:
    """The footprint of a base of so many weeks whose contractions are so deep, in percent."""
    return f"{weeks}W {depths[0]:.0f}/{depths[-1]:.0f} {len(depths)}T"


def contractions_of(
    bars: Bars, chain: Chain, depths: Sequence[float], sessions: Sequence[date]
) -> tuple[Contraction, ...]:
    """The chain in dates and prices; `depths` are its `depths_pct`, `sessions` the panel's."""
    return tuple(
        [
            Contraction(
                round(bars.high.item(high), 6),
                sessions[bars.column.item(high)],
                round(bars.low.item(low), 6),
                sessions[bars.column.item(low)],
                round(depth, 4),
            )
            for high, low, depth in zip(chain.high_at, chain.low_at, depths, strict=True)
        ]
    )


def undercuts_of(bars: Bars, chain: Chain, sessions: Sequence[date], t: int) -> tuple[Undercut, ...]:
    """Contractions that fell below the low before them and were reclaimed by bar t."""
    found = []
    for before, low_at in pairwise(chain.low_at):
        level = bars.low.item(before)
        if bars.low.item(low_at) < level:
            above = np.flatnonzero(bars.close[low_at : t + 1] > level)
            if len(above):
                dates = sessions[bars.column[low_at]], sessions[bars.column[low_at + int(above[0])]]
                low = round(float(bars.low[low_at]), 6)
                found.append(Undercut(dates[0], low, round(level, 6), dates[1]))
    return tuple(found)
