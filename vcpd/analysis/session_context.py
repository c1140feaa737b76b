"""Shared inputs of a session's screen, and each symbol's recent history window."""

from datetime import date
from typing import NamedTuple

import numpy as np

from vcpd.analysis.base_search import Chain, ChainArrays, chain_at, find_chains, first_breakout
from vcpd.analysis.base_tracker import BaseTracker, BaseTrackers, SymbolContext
from vcpd.analysis.contractions import Workspace, allocate_workspace
from vcpd.analysis.indicators import Bars
from vcpd.analysis.strength import StrengthRatings, cached_ratings
from vcpd.analysis.thresholds import SearchRules, Thresholds, TrendRules
from vcpd.analysis.trend import Trend, evaluate_trend
from vcpd.domain.bars import BoolArray, FloatArray
from vcpd.domain.panel import Panel


class SessionContext:
    """One session of one market, at which rows are judged."""

    def __init__(self, panel: Panel, thresholds: Thresholds) -> None:
        self.panel = panel
        self.thresholds = thresholds
        self.rules: SearchRules = thresholds.rules
        self.trend_rules: TrendRules = thresholds.trend_rules
        self.sessions: list[date] = panel.sessions.tolist()
        self.index_close: FloatArray = np.array(panel.index_close)
        self.workspace: Workspace = allocate_workspace(len(self.sessions), self.rules.max_base_sessions)
        self._close = np.asarray(panel.close)
        self._ratings: StrengthRatings = cached_ratings(panel, thresholds.rs_universe_least)

    @property
    def last(self) -> int:
        """The column of the judged session."""
        return len(self.sessions) - 1

    @property
    def as_of(self) -> date:
        return self.sessions[-1]

    def ratings_of(self, row: int, bars: Bars, first: int) -> FloatArray:
        """The ratings of the symbol in `row` at its bars from `first` on, NaN where unknown."""
        return self._ratings.of(self._close, row, bars.column[first:])


class HistoryWindow(NamedTuple):
    """The window from bar `first` to the symbol's last bar; trend and chains have a slot for each."""

    symbol_context: SymbolContext
    first: int
    trend: Trend
    trend_first: int
    chains: ChainArrays
    holds: BoolArray  # every gate

    @property
    def last(self) -> int:
        return len(self.symbol_context.bars.close) - 1

    def chain(self, t: int) -> Chain | None:
        return chain_at(self.chains, t - self.first)

    @property
    def trackers(self) -> BaseTrackers:
        """The bases that may still be remembered, taken to the last bar."""
        return self.trackers_since(
            _start_after_last_gap(self.holds, self.symbol_context.thresholds.replay_sessions)
        )

    def trackers_since(self, start: int) -> BaseTrackers:
        """Every base found from slot `start` of the window on, taken to the last bar."""
        lives = BaseTrackers(self.symbol_context)
        for slot, holds in enumerate(self.holds[start:].tolist(), start=start):
            if holds or lives.tracked:
                lives.update(self.first + slot, chain_at(self.chains, slot), holds=holds)
        return lives

    def unlisted_breakout(self) -> BaseTracker | None:
        """A structure that broke out of its pivot lately, though not every gate ever held."""
        since = max(self.last - self.symbol_context.thresholds.squat_sessions, self.first)
        start = first_breakout(
            self.chains, self.symbol_context.bars.high, self.symbol_context.bars.close, since
        )
        return None if start < 0 else self._unlisted_breakout_from(start)

    def _unlisted_breakout_from(self, start: int) -> BaseTracker | None:
        chain = self.chain(start)
        if chain is None:
            return None
        life = BaseTracker.begin(self.symbol_context, chain, start, listed=False)
        for t in range(start + 1, self.last + 1):
            life.update(t, None, holds=False)
        return None if life.is_over else life


def history_window(bench: SessionContext, row: int, bars: Bars) -> HistoryWindow:
    """The window that decides the state at the symbol's last bar.

    A base is let go after `replay_sessions` without all gates holding. So a silence of that length, or
    the history's begin, is as far as any memory reaches: a replay from there is exact.
    """
    thresholds = bench.thresholds
    ground = SymbolContext(bars, float(bench.panel.tick_size[row]), thresholds)
    reach = thresholds.replay_sessions
    while True:
        past = _build_window(bench, row, ground, max(len(bars.close) - 1 - reach, 0))
        if past.trend_first == 0 or _has_long_gap(past, thresholds.replay_sessions):
            return past
        reach += 2 * thresholds.replay_sessions


def full_history_window(bench: SessionContext, row: int, bars: Bars) -> HistoryWindow:
    """The same from the first bar on."""
    return _build_window(
        bench, row, SymbolContext(bars, float(bench.panel.tick_size[row]), bench.thresholds), 0
    )


def _build_window(bench: SessionContext, row: int, ground: SymbolContext, trend_first: int) -> HistoryWindow:
    bars, thresholds = ground.bars, bench.thresholds
    last = len(bars.close) - 1
    ratings = bench.ratings_of(row, bars, trend_first)
    trend = evaluate_trend(bars, ratings, trend_first, last, bench.trend_rules)
    eligible = trend.failed <= thresholds.criteria_allowed_to_fail
    eligible[: max(thresholds.minimum_bars - 1 - trend_first, 0)] = False
    first = max(last - thresholds.squat_sessions, trend_first)
    if eligible.any():
        first = min(first, trend_first + int(np.argmax(eligible)))
    chains = find_chains(bars, first, last, bench.workspace, bench.rules)
    holds = eligible[first - trend_first :] & chains.valid
    return HistoryWindow(
        ground, first, trend, trend_first, chains, _within_risk(ground, first, chains, holds)
    )


def _within_risk(ground: SymbolContext, first: int, chains: ChainArrays, holds: BoolArray) -> BoolArray:
    """Without the sessions whose levels would risk too much, which the stop's own cap may rule out."""
    thresholds = ground.thresholds
    if thresholds.stop_most_pct > thresholds.risk_most_pct:
        for slot in np.flatnonzero(holds).tolist():
            chain = chain_at(chains, slot)
            levels = chain and ground.levels(chain, first + slot)
            holds[slot] = levels is not None and levels.risk_pct <= thresholds.risk_most_pct
    return holds


def _has_long_gap(past: HistoryWindow, sessions: int) -> bool:
    """Whether some stretch of `sessions` without all gates holding precedes what holds last."""
    held = past.first + np.flatnonzero(past.holds)
    if not len(held) or held[0] - past.trend_first >= sessions:
        return True
    return bool((held[1:] - held[:-1] > sessions).any())


def _start_after_last_gap(holds: BoolArray, sessions: int) -> int:
    """The first slot that holds after the last stretch of so many that do not; their number where none."""
    held = np.flatnonzero(holds)
    if not len(held) or len(holds) - 1 - int(held[-1]) > sessions:
        return len(holds)
    silences = np.flatnonzero(held[1:] - held[:-1] > sessions)
    return int(held[silences[-1] + 1]) if len(silences) else int(held[0])
