"""Backtest: the detector on every session of every symbol, simulated trades and base rates.

Neighbouring sessions share one search, so a whole history costs little more than a few screens.
"""

from collections.abc import Callable, Collection
from datetime import date
from typing import Annotated, Final

import msgspec
import numpy as np

from vcpd.analysis.base_structure import footprint_of
from vcpd.analysis.base_tracker import NO_BAR, BaseTracker, Breakout
from vcpd.analysis.indicators import Bars, bars_of
from vcpd.analysis.levels import round_to_tick, shown_stop
from vcpd.analysis.outcomes import OutcomeCounts, count_outcomes
from vcpd.analysis.screen import merge_events
from vcpd.analysis.session_context import BaseTrackers, HistoryWindow, SessionContext, full_history_window
from vcpd.analysis.simulated_trades import EntryRules, Trade, simulate_trade
from vcpd.analysis.thresholds import Thresholds
from vcpd.analysis.verdicts import SymbolSession
from vcpd.domain.bars import BoolArray, FloatArray
from vcpd.domain.panel import Panel
from vcpd.domain.quality_flags import QualityParameters, flag_rows
from vcpd.domain.setups import BaseState, SetupEvent, SetupGroup

HIGH_SESSIONS: Final = 50


class BacktestParams(msgspec.Struct, frozen=True, kw_only=True):
    """Which bases to report: those found in [first, last] (None: as far as the bars go).

    A purchase is made at the close of the first session above the pivot, if that is inside the buy zone,
    and held for `horizon_sessions` or to the stop. The base rates share one stop. `cost_pct` is what
    buying and selling cost together, in percent of the entry. Without `quality` no history is left out.
    """

    first: date | None = None
    last: date | None = None
    thresholds: Thresholds = Thresholds()
    horizon_sessions: Annotated[int, msgspec.Meta(ge=1, le=500)] = 60
    same_stop_pct: Annotated[float, msgspec.Meta(gt=0, lt=100)] = 8.0
    cost_pct: Annotated[float, msgspec.Meta(ge=0, lt=100)] = 0.3
    quality: QualityParameters | None = None


class TradeOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a purchase; R multiples of what it risked. `finished` is false at the bars' end."""

    entry_date: date
    entry: float
    stop: float
    risk_pct: float
    reached_1r: bool
    reached_2r: bool
    reached_3r: bool
    stopped: bool
    finished: bool
    sessions: int
    result_r: float
    best_r: float
    worst_r: float


class BaseHistory(msgspec.Struct, frozen=True, kw_only=True):
    """The life of one base, up to its end or the last bar. Without an outcome, `reason` says why."""

    symbol: str
    anchor_date: date
    found_on: date
    footprint: str
    pivot: float
    stop: float
    state: BaseState
    events: tuple[SetupEvent, ...]
    outcome: TradeOutcome | None
    reason: str | None


class LeftOutSymbol(msgspec.Struct, frozen=True):
    """A symbol that was not evaluated: the session and the reason for which its bars are doubtful."""

    symbol: str
    session: date | None
    reason: str


class BacktestResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the rows gave; the results of several chunks are joined by `merge_results`.

    `setups` are the purchases at their own stops. All others have the same stop, to be comparable:
    the same purchases; the first close above the 50-day high while the trend template holds; every close
    at which the template holds; and every close at all.
    """

    bases: list[BaseHistory] = []
    left_out: list[LeftOutSymbol] = []
    judged_sessions: int = 0
    setups: OutcomeCounts = OutcomeCounts()
    setups_same_stop: OutcomeCounts = OutcomeCounts()
    new_highs: OutcomeCounts = OutcomeCounts()
    template: OutcomeCounts = OutcomeCounts()
    universe: OutcomeCounts = OutcomeCounts()

    def __reduce__(self) -> tuple[Callable[[bytes], "BacktestResult"], tuple[bytes]]:
        """Between processes it travels packed."""
        return _unpack_result, (msgspec.msgpack.encode(self),)


def _unpack_result(packed: bytes) -> BacktestResult:
    return msgspec.msgpack.decode(packed, type=BacktestResult)


def run_backtest(panel: Panel, rows: range, parameters: BacktestParams) -> BacktestResult:
    """Evaluate every session of `rows` in the span (a task of the workers)."""
    left_out = left_out_symbols(panel, rows, parameters)
    names = {symbol.symbol for symbol in left_out}
    bench = SessionContext(panel, parameters.thresholds)
    parts = [_backtest_row(bench, row, parameters) for row in rows if panel.symbols[row] not in names]
    return merge_results([BacktestResult(left_out=left_out), *parts])


def left_out_symbols(panel: Panel, rows: range, parameters: BacktestParams) -> list[LeftOutSymbol]:
    """Symbols that the panel excludes, and those with a doubt among the bars that a judgement reads.

    These reach back from the span's begin as far as a base or the 252 sessions of the template, and on
    from its end as far as a purchase is held.
    """
    excluded = [
        LeftOutSymbol(panel.symbols[row], None, panel.exclusions[panel.symbols[row]])
        for row in rows
        if panel.symbols[row] in panel.exclusions
    ]
    if parameters.quality is None or not len(panel.sessions):
        return excluded
    first, last = _read_columns(panel, parameters)
    read = panel.until(panel.sessions[last].item())
    quality = msgspec.structs.replace(parameters.quality, recent_sessions=max(last - first + 1, 1))
    flags = [flag for flag in flag_rows(read, rows, quality) if flag.excludes]
    known = {symbol.symbol for symbol in excluded}
    doubts = {
        flag.symbol: LeftOutSymbol(flag.symbol, flag.session, flag.reason)
        for flag in flags
        if flag.symbol not in known
    }
    return [*excluded, *doubts.values()]


def _read_columns(panel: Panel, parameters: BacktestParams) -> tuple[int, int]:
    """The first and the last column that a judgement of the span reads."""
    thresholds, n_sessions = parameters.thresholds, len(panel.sessions)
    lookback = max(thresholds.max_base_sessions, thresholds.trend_rules.window)
    first, last = 0, n_sessions - 1
    if parameters.first is not None:
        first = int(np.searchsorted(panel.sessions, np.datetime64(parameters.first, "D")))
    if parameters.last is not None:
        last = int(np.searchsorted(panel.sessions, np.datetime64(parameters.last, "D"), side="right")) - 1
    return max(first - lookback, 0), min(max(last, 0) + parameters.horizon_sessions, n_sessions - 1)


def merge_results(parts: list[BacktestResult]) -> BacktestResult:
    """The parts of several rows or chunks as one."""
    if not parts:
        return BacktestResult()
    counts = ("setups", "setups_same_stop", "new_highs", "template", "universe")
    return BacktestResult(
        bases=[base for part in parts for base in part.bases],
        left_out=[symbol for part in parts for symbol in part.left_out],
        judged_sessions=sum(part.judged_sessions for part in parts),
        **{name: OutcomeCounts.merged([getattr(part, name) for part in parts]) for name in counts},
    )


def _backtest_row(bench: SessionContext, row: int, parameters: BacktestParams) -> BacktestResult:
    bars = bars_of(bench.panel, row)
    if not len(bars.close):
        return BacktestResult()
    place = SymbolSession(bench, row, full_history_window(bench, row, bars))
    span = _in_date_range(bench, place, parameters)
    found = [tracker for tracker in all_trackers(place.history) if span[tracker.found_at]]
    breakouts = [(tracker, breakout) for tracker in found for breakout in tracker.breakouts or (None,)]
    own_stops = np.full(len(bars.close), np.nan)
    for _, breakout in breakouts:
        if breakout is not None and _reason_not_bought(bars, breakout) is None:
            own_stops[breakout.at] = _entry_stop(place, breakout)
    return msgspec.structs.replace(
        _outcomes(place, span, own_stops, parameters),
        bases=[
            _base_history(place, tracker, breakout, parameters.horizon_sessions)
            for tracker, breakout in breakouts
        ],
        judged_sessions=int(span.sum()),
    )


def _outcomes(
    place: SymbolSession, span: BoolArray, own_stops: FloatArray, parameters: BacktestParams
) -> BacktestResult:
    """The purchases and the base rates of one symbol."""
    bars, panel = place.bars, place.session_context.panel
    days, same_stops = panel.sessions[bars.column], bars.close * (1 - parameters.same_stop_pct / 100)
    rules = EntryRules(parameters.horizon_sessions, parameters.cost_pct, len(panel.sessions) - 1)
    bought = ~np.isnan(own_stops)
    template = span & (place.history.trend.failed == 0) & _has_template_history(place)
    new_highs = template & first_closes_above_high(bars.high, bars.close)
    return BacktestResult(
        setups=count_outcomes(bars, days, bought, own_stops, rules),
        setups_same_stop=count_outcomes(bars, days, bought, same_stops, rules),
        new_highs=count_outcomes(bars, days, new_highs, same_stops, rules),
        template=count_outcomes(bars, days, template, same_stops, rules),
        universe=count_outcomes(bars, days, span, same_stops, rules),
    )


def first_closes_above_high(high: FloatArray, close: FloatArray) -> BoolArray:
    """(n,): closes above the highest high of the 50 sessions before, the close before not being above its."""
    above = np.zeros(len(close), np.bool_)
    if len(close) > HIGH_SESSIONS:
        highest = np.lib.stride_tricks.sliding_window_view(high[:-1], HIGH_SESSIONS).max(axis=1)
        above[HIGH_SESSIONS:] = close[HIGH_SESSIONS:] > highest
    first: BoolArray = above.copy()
    first[1:] &= ~above[:-1]
    return first


def _in_date_range(bench: SessionContext, place: SymbolSession, parameters: BacktestParams) -> BoolArray:
    """Mark the bars that lie in the requested span."""
    days = bench.panel.sessions[place.bars.column]
    first = days[0] if parameters.first is None else np.datetime64(parameters.first, "D")
    last = days[-1] if parameters.last is None else np.datetime64(parameters.last, "D")
    inside: BoolArray = (days >= first) & (days <= last)
    return inside


def _has_template_history(place: SymbolSession) -> BoolArray:
    """Bars with enough history for the whole template but the rating."""
    known: BoolArray = np.arange(len(place.bars.close)) >= place.session_context.trend_rules.window
    return known


def all_trackers(past: HistoryWindow) -> list[BaseTracker]:
    """Every base of the window, also those forgotten since, in the order of their finding."""
    lives = past.trackers_since(0)
    return sorted((*lives.ended, *lives.tracked), key=lambda life: life.found_at)


class BaseOnSession(msgspec.Struct, frozen=True):
    """A base that was alive after a session, as the history has it; prices on the instrument's tick."""

    anchor_date: date
    pivot: float
    stop: float
    state: BaseState
    group: SetupGroup
    footprint: str


