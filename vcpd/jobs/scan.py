"""Scans: one after any session, and the job that says which symbols entered and left the followed ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import msgspec

from vcpd.analysis.scans.request import ListedScan, ScanParams, session_names
from vcpd.analysis.tasks import evaluate_scan
from vcpd.core.errors import RetryableError
from vcpd.domain.alerts import Alert, AlertKind
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.panel import PanelReference
from vcpd.domain.runs import Outcome, RunContext, RunResult
from vcpd.domain.scans import ScanResult, UnscreenedSessionError
from vcpd.jobs.panel_refresh import UniversePanels
from vcpd.jobs.scan_library import ScanLibrary
from vcpd.jobs.scan_values import StoredScanValues
from vcpd.ports import Clock, Notifier, Workers

DAYS_BACK: Final = 30  # within which the session before is found
SYMBOLS_SHOWN: Final = 30
NOTHING_FOLLOWED: Final = (
    "no scan is followed: name some in [scans] follow, or save one to be followed on the page"
)


@dataclass(frozen=True, slots=True)
class ScanEvaluator:
    """Evaluates a scan in a worker, over the panel and the values that are stored of its session."""

    workers: Workers
    values: StoredScanValues

    async def __call__(self, panel: PanelReference, session: date, parameters: ScanParams) -> ScanResult:
        """The scan after `session`. ScanError for the text; UnscreenedSessionError where values lack."""
        names = session_names(parameters.expression)
        verdicts = await self.values.of_session(session, names) if names else None
        asked = msgspec.structs.replace(parameters, as_of=session, verdicts=verdicts)
        (result,) = await self.workers.map_panel(evaluate_scan, panel, asked, rows=range(1))
        return result


@dataclass(frozen=True, slots=True)
class Scan:
    """Evaluates every followed scan after `context.session` and after the one before, and reports changes."""

    panels: UniversePanels
    evaluate: ScanEvaluator
    notifier: Notifier
    clock: Clock
    calendar: TradingCalendar
    library: ScanLibrary
    min_rs_universe: int

    async def __call__(self, context: RunContext) -> RunResult:
        followed = await self.library.followed()
        if not followed:
            return RunResult(outcome=Outcome.SKIPPED, reason=NOTHING_FOLLOWED)
        panel = await self.panels.current_or_new()
        context.progress.begin(len(followed), "scanning")
        alerts, counts = [], {"matches": 0, "entered": 0, "left": 0}
        for scan in followed:
            now, before = await self._both(panel, scan, context.session)
            if now.as_of != context.session:
                reason = f"the panel has no bar of {context.session}: its last session is {now.as_of}"
                return RunResult(outcome=Outcome.FAILED, reason=reason)
            entered, left = _difference(now, before), _difference(before, now)
            counts["matches"] += now.count
            counts["entered"] += len(entered)
            counts["left"] += len(left)
            if entered or left:
                alerts.append(self._alert(scan.name, now, entered, left))
        await self.notifier.publish(alerts)
        return RunResult(counts=counts)

    async def _both(
        self, panel: PanelReference, followed: ListedScan, session: date
    ) -> tuple[ScanResult, ScanResult]:
        """The scan after the session and after the one before; the former twice where that was not screened.

        RetryableError where the session itself is not screened yet.
        """
        scan = ScanParams(
            expression=followed.expression, name=followed.name, min_rs_universe=self.min_rs_universe
        )
        days = self.calendar.sessions(session - timedelta(DAYS_BACK), session - timedelta(1))
        try:
            now = await self.evaluate(panel, session, scan)
        except UnscreenedSessionError as error:
            raise RetryableError(f"scan {followed.name}: {error}") from None
        try:
            return now, await self.evaluate(panel, days[-1].item(), scan)
        except UnscreenedSessionError:
            return now, now

    def _alert(self, name: str, result: ScanResult, entered: Sequence[str], left: Sequence[str]) -> Alert:
        return Alert(
            kind=AlertKind.SCAN,
            key=f"scan:{name}:{result.as_of}",
            at=self.clock.now(),
            session=result.as_of,
            facts={
                "scan": name,
                "headline": f"{len(entered)} entered, {len(left)} left, {result.count} match",
                "entered": _names(entered),
                "left": _names(left),
                "expression": result.expression,
            },
        )


def _difference(some: ScanResult, others: ScanResult) -> list[str]:
    known = {row.symbol for row in others.items}
    return [row.symbol for row in some.items if row.symbol not in known]


def _names(symbols: Sequence[str]) -> str:
    """Symbols without their exchange; of many the first ones and the number of the others."""
    shown = ", ".join(symbol.rpartition(":")[2] for symbol in symbols[:SYMBOLS_SHOWN])
    more = len(symbols) - SYMBOLS_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
