"""A run table in memory, jobs that take their time, and a daemon that can be killed."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Self

from tests.fakes.runs import FakeRunStore, RunTable
from tests.schedule.virtual_time import LoopClock
from vcpd.domain.health import MachineLoad
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.runs import RunContext, RunResult
from vcpd.schedule.job import Job
from vcpd.schedule.policy import JobPolicy, ScheduleSettings
from vcpd.schedule.scheduler import Scheduler


@dataclass
class Work:
    """What jobs do in a test: how long each takes, how it ends, and who was at work when."""

    clock: LoopClock
    takes_s: dict[str, float] = field(default_factory=dict)
    raises: dict[str, Exception] = field(default_factory=dict)
    returns: dict[str, Any] = field(default_factory=dict)
    heavy: frozenset[str] = frozenset()
    scheduler_status: list[str] = field(default_factory=list)
    log: list[tuple[str, datetime, date]] = field(default_factory=list)

    async def __call__(self, context: RunContext) -> RunResult:
        assert context.job not in self.scheduler_status, "a job overlaps itself"
        assert not (context.job in self.heavy and self.heavy & set(self.scheduler_status)), (
            "heavy jobs overlap"
        )
        self.scheduler_status.append(context.job)
        self.log.append((context.job, self.clock.now(), context.session))
        try:
            await asyncio.sleep(self.takes_s.get(context.job, 5.0))
            if error := self.raises.get(context.job):
                raise error
        finally:
            self.scheduler_status.remove(context.job)
        result: RunResult = self.returns.get(context.job, RunResult({"rows": 1}))
        return result

    def order(self) -> list[str]:
        return [job for job, _, _ in self.log]


class Daemon:
    """A scheduler with everything it needs, on one run table; several share one table."""

    def __init__(
        self,
        clock: LoopClock,
        table: RunTable,
        policies: Mapping[str, JobPolicy],
        settings: ScheduleSettings | None = None,
        *,
        newest_bar: date | None = None,
    ) -> None:
        self.clock = clock
        self.newest_bar = newest_bar
        self.runs = FakeRunStore(clock, table)
        heavy = frozenset(name for name, policy in policies.items() if policy.heavy)
        self.work = Work(clock, heavy=heavy)
        self.pressure = MachineLoad()
        self.may_lead = True
        self.scheduler = Scheduler(
            self.jobs(policies),
            self.runs,
            clock,
            NSE,
            settings or ScheduleSettings(),
            pressure=lambda: self.pressure,
            lead=self._lead,
            earliest_date=self._earliest_date,
        )

    def jobs(self, policies: Mapping[str, JobPolicy]) -> dict[str, Job]:
        return {
            name: Job(policy, self.work, live=name == "screen_intraday") for name, policy in policies.items()
        }

    def start(self) -> Self:
        self.scheduler.start()
        return self

    async def stop(self, deadline_s: float = 600.0) -> None:
        await self.scheduler.stop(deadline_s)

    async def kill(self) -> None:
        """What kill -9 leaves behind: nothing more is written, nothing more runs."""
        self.runs.dead = True
        tasks = [task for task in (self.scheduler.task, *self.scheduler._tasks.pending) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _lead(self) -> bool:
        return self.may_lead

    async def _earliest_date(self) -> date | None:
        return self.newest_bar
