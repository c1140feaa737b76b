"""Starts, executes and cancels runs, records their outcomes, and reads which jobs are paused."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, TypeVar

import msgspec
import structlog

from vcpd.core.backoff import STORE_ERRORS, retry_until_available
from vcpd.core.errors import RetryableError, VcpdError, is_transient, root_error
from vcpd.core.supervised_tasks import SupervisedTasks
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.runs import SCHEDULE_CAUSES, Outcome, Run, RunCause, RunContext, RunResult
from vcpd.ports import Clock, RunStore
from vcpd.schedule.clock_guard import CLOCK_STEP
from vcpd.schedule.job import Job, PendingRun, RunningRun, ScheduledJob
from vcpd.schedule.policy import ScheduleSettings
from vcpd.schedule.queue import RunQueue
from vcpd.schedule.retries import CRASH_REASON, RetryTable, next_retry, retry_of_expired, run_to_retry
from vcpd.schedule.trigger import Tick

STORE_RETRY_S: Final = 5.0
T = TypeVar("T")
RunListener = Callable[[Run], None]
log = structlog.get_logger("vcpd.schedule")
READ_TIMEOUT_S: Final = 5.0
STALE_AFTER_S: Final = 300.0  # while nothing is due they only are to look at


class Runner:
    """Begins, runs and ends runs; every answer is a `Run` as the table now has it."""

    def __init__(self, runs: RunStore, clock: Clock, running_heavy_job: Callable[[], str | None]) -> None:
        self._runs = runs
        self._clock = clock
        self._running_heavy_job = running_heavy_job

    async def begin(self, pending: PendingRun) -> Run | None:
        """The run's row; None when the table has one for this tick already."""
        if pending.row is not None:
            return pending.row
        return await self.create_row(pending.name, pending.tick, pending.cause)

    async def create_row(self, name: str, tick: Tick, cause: RunCause) -> Run | None:
        """A new row; None when the table has one for this tick already."""
        return await self._persist(lambda: self._runs.begin(name, tick.scheduled_at, tick.session, cause))

    async def execute(self, running: RunningRun, run: Run) -> Run:
        """Run the job and end its row; cancellation, bugs and refusals become outcomes."""
        session = run.session or running.pending.tick.session
        context = RunContext(run.id, run.job, run.scheduled_at, session, self._running_heavy_job)
        running.context = context
        with structlog.contextvars.bound_contextvars(run_id=run.id, job=run.job):
            log.info("run.started", session=str(context.session), cause=running.pending.cause.value)
            result = self._check_clock(running, await self._result(running, context))
            running.transient = result.retryable
            ended = await self.finish(run, result)
            log.info("run.ended", outcome=str(ended.outcome), reason=ended.reason, **dict(ended.counts))
        return ended

    async def finish(self, run: Run, result: RunResult) -> Run:
        await self._persist(lambda: self._runs.finish(run.id, result.outcome, result.reason, result.counts))
        return _finished_run(run, result, self._clock.now())

    async def record(self, name: str, tick: Tick, cause: RunCause, outcome: Outcome, reason: str) -> None:
        """A row for a run that never began."""
        log.info(
            "run.not_started", job=name, scheduled_at=str(tick.scheduled_at), outcome=outcome, reason=reason
        )
        await self._persist(
            lambda: self._runs.record(name, tick.scheduled_at, tick.session, outcome, reason, cause=cause)
        )

    async def _result(self, running: RunningRun, context: RunContext) -> RunResult:
        if running.cancel_request is not None:
            return _cancellation_result(running)
        running.executing = True
        try:
            return checked_result(await running.job.run(context))
        except asyncio.CancelledError:
            _clear_cancellation()
            return _cancellation_result(running)
        except Exception as error:  # noqa: BLE001 - whatever a job raises becomes its run's outcome
            return _failure_result(root_error(error))
        finally:
            running.executing = False

    def _check_clock(self, running: RunningRun, result: RunResult) -> RunResult:
        """A run whose clock was set back meanwhile may have taken less for the whole: it is tried again."""
        wall_s = (self._clock.now() - running.started_at).total_seconds()
        back_s = self._clock.monotonic_s() - running.started_s - wall_s
        if result.outcome is not Outcome.DONE or back_s <= CLOCK_STEP.total_seconds():
            return result
        reason = f"the clock was set back by {back_s:.0f} s during this run"
        return RunResult(result.counts, Outcome.FAILED, reason, retryable=True)

    async def _persist(self, write: Callable[[], Awaitable[T]]) -> T:
        """Write to the run table; while the store is away, try again and again."""
        return await retry_until_available(write, self._clock, STORE_RETRY_S, _log_unavailable)


