"""Latest runs of each job, kept in memory beside the run table."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Final

from vcpd.domain.runs import Outcome, Run

RUNS_KEPT_PER_JOB: Final = 64
INTERRUPTED_REASON: Final = "the daemon died during this run"  # what the rows say that it left open
EXPIRED_REASON: Final = "waited too long: "  # how the reason of a run begins that could not start in time
CRASH_REASON: Final = "internal error: "  # how the reason of a run begins that raised what no job should


class RunHistory:
    """Runs by job, oldest first; written by the scheduler as they end, filled from the table at start."""

    def __init__(self) -> None:
        self._runs: dict[str, list[Run]] = {}

    def load(self, job: str, runs: Iterable[Run]) -> None:
        self._runs[job] = sorted(runs, key=lambda run: run.scheduled_at)[-RUNS_KEPT_PER_JOB:]

    def add(self, run: Run) -> None:
        """Keep `run`, in place of what was known of the same run or tick."""
        others = [known for known in self.of(run.job) if not _is_same(known, run)]
        self.load(run.job, [*others, run])

    def of(self, job: str) -> list[Run]:
        return self._runs.get(job, [])

    def contains(self, job: str, scheduled_at: datetime) -> bool:
        """Whether the tick at `scheduled_at` has a run."""
        return any(run.is_scheduled and run.scheduled_at == scheduled_at for run in self.of(job))

    def is_done(self, job: str, session: date, since: datetime) -> bool:
        """Whether a run for `session`, due at or after `since`, went well."""
        return any(run.outcome is Outcome.DONE for run in self._finished(job, session, since))

    def failure_reason(self, job: str, session: date, since: datetime) -> str | None:
        """Why no run for `session` since then went well; None while nothing is known or one did."""
        ended = self._finished(job, session, since)
        if not ended or self.is_done(job, session, since):
            return None
        last = ended[-1]
        return f"{job} {last.outcome}" + (f": {last.reason}" if last.reason else "")

    def last(self, job: str) -> Run | None:
        """The run that ended or began last."""
        return max(self.of(job), key=_last_activity, default=None)

    def missed_count(self, job: str) -> int:
        """How many of the kept runs were missed."""
        return sum(run.outcome is Outcome.MISSED for run in self.of(job))

    def _finished(self, job: str, session: date, since: datetime) -> list[Run]:
        return [
            run
            for run in self.of(job)
            if run.session == session and run.scheduled_at >= since and run.outcome is not None
        ]


def _is_same(known: Run, run: Run) -> bool:
    by_tick = known.is_scheduled and run.is_scheduled and known.scheduled_at == run.scheduled_at
    return by_tick or known.id == run.id != 0


def _last_activity(run: Run) -> datetime:
    return run.finished_at or run.started_at or run.scheduled_at
