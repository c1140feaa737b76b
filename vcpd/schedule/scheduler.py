"""The scheduler: one owned task that looks at the wall, and the runs it starts.

Time is asked anew at least every 60 s, so suspend, clock steps and reloads lose no tick; a row unique on
(job, scheduled_at) doubles none. Everything below runs in the loop and computes next to nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Final

import structlog

from vcpd.domain.errors import RetryableError, UnavailableError
from vcpd.domain.pressure import Pressure
from vcpd.domain.runs import Outcome, Run
from vcpd.domain.sessions import TradingCalendar
from vcpd.ports import Clock, RunStore
from vcpd.schedule.admission import Verdict, pressure_reason
from vcpd.schedule.comebacks import Comebacks, comeback_of
from vcpd.schedule.dispatch import Dispatch
from vcpd.schedule.execution import STORE_TROUBLE, with_fraction
from vcpd.schedule.history import DEAD_DAEMON, KEPT_PER_JOB, RunHistory, is_tick
from vcpd.schedule.nap import Nap
from vcpd.schedule.pace import STANDBY_SLICE_S, quiet_until, slice_s
from vcpd.schedule.pauses import Pauses
from vcpd.schedule.plan import due_at_start, run_to_retry, sort_due
from vcpd.schedule.policies import ScheduleSettings, check_policies
from vcpd.schedule.snapshot import SchedulerStatus, status_of
from vcpd.schedule.trigger import Tick
from vcpd.schedule.work import Active, Cause, Job, Line, Waiting
from vcpd.schedule.yard import Yard

BACKWARD_STEP: Final = timedelta(seconds=60)
ROWS_DEADLINE_S: Final = 5.0
CANCEL_DEADLINE_S: Final = 5.0
NO_LONGER_LEADING: Final = "this daemon may not schedule any more"

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
        pressure: Callable[[], Pressure],
        lead: Callable[[], Awaitable[bool]],
    ) -> None:
        """`lead` says, asked at least every minute, whether this daemon may schedule."""
        self._runs = runs
        self._clock = clock
        self._built_in = calendar
        self._pressure = pressure
        self._lead = lead
        self._yard = Yard(RunHistory())
        self._comebacks = Comebacks()
        self._lines: dict[str, Line] = {}
        self._nap = Nap(clock)
        self._dispatch = Dispatch(runs, clock, self._yard, self._nap.wake, self._note_comeback)
        self._tasks = self._dispatch.tasks
        self._pauses = Pauses(runs, self._tasks, clock)
        self._leading = self._stopping = False
        self._last_look = self._quiet_until = clock.now()
        self.looked_at_s = clock.monotonic_s()
        self.task: asyncio.Task[None] | None = None
        check_policies({name: job.policy for name, job in jobs.items()})
        self._apply(jobs, settings, clock.now())

    # -- life ---------------------------------------------------------------------------------------

    def start(self) -> asyncio.Task[None]:
        """Begin to schedule. The task ends with `stop`, or dies with whatever should not have happened."""
        self.task = asyncio.create_task(self._look_for_ever(), name="scheduler")
        return self.task

    async def stop(self, deadline_s: float) -> None:
        """Start nothing more, give active runs `deadline_s` (real seconds), then cancel them."""
        self._stopping = True
        self._nap.wake()
        self._give_up_waiting("the daemon stopped before it began")
        self._yard.end_lasting("the daemon stopped")
        await self._tasks.wait(deadline_s)
        self._yard.end_all("the daemon stopped")
        await self._tasks.wait(ROWS_DEADLINE_S)
        await self._tasks.cancel(CANCEL_DEADLINE_S)
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    def reload(self, jobs: Mapping[str, Job], settings: ScheduleSettings) -> None:
        """Go on under new policies: what is due by the old ones is taken first, so no tick is lost.

        ConfigurationError when the policies contradict each other; then nothing changes.
        """
        check_policies({name: job.policy for name, job in jobs.items()})
        now = self._clock.now()
        if self._leading:
            self._step(now)
        self._apply(jobs, settings, now)
        self._yard.changed = True
        self._nap.wake()

    def look_now(self) -> None:
        """Ask for the lead and look at the wall before the slice ends."""
        self._nap.wake()

    @property
    def is_leading(self) -> bool:
        return self._leading

    # -- the owner's wishes -------------------------------------------------------------------------

    async def run_now(self, name: str, session: date | None = None) -> int:
        """Start a run by hand for `session` (default: the last completed one; a live job's running one).

        Gives the run's id. KeyError for an unknown name; RetryableError while a run of it is on its way
        (unless its overlap is `queue`); UnavailableError where another daemon schedules.
        """
        line = self._lines[name]
        if not self._leading or self._stopping:
            raise UnavailableError("this daemon does not schedule now; ask the one that does, or try again")
        if self._yard.is_busy(name) and line.policy.overlap == "skip":
            raise RetryableError(f"{name} is already on its way; wait for it to end")
        now = self._clock.now()
        tick = Tick(with_fraction(now), session or self._session_by_hand(line, now))
        with self._yard.announced(name):
            run = await self._dispatch.row_by_hand(name, tick)
        if not self._leading or self._stopping:
            self._dispatch.close_row(run, Outcome.CANCELLED, NO_LONGER_LEADING)
            raise UnavailableError(f"{name}: {NO_LONGER_LEADING}; ask the one that does, or try again")
        self._enqueue(line, Tick(run.scheduled_at, tick.session), Cause.BY_HAND, row=run)
        self._nap.wake()
        return run.id

    def end_run(self, name: str, reason: str) -> bool:
        """End the job's active run as failed; gives whether there was one."""
        active = self._yard.active_run(name)
        if active is not None:
            active.cancel(Outcome.FAILED, reason)
        return active is not None

    async def pause(self, name: str) -> None:
        """Skip the job's ticks, over restarts too, until it is resumed. KeyError for an unknown name."""
        await self._set_paused(name, paused=True)

    async def resume(self, name: str) -> None:
        await self._set_paused(name, paused=False)

    def make_up(self) -> None:
        """Try again what failed last: as after a start, so after a login or a repaired machine."""
        if self._leading and not self._stopping:
            self._retry_all(self._clock.now())
            self._nap.wake()

    def snapshot(self) -> SchedulerStatus:
        """Each job's next, last, running and waiting run, for /status."""
        return status_of(
            self._lines,
            self._yard,
            self._pauses.names,
            self._comebacks,
            leading=self._leading,
            now=self._clock.now(),
        )

    async def _set_paused(self, name: str, *, paused: bool) -> None:
        self._lines[name]
        await self._pauses.put(name, paused=paused)
        self._nap.wake()  # a look that has read the pauses a moment ago would undo this one until the next

    def _session_by_hand(self, line: Line, now: datetime) -> date:
        running = self._calendar.running_session_at(now) if line.job.live else None
        return running or self._calendar.last_session_at(now)

    # -- the look at the wall -----------------------------------------------------------------------

    async def _look_for_ever(self) -> None:
        while not self._stopping:
            if self._tasks.failure is not None:
                raise self._tasks.failure
            self._yard.check_endings()
            await self._check_lead()
            now = self._clock.now()
            if not self._is_quiet(now) or self._pauses.are_old():
                await self._pauses.read()
                now = self._clock.now()
            self.looked_at_s = self._clock.monotonic_s()
            if self._leading and not self._stopping:
                self._step(now)
            await self._nap.sleep(self._nap_s(now))

    async def _check_lead(self) -> None:
        leading = await self._may_lead()
        if leading and not self._leading and not self._yard.active:
            await self._take_over()
        elif self._leading and not leading:
            log.warning("scheduler.lead_lost")
            self._leading = False
            self._comebacks.clear()
            self._yard.end_all(NO_LONGER_LEADING)
            self._give_up_waiting(NO_LONGER_LEADING)

    def _give_up_waiting(self, reason: str) -> None:
        """Ticks stay without a row, so that whoever leads next makes up for them."""
        for waiting in self._yard.waiting:
            if waiting.row is not None:
                self._dispatch.close_row(waiting.row, Outcome.CANCELLED, reason)
        self._yard.waiting.clear()

    async def _may_lead(self) -> bool:
        try:
            return await self._lead()
        except STORE_TROUBLE as error:
            log.warning("scheduler.store_away", error=str(error))
            return False

    async def _take_over(self) -> None:
        """Become the one that schedules: close what a dead daemon left, then make up for it."""
        try:
            stale = await self._runs.close_stale(DEAD_DAEMON)
            for name in self._lines:
                self._yard.history.load(name, await self._runs.recent(KEPT_PER_JOB, name))
        except STORE_TROUBLE as error:
            log.warning("scheduler.store_away", error=str(error))
            return
        self._leading = True
        now = self._clock.now()
        log.info("scheduler.leading", stale_runs=stale)
        for line in self._lines.values():
            self._catch_up(line, now)
        self._retry_all(now)
        self._last_look, self._yard.changed = now, True

    def _catch_up(self, line: Line, now: datetime) -> None:
        known = self._yard.history.of(line.name)
        due = due_at_start(line.trigger, known, now)
        if known or sort_due(due, line.policy, now).start:
            self._take(line, due, Cause.CATCH_UP, now)
        early = [run.scheduled_at for run in known if is_tick(run)]
        line.move_to(max([now, *early]))

    def _retry_all(self, now: datetime) -> None:
        """Runs that failed are tried again; then the ones that were skipped because of them."""
        for line in self._lines.values():
            self._retry(
                line,
                run_to_retry(self._yard.history.of(line.name), line.policy, self._settings.retries, now),
                now,
            )
        self._retry_followers(now)

    def _retry_followers(self, now: datetime) -> None:
        for line in self._lines.values():
            last = self._yard.history.last(line.name)
            if any(map(self._yard.is_busy, line.policy.after)) and last and last.outcome is Outcome.SKIPPED:
                self._retry(line, last, now)

    def _retry(self, line: Line, run: Run | None, now: datetime) -> None:
        free = line.name not in self._pauses.names and not self._yard.is_busy(line.name)
        if run is not None and free and line.policy.enabled:
            session = run.session or self._calendar.last_session_at(now)
            self._enqueue(line, Tick(with_fraction(now), session), Cause.RETRY)

    def _come_back(self, now: datetime) -> None:
        """Failed runs whose pause is over, and what was skipped because of them."""
        due = self._comebacks.take_due(now, timedelta(minutes=self._settings.retry_longest_min))
        for run in due:
            if run.job in self._lines:
                self._retry(self._lines[run.job], run, now)
        if due:
            self._retry_followers(now)

    def _step(self, now: datetime) -> None:
        """Everything that `now` asks for; nothing while nothing is due and nothing changed."""
        self._note_clock_step(now)
        if self._is_quiet(now):
            return
        for line in self._lines.values():
            if due := line.take_due(now):
                self._take(line, due, Cause.TICK, now)
        self._come_back(now)
        if self._yard.changed:
            self._yard.changed = False
            self._release(now)
        if self._yard.waiting:
            self._admit(now)
        for active in self._yard.active:
            if active.timeout_left_s(self._clock.monotonic_s()) <= 0:
                reason = f"timed out after {active.job.policy.timeout_s:.0f} s"
                active.cancel(Outcome.FAILED, reason, passing=True)
        self._quiet_until = min([quiet_until(self._lines, self._yard, now), *self._comebacks.instants()])

    def _is_quiet(self, now: datetime) -> bool:
        return self._leading and now < self._quiet_until and not self._yard.changed

    def _note_clock_step(self, now: datetime) -> None:
        """After a clock was set back, ticks come again: rows that exist keep them from running twice."""
        if self._last_look - now > BACKWARD_STEP:
            log.warning("clock.set_back", seconds=(self._last_look - now).total_seconds())
            for line in self._lines.values():
                line.move_to(now)
            self._yard.changed = True
        self._last_look = now

    def _nap_s(self, now: datetime) -> float:
        if not self._leading:
            return STANDBY_SLICE_S
        return slice_s(self._lines, self._yard, now, self._quiet_until, self._clock.monotonic_s())

    def _apply(self, jobs: Mapping[str, Job], settings: ScheduleSettings, now: datetime) -> None:
        self._settings = settings
        self._calendar = settings.calendar(self._built_in)
        cursors = {name: max(now, line.cursor) for name, line in self._lines.items()}
        self._lines = {
            name: Line.of(name, job, self._calendar, settings.time_zone, cursors.get(name, now))
            for name, job in jobs.items()
        }
        for name in {one.name for one in self._yard.waiting} - self._lines.keys():
            for waiting in self._yard.drop_waiting(name):
                self._dispatch.give_up(waiting, Outcome.CANCELLED, "the job is no longer configured")

    def _take(self, line: Line, ticks: list[Tick], cause: Cause, now: datetime) -> None:
        if line.name in self._pauses.names:
            for tick in ticks:
                self._dispatch.record(line.name, tick, Outcome.SKIPPED, "paused")
            return
        plan = sort_due(ticks, line.policy, now)
        for tick, reason in plan.missed:
            self._dispatch.record(line.name, tick, Outcome.MISSED, reason)
        for tick in plan.start:
            self._arrive(line, tick, cause, in_a_row=len(plan.start) > 1)

    def _arrive(self, line: Line, tick: Tick, cause: Cause, *, in_a_row: bool = False) -> None:
        """A tick that should run meets the run before it, if that is not finished."""
        if self._yard.knows(line.name, tick):
            return
        overlap = "queue" if in_a_row else line.policy.overlap
        if overlap == "skip" and self._yard.swallows(line.name, tick):
            self._dispatch.record(line.name, tick, Outcome.SKIPPED, "its run before was not finished")
            return
        if overlap == "replace":
            self._make_way(line, tick)
        self._enqueue(line, tick, cause)

    def _make_way(self, line: Line, tick: Tick) -> None:
        reason = f"replaced by the run of {tick.scheduled_at:%Y-%m-%d %H:%M} UTC"
        for waiting in self._yard.drop_waiting(line.name):
            self._dispatch.give_up(waiting, Outcome.CANCELLED, reason)
        if (active := self._yard.active_run(line.name)) is not None:
            active.cancel(Outcome.CANCELLED, reason)

    def _enqueue(self, line: Line, tick: Tick, cause: Cause, row: Run | None = None) -> None:
        now = self._clock.now()
        self._yard.waiting.append(Waiting(line.name, tick, cause, now, line.deadline(now), row))
        self._yard.changed = True

    def _release(self, now: datetime) -> None:
        """Start what runs after others ahead of its time, once those are done."""
        for line in self._lines.values():
            tick = self._yard.released(line, self._lines)
            if tick is not None:
                line.move_to(tick.scheduled_at)
                self._take(line, [tick], Cause.TICK, now)

    def _admit(self, now: datetime) -> None:
        heavy = self._yard.has_heavy_waiting(self._lines)
        pressure = pressure_reason(self._pressure(), self._settings) if heavy else None
        for waiting in self._yard.in_order(self._lines):
            decision = self._yard.judge(waiting, self._lines, pressure, now)
            waiting.waits_for = decision.reason
            if decision.verdict is Verdict.WAIT:
                continue
            self._yard.waiting.remove(waiting)
            if decision.verdict is Verdict.START:
                self._dispatch.begin(waiting, self._lines[waiting.name].job)
            else:
                self._dispatch.give_up(waiting, decision.outcome, decision.reason)

    def _note_comeback(self, active: Active, ended: Run) -> None:
        """A failure that may pass is tried again by itself; what fails by hand, its owner has seen."""
        if ended.outcome is Outcome.FAILED and active.waiting.cause is Cause.BY_HAND:
            return
        comeback = None
        if active.passing and self._leading and not self._stopping:
            runs = self._yard.history.of(active.name)
            comeback = comeback_of(ended, runs, active.job.policy, self._settings, self._calendar)
        self._comebacks.put(comeback, active.name)