def _log_unavailable(error: VcpdError) -> None:
    log.warning("runs.store_unavailable", error=str(error), retry_in_s=STORE_RETRY_S)


def checked_result(given: object) -> RunResult:
    """What a job gave back; a failed result where that is none: a plug-in's mistake costs its own run."""
    problem = f"a {type(given).__name__}"
    if isinstance(given, RunResult):
        try:
            return msgspec.convert(msgspec.to_builtins(given), RunResult)
        except (msgspec.ValidationError, TypeError) as error:
            problem = str(error)
    return RunResult(outcome=Outcome.FAILED, reason=f"the job gave back no valid result: {problem}")


def _cancellation_result(running: RunningRun) -> RunResult:
    outcome, reason = running.cancel_request or (Outcome.CANCELLED, "cancelled from outside")
    return RunResult(outcome=outcome, reason=reason, retryable=running.transient)


def _failure_result(error: BaseException) -> RunResult:
    """The result of a failed run: the message of an expected error, or a crash that is tried again."""
    if isinstance(error, VcpdError):
        return RunResult(outcome=Outcome.FAILED, reason=str(error), retryable=is_transient(error))
    log.error("run.crashed", exc_info=error)
    reason = f"{CRASH_REASON}{type(error).__name__}: {error}"
    return RunResult(outcome=Outcome.FAILED, reason=reason, retryable=True)


