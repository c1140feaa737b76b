"""Outcomes of the setups that were reported: each base bought once, at the close of its first report.

The record holds prices of its day: a split since then shows in the close, and the stop is restated likewise.
A purchase counts in the estimates once the bars reach to the end of its holding time (see analysis.outcomes).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Final

import msgspec
import numpy as np

from vcpd.analysis.indicators import Bars, bars_of
from vcpd.analysis.outcomes import Estimate, OutcomeCounts, estimate, split_by_term
from vcpd.analysis.record_task import FirstReport, MarketHistory, RecordOutcomeParams
from vcpd.analysis.simulated_trades import simulate_trade
from vcpd.domain.panel import Panel
from vcpd.domain.record import RecordReport, ReportedOutcome

NO_BARS: Final = "no bars of the symbol are at hand"
NO_SESSION: Final = "no bar of the session is at hand"
PROVISIONAL: Final = "reported while the session was running, and no more after it"
NO_STOP: Final = "reported without a stop below the close"


def outcomes_of_row(
    panel: Panel, row: int, reports: Iterable[FirstReport], parameters: RecordOutcomeParams
) -> list[ReportedOutcome]:
    """What became of a symbol's reports, over the bars of its row."""
    bars = bars_of(panel, row)
    return [_outcome(report, bars, panel, parameters) for report in reports]


def _outcome(
    report: FirstReport, bars: Bars, panel: Panel, parameters: RecordOutcomeParams
) -> ReportedOutcome:
    setup = report.setup
    column = int(np.searchsorted(panel.sessions, np.datetime64(setup.session, "D")))
    t = int(np.searchsorted(bars.column, column))
    if t >= len(bars.column) or panel.sessions[bars.column[t]] != np.datetime64(setup.session, "D"):
        return _unknown(report, NO_SESSION)
    if setup.provisional:
        return _unknown(report, PROVISIONAL)
    if not setup.close or setup.stop is None or setup.stop >= setup.close:
        return _unknown(report, NO_STOP)
    entry = float(bars.close[t])
    stop = setup.stop * entry / setup.close
    trade = simulate_trade(bars, t, stop, parameters.horizon_sessions)
    cost_r = parameters.cost_pct / 100 * entry / (entry - stop)
    return msgspec.structs.replace(
        _unknown(report, None),
        entry=entry,
        stop=stop,
        held_sessions=int(trade.sessions),
        result_r=float(trade.result_r) - cost_r,
        best_r=float(trade.best_r),
        worst_r=float(trade.worst_r),
        is_stopped=bool(trade.stopped),
        is_finished=bool(bars.column[t] + parameters.horizon_sessions < len(panel.sessions)),
    )


def _unknown(report: FirstReport, reason: str | None) -> ReportedOutcome:
    setup = report.setup
    return ReportedOutcome(
        symbol=report.symbol,
        session=setup.session,
        anchor_date=setup.anchor_date,
        footprint=setup.footprint,
        state=setup.state,
        score=setup.score,
        reason=reason,
    )


def summarize_record(
    parameters: RecordOutcomeParams, outcomes: Iterable[ReportedOutcome], market: MarketHistory
) -> RecordReport:
    """All outcomes, and the estimates by state, month and market."""
    found = list(outcomes)
    known = {outcome.symbol for outcome in found}
    found += [_unknown(report, NO_BARS) for report in parameters.reports if report.symbol not in known]
    finished = [outcome for outcome in found if outcome.is_finished]
    counts = _counts(finished)
    as_of: date = market.sessions[-1].item()
    return RecordReport(
        as_of=as_of,
        horizon_sessions=parameters.horizon_sessions,
        cost_pct=parameters.cost_pct,
        bases=len(found),
        finished=len(finished),
        unknown=sum(outcome.result_r is None for outcome in found),
        all=estimate(counts.days, counts.results_r),
        by_state=_by(finished, lambda outcome: outcome.state.value if outcome.state else "unknown"),
        by_month=_by(finished, lambda outcome: f"{outcome.session:%Y-%m}"),
        by_term=split_by_term(counts, market.sessions, market.terms),
        items=sorted(found, key=lambda outcome: (-outcome.session.toordinal(), outcome.symbol)),
    )


def _counts(outcomes: Sequence[ReportedOutcome]) -> OutcomeCounts:
    days = np.array([outcome.session for outcome in outcomes], "M8[D]")
    results = np.array([outcome.result_r for outcome in outcomes], np.float64)
    return OutcomeCounts(
        entries=len(outcomes),
        counted=len(outcomes),
        sessions=days.astype("<i4").tobytes(),
        results=results.astype("<f4").tobytes(),
    )


def _by(
    outcomes: Sequence[ReportedOutcome], name_of: Callable[[ReportedOutcome], str]
) -> dict[str, Estimate]:
    groups: dict[str, list[ReportedOutcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[name_of(outcome)].append(outcome)
    counted = {name: _counts(own) for name, own in sorted(groups.items())}
    return {name: estimate(counts.days, counts.results_r) for name, counts in counted.items()}
