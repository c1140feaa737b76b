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
from vcpd.schedule.run_history import EXPIRED_REASON, RunHistory
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


def decide_admission(policy: JobPolicy, around: AdmissionContext) -> AdmissionDecision:
    """The first rule that speaks decides: order, overlap, heavy work, pressure; then the deadline.

    A run that waits for the runs before it does not expire: those have their own deadlines and time limits.
    """
    decision = _check_dependencies(around) or _check_concurrency(policy, around) or ADMIT
    waits = decision.action is AdmissionAction.WAIT and not decision.restarts_deadline
    if waits and around.now > around.deadline:
        reason = f"{EXPIRED_REASON}{decision.reason}"
        return AdmissionDecision(AdmissionAction.DROP, reason, Outcome.MISSED)
    return decision


def _check_dependencies(around: AdmissionContext) -> AdmissionDecision | None:
    if around.blocked_by:
        reason = f"after {', '.join(around.blocked_by)}"
        return AdmissionDecision(AdmissionAction.WAIT, reason, restarts_deadline=True)
    if around.failed_dependency:
        return AdmissionDecision(AdmissionAction.DROP, around.failed_dependency)
    return None


def _check_concurrency(policy: JobPolicy, around: AdmissionContext) -> AdmissionDecision | None:
    if around.own_run_active:
        reason = "its run before is not finished"
        return AdmissionDecision(AdmissionAction.WAIT, reason, restarts_deadline=True)
    if not policy.heavy:
        if policy.during_heavy == "skip" and around.heavy_active:
            return AdmissionDecision(AdmissionAction.DROP, f"the heavy job {around.heavy_active} is running")
        return None
    if around.heavy_active:
        return AdmissionDecision(AdmissionAction.WAIT, f"the heavy job {around.heavy_active} is running")
    return AdmissionDecision(AdmissionAction.WAIT, around.overload) if around.overload else None


