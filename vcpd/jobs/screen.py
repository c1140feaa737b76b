"""The screen: every symbol of the panel judged after a session, and the followed bases led on."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from vcpd.analysis.tasks import Judged, Judging, judge
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.runs import Outcome, RunContext, RunResult
from vcpd.domain.sessions import TradingCalendar
from vcpd.domain.setups import Base, Setup
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
        setups = [setup for part in judged for setup in part.setups] + _unjudged(casualties, context.session)
        if not any(setup.reason is None and setup.as_of == context.session for setup in setups):
            reason = f"no symbol has a bar of {context.session}: run collect first"
            return RunResult(outcome=Outcome.FAILED, reason=reason)
        bases = [base for part in judged for base in part.bases]
        await self.setups.put(context.session, setups, bases)
        return RunResult(counts=_counts(setups, bases))

    async def _judge(self, context: RunContext) -> tuple[Sequence[Judged], list[Casualty]]:
        reference = await self.panels.current() or await self.panels.refresh()
        casualties: list[Casualty] = []
        judging = Judging(
            as_of=context.session,
            thresholds=self.thresholds,
            followed=await self._followed(),
            elapsed_share=self.calendar.elapsed_share(context.session, self.clock.now()),
        )
        context.progress.begin(reference.n_symbols, "judging")
        judged = await self.workers.map_panel(
            judge, reference, judging, progress=context.progress, casualties=casualties
        )
        return judged, casualties

    async def _followed(self) -> dict[str, tuple[Base, ...]]:
        """The recorded bases by symbol."""
        by_symbol: defaultdict[str, tuple[Base, ...]] = defaultdict(tuple)
        for base in await self.setups.followed():
            by_symbol[base.symbol] += (base,)
        return dict(by_symbol)


def _unjudged(casualties: Sequence[Casualty], session: date) -> list[Setup]:
    """A symbol whose computation had to be given up is shown with the reason, like any other."""
    return [Setup.unjudged(casualty.symbol, session, casualty.reason) for casualty in casualties]


def _counts(setups: Sequence[Setup], bases: Sequence[Base]) -> dict[str, int]:
    return {
        "judged": sum(setup.reason is None for setup in setups),
        "not_judged": sum(setup.reason is not None for setup in setups),
        "passed": sum(setup.passed for setup in setups),
        "followed": len(bases),
    }
