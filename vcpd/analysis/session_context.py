"""Shared inputs of a session's screen, each symbol's recent history window, and its bases.

A symbol has at most one live base.
"""

from collections.abc import Callable, Iterator
from datetime import date
from typing import NamedTuple, TypeAlias

import numpy as np

from vcpd.analysis.base_search import BaseSearch, ChainArrays, first_breakout
from vcpd.analysis.base_structure import Chain, SymbolContext, chain_at, find_chains
from vcpd.analysis.base_tracker import BaseTracker, SessionInput
from vcpd.analysis.base_variants import NAMES, admit_variants
from vcpd.analysis.gates import Criterion, found_chains_hold
from vcpd.analysis.indicators import Bars
from vcpd.analysis.strength import StrengthRatings, cached_ratings
from vcpd.analysis.thresholds import TIE_TOLERANCE, SearchRules, Thresholds, TrendRules
from vcpd.analysis.trend import Trend, evaluate_trend
from vcpd.domain.bars import BoolArray, FloatArray, IntArray
from vcpd.domain.panel import Panel

ChainSearch: TypeAlias = Callable[[Bars, int, int, BaseSearch, SearchRules], ChainArrays]


class SessionContext:
    """Inputs of one session that the evaluation of all rows shares.

    Contexts of one panel that are used in turn may share a `workspace`, of some megabytes, if their bases are
    equally long.
    """

    def __init__(self, panel: Panel, thresholds: Thresholds, workspace: BaseSearch | None = None) -> None:
        self.panel = panel
        self.thresholds = thresholds
        self.rules: SearchRules = thresholds.rules
        self.trend_rules: TrendRules = thresholds.trend_rules
        self.sessions: list[date] = panel.sessions.tolist()
        self.index_close: FloatArray = np.array(panel.index_close)
        self.tick_size: FloatArray = np.asarray(
            panel.tick_size
        )  # not of the mapped type, which is slow to index
        self.provisional: BoolArray = np.asarray(panel.provisional)
        self.workspace: BaseSearch = workspace or BaseSearch(len(self.sessions), self.rules.max_base_sessions)
        self._close = np.asarray(panel.close)
        self._ratings: StrengthRatings = cached_ratings(panel, thresholds.min_rs_universe)

    @property
    def last(self) -> int:
        """The column of the evaluated session."""
        return len(self.sessions) - 1

    @property
    def as_of(self) -> date:
        return self.sessions[-1]

    def ratings_of(self, row: int, bars: Bars, first: int) -> FloatArray:
        """The ratings of the symbol in `row` at its bars from `first` on, NaN where unknown."""
        return self._ratings.of(self._close, row, bars.column[first:])


TrendSource: TypeAlias = Callable[[SessionContext, int, Bars, int], Trend]


def trend_of(context: SessionContext, row: int, bars: Bars, first: int) -> Trend:
    """The trend of the symbol in `row` at its bars from `first` on."""
    ratings = context.ratings_of(row, bars, first)
    trend: Trend = evaluate_trend(bars, ratings, first, len(bars.close) - 1, context.trend_rules)
    return trend


class TrendFlags(NamedTuple):
    """Per bar of the window, whether the trend lets a base enter and stay, an ordinary and a long one."""

    enters: BoolArray
    stays: BoolArray
    enters_long: BoolArray
    stays_long: BoolArray


class BaseTrackers:
    """The bases of one symbol, taken through its sessions; `ended` keeps what is forgotten."""

    def __init__(self, context: SymbolContext) -> None:
        self.symbol_context = context
        self.tracked: list[BaseTracker] = []
        self.ended: list[BaseTracker] = []

    @property
    def live(self) -> BaseTracker | None:
        """The base that is not over."""
        return next((tracker for tracker in self.tracked if not tracker.is_over), None)

    def update(self, t: int, session: SessionInput) -> None:
        """One more session."""
        live = self.live
        if live is None or len(self.tracked) > 1:
            self._drop_ended(t, session)
        if live is not None:
            live.update(t, session)
        elif session.chain is not None and session.holds:
            self._add_or_reactivate(session.chain, t)

    def _drop_ended(self, t: int, session: SessionInput) -> None:
        """A base that is over may be found again as long as it is remembered."""
        memory = self.symbol_context.thresholds.replay_sessions
        forgotten = [former for former in self.tracked if former.is_over and t - former.last_passed > memory]
        self.ended += forgotten
        self.tracked = [former for former in self.tracked if former not in forgotten]
        if session.holds:
            for tracker in self.tracked:
                tracker.last_passed = t

    def _add_or_reactivate(self, chain: Chain, t: int) -> None:
        """A base is found; the final contraction of one that ended starts another only below its pivot."""
        context = self.symbol_context
        tracker = next((former for former in self.tracked if chain.anchor in former.anchors), None)
        is_known = any(former.structure.is_same_leg(chain) for former in self.tracked)
        if is_known and context.bars.close.item(t) > context.bars.high.item(chain.peak):
            return
        if tracker is None:
            tracker = BaseTracker.begin(context, chain, t)
            self.tracked.append(tracker)
        else:
            tracker.reactivate(chain, t)
        if is_known and not context.low_has_held(chain, t):
            tracker.await_low(t)


