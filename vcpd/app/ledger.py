"""Counts ended runs since the start, by job and outcome, with their durations, for /metrics."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from vcpd.domain.runs import Outcome, Run

BUCKETS_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0)


class Durations:
    """A histogram of seconds; `counts` are not cumulative, one more than buckets."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        place = next((at for at, edge in enumerate(BUCKETS_S) if seconds <= edge), len(BUCKETS_S))
        self.counts[place] += 1
        self.sum_s += seconds


class RunLedger:
    """Told the latest rows again and again, it counts each run that ended since the start once."""

    def __init__(self) -> None:
        self.outcomes: Counter[tuple[str, Outcome]] = Counter()
        self.durations: defaultdict[str, Durations] = defaultdict(Durations)
        self._counted: set[int] = set()

    def note(self, recent: Sequence[Run], since: datetime) -> None:
        """`recent`: the latest runs, ended or not, more than can end between two calls."""
        for run in recent:
            if run.id not in self._counted and run.finished_at is not None and run.finished_at >= since:
                self._count(run)
                self._counted.add(run.id)
        self._counted.intersection_update(run.id for run in recent)

    def _count(self, run: Run) -> None:
        if run.outcome is None:
            return
        self.outcomes[run.job, run.outcome] += 1
        if run.started_at is not None and run.finished_at is not None:
            self.durations[run.job].add((run.finished_at - run.started_at).total_seconds())
