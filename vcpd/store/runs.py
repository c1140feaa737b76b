"""Job runs in PostgreSQL: one row a run, at most one for each (job, instant) of the schedule."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final

import asyncpg
import msgspec

from vcpd.domain.runs import SCHEDULE_CAUSES, Outcome, Run, RunCause
from vcpd.ports import Clock
from vcpd.store.database import Database
from vcpd.store.sql_files import named_queries

SQL: Final = named_queries("runs")


class PostgresRunStore:
    """`RunStore`, see ports."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def begin(
        self, job: str, scheduled_at: datetime, session: date | None, cause: RunCause
    ) -> Run | None:
        """See ports."""
        now = self._clock.now()
        rows = await self._database.fetch(
            _insertion(cause), job, scheduled_at, session, now, None, cause.value, None, ""
        )
        return _run_from_row(rows[0]) if rows else None

    async def finish(
        self, run_id: int, outcome: Outcome, reason: str = "", counts: Mapping[str, int] | None = None
    ) -> None:
        """See ports. A run that has its outcome keeps it."""
        numbers = msgspec.json.encode(dict(counts or {})).decode()
        await self._database.execute(SQL["finish"], run_id, outcome.value, reason, numbers, self._clock.now())

    async def record(  # noqa: PLR0913 - see ports
        self,
        job: str,
        scheduled_at: datetime,
        session: date | None,
        outcome: Outcome,
        reason: str,
        *,
        cause: RunCause,
    ) -> None:
        """See ports."""
        ended = (self._clock.now(), cause.value, outcome.value, reason)
        await self._database.execute(_insertion(cause), job, scheduled_at, session, None, *ended)

    async def close_stale(self, reason: str) -> int:
        return await self._database.execute(SQL["close_stale"], reason, self._clock.now())

    async def latest(self) -> Mapping[str, Run]:
        return {row["job"]: _run_from_row(row) for row in await self._database.fetch(SQL["latest"])}

    async def recent(self, limit: int, job: str | None = None) -> Sequence[Run]:
        return [_run_from_row(row) for row in await self._database.fetch(SQL["recent"], limit, job)]

    async def paused(self) -> frozenset[str]:
        return frozenset(row["job"] for row in await self._database.fetch(SQL["paused"]))

    async def set_paused(self, job: str, *, paused: bool) -> None:
        await self._database.execute(SQL["pause" if paused else "resume"], job)

    async def delete_before(self, instant: datetime) -> int:
        """Delete ended runs that were due before `instant`; gives their number."""
        return await self._database.execute(SQL["delete_before"], instant)


def _insertion(cause: RunCause) -> str:
    """The statement that adds a run; one that the schedule did not cause gets an instant of its own."""
    return SQL["add_scheduled" if cause in SCHEDULE_CAUSES else "add_unscheduled"]


def _run_from_row(row: asyncpg.Record) -> Run:
    return Run(
        row["id"],
        row["job"],
        row["scheduled_at"],
        row["session"],
        row["started_at"],
        row["finished_at"],
        Outcome(row["outcome"]) if row["outcome"] is not None else None,
        row["reason"],
        msgspec.json.decode(row["counts"], type=dict[str, int]),
        RunCause(row["cause"]),
    )
