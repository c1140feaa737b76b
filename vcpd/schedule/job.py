"""Job definition, its schedule state, and its pending and running runs."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.runs import Outcome, Run, RunCause, RunContext, RunResult
from vcpd.schedule.policy import JobPolicy
from vcpd.schedule.retries import due_ticks
from vcpd.schedule.trigger import Tick, Trigger


@dataclass(frozen=True, slots=True)
class Job:
    """What to run under which policy. `live` jobs, started by hand, work on the running session.

    A `lasting` one goes on as long as its session does: the daemon's stop ends it without waiting.
    """

    policy: JobPolicy
    run: Callable[[RunContext], Awaitable[RunResult]]
    live: bool = False
    ends_with_session: bool = False


@dataclass(slots=True, eq=False)
class PendingRun:
    """A run that is due but has not begun. One by hand already has its row.

    It is ready since it waits for no other run any more.
    """

    name: str
    tick: Tick
    cause: RunCause
    since: datetime
    deadline: datetime
    ready_since: datetime
    row: Run | None = None
    waits_for: str = ""


@dataclass(slots=True, eq=False)
class RunningRun:
    """A run that has been admitted. `ending` says why it is to end; only the job itself is ever
    interrupted (`performing`), never the writing of its row."""

    pending: PendingRun
    job: Job
    started_at: datetime
    started_s: float
    task: asyncio.Task[None] | None = None
    context: RunContext | None = None
    cancel_request: tuple[Outcome, str] | None = None
    executing: bool = False
    transient: bool = False  # it failed, and may go well later
    cancel_noticed_s: float | None = (
        None  # when it was first seen at work although cancelled; the loop's time
    )

    @property
    def name(self) -> str:
        return self.pending.name

    def timeout_left_s(self, monotonic_s: float) -> float:
        return self.started_s + self.job.policy.timeout_s - monotonic_s

    def cancel(self, outcome: Outcome, reason: str, *, passing: bool = False) -> None:
        """End the run; the first reason stands. `passing`: it may go well later."""
        if self.cancel_request is not None:
            return
        self.cancel_request, self.transient = (outcome, reason), passing
        if self.executing and self.task is not None:
            self.task.cancel()


@dataclass(slots=True, eq=False)
class ScheduledJob:
    """One job's place in time: every tick at or before `cursor` has been dealt with."""

    name: str
    job: Job
    trigger: Trigger
    cursor: datetime
    next_tick: Tick | None = field(init=False)

    def __post_init__(self) -> None:
        self.next_tick = self.trigger.next(self.cursor)

    @classmethod
    def of(
        cls, name: str, job: Job, calendar: TradingCalendar, time_zone: str | None, cursor: datetime
    ) -> "ScheduledJob":
        return cls(name, job, Trigger.of(job.policy, calendar, time_zone), cursor)

    @property
    def policy(self) -> JobPolicy:
        return self.job.policy

    def pop_due(self, now: datetime) -> list[Tick]:
        """The ticks that have become due, ascending; they are dealt with from now on."""
        if self.next_tick is None or self.next_tick.scheduled_at > now:
            return []
        ticks = due_ticks(self.trigger, self.cursor, now)
        self.advance_to(now)
        return ticks

    def advance_to(self, cursor: datetime) -> None:
        self.cursor = cursor
        self.next_tick = self.trigger.next(cursor)

    def deadline(self, since: datetime) -> datetime:
        return since + timedelta(seconds=self.policy.start_deadline_s)