def bases_by_session(
    session_context: SessionContext, row: int, sessions: Collection[date]
) -> dict[date, list[BaseOnSession]]:
    """The bases of `row` that are alive after each of `sessions`; a session without a bar is left out."""
    bars = bars_of(session_context.panel, row)
    if not len(bars.close):
        return {}
    place = SymbolSession(session_context, row, full_history_window(session_context, row, bars))
    days = session_context.panel.sessions[bars.column].tolist()
    past, lives = place.history, BaseTrackers(place.history.symbol_context)
    found: dict[date, list[BaseOnSession]] = {day: [] for day in days if day in sessions}
    for t, session in past.sessions_from(past.first):
        if session.holds or lives.tracked:
            lives.update(t, session)
        if days[t] in found:
            found[days[t]] = [_base_on_session(place, life, t) for life in lives.tracked if not life.is_over]
    return found


def _base_on_session(place: SymbolSession, life: BaseTracker, t: int) -> BaseOnSession:
    close, levels = place.bars.close.item(t), life.levels
    pivot = round_to_tick(levels.pivot, place.tick)
    stop = shown_stop(levels.stop, place.tick, close)
    footprint = footprint_of(place.bars, life.chain, t)
    return BaseOnSession(place.date(life.chain.anchor), pivot, stop, life.state, life.group, footprint)


def _reason_not_bought(bars: Bars, breakout: Breakout | None) -> str | None:
    """Why nothing is bought; None where it is, at the first close above the pivot."""
    if breakout is None:
        return "no breakout"
    if not breakout.admitted:
        return "had left the setups before its breakout"
    return "closed beyond the buy zone" if bars.close[breakout.at] > breakout.levels.zone_end else None


def _simulate(place: SymbolSession, breakout: Breakout, horizon: int) -> Trade:
    trade: Trade = simulate_trade(place.bars, breakout.at, _entry_stop(place, breakout), horizon)
    return trade


def _entry_stop(place: SymbolSession, breakout: Breakout) -> float:
    """The stop for an entry at the breakout's close: the structural one, or the cap below the entry."""
    most_pct = place.session_context.thresholds.max_stop_pct
    return max(breakout.levels.floor, float(place.bars.close[breakout.at]) * (1 - most_pct / 100))


def _base_history(
    place: SymbolSession, tracker: BaseTracker, breakout: Breakout | None, horizon: int
) -> BaseHistory:
    """One chapter of a base, up to its breakout; a base without any breakout is given whole."""
    levels = tracker.levels if breakout is None else breakout.levels
    end = tracker.ended_at if tracker.ended_at != NO_BAR else place.history.last
    reason = _reason_not_bought(place.bars, breakout)
    chain, at = (tracker.chain, end) if breakout is None else (breakout.chain, breakout.at)
    is_first = breakout is None or breakout is tracker.breakouts[0]
    found_at = tracker.found_at if is_first or breakout is None else breakout.found_at
    return BaseHistory(
        symbol=place.session_context.panel.symbols[place.row],
        anchor_date=place.date(tracker.anchor),
        found_on=place.date(found_at),
        footprint=footprint_of(place.bars, chain, at),
        pivot=round_to_tick(levels.pivot, place.tick),
        stop=round_to_tick(levels.stop, place.tick),
        state=tracker.state,
        events=merge_events(place, tracker, None),
        outcome=None if breakout is None or reason is not None else _trade_outcome(place, breakout, horizon),
        reason=reason,
    )


def _trade_outcome(place: SymbolSession, breakout: Breakout, horizon: int) -> TradeOutcome:
    at = breakout.at
    trade, entry, stop = (
        _simulate(place, breakout, horizon),
        float(place.bars.close[at]),
        _entry_stop(place, breakout),
    )
    return TradeOutcome(
        entry_date=place.date(at),
        entry=entry,
        stop=round(stop, 4),
        risk_pct=round(100 * (entry - stop) / entry, 4),
        reached_1r=trade.best_r >= 1,
        reached_2r=trade.best_r >= 2,
        reached_3r=trade.best_r >= 3,
        stopped=trade.stopped,
        finished=trade.finished,
        sessions=trade.sessions,
        result_r=round(trade.result_r, 4),
        best_r=round(trade.best_r, 4),
        worst_r=round(trade.worst_r, 4),
    )
