"""The screen as a worker task: evaluates rows of the panel at one session."""

from collections.abc import Sequence

from vcpd.analysis.base_merge import build_base, match_records
from vcpd.analysis.base_tracker import BaseTracker
from vcpd.analysis.indicators import Bars, bars_of
from vcpd.analysis.session_context import SessionContext, history_window
from vcpd.analysis.tasks import ScreenParams, ScreenResult
from vcpd.analysis.verdicts import SymbolSession, evaluate_base, evaluate_without_base
from vcpd.domain.panel import Panel
from vcpd.domain.setups import Base, Setup

__all__ = ["ScreenParams", "ScreenResult", "screen_rows"]


def screen_rows(panel: Panel, rows: range, parameters: ScreenParams) -> ScreenResult:
    """Evaluate `rows` of the panel at a session; all other rows are only the universe of the ratings."""
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
    bars = bars_of(bench.panel, row, parameters.elapsed_share_of(symbol))
    close = float(bars.close[-1]) if len(bars.close) else None
    if symbol in bench.panel.exclusions:
        reason = bench.panel.exclusions[symbol]
        return Setup.unevaluated(symbol, bench.as_of, reason, close=close), []
    if not len(bars.close) or bars.column[-1] != bench.last:
        last = bench.sessions[bars.column[-1]].isoformat() if len(bars.close) else "never"
        reason = f"no bar at this session, last one {last}"
        return Setup.unevaluated(symbol, bench.as_of, reason, close=close), []
    place = SymbolSession(bench, row, history_window(bench, row, bars))
    return _judged(place, parameters, recorded)


def setup_after(bench: SessionContext, row: int, bars: Bars) -> Setup:
    """The verdict after the last of `bars`, the first ones of the symbol in `row`, without any record."""
    place = SymbolSession(bench, row, history_window(bench, row, bars))
    return _judged(place, ScreenParams(), ())[0]


def _judged(
    place: SymbolSession, parameters: ScreenParams, recorded: Sequence[Base]
) -> tuple[Setup, list[Base]]:
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
