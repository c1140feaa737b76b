"""One run from its row's beginning to its row's end, whatever the job does in between."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, TypeVar

import structlog

from vcpd.domain.errors import RetryableError, UnavailableError, VcpdError, may_pass
from vcpd.domain.runs import Outcome, Run, RunContext, RunResult
from vcpd.ports import Clock, RunStore
from vcpd.schedule.trigger import Tick
from vcpd.schedule.work import Active, Cause, Waiting

STORE_TROUBLE: Final = (RetryableError, UnavailableError)
STORE_RETRY_S: Final = 5.0
SAME_INSTANT_TRIES: Final = 50

T = TypeVar("T")
log = structlog.get_logger("vcpd.schedule")


class Execution:
    """Begins, runs and ends runs; every answer is a `Run` as the table now has it."""

    def __init__(self, runs: RunStore, clock: Clock) -> None:
        self._runs = runs
        self._clock = clock

    async def begin(self, waiting: Waiting) -> Run | None:
        """The run's row; None when the table has one for this tick already."""
        if waiting.row is not None:
            return waiting.row
        if waiting.cause is Cause.TICK or waiting.cause is Cause.CATCH_UP:
            tick = waiting.tick
            return await self._persist(
                lambda: self._runs.begin(waiting.name, tick.scheduled_at, tick.session)
            )
        return await self.begin_now(waiting.name, waiting.tick)

    async def begin_now(self, name: str, tick: Tick) -> Run:
        """A row of its own at about the tick's instant, never on a whole second: no tick of a schedule."""
        at = with_fraction(tick.scheduled_at)
        for _ in range(SAME_INSTANT_TRIES):
            instant = at
            run = await self._persist(lambda when=instant: self._runs.begin(name, when, tick.session))  # type: ignore[misc]
            if run is not None:
                return run
            at += timedelta(microseconds=1)
        raise RetryableError(f"{name}: no free instant for a run at {tick.scheduled_at.isoformat()}")

    async def perform(self, active: Active, run: Run) -> Run:
        """Run the job and end its row; cancellation, bugs and refusals become outcomes."""
        context = RunContext(run.id, run.job, run.scheduled_at, run.session or active.waiting.tick.session)
        active.context = context
        with structlog.contextvars.bound_contextvars(run_id=run.id, job=run.job):
            log.info("run.started", session=str(context.session), cause=active.waiting.cause.value)
            result = await self._result(active, context)
            active.passing = result.passing
            ended = await self.finish(run, result)
            log.info("run.ended", outcome=str(ended.outcome), reason=ended.reason, **dict(ended.counts))
        return ended

    async def finish(self, run: Run, result: RunResult) -> Run:
        await self._persist(lambda: self._runs.finish(run.id, result.outcome, result.reason, result.counts))
        return _ended(run, result, self._clock.now())

    async def record(self, name: str, tick: Tick, outcome: Outcome, reason: str) -> None:
        """A row for a run that never began."""
        log.info(
            "run.not_begun", job=name, scheduled_at=str(tick.scheduled_at), outcome=outcome, reason=reason
        )
        await self._persist(lambda: self._runs.record(name, tick.scheduled_at, tick.session, outcome, reason))

    async def _result(self, active: Active, context: RunContext) -> RunResult:
        if active.ending is not None:
            return _as_told(active)
        active.performing = True
        try:
            return await active.job.run(context)
        except asyncio.CancelledError:
            _forget_cancellation()
            return _as_told(active)
        except VcpdError as error:
            return RunResult(outcome=Outcome.FAILED, reason=str(error), passing=may_pass(error))
        except Exception as error:
            log.exception("run.crashed")
            return RunResult(outcome=Outcome.FAILED, reason=f"{type(error).__name__}: {error}")
        finally:
            active.performing = False

    async def _persist(self, write: Callable[[], Awaitable[T]]) -> T:
        """Write to the run table, again and again while the store is away."""
        while True:
            try:
                return await write()
            except STORE_TROUBLE as error:
                log.warning("runs.store_away", error=str(error), retry_in_s=STORE_RETRY_S)
                await self._clock.sleep(STORE_RETRY_S)


def with_fraction(instant: datetime) -> datetime:
    """The instant itself, or a microsecond later where it is a whole second."""
    return instant if instant.microsecond else instant + timedelta(microseconds=1)


def _as_told(active: Active) -> RunResult:
    outcome, reason = active.ending or (Outcome.CANCELLED, "cancelled from outside")
    return RunResult(outcome=outcome, reason=reason, passing=active.passing)


def _forget_cancellation() -> None:
    """The run's row must still be written in the task that was cancelled."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()


def _ended(run: Run, result: RunResult, now: datetime) -> Run:
    return Run(
        run.id,
        run.job,
        run.scheduled_at,
        run.session,
        run.started_at,
        now,
        result.outcome,
        result.reason,
        result.counts,
    )