def _clear_cancellation() -> None:
    """The run's row must still be written in the task that was cancelled."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()


def _finished_run(run: Run, result: RunResult, now: datetime) -> Run:
    return msgspec.structs.replace(
        run, finished_at=now, outcome=result.outcome, reason=result.reason, counts=result.counts
    )


class RunLauncher:
    """Starts, cancels and records runs in tasks of its own; reports each run whose row has its outcome."""

    def __init__(
        self,
        runs: RunStore,
        clock: Clock,
        queue: RunQueue,
        wake: Callable[[], None],
        on_executed: Callable[[RunningRun, Run], None],
    ) -> None:
        """`on_executed` gets a run and its row before the run leaves the queue; then `wake` is called."""
        self.tasks = SupervisedTasks(lambda _name, _error: wake())
        self._runner = Runner(runs, clock, queue.running_heavy_job)
        self._clock = clock
        self._queue = queue
        self._wake = wake
        self._on_executed = on_executed
        self._listeners: list[RunListener] = []

    def on_run_finished(self, listener: RunListener) -> None:
        """Call `listener` with each run as soon as its row has an outcome."""
        self._listeners.append(listener)

    async def create_manual_run(self, name: str, tick: Tick) -> Run:
        """The row of a run that the user asked for. RetryableError when the store gives none."""
        run = await self._runner.create_row(name, tick, RunCause.MANUAL)
        if run is None:
            raise RetryableError(f"{name}: another run began at the same moment; try again")
        return run

    def begin(self, pending: PendingRun, job: Job) -> None:
        running = RunningRun(pending, job, self._clock.now(), self._clock.monotonic_s())
        self._queue.running.append(running)
        running.task = self.tasks.spawn(f"run {pending.name}", self._run(running))

    def reject(self, pending: PendingRun, outcome: Outcome, reason: str) -> None:
        """Record a run that will not begin; a retry without a row is only logged."""
        if pending.row is not None:
            self.close_run(pending.row, outcome, reason)
        elif pending.cause in SCHEDULE_CAUSES:
            self.record(pending.name, pending.tick, pending.cause, outcome, reason)
        else:
            log.info("retry.abandoned", job=pending.name, outcome=outcome, reason=reason)

    def close_run(self, row: Run, outcome: Outcome, reason: str) -> None:
        """Finish the row of a run that will not begin."""
        self.tasks.spawn(f"end {row.job}", self._finish_run(row, outcome, reason))

    def record(self, name: str, tick: Tick, cause: RunCause, outcome: Outcome, reason: str) -> None:
        """Write the row of a tick whose run does not begin."""
        run = Run(0, name, tick.scheduled_at, tick.session, outcome=outcome, reason=reason, cause=cause)
        self.tasks.spawn(f"record {name}", self._record(run, tick))
        if not self._queue.history.contains(name, tick.scheduled_at):
            self._queue.history.add(run)
        self._queue.changed = True

    async def _record(self, run: Run, tick: Tick) -> None:
        if run.outcome is not None:
            await self._runner.record(run.job, tick, run.cause, run.outcome, run.reason)
            self._report(run)

    async def _run(self, running: RunningRun) -> None:
        try:
            run = await self._runner.begin(running.pending)
            if run is not None:
                ended = await self._runner.execute(running, run)
                self._queue.history.add(ended)
                self._on_executed(running, ended)
                self._report(ended)
        finally:
            self._queue.running.remove(running)
            self._queue.changed = True
            self._wake()

    async def _finish_run(self, row: Run, outcome: Outcome, reason: str) -> None:
        ended = await self._runner.finish(row, RunResult(outcome=outcome, reason=reason))
        self._queue.history.add(ended)
        self._report(ended)

    def _report(self, run: Run) -> None:
        for listener in self._listeners:
            listener(run)


class PausedJobs:
    """The paused jobs as last read from the table."""

    def __init__(self, runs: RunStore, tasks: SupervisedTasks, clock: Clock) -> None:
        self.names: frozenset[str] = frozenset()
        self._runs = runs
        self._tasks = tasks
        self._clock = clock
        self._read_s = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    def is_stale(self) -> bool:
        return self._clock.monotonic_s() - self._read_s >= STALE_AFTER_S

    async def read(self) -> None:
        """Read the paused jobs; if the store does not answer soon, those read before remain in force.

        A task of its own, because the driver may wait for a dead connection even when it is cancelled.
        """
        self._read_s = self._clock.monotonic_s()
        if self._reading is None or self._reading.done():
            self._reading = self._tasks.spawn("read pauses", self._read())
        await asyncio.wait({self._reading}, timeout=READ_TIMEOUT_S)

    async def put(self, name: str, *, paused: bool) -> None:
        """On record first, then here."""
        await self._runs.set_paused(name, paused=paused)
        self.names = self.names | {name} if paused else self.names - {name}

    async def _read(self) -> None:
        try:
            self.names = await self._runs.paused()
        except STORE_ERRORS as error:
            log.warning("scheduler.paused_jobs_unavailable", error=str(error))


class RunRetrier:
    """Queues further tries of runs that failed, expired, or were skipped because of a failed one."""

    def __init__(
        self,
        queue: RunQueue,
        paused: PausedJobs,
        enqueue: Callable[[ScheduledJob, Tick, RunCause], None],
    ) -> None:
        self.table = RetryTable()
        self._queue = queue
        self._paused = paused
        self._enqueue = enqueue

    def apply(
        self, jobs: Mapping[str, ScheduledJob], settings: ScheduleSettings, calendar: TradingCalendar
    ) -> None:
        """What counts from now on."""
        self._jobs, self._settings, self._calendar = jobs, settings, calendar

    def retry_all(self, now: datetime, cause: RunCause) -> None:
        """Runs that failed are tried again; then the ones that were skipped because of them."""
        for job in self._jobs.values():
            runs = self._queue.history.of(job.name)
            self._retry(job, run_to_retry(runs, job.policy, self._settings.retries, now), now, cause)
        self._retry_dependents(now, cause)

    def retry_due(self, now: datetime) -> None:
        """Runs whose pause is over, and what was skipped because of them."""
        due = self.table.pop_due(now, timedelta(minutes=self._settings.retry_max_min))
        for run in due:
            if run.job in self._jobs:
                self._retry(self._jobs[run.job], run, now, RunCause.RETRY)
        if due:
            self._retry_dependents(now, RunCause.RETRY)

    def plan(self, running: RunningRun, ended: Run, *, possible: bool) -> None:
        """Plan another try of a run that failed temporarily, unless it was started by hand."""
        waits = ended.outcome is Outcome.SKIPPED and running.transient
        if (waits or ended.outcome is Outcome.FAILED) and running.pending.cause is RunCause.MANUAL:
            return
        retry = None
        if running.transient and possible:
            runs = self._queue.history.of(running.name)
            retry = next_retry(ended, runs, running.job.policy, self._settings, self._calendar)
        self.table.put(retry, running.name)

    def plan_expired(self, job: ScheduledJob, tick: Tick, now: datetime) -> None:
        """A run that could not start in time is tried again, as a missed tick is made up for."""
        run = Run(0, job.name, tick.scheduled_at, tick.session)
        self.table.put(retry_of_expired(run, job.policy, self._settings, self._calendar, now), job.name)

    def _retry_dependents(self, now: datetime, cause: RunCause) -> None:
        for job in self._jobs.values():
            last = self._queue.history.last(job.name)
            if any(map(self._queue.is_busy, job.policy.after)) and last and last.outcome is Outcome.SKIPPED:
                self._retry(job, last, now, cause)

    def _retry(self, job: ScheduledJob, run: Run | None, now: datetime, cause: RunCause) -> None:
        free = job.name not in self._paused.names and not self._queue.is_busy(job.name)
        if run is not None and free and job.policy.enabled:
            session = run.session or self._calendar.last_session_at(now)
            self._enqueue(job, Tick(now, session), cause)
