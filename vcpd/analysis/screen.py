"""The screen as a worker task: evaluates rows of the panel at one session."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

import numpy as np

from vcpd.analysis.base_merge import build_base, match_records
from vcpd.analysis.base_tracker import BaseTracker
from vcpd.analysis.indicators import bars_of
from vcpd.analysis.session_context import SessionContext, history_window
from vcpd.analysis.tasks import ScreenParams, ScreenResult
from vcpd.analysis.thresholds import Thresholds
from vcpd.analysis.verdicts import SymbolSession, evaluate_base, evaluate_without_base
from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import Panel, build_panel
from vcpd.domain.setups import Base, Setup

__all__ = ["ScreenParams", "ScreenResult", "screen_rows", "warm_up"]


def screen_rows(panel: Panel, rows: range, parameters: ScreenParams) -> ScreenResult:
    """Judge `rows` of the panel at a session; the rest of it is only their universe."""
    if parameters.as_of is not None:
        panel = panel.until(parameters.as_of)
    judged = ScreenResult([], [])
    if not len(panel.sessions):
        return judged
    bench = SessionContext(panel, parameters.thresholds)
    for row in rows:
        setup, bases = _screen_row(bench, row, parameters)
        judged.setups.append(setup)
        judged.bases.extend(bases)
    return judged


def _screen_row(bench: SessionContext, row: int, parameters: ScreenParams) -> tuple[Setup, list[Base]]:
    symbol = bench.panel.symbols[row]
    recorded = parameters.recorded.for_symbol(symbol)
    bars = bars_of(bench.panel, row, parameters.elapsed_share)
    close = float(bars.close[-1]) if len(bars.close) else None
    if symbol in bench.panel.exclusions:
        reason = bench.panel.exclusions[symbol]
        return Setup.unevaluated(symbol, bench.as_of, reason, close=close), []
    if not len(bars.close) or bars.column[-1] != bench.last:
        last = bench.sessions[bars.column[-1]].isoformat() if len(bars.close) else "never"
        reason = f"no bar at this session, last one {last}"
        return Setup.unevaluated(symbol, bench.as_of, reason, close=close), []
    place = SymbolSession(bench, row, history_window(bench, row, bars))
    pairs = match_records(place, place.history.trackers.tracked, recorded)
    current = [(tracker, record) for tracker, record in pairs if record or _is_current(place, tracker)]
    followed = [(tracker, *build_base(place, tracker, record)) for tracker, record in current]
    shown = _listed_setup(
        place, [(tracker, setup) for tracker, _, setup in followed], own_chain=parameters.own_chain
    )
    return shown, [base for _, base, _ in followed]


def _is_current(place: SymbolSession, tracker: BaseTracker) -> bool:
    """Alive, or ended at this very session; what ended before and was never recorded is the past."""
    return not tracker.is_over or tracker.ended_at == place.history.last


def _listed_setup(
    place: SymbolSession, followed: list[tuple[BaseTracker, Setup]], *, own_chain: bool
) -> Setup:
    """The verdict a symbol is listed with: the base that is followed, or ended today, else any chain."""
    current = [(tracker, setup) for tracker, setup in followed if _is_current(place, tracker)]
    if current:
        return max(current, key=lambda pair: (not pair[0].is_over, pair[0].last_passed, pair[0].found_at))[1]
    tracker = place.history.unlisted_breakout()
    chain = place.history.chain(place.history.last)
    if tracker is None and chain is not None:
        tracker = BaseTracker.begin(place.history.symbol_context, chain, place.history.last, listed=False)
    if tracker is None:
        return evaluate_without_base(place)
    return evaluate_base(place, tracker, (), own_chain=own_chain)


_WARM_UP_BARS: Final = 400


def warm_up() -> None:
    """Compile the kernels, or load them from their cache, on a small market of its own."""
    rng = np.random.default_rng(1)
    start = date(2020, 1, 1)
    sessions = np.array([start + timedelta(days=day) for day in range(_WARM_UP_BARS)], "M8[D]")
    series = []
    for number in range(3):
        close = 100 * np.exp(np.cumsum(rng.normal(0.001, 0.02, _WARM_UP_BARS)))
        prices = (close, close * 1.01, close * 0.99, close)
        series.append(BarSeries.from_columns(f"W{number}", sessions, prices, np.ones(_WARM_UP_BARS)))
    panel = build_panel(series, series[0])
    thresholds = Thresholds(min_rs_universe=2, min_prior_advance_pct=0.0)
    for market in _memory_layouts(panel):
        screen_rows(market, range(3), ScreenParams(thresholds=thresholds))


def _memory_layouts(panel: Panel) -> Iterator[Panel]:
    """The panel as it may lie in memory, whole or cut off, writable or mapped: each is a type of its own."""
    day_before = panel.sessions[-2].item()
    yield panel
    yield panel.until(day_before)
    panel.values.flags.writeable = False
    yield panel
    yield panel.until(day_before)
