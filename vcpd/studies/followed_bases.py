"""What became of a symbol's bases under each of many thresholds: found once where the answer is the same.

Thresholds that differ in gates or trend alone have the same search rules: their chains are the same, and each
of them only follows its bases anew. A chain is made from the bars up to its session alone, so the sessions
that a later setting needs beyond those searched are searched by themselves and put in front. So do thresholds
that differ in the structure alone share one evaluation of the trend.

Thresholds of the trend and of the search reach a base through four things only: the bars at which every gate
holds, the chain there, its variant, and what the trend allows at the bars on which a base is live. Where all
four are the same, so is what became of the bases.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from vcpd.analysis.base_search import BaseSearch, ChainArrays
from vcpd.analysis.base_structure import find_chains
from vcpd.analysis.base_tracker import BaseTracker, Breakout
from vcpd.analysis.indicators import Bars
from vcpd.analysis.levels import Levels
from vcpd.analysis.session_context import (
    BaseTrackers,
    HistoryWindow,
    SessionContext,
    TrendFlags,
    trend_flags,
    trend_of,
)
from vcpd.analysis.thresholds import SearchRules, Thresholds, TrendRules
from vcpd.analysis.trend import Trend
from vcpd.domain.bars import IntArray
from vcpd.domain.setups import SetupGroup

# What a base that is followed does not read itself.
TREND_FIELDS: Final = (
    "allow_one_trend_miss", "trend_rise_sessions", "above_low_pct", "below_high_pct", "min_rs_rating",
    "min_rs_universe", "trend_stay_pct", "rs_rating_stay",
)  # fmt: skip
SEARCH_FIELDS: Final = (
    "cap_pct", "cap_depth_share", "swing_atr_share", "min_swing_pct", "max_swing_pct",
    "rally_recovers_share", "peak_rise_pct", "max_depth_ratio", "peak_gap_sessions", "final_leg_deep_pct",
    "min_depth_pct", "ideal_depth_ratio", "ratio_penalty", "leg_cost", "length_bonus",
)  # fmt: skip
AS_SHIPPED: Final = {name: getattr(Thresholds(), name) for name in (*TREND_FIELDS, *SEARCH_FIELDS)}


class SymbolSearchCache:
    """Chains of one symbol by search rules, its trends; `searched` counts sessions, for tests and reports."""

    def __init__(self) -> None:
        self._chains: dict[SearchRules, ChainArrays] = {}
        self._trends: dict[tuple[TrendRules, int], Trend] = {}
        self.searched = 0

    def find(
        self, bars: Bars, first: int, last: int, workspace: BaseSearch, rules: SearchRules
    ) -> ChainArrays:
        """Returns a copy of what `find_chains` does; `bars` and `last` must be the same each time."""
        known = self._chains.get(rules)
        if known is None:
            known = self._search(bars, first, last, workspace, rules)
        elif first < known.first:
            known = _joined(self._search(bars, first, known.first - 1, workspace, rules), known)
        self._chains[rules] = known
        return _copied_from(known, first)

    def trend(self, context: SessionContext, row: int, bars: Bars, first: int) -> Trend:
        """Returns what `trend_of` does, read-only; `row`, `bars` and `first` must be the same each time."""
        key = context.trend_rules, context.thresholds.min_rs_universe
        if key not in self._trends:
            self._trends[key] = trend_of(context, row, bars, first)
        return self._trends[key]

    def _search(
        self, bars: Bars, first: int, last: int, workspace: BaseSearch, rules: SearchRules
    ) -> ChainArrays:
        self.searched += last - first + 1
        chains: ChainArrays = find_chains(bars, first, last, workspace, rules)
        return chains


def _joined(before: ChainArrays, after: ChainArrays) -> ChainArrays:
    """Joins the chains of adjoining sessions to those of one window."""
    pairs: Any = zip(before[1:], after[1:], strict=True)
    return ChainArrays(before.first, *(np.concatenate(pair) for pair in pairs))


def _copied_from(chains: ChainArrays, first: int) -> ChainArrays:
    """Copies the part from bar `first` on: variants write into their chains."""
    skipped = first - chains.first
    columns: Any = chains[1:]
    return ChainArrays(first, *(column[skipped:].copy() for column in columns))


class WaitingOrder(NamedTuple):
    """A buy stop that the bar after evening `bar` touches."""

    bar: int
    trigger: float
    levels: Levels


class FollowedBases(NamedTuple):
    """What became of a symbol's bases under given thresholds: breakouts in order, touched orders."""

    bars: Bars
    tick_size: float
    breakouts: tuple[Breakout, ...] = ()
    orders: tuple[WaitingOrder, ...] = ()


