"""Job runs: outcome, counts and progress."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final

import msgspec


class Outcome(StrEnum):
    """How a run ended. A run without one is under way."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    MISSED = "missed"
    CANCELLED = "cancelled"


class RunCause(StrEnum):
    """Why a run exists. A cause that only a newer release knows reads as `unscheduled`."""

    TICK = "tick"  # the schedule, on time
    CATCH_UP = "catch_up"  # a tick that passed while the scheduler did not run
    RETRY = "retry"  # the run before failed for a passing reason, or was cut short
    LOGIN = "login"  # tried again after a login
    MANUAL = "manual"  # asked for through the command line or the page
    INTERRUPTION = "interruption"  # a part that a running run left out, on a row of its own
    SCHEDULED = "scheduled"  # of version 0.1.0: tick or catch_up, it did not record which
    UNSCHEDULED = "unscheduled"  # of version 0.1.0: manual, retry or login, it did not record which

    @classmethod
    def _missing_(cls, _value: object) -> "RunCause":
        return cls.UNSCHEDULED


SCHEDULE_CAUSES: Final = frozenset({RunCause.TICK, RunCause.CATCH_UP, RunCause.SCHEDULED})


class Run(msgspec.Struct, frozen=True):
    """One run of one job. Instants are aware UTC datetimes.

    Runs that the schedule caused are unique on (job, scheduled_at); others only on their id.
    """

    id: int
    job: str
    scheduled_at: datetime
    session: date | None  # the trading session the run works for
    started_at: datetime | None = None
    finished_at: datetime | None = None
    outcome: Outcome | None = None
    reason: str = ""
    counts: Mapping[str, int] = {}
    cause: RunCause = RunCause.TICK

    @property
    def is_scheduled(self) -> bool:
        """Whether the schedule started the run, which is then the run of its tick."""
        return self.cause in SCHEDULE_CAUSES


class RunResult(msgspec.Struct, frozen=True):
    """The result of a job: counts by name, and a reason where it did nothing."""

    counts: Mapping[str, int] = {}
    outcome: Outcome = Outcome.DONE
    reason: str = ""
    retryable: bool = False  # failed or skipped for a reason that may pass by itself: tried again later


@dataclass(slots=True)
class ClusterChanges:
    """The workers of a cluster that compute for a run, and what happened to them since it began."""

    workers: int = 0
    died: int = 0
    stopped: int = 0  # in an orderly way
    joined: int = 0
    scheduler_losses: int = 0
    is_local: bool = False  # the cluster cannot be used: local workers compute instead

    @property
    def text(self) -> str:
        """Such as `2 Dask workers, 1 died, 1 joined`; what did not happen is left out."""
        if self.is_local:
            here = "local workers instead of Dask"
        else:
            here = f"{self.workers} Dask worker{'' if self.workers == 1 else 's'}"
        counts = ((self.died, "died"), (self.stopped, "stopped"), (self.joined, "joined"))
        happened = [f"{count} {what}" for count, what in counts if count]
        if self.scheduler_losses:
            happened.append(f"scheduler lost {self.scheduler_losses} x")
        return ", ".join([here, *happened])


class Progress:
    """The progress of a running job; written by the job, read by /status."""

    __slots__ = ("cluster", "done", "note", "total")

    def __init__(self) -> None:
        self.done = 0
        self.total = 0
        self.note = ""
        self.cluster: ClusterChanges | None = None  # set by workers on a cluster, kept to the end of the run

    @property
    def text(self) -> str:
        """The note and, where a cluster computes, its workers."""
        return ", ".join(filter(None, (self.note, self.cluster.text if self.cluster else "")))

    def begin(self, total: int, note: str) -> None:
        self.done, self.total, self.note = 0, total, note

    def advance(self, count: int = 1) -> None:
        self.done += count


class RunContext:
    """Context of a run: its session, its start, its progress."""

    __slots__ = ("job", "progress", "run_id", "running_heavy_job", "scheduled_at", "session")

    def __init__(
        self,
        run_id: int,
        job: str,
        scheduled_at: datetime,
        session: date,
        running_heavy_job: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`running_heavy_job` gives the name of the heavy job that runs now, None while none does."""
        self.running_heavy_job = running_heavy_job
        self.run_id = run_id
        self.job = job
        self.scheduled_at = scheduled_at
        self.session = session
        self.progress = Progress()
