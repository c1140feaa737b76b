"""The run store in memory: rows as the database keeps them, which several daemons may share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import msgspec

from tests.fakes.collection import KilledError
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.runs import SCHEDULE_CAUSES, Outcome, Run, RunCause
from vcpd.ports import Clock
from vcpd.schedule.policy import JobPolicy
from vcpd.schedule.trigger import Trigger


@dataclass
class RunTable:
    """What a database would keep: rows unique on (job, scheduled_at), and the paused jobs."""

    rows: dict[tuple[str, datetime], Run] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    keys: dict[int, tuple[str, datetime]] = field(default_factory=dict)  # of the rows that were begun, by id

    def of(self, job: str) -> list[Run]:
        """The job's rows, oldest first."""
        return sorted((run for run in self.rows.values() if run.job == job), key=lambda run: run.scheduled_at)

    def settle(self, policies: Mapping[str, JobPolicy], now: datetime) -> None:
        """As if every job had run well at its latest tick before `now`."""
        for name, policy in policies.items():
            tick = Trigger.of(policy, NSE, NSE.time_zone).latest(now)
            if tick is not None:
                at = tick.scheduled_at
                row = Run(len(self.rows) + 1, name, at, tick.session, at, at, Outcome.DONE)
                self.rows[name, at] = row

    def outcomes(self, job: str) -> list[tuple[str, str]]:
        """(local time of the tick, outcome) of each row."""
        return [
            (f"{run.scheduled_at.astimezone(NSE.zone):%m-%d %H:%M}", str(run.outcome)) for run in self.of(job)
        ]


class FakeRunStore:
    """One daemon's connection to a run table; implements the RunStore port."""

    def __init__(self, clock: Clock, table: RunTable | None = None) -> None:
        self.table = table or RunTable()
        self.clock = clock
        self.dead = False
        self.away: Exception | None = None

    def _check(self) -> None:
        if self.dead:
            raise KilledError
        if self.away is not None:
            raise self.away

    async def begin(
        self, job: str, scheduled_at: datetime, session: date | None, cause: RunCause
    ) -> Run | None:
        self._check()
        if cause not in SCHEDULE_CAUSES:
            scheduled_at = self._free_instant(job, scheduled_at)
        if (job, scheduled_at) in self.table.rows:
            return None
        run = Run(len(self.table.rows) + 1, job, scheduled_at, session, self.clock.now(), cause=cause)
        self.table.rows[job, scheduled_at] = run
        self.table.keys[run.id] = job, scheduled_at
        return run

    def _free_instant(self, job: str, instant: datetime) -> datetime:
        while (job, instant) in self.table.rows or not instant.microsecond:
            instant += timedelta(microseconds=1)
        return instant

    async def finish(
        self, run_id: int, outcome: Outcome, reason: str = "", counts: Mapping[str, int] | None = None
    ) -> None:
        self._check()
        key = self.table.keys[run_id]
        run = self.table.rows[key]
        if run.outcome is not None:
            return
        self.table.rows[key] = msgspec.structs.replace(
            run, outcome=outcome, reason=reason, counts=counts or {}, finished_at=self.clock.now()
        )

    async def record(
        self,
        job: str,
        scheduled_at: datetime,
        session: date | None,
        outcome: Outcome,
        reason: str,
        *,
        cause: RunCause,
    ) -> None:
        self._check()
        number, now = len(self.table.rows) + 1, self.clock.now()
        if cause not in SCHEDULE_CAUSES:
            scheduled_at = self._free_instant(job, scheduled_at)
        run = Run(number, job, scheduled_at, session, None, now, outcome, reason, cause=cause)
        self.table.rows.setdefault((job, scheduled_at), run)

    async def close_stale(self, reason: str) -> int:
        self._check()
        stale = [run for run in self.table.rows.values() if run.outcome is None]
        for run in stale:
            await self.finish(run.id, Outcome.FAILED, reason)
        return len(stale)

    async def latest(self) -> Mapping[str, Run]:
        self._check()
        return {run.job: run for run in sorted(self.table.rows.values(), key=lambda run: run.scheduled_at)}

    async def recent(self, limit: int, job: str | None = None) -> Sequence[Run]:
        self._check()
        rows = [run for run in self.table.rows.values() if job in (None, run.job)]
        return sorted(rows, key=lambda run: run.scheduled_at, reverse=True)[:limit]

    async def paused(self) -> frozenset[str]:
        self._check()
        return frozenset(self.table.paused)

    async def set_paused(self, job: str, *, paused: bool) -> None:
        self._check()
        (self.table.paused.add if paused else self.table.paused.discard)(job)

    async def delete_before(self, instant: datetime) -> int:
        self._check()
        old = [key for key, run in self.table.rows.items() if run.scheduled_at < instant and run.outcome]
        for key in old:
            del self.table.rows[key]
        return len(old)
