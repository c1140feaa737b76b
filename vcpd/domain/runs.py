"""Job runs: outcome, counts and progress."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum

import msgspec


class Outcome(StrEnum):
    """How a run ended. A run without one is under way."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    MISSED = "missed"
    CANCELLED = "cancelled"


class Run(msgspec.Struct, frozen=True):
    """One run of one job, unique on (job, scheduled_at). Instants are aware UTC datetimes."""

    id: int
    job: str
    scheduled_at: datetime
    session: date | None  # the trading session the run works for
    started_at: datetime | None = None
    finished_at: datetime | None = None
    outcome: Outcome | None = None
    reason: str = ""
    counts: Mapping[str, int] = {}


class RunResult(msgspec.Struct, frozen=True):
    """What a job gives back: how many of what, and a reason where it chose to do nothing."""

    counts: Mapping[str, int] = {}
    outcome: Outcome = Outcome.DONE
    reason: str = ""
    retryable: bool = False  # a failure that may pass by itself: worth another try later


class Progress:
    """A number the owner may look at while a run works; written by the job, read by /status."""

    __slots__ = ("done", "note", "total")

    def __init__(self) -> None:
        self.done = 0
        self.total = 0
        self.note = ""

    def begin(self, total: int, note: str) -> None:
        self.done, self.total, self.note = 0, total, note

    def advance(self, count: int = 1) -> None:
        self.done += count


class RunContext:
    """What a job is told about the run it is: which session, since when, where to show progress."""

    __slots__ = ("job", "progress", "run_id", "scheduled_at", "session")

    def __init__(self, run_id: int, job: str, scheduled_at: datetime, session: date) -> None:
        self.run_id = run_id
        self.job = job
        self.scheduled_at = scheduled_at
        self.session = session
        self.progress = Progress()
