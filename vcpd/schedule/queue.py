"""Registry of pending and running runs; decides which may start and how long the scheduler may sleep."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum, auto
from typing import Final

from vcpd.core.errors import UnavailableError
from vcpd.domain.health import MachineLoad
from vcpd.domain.runs import SCHEDULE_CAUSES, Outcome, RunCause
from vcpd.schedule.job import PendingRun, RunningRun, ScheduledJob
from vcpd.schedule.policy import JobPolicy, ScheduleSettings
from vcpd.schedule.retries import EXPIRED_REASON, RunHistory
from vcpd.schedule.trigger import Tick

CANCEL_IGNORED_AFTER_S: Final = (
    240.0  # of real time; a statement that a dead connection holds ends in half of it
)
MAX_SLEEP_S: Final = 60.0
STANDBY_SLEEP_S: Final = 10.0
PENDING_SLEEP_S: Final = 5.0  # memory and load change without telling anybody
MIN_SLEEP_S: Final = 0.01
NEVER: Final = datetime.max.replace(tzinfo=UTC)


class AdmissionAction(Enum):
    START = auto()
    WAIT = auto()
    DROP = auto()


@dataclass(frozen=True, slots=True)
class AdmissionDecision:
    action: AdmissionAction
    reason: str = ""
    outcome: Outcome = Outcome.SKIPPED  # of a dropped run
    restarts_deadline: bool = False  # waiting for other runs is not held against it


@dataclass(frozen=True, slots=True)
class AdmissionContext:
    """What matters for one waiting run at one instant."""

    now: datetime
    deadline: datetime
    blocked_by: Sequence[str] = ()  # jobs in `after` or `not_during` that are pending or running
    failed_dependency: str | None = None  # why a job it comes after did not go well
    own_run_active: bool = False
    heavy_active: str | None = None
    overload: str | None = None


ADMIT = AdmissionDecision(AdmissionAction.START)


def decide_admission(policy: JobPolicy, context: AdmissionContext) -> AdmissionDecision:
    """The first rule that applies decides: dependencies, overlap, heavy work, load; then the deadline.

    A run that waits for the runs before it does not expire: those have their own deadlines and time limits.
    """
    decision = _check_dependencies(context) or _check_concurrency(policy, context) or ADMIT
    waits = decision.action is AdmissionAction.WAIT and not decision.restarts_deadline
    if waits and context.now > context.deadline:
        reason = f"{EXPIRED_REASON}{decision.reason}"
        return AdmissionDecision(AdmissionAction.DROP, reason, Outcome.MISSED)
    return decision


def _check_dependencies(context: AdmissionContext) -> AdmissionDecision | None:
    if context.blocked_by:
        reason = f"after {', '.join(context.blocked_by)}"
        return AdmissionDecision(AdmissionAction.WAIT, reason, restarts_deadline=True)
    if context.failed_dependency:
        return AdmissionDecision(AdmissionAction.DROP, context.failed_dependency)
    return None


def _check_concurrency(policy: JobPolicy, context: AdmissionContext) -> AdmissionDecision | None:
    if context.own_run_active:
        reason = "previous run still in progress"
        return AdmissionDecision(AdmissionAction.WAIT, reason, restarts_deadline=True)
    if not policy.heavy:
        if policy.during_heavy == "skip" and context.heavy_active:
            return AdmissionDecision(AdmissionAction.DROP, f"the heavy job {context.heavy_active} is running")
        return None
    if context.heavy_active:
        return AdmissionDecision(AdmissionAction.WAIT, f"the heavy job {context.heavy_active} is running")
    return AdmissionDecision(AdmissionAction.WAIT, context.overload) if context.overload else None


def overload_reason(pressure: MachineLoad, settings: ScheduleSettings, waited: timedelta) -> str | None:
    """Why nothing heavy that has `waited` should start, None where it may.

    Missing memory would end the daemon, so that wait lasts until the deadline. Processor time is shared: a
    load that other programs, or hostile clients, keep up delays a run but must not prevent it.
    """
    if pressure.memory_used_pct > settings.max_memory_pct:
        return f"memory {pressure.memory_used_pct:.0f} % used, limit {settings.max_memory_pct:.0f} %"
    is_loaded = pressure.cpu_load_per_core > settings.max_load_per_core
    if not is_loaded or waited >= timedelta(minutes=settings.max_load_wait_min):
        return None
    return (
        f"load {pressure.cpu_load_per_core:.1f} per core, limit {settings.max_load_per_core:.1f}; "
        f"at most {settings.max_load_wait_min:g} minutes"
    )


class RunQueue:
    """Waiting and active runs of all lines. Decides nothing about time: that is the scheduler's."""

    def __init__(self, history: RunHistory) -> None:
        self.history = history
        self.pending: list[PendingRun] = []
        self.running: list[RunningRun] = []
        self.changed = False  # since the scheduler last asked what that releases
        self._reserved: list[str] = []

    def is_busy(self, name: str) -> bool:
        """Whether a run of the job waits or is active, or its row is being written."""
        waits = name in self._reserved or any(run.name == name for run in self.pending)
        return waits or self.active_run(name) is not None

    @contextmanager
    def reserved(self, name: str) -> Iterator[None]:
        """While a row is written for a run that the user requested."""
        self._reserved.append(name)
        try:
            yield
        finally:
            self._reserved.remove(name)

    def check_cancellations(self) -> None:
        """Raises UnavailableError for a run that still runs long after its cancellation and blocks others."""
        now_s = asyncio.get_running_loop().time()
        for running in self.running:
            if running.cancel_request is None or not running.executing:
                continue
            running.cancel_noticed_s = now_s if running.cancel_noticed_s is None else running.cancel_noticed_s
            if now_s - running.cancel_noticed_s > CANCEL_IGNORED_AFTER_S:
                raise UnavailableError(
                    f"{running.name} ignores its cancellation ({running.cancel_request[1]}): restart vcpd"
                )

    def contains(self, name: str, tick: Tick) -> bool:
        """Whether the tick has a run, finished or not: after a clock was set back, ticks come again."""
        ticks = (run.tick for run in self._unfinished(name) if run.cause in SCHEDULE_CAUSES)
        return tick in ticks or self.history.contains(name, tick.scheduled_at)

    def coalesces(self, name: str, tick: Tick) -> bool:
        """Whether an unfinished run covers `tick` too; one that makes up for an older session does not."""
        made_up = (RunCause.CATCH_UP, RunCause.RETRY, RunCause.LOGIN)
        return any(
            run.cause not in made_up or run.tick.session >= tick.session for run in self._unfinished(name)
        )

    def running_heavy_job(self) -> str | None:
        """The name of the heavy job that runs now."""
        return next((run.name for run in self.running if run.job.policy.heavy), None)

    def active_run(self, name: str) -> RunningRun | None:
        return next((run for run in self.running if run.name == name), None)

    def by_priority(self, jobs: Mapping[str, ScheduledJob]) -> list[PendingRun]:
        """Pending runs in the order in which they should start."""
        known = (run for run in self.pending if run.name in jobs)
        return sorted(known, key=lambda run: (jobs[run.name].policy.priority, run.tick.scheduled_at))

    def has_heavy_pending(self, jobs: Mapping[str, ScheduledJob]) -> bool:
        return any(jobs[run.name].policy.heavy for run in self.pending if run.name in jobs)

    def evaluate(
        self, pending: PendingRun, jobs: Mapping[str, ScheduledJob], overload: str | None, now: datetime
    ) -> AdmissionDecision:
        """Whether `pending` may start at `now`; `overload` says why nothing heavy may."""
        policy = jobs[pending.name].policy
        by_hand = pending.cause is RunCause.MANUAL
        context = AdmissionContext(
            now=now,
            deadline=pending.deadline,
            blocked_by=() if by_hand else self._blocking_jobs(pending, jobs),
            failed_dependency=None if by_hand else self._failed_dependency(pending, jobs),
            own_run_active=self.active_run(pending.name) is not None,
            heavy_active=self.running_heavy_job(),
            overload=overload,
        )
        return decide_admission(policy, context)

    def next_early_tick(self, scheduled: ScheduledJob, jobs: Mapping[str, ScheduledJob]) -> Tick | None:
        """The job's next tick, if every job that it runs after is done for that session."""
        tick = scheduled.next_tick
        if tick is None or not scheduled.policy.after or any(map(self.is_busy, scheduled.policy.after)):
            return None
        awaited = list(_dependency_ticks(scheduled, jobs, tick.session, tick.scheduled_at))
        done = all(self.history.is_done(name, tick.session, since) for name, since in awaited)
        return tick if awaited and done else None

    def remove_pending(self, name: str) -> list[PendingRun]:
        dropped = [run for run in self.pending if run.name == name]
        self.pending = [run for run in self.pending if run.name != name]
        return dropped

    def follow_clock(self, now: datetime, jump: timedelta) -> None:
        """The wall clock jumped to `now`: the jump is not held against waiting runs, and a retry that was
        planned by the clock before gets its instant by this one."""
        for pending in self.pending:
            pending.deadline += jump
            pending.ready_since += jump
            if pending.row is None and pending.cause not in SCHEDULE_CAUSES:
                pending.tick = Tick(now, pending.tick.session)

    def fail_sessions_after(self, today: date, reason: str) -> None:
        """End active runs that work for a session after `today`: their clock was set back."""
        for running in self.running:
            if running.pending.tick.session > today:
                running.cancel(Outcome.FAILED, reason, passing=True)

    def cancel_all(self, reason: str) -> None:
        for running in self.running:
            running.cancel(Outcome.CANCELLED, reason)

    def cancel_session_long(self, reason: str) -> None:
        """Cancel runs that would go on as long as their session does."""
        for running in self.running:
            if running.job.ends_with_session:
                running.cancel(Outcome.CANCELLED, reason)

    def _unfinished(self, name: str) -> list[PendingRun]:
        everyone = (*self.pending, *(run.pending for run in self.running))
        return [run for run in everyone if run.name == name]

    def _blocking_jobs(self, pending: PendingRun, jobs: Mapping[str, ScheduledJob]) -> tuple[str, ...]:
        policy = jobs[pending.name].policy
        return tuple(name for name in (*policy.after, *policy.not_during) if self.is_busy(name))

    def _failed_dependency(self, pending: PendingRun, jobs: Mapping[str, ScheduledJob]) -> str | None:
        session, until = pending.tick.session, pending.tick.scheduled_at
        for name, since in _dependency_ticks(jobs[pending.name], jobs, session, until):
            if failure := self.history.failure_reason(name, session, since):
                return failure
        return None


