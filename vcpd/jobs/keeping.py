"""Keeping bars complete: the parts that collect and reconcile have in common, put together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from vcpd.domain.errors import VcpdError, may_pass
from vcpd.domain.runs import Outcome, RunContext, RunResult
from vcpd.domain.sessions import TradingCalendar
from vcpd.jobs.finality import Finality
from vcpd.jobs.gaps import Gap, Wish
from vcpd.jobs.gathering import Gathering
from vcpd.jobs.intake import Delivery, Intake, Tally
from vcpd.jobs.repair import Repair
from vcpd.jobs.settings import CollectSettings
from vcpd.jobs.snapshot import Snapshot
from vcpd.jobs.sweep import Sweep
from vcpd.jobs.universe import Selection, Universe
from vcpd.ports import BarStore, Clock, MarketData, QuarantineStore

SHOWN_NOTES: Final = 10


@dataclass(frozen=True, slots=True)
class World:
    """What is outside: the market, the stores, the time and the calendar."""

    market: MarketData
    bars: BarStore
    quarantine: QuarantineStore
    clock: Clock
    calendar: TradingCalendar


@dataclass(frozen=True, slots=True)
class Keeping:
    """The parts that keeping bars complete is made of; shared by collect and reconcile."""

    universe: Universe
    intake: Intake
    repair: Repair
    sweep: Sweep
    snapshot: Snapshot
    finality: Finality
    clock: Clock

    @property
    def settings(self) -> CollectSettings:
        return self.finality.settings

    def wish(self, target: date) -> Wish:
        start = self.finality.history_start(target)
        return Wish(start, target, self.settings.overlap_sessions, self.finality.calendar)

    async def gather(
        self, gaps: Sequence[Gap], context: RunContext, note: str, tally: Tally
    ) -> VcpdError | None:
        """Fetch and store the gaps; failures are counted. Gives what stopped it before its end.

        What failed for a passing reason is asked for once more when all others have had their turn.
        """
        first = await self._gather(gaps, context, note, tally)
        failures, stopped = first.failures, first.stopped
        again = [gap for gap in gaps if may_pass(failures.get(gap.symbol))]
        if stopped is None and again:
            second = await self._gather(again, context, f"{note}, once more", tally)
            for gap in again:
                del failures[gap.symbol]
            failures |= second.failures
            stopped = second.stopped
        tally.counts["failed"] += len(failures)
        tally.notes.extend(f"{symbol}: {why}" for symbol, why in failures.items())
        tally.may_pass = any(map(may_pass, failures.values()))
        return stopped

    async def _gather(
        self, gaps: Sequence[Gap], context: RunContext, note: str, tally: Tally
    ) -> Gathering[Gap]:
        async def take(deliveries: Sequence[Delivery]) -> None:
            await self.intake.take(deliveries, tally)
            tally.counts["fetched"] += len(deliveries)

        gathering = Gathering(gaps, self.repair, take, self.clock, self.settings.give_up_after)
        await gathering.run(self.settings.concurrency, context.progress, note)
        return gathering


def assemble(world: World, settings: CollectSettings, universe: Universe, snapshot: Snapshot) -> Keeping:
    """The parts over the given world."""
    finality = Finality(world.calendar, settings)
    intake = Intake(world.bars, world.quarantine, world.calendar)
    repair = Repair(world.market, intake, finality, world.clock)
    sweep = Sweep(world.market, intake, universe, snapshot.panels, finality, world.clock)
    return Keeping(universe, intake, repair, sweep, snapshot, finality, world.clock)


def finished(tally: Tally, stopped: VcpdError | None, chosen: Selection) -> RunResult:
    """The run's outcome: failed where something stopped it or every symbol failed, else done with notes."""
    counts = {name: count for name, count in sorted(tally.counts.items()) if count}
    told = [*tally.notes, *tally.repriced]
    notes = told[:SHOWN_NOTES]
    if len(told) > SHOWN_NOTES:
        notes.append(f"and {len(told) - SHOWN_NOTES} more")
    if chosen.unknown:
        notes.append(f"not listed: {', '.join(chosen.unknown[:SHOWN_NOTES])}")
    if stopped is not None:
        return RunResult(counts, Outcome.FAILED, str(stopped), may_pass(stopped))
    if tally.counts["failed"] and not (tally.counts["fetched"] or tally.counts["swept"]):
        return RunResult(counts, Outcome.FAILED, "; ".join(notes), tally.may_pass)
    return RunResult(counts, Outcome.DONE, "; ".join(notes))
