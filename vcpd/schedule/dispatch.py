"""From an admitted run to its row's outcome: runs are begun, seen to their end, or given up on record."""

from collections.abc import Callable

import structlog

from vcpd.domain.runs import Outcome, Run, RunResult
from vcpd.ports import Clock, RunStore
from vcpd.schedule.execution import Execution
from vcpd.schedule.owned_tasks import OwnedTasks
from vcpd.schedule.trigger import Tick
from vcpd.schedule.work import Active, Cause, Job, Waiting
from vcpd.schedule.yard import Yard

log = structlog.get_logger("vcpd.schedule")


class Dispatch:
    """Decides nothing: does what the scheduler decided, in tasks of its own, and tells when a run ended."""

    def __init__(
        self,
        runs: RunStore,
        clock: Clock,
        yard: Yard,
        wake: Callable[[], None],
        ended: Callable[[Active, Run], None],
    ) -> None:
        """`ended` is told (active, its row) before the run leaves the yard; then `wake` is called."""
        self.tasks = OwnedTasks(wake)
        self._execution = Execution(runs, clock)
        self._clock = clock
        self._yard = yard
        self._wake = wake
        self._ended = ended

    async def row_by_hand(self, name: str, tick: Tick) -> Run:
        """The row of a run that an owner asked for. RetryableError where no instant is free."""
        return await self._execution.begin_now(name, tick)

    def begin(self, waiting: Waiting, job: Job) -> None:
        active = Active(waiting, job, self._clock.now(), self._clock.monotonic_s())
        self._yard.active.append(active)
        active.task = self.tasks.spawn(self._run(active), f"run {waiting.name}")

    def give_up(self, waiting: Waiting, outcome: Outcome, reason: str) -> None:
        """A run that will not begin; what had no row and was no tick leaves only a line in the log."""
        if waiting.row is not None:
            self.close_row(waiting.row, outcome, reason)
        elif waiting.cause in (Cause.TICK, Cause.CATCH_UP):
            self.record(waiting.name, waiting.tick, outcome, reason)
        else:
            log.info("retry.given_up", job=waiting.name, outcome=outcome, reason=reason)

    def close_row(self, row: Run, outcome: Outcome, reason: str) -> None:
        """A row that was opened for a run that will not begin."""
        self.tasks.spawn(self._finish_row(row, outcome, reason), f"end {row.job}")

    def record(self, name: str, tick: Tick, outcome: Outcome, reason: str) -> None:
        self.tasks.spawn(self._execution.record(name, tick, outcome, reason), f"record {name}")
        if not self._yard.history.knows(name, tick.scheduled_at):
            self._yard.history.add(
                Run(0, name, tick.scheduled_at, tick.session, outcome=outcome, reason=reason)
            )
        self._yard.changed = True

    async def _run(self, active: Active) -> None:
        try:
            run = await self._execution.begin(active.waiting)
            if run is not None:
                ended = await self._execution.perform(active, run)
                self._yard.history.add(ended)
                self._ended(active, ended)
        finally:
            self._yard.active.remove(active)
            self._yard.changed = True
            self._wake()

    async def _finish_row(self, row: Run, outcome: Outcome, reason: str) -> None:
        ended = await self._execution.finish(row, RunResult(outcome=outcome, reason=reason))
        self._yard.history.add(ended)
