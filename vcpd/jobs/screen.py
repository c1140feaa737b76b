"""The screen: every symbol of the panel judged after a session, and the followed bases led on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from vcpd.analysis.judging import Records
from vcpd.analysis.tasks import Judging, Verdicts, screen
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.runs import Outcome, RunContext, RunResult
from vcpd.domain.sessions import TradingCalendar
from vcpd.domain.setups import Base, Setup, Verdict
from vcpd.jobs.sweep import Sweep
from vcpd.ports import Casualty, Clock, PanelStore, SetupStore, Workers


@dataclass(frozen=True, slots=True)
class Screen:
    """Judges `context.session`; for the running session, a sweep of quotes gives its bars first."""

    panels: PanelStore
    workers: Workers
    setups: SetupStore
    sweep: Sweep
    clock: Clock
    calendar: TradingCalendar
    thresholds: Thresholds

    async def __call__(self, context: RunContext) -> RunResult:
        now = self.clock.now()
        opens, _ = self.calendar.open_close(context.session)
        if now < opens:
            reason = f"the session of {context.session} opens at {opens.astimezone(self.calendar.zone):%H:%M}"
            return RunResult(outcome=Outcome.SKIPPED, reason=reason)
        if self.calendar.running_session_at(now) == context.session:
            await self.sweep(context.session, context.progress)
        judged, casualties = await self._judge(context)
        verdicts = [one for part in judged for one in part.verdicts] + _unjudged(casualties, context.session)
        if not any(one.is_judged and one.as_of == context.session for one in verdicts):
            reason = f"no symbol has a bar of {context.session}: run collect first"
            return RunResult(outcome=Outcome.FAILED, reason=reason)
        bases = [base for part in judged for base in part.bases]
        await self.setups.put(context.session, verdicts, bases)
        return RunResult(counts=_counts(verdicts, bases))

    async def _judge(self, context: RunContext) -> tuple[Sequence[Verdicts], list[Casualty]]:
        reference = await self.panels.current() or await self.panels.refresh()
        casualties: list[Casualty] = []
        judging = Judging(
            as_of=context.session,
            thresholds=self.thresholds,
            followed=Records.of(await self.setups.followed()),
            elapsed_share=self.calendar.elapsed_share(context.session, self.clock.now()),
        )
        context.progress.begin(reference.n_symbols, "judging")
        judged = await self.workers.map_panel(
            screen, reference, judging, progress=context.progress, casualties=casualties
        )
        return judged, casualties


def _unjudged(casualties: Sequence[Casualty], session: date) -> list[Verdict]:
    """A symbol whose computation had to be given up is shown with the reason, like any other."""
    setups = [Setup.unjudged(casualty.symbol, session, casualty.reason) for casualty in casualties]
    return [Verdict.of(setup) for setup in setups]


def _counts(verdicts: Sequence[Verdict], bases: Sequence[Base]) -> dict[str, int]:
    return {
        "judged": sum(one.is_judged for one in verdicts),
        "not_judged": sum(not one.is_judged for one in verdicts),
        "passed": sum(one.passed for one in verdicts),
        "followed": len(bases),
    }