def _dependency_ticks(
    scheduled: ScheduledJob, jobs: Mapping[str, ScheduledJob], session: date, until: datetime
) -> Iterator[tuple[str, datetime]]:
    """The jobs that `scheduled` runs after, with their last tick for the session up to `until`."""
    for name in scheduled.policy.after:
        tick = jobs[name].trigger.last_for_session(session, until) if name in jobs else None
        if tick is not None:
            yield name, tick.scheduled_at


def next_wakeup(jobs: Mapping[str, ScheduledJob], queue: RunQueue, now: datetime) -> datetime:
    """The next tick; `now` itself while runs are on their way."""
    if queue.pending or queue.running:
        return now
    return min(
        (scheduled.next_tick.scheduled_at for scheduled in jobs.values() if scheduled.next_tick),
        default=NEVER,
    )


def sleep_seconds(
    jobs: Mapping[str, ScheduledJob], queue: RunQueue, now: datetime, until: datetime, monotonic_s: float
) -> float:
    """The seconds to sleep; nothing is due before `until`."""
    if until > now:
        return min(MAX_SLEEP_S, (until - now).total_seconds())
    return _busy_sleep_seconds(jobs, queue, now, monotonic_s)


def _busy_sleep_seconds(
    jobs: Mapping[str, ScheduledJob], queue: RunQueue, now: datetime, monotonic_s: float
) -> float:
    """While runs wait or work, their deadlines and timeouts count too."""
    due = [scheduled.next_tick.scheduled_at for scheduled in jobs.values() if scheduled.next_tick]
    due += [run.deadline for run in queue.pending]
    waits_s = [(instant - now).total_seconds() for instant in due]
    waits_s += [run.timeout_left_s(monotonic_s) for run in queue.running if run.cancel_request is None]
    longest_s = PENDING_SLEEP_S if queue.pending else MAX_SLEEP_S
    return max(MIN_SLEEP_S, min([longest_s, *waits_s]))