def overload_reason(pressure: MachineLoad, settings: ScheduleSettings) -> str | None:
    """Why nothing heavy should start, None where the machine has capacity."""
    if pressure.memory_used_pct > settings.max_memory_pct:
        return f"memory {pressure.memory_used_pct:.0f} % used, mark {settings.max_memory_pct:.0f} %"
    if pressure.cpu_load_per_core > settings.max_load_per_core:
        return f"load {pressure.cpu_load_per_core:.1f} per core, mark {settings.max_load_per_core:.1f}"
    return None


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
        waits = name in self._reserved or any(one.name == name for one in self.pending)
        return waits or self.active_run(name) is not None

    @contextmanager
    def reserved(self, name: str) -> Iterator[None]:
        """While a row is written for a run that an owner asked for."""
        self._reserved.append(name)
        try:
            yield
        finally:
            self._reserved.remove(name)

    def check_cancellations(self) -> None:
        """Raises UnavailableError for a run that still runs long after its cancellation and blocks others."""
        now_s = asyncio.get_running_loop().time()
        for active in self.running:
            if active.cancel_request is None or not active.executing:
                continue
            active.cancel_noticed_s = now_s if active.cancel_noticed_s is None else active.cancel_noticed_s
            if now_s - active.cancel_noticed_s > CANCEL_IGNORED_AFTER_S:
                raise UnavailableError(
                    f"{active.name} ignores its cancellation ({active.cancel_request[1]}): restart vcpd"
                )

    def contains(self, name: str, tick: Tick) -> bool:
        """Whether this very tick has had its run, or has one on its way: clocks may be set back."""
        ticks = (run.tick for run in self._unfinished(name) if run.cause in SCHEDULE_CAUSES)
        return tick in ticks or self.history.contains(name, tick.scheduled_at)

    def coalesces(self, name: str, tick: Tick) -> bool:
        """Whether the run on its way stands for `tick` too: making up for an older session does not."""
        made_up = (RunCause.CATCH_UP, RunCause.RETRY, RunCause.LOGIN)
        return any(
            one.cause not in made_up or one.tick.session >= tick.session for one in self._unfinished(name)
        )

    def running_heavy_job(self) -> str | None:
        """The name of the heavy job that runs now."""
        return next((run.name for run in self.running if run.job.policy.heavy), None)

    def active_run(self, name: str) -> RunningRun | None:
        return next((one for one in self.running if one.name == name), None)

    def by_priority(self, lines: Mapping[str, ScheduledJob]) -> list[PendingRun]:
        """Waiting runs, the one that should go first first."""
        known = (one for one in self.pending if one.name in lines)
        return sorted(known, key=lambda one: (lines[one.name].policy.priority, one.tick.scheduled_at))

    def has_heavy_pending(self, lines: Mapping[str, ScheduledJob]) -> bool:
        return any(lines[one.name].policy.heavy for one in self.pending if one.name in lines)

    def evaluate(
        self, waiting: PendingRun, lines: Mapping[str, ScheduledJob], pressure: str | None, now: datetime
    ) -> AdmissionDecision:
        """Whether `waiting` may start at `now`."""
        policy = lines[waiting.name].policy
        by_hand = waiting.cause is RunCause.MANUAL
        around = AdmissionContext(
            now=now,
            deadline=waiting.deadline,
            blocked_by=() if by_hand else self._blocking_jobs(waiting, lines),
            failed_dependency=None if by_hand else self._failed_dependency(waiting, lines),
            own_run_active=self.active_run(waiting.name) is not None,
            heavy_active=self.running_heavy_job(),
            overload=pressure,
        )
        return decide_admission(policy, around)

    def next_early_tick(self, line: ScheduledJob, lines: Mapping[str, ScheduledJob]) -> Tick | None:
        """The line's coming tick, when all that it runs after is done for that session."""
        tick = line.next_tick
        if tick is None or not line.policy.after or any(map(self.is_busy, line.policy.after)):
            return None
        awaited = list(_dependency_ticks(line, lines, tick.session, tick.scheduled_at))
        done = all(self.history.is_done(name, tick.session, since) for name, since in awaited)
        return tick if awaited and done else None

    def remove_pending(self, name: str) -> list[PendingRun]:
        dropped = [one for one in self.pending if one.name == name]
        self.pending = [one for one in self.pending if one.name != name]
        return dropped

    def follow_clock(self, now: datetime, jump: timedelta) -> None:
        """The wall clock jumped to `now`: the jump is not held against waiting runs, and a retry that was
        planned by the clock before gets its instant by this one."""
        for waiting in self.pending:
            waiting.deadline += jump
            if waiting.row is None and waiting.cause not in SCHEDULE_CAUSES:
                waiting.tick = Tick(now, waiting.tick.session)

    def fail_sessions_after(self, today: date, reason: str) -> None:
        """End active runs that work for a session after `today`: their clock was set back."""
        for active in self.running:
            if active.pending.tick.session > today:
                active.cancel(Outcome.FAILED, reason, passing=True)

    def cancel_all(self, reason: str) -> None:
        for active in self.running:
            active.cancel(Outcome.CANCELLED, reason)

    def cancel_session_long(self, reason: str) -> None:
        """End what would go on as long as its session does."""
        for active in self.running:
            if active.job.ends_with_session:
                active.cancel(Outcome.CANCELLED, reason)

    def _unfinished(self, name: str) -> list[PendingRun]:
        everyone = (*self.pending, *(one.pending for one in self.running))
        return [one for one in everyone if one.name == name]

    def _blocking_jobs(self, waiting: PendingRun, lines: Mapping[str, ScheduledJob]) -> tuple[str, ...]:
        policy = lines[waiting.name].policy
        return tuple(name for name in (*policy.after, *policy.not_during) if self.is_busy(name))

    def _failed_dependency(self, waiting: PendingRun, lines: Mapping[str, ScheduledJob]) -> str | None:
        session, until = waiting.tick.session, waiting.tick.scheduled_at
        for name, since in _dependency_ticks(lines[waiting.name], lines, session, until):
            if trouble := self.history.failure_reason(name, session, since):
                return trouble
        return None


def _dependency_ticks(
    line: ScheduledJob, lines: Mapping[str, ScheduledJob], session: date, until: datetime
) -> Iterator[tuple[str, datetime]]:
    """The jobs that `line` runs after, with their last tick for the session up to `until`."""
    for name in line.policy.after:
        tick = lines[name].trigger.last_for_session(session, until) if name in lines else None
        if tick is not None:
            yield name, tick.scheduled_at


def next_wakeup(lines: Mapping[str, ScheduledJob], queue: RunQueue, now: datetime) -> datetime:
    """The next tick; `now` itself while runs are on their way."""
    if queue.pending or queue.running:
        return now
    return min((line.next_tick.scheduled_at for line in lines.values() if line.next_tick), default=NEVER)


def sleep_seconds(
    lines: Mapping[str, ScheduledJob], queue: RunQueue, now: datetime, until: datetime, monotonic_s: float
) -> float:
    """A look away; nothing is on its way before `until`."""
    if until > now:
        return min(MAX_SLEEP_S, (until - now).total_seconds())
    return _busy_sleep_seconds(lines, queue, now, monotonic_s)


def _busy_sleep_seconds(
    lines: Mapping[str, ScheduledJob], queue: RunQueue, now: datetime, monotonic_s: float
) -> float:
    """While runs wait or work, their deadlines and timeouts count too."""
    due = [line.next_tick.scheduled_at for line in lines.values() if line.next_tick]
    due += [one.deadline for one in queue.pending]
    waits_s = [(instant - now).total_seconds() for instant in due]
    waits_s += [one.timeout_left_s(monotonic_s) for one in queue.running if one.cancel_request is None]
    longest_s = PENDING_SLEEP_S if queue.pending else MAX_SLEEP_S
    return max(MIN_SLEEP_S, min([longest_s, *waits_s]))
