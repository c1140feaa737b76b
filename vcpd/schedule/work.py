"""A job as the scheduler knows it, and a run on its way: waiting, then active."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from vcpd.domain.runs import Outcome, Run, RunContext, RunResult
from vcpd.domain.sessions import TradingCalendar
from vcpd.schedule.plan import due_ticks
from vcpd.schedule.policies import JobPolicy
from vcpd.schedule.trigger import Tick, Trigger


@dataclass(frozen=True, slots=True)
class Job:
    """What to run under which policy. `live` jobs, started by hand, work on the running session.

    A `lasting` one goes on as long as its session does: the daemon's stop ends it without waiting.
    """

    policy: JobPolicy
    run: Callable[[RunContext], Awaitable[RunResult]]
    live: bool = False
    lasting: bool = False


class Cause(Enum):
    """Why a run is on its way."""

    TICK = "tick"
    CATCH_UP = "catch-up"
    RETRY = "retry"
    BY_HAND = "by hand"


@dataclass(slots=True, eq=False)
class Waiting:
    """A run that is due but has not begun. One by hand already has its row."""

    name: str
    tick: Tick
    cause: Cause
    since: datetime
    deadline: datetime
    row: Run | None = None
    waits_for: str = ""


@dataclass(slots=True, eq=False)
class Active:
    """A run that has been admitted. `ending` says why it is to end; only the job itself is ever
    interrupted (`performing`), never the writing of its row."""

    waiting: Waiting
    job: Job
    started_at: datetime
    started_s: float
    task: asyncio.Task[None] | None = None
    context: RunContext | None = None
    ending: tuple[Outcome, str] | None = None
    performing: bool = False
    passing: bool = False  # it failed, and may go well later
    told_s: float | None = None  # when it was first seen at work although told to end; the loop's time

    @property
    def name(self) -> str:
        return self.waiting.name

    def timeout_left_s(self, monotonic_s: float) -> float:
        return self.started_s + self.job.policy.timeout_s - monotonic_s

    def cancel(self, outcome: Outcome, reason: str, *, passing: bool = False) -> None:
        """End the run; the first reason stands. `passing`: it may go well later."""
        if self.ending is not None:
            return
        self.ending, self.passing = (outcome, reason), passing
        if self.performing and self.task is not None:
            self.task.cancel()


@dataclass(slots=True, eq=False)
class Line:
    """One job's place in time: every tick at or before `cursor` has been dealt with."""

    name: str
    job: Job
    trigger: Trigger
    cursor: datetime
    next_tick: Tick | None = field(init=False)

    def __post_init__(self) -> None:
        self.next_tick = self.trigger.next(self.cursor)

    @classmethod
    def of(cls, name: str, job: Job, calendar: TradingCalendar, time_zone: str, cursor: datetime) -> "Line":
        return cls(name, job, Trigger.of(job.policy, calendar, time_zone), cursor)

    @property
    def policy(self) -> JobPolicy:
        return self.job.policy

    def take_due(self, now: datetime) -> list[Tick]:
        """The ticks that have become due, ascending; they are dealt with from now on."""
        if self.next_tick is None or self.next_tick.scheduled_at > now:
            return []
        ticks = due_ticks(self.trigger, self.cursor, now)
        self.move_to(now)
        return ticks

    def move_to(self, cursor: datetime) -> None:
        self.cursor = cursor
        self.next_tick = self.trigger.next(cursor)

    def deadline(self, since: datetime) -> datetime:
        return since + timedelta(seconds=self.policy.start_deadline_s)