class HistoryWindow(NamedTuple):
    """The window from bar `first` to the symbol's last bar; trend and chains have a slot for each."""

    symbol_context: SymbolContext
    first: int
    chains: ChainArrays
    holds: BoolArray  # every gate, for the session's own chain
    variants: IntArray  # per slot, the number of the variant that its chain is

    @property
    def trend(self) -> Trend:
        return self.symbol_context.trend

    @property
    def trend_first(self) -> int:
        return self.symbol_context.trend_first

    @property
    def last(self) -> int:
        return len(self.symbol_context.bars.close) - 1

    def chain(self, t: int) -> Chain | None:
        slot = t - self.first
        chain, variant = chain_at(self.chains, slot), self.variants.item(slot)
        return chain._replace(variant=NAMES[variant]) if chain is not None and variant else chain

    @property
    def trackers(self) -> BaseTrackers:
        """The bases that may still be remembered, taken to the last bar."""
        return self.trackers_since(
            _start_after_last_gap(self.holds, self.symbol_context.thresholds.replay_sessions)
        )

    def trackers_since(self, start: int) -> BaseTrackers:
        """Every base found from slot `start` of the window on, taken to the last bar."""
        trackers = BaseTrackers(self.symbol_context)
        if start < len(self.holds):
            for t, session in self.changing_sessions(trackers, start):
                trackers.update(t, session)
        return trackers

    def changing_sessions(
        self, trackers: BaseTrackers, start: int = 0, flags: TrendFlags | None = None
    ) -> Iterator[tuple[int, SessionInput]]:
        """The bars from slot `start` on that change `trackers`, which the caller updates with each.

        While no base is live, nothing happens before every gate holds again: such bars are passed over, but
        for the last, after which old bases are forgotten. `flags` are those of the whole window.
        """
        held, stop = np.flatnonzero(self.holds[start:]) + start, len(self.holds)
        if not len(held):
            return
        found = trend_flags(self.symbol_context, self.first - self.trend_first) if flags is None else flags
        rows = list(zip(*(column.tolist() for column in found), strict=True))
        holding, slot = self.holds.tolist(), int(held[0])
        while slot < stop:
            t, holds = self.first + slot, holding[slot]
            yield t, SessionInput(self.chain(t) if holds else None, holds, *rows[slot])
            slot += 1
            if trackers.live is None:
                after = int(np.searchsorted(held, slot))
                slot = int(held[after]) if after < len(held) else max(slot, stop - 1)

    def sessions_from(self, first: int) -> Iterator[tuple[int, SessionInput]]:
        """Each bar from `first` on, with the inputs by which a base is evaluated there."""
        flags = trend_flags(self.symbol_context, first - self.trend_first)
        for t, trend in enumerate(zip(*(column.tolist() for column in flags), strict=True), start=first):
            slot = t - self.first
            holds = slot >= 0 and self.holds.item(slot)
            chain = self.chain(t) if holds else None
            yield t, SessionInput(chain, holds, *trend)

    def unlisted_breakout(self) -> BaseTracker | None:
        """A structure that broke out of its pivot lately, though not every gate ever held."""
        since = max(self.last - self.symbol_context.thresholds.squat_sessions, self.first)
        start = first_breakout(self.chains, self.symbol_context.bars, since)
        return None if start < 0 else self._unlisted_breakout_from(start)

    def _unlisted_breakout_from(self, start: int) -> BaseTracker | None:
        chain = self.chain(start)
        if chain is None:
            return None
        tracker = BaseTracker.begin(self.symbol_context, chain, start, listed=False)
        for t in range(start + 1, self.last + 1):
            tracker.update(t, SessionInput())
        return None if tracker.is_over else tracker


def trend_flags(context: SymbolContext, start: int) -> TrendFlags:
    """The flags from slot `start` of the trend on."""
    trend, thresholds = context.trend, context.thresholds
    value, limit, holds = trend.value[start:], trend.limit[start:], trend.holds[start:]
    looser = limit * (1 - thresholds.trend_stay_pct / 100)
    looser[:, Criterion.RS_RATING] = np.minimum(limit[:, Criterion.RS_RATING], thresholds.rs_rating_stay)
    beyond = (holds == 0) & (value < looser * (1 - TIE_TOLERANCE))
    failed, failed_to_stay = trend.failed[start:], beyond.sum(axis=1)
    enters = failed <= thresholds.criteria_allowed_to_fail
    stays = failed_to_stay <= thresholds.criteria_allowed_to_fail
    if not thresholds.young_second_stage:
        return TrendFlags(enters, stays, enters, stays)
    second = Criterion.SMA150_ABOVE_SMA200
    return TrendFlags(
        enters,
        stays,
        enters | (failed == (holds[:, second] == 0)),
        stays | (failed_to_stay == beyond[:, second]),
    )


