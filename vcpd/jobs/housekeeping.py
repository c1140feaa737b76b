"""Housekeeping: old run rows go, and the store's statistics are renewed."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from vcpd.domain.runs import RunContext, RunResult
from vcpd.ports import Clock, RunStore, Upkeep

RUNS_KEPT: Final = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """Bars, setups and scores are never touched: only rows about runs have an end."""

    runs: RunStore
    upkeep: Upkeep
    clock: Clock

    async def __call__(self, context: RunContext) -> RunResult:
        context.progress.begin(2, "old runs")
        forgotten = await self.runs.forget_before(self.clock.now() - RUNS_KEPT)
        context.progress.advance()
        await self.upkeep.analyze()
        context.progress.advance()
        return RunResult(counts={"runs_forgotten": forgotten})
