"""Scheduler loop: polls wall-clock time, starts due runs, retries failed ones, and follows leadership.

The wall clock is read at least every 60 s, so suspend, clock steps and reloads lose no tick; scheduled runs
are unique on (job, scheduled_at), so none runs twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Final

import structlog

from vcpd.core.backoff import STORE_ERRORS, Wakeup
from vcpd.core.errors import BadInputError, RetryableError, UnavailableError
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.health import MachineLoad
from vcpd.domain.runs import Outcome, Run, RunCause
from vcpd.ports import Clock, RunStore
from vcpd.schedule.clock_guard import ClockGuard, EarliestDate, no_earliest_date
from vcpd.schedule.job import Job, PendingRun, RunningRun, ScheduledJob
from vcpd.schedule.policy import ScheduleSettings, check_policies
from vcpd.schedule.queue import (
    STANDBY_SLEEP_S,
    AdmissionAction,
    AdmissionDecision,
    RunQueue,
    next_wakeup,
    overload_reason,
    sleep_seconds,
)
from vcpd.schedule.retries import INTERRUPTED_REASON, RunHistory, due_at_startup, plan_catch_up
from vcpd.schedule.runner import PausedJobs, RunLauncher, RunListener, RunRetrier
from vcpd.schedule.status import SchedulerStatus, scheduler_status
from vcpd.schedule.trigger import Tick

CANCEL_DEADLINE_S: Final = 5.0  # for cancelled runs and for writing their rows, each
LEADERSHIP_LOST: Final = "leadership lost to another instance"
log = structlog.get_logger("vcpd.schedule")


class Scheduler:
    """Starts jobs when their policies say so; at most one scheduler of a database leads at a time."""

    def __init__(  # noqa: PLR0913 - the wiring hands in each part by name
        self,
        jobs: Mapping[str, Job],
        runs: RunStore,
        clock: Clock,
        calendar: TradingCalendar,
        settings: ScheduleSettings,
        *,
        pressure: Callable[[], MachineLoad],
        lead: Callable[[], Awaitable[bool]],
        earliest_date: EarliestDate = no_earliest_date,
    ) -> None:
        """`lead` says, asked at least every minute, whether this daemon may schedule; `earliest_date`
        gives a date before which no clock can be right."""
        self._runs = runs
        self._clock = clock
        self._base_calendar = calendar
        self._pressure = pressure
        self._lead = lead
        self._queue = RunQueue(RunHistory())
        self._jobs: dict[str, ScheduledJob] = {}
        self._wakeup = Wakeup(clock)
        self._launcher = RunLauncher(runs, clock, self._queue, self._wakeup.set, self._plan_retry)
        self._tasks = self._launcher.tasks
        self._paused = PausedJobs(runs, self._tasks, clock)
        self._retrier = RunRetrier(self._queue, self._paused, self._enqueue)
        self._leading = self._stopping = False
        self._next_wakeup = clock.now()
        self._clock_guard = ClockGuard(clock, calendar, earliest_date)
        self.last_poll_s = clock.monotonic_s()
        self.task: asyncio.Task[None] | None = None
        check_policies({name: job.policy for name, job in jobs.items()})
        self._apply(jobs, settings, clock.now())

    def start(self) -> asyncio.Task[None]:
        """Start scheduling. The task ends with `stop`, or with an unexpected error."""
        self.task = asyncio.create_task(self._run_loop(), name="scheduler")
        return self.task

    async def stop(self, deadline_s: float) -> None:
        """Start nothing more, give active runs `deadline_s` (real seconds), then cancel them."""
        self._stopping = True
        self._wakeup.set()
        self._drop_pending("the daemon stopped before it began")
        self._queue.cancel_session_long("the daemon stopped")
        await self._tasks.wait(deadline_s)
        self._queue.cancel_all("the daemon stopped")
        await self._tasks.wait(CANCEL_DEADLINE_S)
        await self._tasks.cancel(CANCEL_DEADLINE_S)
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    def reload(self, jobs: Mapping[str, Job], settings: ScheduleSettings) -> None:
        """Apply new policies; ticks that are due by the old ones are processed first, so none is lost.

        ConfigurationError when the policies contradict each other; then nothing changes.
        """
        check_policies({name: job.policy for name, job in jobs.items()})
        now = self._clock.now()
        if self._is_active:
            self._step(now)
        self._apply(jobs, settings, now)
        self._queue.changed = True
        self._wakeup.set()

    def wake(self) -> None:
        """Check leadership and the clock now instead of at the end of the sleep."""
        self._wakeup.set()

    def on_run_finished(self, listener: RunListener) -> None:
        """Call `listener` with each run of this daemon as soon as its row has an outcome."""
        self._launcher.on_run_finished(listener)

    @property
    def is_leading(self) -> bool:
        return self._leading

    async def run_now(self, name: str, session: date | None = None) -> int:
        """Start a run by hand for `session` (default: the last completed one; a live job's running one).

        Gives the run's id. KeyError for an unknown name; RetryableError while a run of it is on its way
        (unless its overlap is `queue`); UnavailableError where another daemon schedules or the clock is
        wrong; BadInputError for a day that is not a session of the calendar, or lies ahead.
        """
        job = self._jobs[name]
        if self._clock_guard.error is not None:
            raise UnavailableError(self._clock_guard.error)
        if not self._leading or self._stopping:
            raise UnavailableError("this daemon does not schedule now; ask the one that does, or try again")
        if self._queue.is_busy(name) and job.policy.overlap == "skip":
            raise RetryableError(f"{name} is already on its way; wait for it to end")
        now = self._clock.now()
        self._check_session(session, now)
        tick = Tick(now, session or self._manual_session(job, now))
        with self._queue.reserved(name):
            run = await self._launcher.create_manual_run(name, tick)
        if not self._leading or self._stopping:
            self._launcher.close_run(run, Outcome.CANCELLED, LEADERSHIP_LOST)
            raise UnavailableError(f"{name}: {LEADERSHIP_LOST}; ask the one that does, or try again")
        self._enqueue(job, Tick(run.scheduled_at, tick.session), RunCause.MANUAL, row=run)
        self._wakeup.set()
        return run.id

    def end_run(self, name: str, reason: str) -> bool:
        """End the job's active run as failed; gives whether there was one."""
        running = self._queue.active_run(name)
        if running is not None:
            running.cancel(Outcome.FAILED, reason)
        return running is not None

    async def pause(self, name: str) -> None:
        """Skip the job's ticks, over restarts too, until it is resumed. KeyError for an unknown name."""
        await self._set_paused(name, paused=True)

    async def resume(self, name: str) -> None:
        await self._set_paused(name, paused=False)

    def retry_failed(self, cause: RunCause) -> None:
        """Retry each job's last run if it failed, as at a start: after a login or a repair."""
        if self._is_active:
            self._retrier.retry_all(self._clock.now(), cause)
            self._wakeup.set()

    def snapshot(self) -> SchedulerStatus:
        """Each job's next, last, running and waiting run, for /status."""
        return scheduler_status(
            self._jobs,
            self._queue,
            self._paused.names,
            self._retrier.table,
            leading=self._leading,
            now=self._clock.now(),
            clock_error=self._clock_guard.error,
        )

    async def _set_paused(self, name: str, *, paused: bool) -> None:
        self._jobs[name]
        await self._paused.put(name, paused=paused)
        self._wakeup.set()  # a look that has read the pauses a moment ago would undo this one until the next

    def _check_session(self, session: date | None, now: datetime) -> None:
        """BadInputError for a day that no run can work for."""
        today = self._calendar.local_date(now)
        if session is None or (
            self._calendar.valid_from <= session <= today and self._calendar.is_session(session)
        ):
            return
        raise BadInputError(
            f"session: expected a trading session from {self._calendar.valid_from} to {today}, was {session}"
        )

    def _manual_session(self, job: ScheduledJob, now: datetime) -> date:
        running = self._calendar.open_session_at(now) if job.job.live else None
        return running or self._calendar.last_session_at(now)

    async def _run_loop(self) -> None:
        while not self._stopping:
            if self._tasks.failure is not None:
                raise self._tasks.failure
            self._queue.check_cancellations()
            await self._check_clock()
            await self._check_leadership()
            now = self._clock.now()
            if not self._is_idle(now) or self._paused.is_stale():
                await self._paused.read()
                now = self._clock.now()
            self.last_poll_s = self._clock.monotonic_s()
            if self._is_active:
                self._step(now)
            await self._wakeup.wait(self._sleep_seconds(now))

    @property
    def _is_active(self) -> bool:
        return self._leading and not self._stopping and self._clock_guard.error is None

    async def _check_clock(self) -> None:
        """After a suspend or a set clock: waiting runs keep their time, ticks that come again have their
        rows, and once a wrong clock is right, what failed meanwhile is tried again."""
        was_wrong = self._clock_guard.error is not None
        if jump := await self._clock_guard.check():
            now = self._clock.now()
            self._queue.follow_clock(now, jump)
            self._queue.fail_sessions_after(self._calendar.local_date(now), "the clock was set back")
            plausible_step_back = jump < timedelta() and self._clock_guard.error is None
            for job in self._jobs.values() if plausible_step_back else ():
                job.advance_to(now)
            self._queue.changed = True
        if was_wrong:
            self.retry_failed(RunCause.RETRY)

    async def _check_leadership(self) -> None:
        leading = await self._is_leader() and (self._leading or self._clock_guard.error is None)
        if leading and not self._leading and not self._queue.running:
            await self._take_over()
        elif self._leading and not leading:
            log.warning("scheduler.leadership_lost")
            self._leading = False
            self._retrier.table.clear()
            self._queue.cancel_all(LEADERSHIP_LOST)
            self._drop_pending(LEADERSHIP_LOST)

    def _drop_pending(self, reason: str) -> None:
        """Drop pending runs; their ticks stay without a row, so that the next leader makes up for them."""
        for pending in self._queue.pending:
            if pending.row is not None:
                self._launcher.close_run(pending.row, Outcome.CANCELLED, reason)
        self._queue.pending.clear()

    async def _is_leader(self) -> bool:
        try:
            return await self._lead()
        except STORE_ERRORS as error:
            log.warning("scheduler.store_unavailable", error=str(error))
            return False

    async def _take_over(self) -> None:
        """Become the leader: close runs that an ended daemon left open, then run missed ticks."""
        try:
            stale = await self._runs.close_stale(INTERRUPTED_REASON)
            await self._queue.history.load(self._jobs, self._runs)
        except STORE_ERRORS as error:
            log.warning("scheduler.store_unavailable", error=str(error))
            return
        self._leading, now = True, self._clock.now()
        log.info("scheduler.leading", stale_runs=stale)
        for job in self._jobs.values():
            self._catch_up(job, now)
        self._retrier.retry_all(now, RunCause.RETRY)
        self._queue.changed = True

    def _catch_up(self, job: ScheduledJob, now: datetime) -> None:
        known = self._queue.history.of(job.name)
        due = due_at_startup(job.trigger, known, now)
        if known or plan_catch_up(due, job.policy, now).start:
            self._process_ticks(job, due, RunCause.CATCH_UP, now)
        early = [run.scheduled_at for run in known if run.is_scheduled]
        job.advance_to(max([now, *early]))

    def _step(self, now: datetime) -> None:
        """Do what is due at `now`; return at once while nothing is due and nothing changed."""
        if self._is_idle(now):
            return
        for job in self._jobs.values():
            if due := job.pop_due(now):
                self._process_ticks(job, due, RunCause.TICK, now)
        self._retrier.retry_due(now)
        if self._queue.changed:
            self._queue.changed = False
            self._start_early(now)
        if self._queue.pending:
            self._admit(now)
        for running in self._queue.running:
            if running.timeout_left_s(self._clock.monotonic_s()) <= 0:
                reason = f"timed out after {running.job.policy.timeout_s:.0f} s"
                running.cancel(Outcome.FAILED, reason, passing=True)
        self._next_wakeup = min([next_wakeup(self._jobs, self._queue, now), *self._retrier.table.due_times()])

    def _is_idle(self, now: datetime) -> bool:
        return self._leading and now < self._next_wakeup and not self._queue.changed

    def _sleep_seconds(self, now: datetime) -> float:
        if not self._is_active:
            return STANDBY_SLEEP_S
        return sleep_seconds(self._jobs, self._queue, now, self._next_wakeup, self._clock.monotonic_s())

    def _apply(self, jobs: Mapping[str, Job], settings: ScheduleSettings, now: datetime) -> None:
        self._settings = settings
        self._calendar = settings.calendar(self._base_calendar)
        cursors = {name: max(now, job.cursor) for name, job in self._jobs.items()}
        self._jobs = {
            name: ScheduledJob.of(name, job, self._calendar, settings.time_zone, cursors.get(name, now))
            for name, job in jobs.items()
        }
        self._retrier.apply(self._jobs, settings, self._calendar)
        for name in {run.name for run in self._queue.pending} - self._jobs.keys():
            for pending in self._queue.remove_pending(name):
                self._launcher.reject(pending, Outcome.CANCELLED, "the job is no longer configured")

    def _process_ticks(self, job: ScheduledJob, ticks: list[Tick], cause: RunCause, now: datetime) -> None:
        if job.name in self._paused.names:
            for tick in ticks:
                self._launcher.record(job.name, tick, cause, Outcome.SKIPPED, "paused")
            return
        plan = plan_catch_up(ticks, job.policy, now)
        for tick, reason in plan.missed:
            self._launcher.record(job.name, tick, cause, Outcome.MISSED, reason)
        for tick in plan.start:
            self._apply_overlap(job, tick, cause, in_a_row=len(plan.start) > 1)

    def _apply_overlap(
        self, job: ScheduledJob, tick: Tick, cause: RunCause, *, in_a_row: bool = False
    ) -> None:
        """Apply the job's overlap policy to a tick that should run."""
        if self._queue.contains(job.name, tick):
            return
        overlap = "queue" if in_a_row else job.policy.overlap
        if overlap == "skip" and self._queue.coalesces(job.name, tick):
            self._launcher.record(job.name, tick, cause, Outcome.SKIPPED, "previous run still in progress")
            return
        if overlap == "replace":
            self._replace_previous(job, tick)
        self._enqueue(job, tick, cause)

    def _replace_previous(self, job: ScheduledJob, tick: Tick) -> None:
        reason = f"replaced by the run of {tick.scheduled_at:%Y-%m-%d %H:%M} UTC"
        for pending in self._queue.remove_pending(job.name):
            self._launcher.reject(pending, Outcome.CANCELLED, reason)
        if (running := self._queue.active_run(job.name)) is not None:
            running.cancel(Outcome.CANCELLED, reason)

    def _enqueue(self, job: ScheduledJob, tick: Tick, cause: RunCause, row: Run | None = None) -> None:
        now = self._clock.now()
        self._queue.pending.append(PendingRun(job.name, tick, cause, now, job.deadline(now), now, row))
        self._queue.changed = True

    def _start_early(self, now: datetime) -> None:
        """Start jobs that run after others before their own time, once those others are done."""
        for job in self._jobs.values():
            tick = self._queue.next_early_tick(job, self._jobs)
            if tick is not None:
                job.advance_to(tick.scheduled_at)
                self._process_ticks(job, [tick], RunCause.TICK, now)

    def _admit(self, now: datetime) -> None:
        load = self._pressure() if self._queue.has_heavy_pending(self._jobs) else MachineLoad()
        today = self._calendar.local_date(now)
        for pending in self._queue.by_priority(self._jobs):
            job = self._jobs[pending.name]
            overload = overload_reason(load, self._settings, now - pending.ready_since)
            decision = self._queue.evaluate(pending, self._jobs, overload, now)
            pending.waits_for = decision.reason
            if pending.tick.session > today:
                pending.waits_for = f"the clock was set back: {pending.tick.session} is in its future"
            elif decision.restarts_deadline:
                pending.deadline, pending.ready_since = job.deadline(now), now
            elif decision.action is AdmissionAction.START:
                self._queue.pending.remove(pending)
                self._launcher.begin(pending, job.job)
            elif decision.action is AdmissionAction.DROP:
                self._drop(pending, job, decision, now)

    def _drop(
        self, pending: PendingRun, job: ScheduledJob, decision: AdmissionDecision, now: datetime
    ) -> None:
        """Remove a run that will not begin; one that waited too long is tried again later."""
        self._queue.pending.remove(pending)
        self._launcher.reject(pending, decision.outcome, decision.reason)
        if decision.outcome is Outcome.MISSED:
            self._retrier.plan_expired(job, pending.tick, now)

    def _plan_retry(self, running: RunningRun, ended: Run) -> None:
        self._retrier.plan(running, ended, possible=self._leading and not self._stopping)