def history_window(context: SessionContext, row: int, bars: Bars) -> HistoryWindow:
    """The window that decides the state at the symbol's last bar.

    A base is let go after `replay_sessions` without all gates holding. So a silence of that length, or
    the history's begin, is as far as any memory reaches: a replay from there is exact.
    """
    sessions = context.thresholds.replay_sessions
    reach = sessions
    while True:
        first = max(len(bars.close) - 1 - reach, 0)
        trend = trend_of(context, row, bars, first)
        window = _build_window(context, _symbol_context(context, row, bars, trend, first))
        if window.trend_first == 0 or _has_long_gap(window, sessions):
            return window
        reach += 2 * sessions


def full_history_window(
    context: SessionContext,
    row: int,
    bars: Bars,
    search: ChainSearch = find_chains,
    trend_source: TrendSource = trend_of,
) -> HistoryWindow:
    """The same from the first bar on; both may keep what they found of one symbol for other thresholds."""
    trend = trend_source(context, row, bars, 0)
    return _build_window(context, _symbol_context(context, row, bars, trend, 0), search)


def _symbol_context(
    context: SessionContext, row: int, bars: Bars, trend: Trend, trend_first: int
) -> SymbolContext:
    return SymbolContext(bars, context.tick_size.item(row), context.thresholds, trend, trend_first)


def _build_window(
    context: SessionContext, symbol: SymbolContext, search: ChainSearch = find_chains
) -> HistoryWindow:
    bars, trend, trend_first = symbol.bars, symbol.trend, symbol.trend_first
    thresholds, last = context.thresholds, len(bars.close) - 1
    if trend.failed.min() > max(thresholds.criteria_allowed_to_fail, 1):
        return _window_without_setups(context, symbol, search)
    eligible = trend.failed <= thresholds.criteria_allowed_to_fail
    long_only = _second_stage(trend, thresholds) & ~eligible
    young = max(thresholds.minimum_bars - 1 - trend_first, 0)
    eligible[:young] = long_only[:young] = False
    either = eligible | long_only
    first = max(last - thresholds.squat_sessions, trend_first)
    earliest = int(either.argmax())
    if either.item(earliest):
        first = min(first, trend_first + earliest)
    chains = search(bars, first, last, context.workspace, context.rules)
    start = first - trend_first
    holds = chains.valid & eligible[start:]
    if long_only.any():
        ages = np.arange(first, last + 1) - chains.high_at[:, 0]
        holds |= chains.valid & long_only[start:] & (ages >= thresholds.second_stage_sessions)
    holds = _within_gates(symbol, chains, holds)
    variants = (
        admit_variants(symbol, context.workspace, eligible[start:], chains, holds)
        if thresholds.admits_variants
        else np.zeros(len(holds), np.int64)
    )
    return HistoryWindow(symbol, first, chains, holds, variants)


def _window_without_setups(
    context: SessionContext, symbol: SymbolContext, search: ChainSearch
) -> HistoryWindow:
    """The window of a symbol whose trend never lets a base enter: the latest chains, of which none holds."""
    last = len(symbol.bars.close) - 1
    first = max(last - context.thresholds.squat_sessions, symbol.trend_first)
    chains = search(symbol.bars, first, last, context.workspace, context.rules)
    sessions = last - first + 1
    return HistoryWindow(symbol, first, chains, np.zeros(sessions, np.bool_), np.zeros(sessions, np.int64))


def _second_stage(trend: Trend, thresholds: Thresholds) -> BoolArray:
    """Where SMA 150 below SMA 200 is the one criterion that fails."""
    fails: BoolArray = (trend.failed == 1) & (trend.holds[:, Criterion.SMA150_ABOVE_SMA200] == 0)
    return fails if thresholds.young_second_stage else np.zeros_like(fails)


def _within_gates(context: SymbolContext, chains: ChainArrays, holds: BoolArray) -> BoolArray:
    """Removes the sessions whose chain fails a gate that the search does not evaluate itself."""
    slots = holds.nonzero()[0]
    if len(slots):
        holds[slots] = found_chains_hold(context.structures(chains, slots), context.thresholds)
    return holds


def _has_long_gap(window: HistoryWindow, sessions: int) -> bool:
    """Whether some stretch of `sessions` without all gates holding precedes what holds last."""
    held = window.first + window.holds.nonzero()[0]
    if not len(held) or held[0] - window.trend_first >= sessions:
        return True
    return bool((held[1:] - held[:-1] > sessions).any())


def _start_after_last_gap(holds: BoolArray, sessions: int) -> int:
    """The first slot that holds after the last stretch of so many that do not; their number where none."""
    held = holds.nonzero()[0]
    if not len(held) or len(holds) - 1 - int(held[-1]) > sessions:
        return len(holds)
    gaps = np.flatnonzero(held[1:] - held[:-1] > sessions)
    return int(held[gaps[-1] + 1]) if len(gaps) else int(held[0])