class _Key(NamedTuple):
    """What has to be the same, apart from what the trend allows; arrays are packed."""

    thresholds: Thresholds  # those of trend and search as shipped
    held: bytes
    variants: bytes
    chains: tuple[bytes, ...]

    @classmethod
    def of(cls, past: HistoryWindow, held: IntArray) -> "_Key":
        """Returns the key of a window whose gates all hold in the slots `held`."""
        thresholds = msgspec.structs.replace(past.symbol_context.thresholds, **AS_SHIPPED)
        columns: tuple[Any, ...] = past.chains[1:]
        chains = tuple(column[held].tobytes() for column in columns)
        return cls(thresholds, (held + past.first).tobytes(), past.variants[held].tobytes(), chains)


class _Answer(NamedTuple):
    """Bases that were followed, at which bars one was live, and what the trend allowed there."""

    visited: IntArray
    allowed: IntArray
    bases: FollowedBases


class FollowedBasesCache:
    """The bases of one symbol; `followed` counts how often they were followed anew, for tests."""

    def __init__(self) -> None:
        self._known: dict[_Key, list[_Answer]] = defaultdict(list)
        self.followed = 0

    def follow(self, past: HistoryWindow) -> FollowedBases:
        """Follows every base of the window from first to last bar. `past` is always of the same bars."""
        held = np.flatnonzero(past.holds)
        if not len(held):
            return FollowedBases(past.symbol_context.bars, past.symbol_context.tick)
        known = self._known[_Key.of(past, held)]
        flags = trend_flags(past.symbol_context, past.first - past.trend_first)
        allowed = _allowed(flags)
        for answer in known:
            if np.array_equal(allowed[answer.visited - past.first], answer.allowed):
                return answer.bases
        self.followed += 1
        visited, bases = _follow(past, flags)
        known.append(_Answer(visited, allowed[visited - past.first], bases))
        return bases


def _allowed(flags: TrendFlags) -> IntArray:
    """(n,): the four flags of each bar as one number."""
    weights = 2 ** np.arange(len(flags))
    numbers: IntArray = np.column_stack(flags) @ weights
    return numbers


def _follow(past: HistoryWindow, flags: TrendFlags) -> tuple[IntArray, FollowedBases]:
    """Returns the bars at which a base was live or found, and what became of all bases."""
    context, trackers = past.symbol_context, BaseTrackers(past.symbol_context)
    orders: list[WaitingOrder] = []
    seen: set[tuple[int, int]] = set()
    visited: list[int] = []
    for t, session in past.changing_sessions(trackers, flags=flags):
        trackers.update(t, session)
        orders += _touched_order(trackers.tracked, t, context.bars, context.tick, seen)
        visited.append(t)
    found = sorted((*trackers.ended, *trackers.tracked), key=lambda tracker: tracker.found_at)
    breakouts = tuple(breakout for tracker in found for breakout in tracker.breakouts)
    return np.array(visited), FollowedBases(context.bars, context.tick, breakouts, tuple(orders))


def _touched_order(
    tracked: Sequence[BaseTracker], t: int, bars: Bars, tick: float, seen: set[tuple[int, int]]
) -> Iterator[WaitingOrder]:
    """Returns the order of the setup after bar t, if the next bar touches it; once in a chapter."""
    if t + 1 >= len(bars.close):
        return
    for tracker in tracked:
        trigger, chapter = tracker.levels.pivot + tick, (id(tracker), tracker.chapter_at)
        if bars.high.item(t + 1) < trigger or tracker.group is not SetupGroup.SETUP:
            continue
        if chapter not in seen:
            seen.add(chapter)
            yield WaitingOrder(t, trigger, tracker.levels)
