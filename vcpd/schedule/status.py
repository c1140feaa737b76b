"""Scheduler status structs for /status and `vcpd jobs`."""

from collections.abc import Mapping
from datetime import date, datetime

import msgspec

from vcpd.domain.runs import Run
from vcpd.schedule.job import PendingRun, RunningRun, ScheduledJob
from vcpd.schedule.queue import RunQueue
from vcpd.schedule.retries import RetryTable


class RunningRunStatus(msgspec.Struct, frozen=True):
    """A run at work, and how far it is."""

    run_id: int | None  # None for the moment until its row is written
    session: date
    since: datetime
    done: int
    total: int
    note: str
    ending: str | None  # why it is being ended, while it is


class PendingRunStatus(msgspec.Struct, frozen=True):
    """A run that is due and waits."""

    scheduled_at: datetime
    session: date
    since: datetime
    waits_for: str
    until: datetime  # then it counts as missed
    cause: str


class JobStatus(msgspec.Struct, frozen=True):
    """One job: what it did, does and will do."""

    name: str
    schedule: str
    enabled: bool
    paused: bool
    heavy: bool
    next_at: datetime | None
    next_session: date | None
    last: Run | None
    last_duration_s: float | None
    misses: int  # among the latest runs
    running: RunningRunStatus | None
    waiting: tuple[PendingRunStatus, ...]
    retry_at: datetime | None = None  # when its last run, which failed, is tried again


class SchedulerStatus(msgspec.Struct, frozen=True):
    """All jobs, the next one first; `leading` is false while another daemon schedules.

    `clock_error` says why no job begins while the wall clock cannot be right.
    """

    leading: bool
    as_of: datetime
    jobs: tuple[JobStatus, ...]
    clock_error: str | None = None


def scheduler_status(  # noqa: PLR0913 - the scheduler hands in each part by name
    jobs: Mapping[str, ScheduledJob],
    queue: RunQueue,
    paused: frozenset[str],
    retries: RetryTable,
    *,
    leading: bool,
    now: datetime,
    clock_error: str | None = None,
) -> SchedulerStatus:
    """The status of every job at `now`."""
    statuses = [
        _job_status(scheduled, queue, scheduled.name in paused, retries.at(scheduled.name))
        for scheduled in jobs.values()
    ]
    statuses.sort(key=lambda job: (job.next_at is None, job.next_at, job.name))
    return SchedulerStatus(leading, now, tuple(statuses), clock_error)


def _job_status(
    scheduled: ScheduledJob, queue: RunQueue, paused: bool, retry_at: datetime | None
) -> JobStatus:
    last, running = queue.history.last(scheduled.name), queue.active_run(scheduled.name)
    tick = scheduled.next_tick
    return JobStatus(
        name=scheduled.name,
        schedule=scheduled.policy.schedule,
        enabled=scheduled.policy.enabled,
        paused=paused,
        heavy=scheduled.policy.heavy,
        next_at=tick.scheduled_at if tick else None,
        next_session=tick.session if tick else None,
        last=last,
        last_duration_s=_duration_s(last),
        misses=queue.history.missed_count(scheduled.name),
        running=_running_status(running) if running else None,
        waiting=tuple(_pending_status(run) for run in queue.pending if run.name == scheduled.name),
        retry_at=retry_at,
    )


def _duration_s(run: Run | None) -> float | None:
    if run is None or run.started_at is None or run.finished_at is None:
        return None
    return (run.finished_at - run.started_at).total_seconds()


def _running_status(running: RunningRun) -> RunningRunStatus:
    context = running.context
    progress = context.progress if context else None
    return RunningRunStatus(
        run_id=context.run_id if context else None,
        session=running.pending.tick.session,
        since=running.started_at,
        done=progress.done if progress else 0,
        total=progress.total if progress else 0,
        note=progress.text if progress else "",
        ending=running.cancel_request[1] if running.cancel_request else None,
    )


def _pending_status(pending: PendingRun) -> PendingRunStatus:
    return PendingRunStatus(
        scheduled_at=pending.tick.scheduled_at,
        session=pending.tick.session,
        since=pending.since,
        waits_for=pending.waits_for,
        until=pending.deadline,
        cause=pending.cause.value,
    )
