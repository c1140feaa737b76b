"""The daemon's readings for the health score, taken from what it already knows: no waiting, no asking."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from vcpd.app.jobs import kind_of
from vcpd.app.parts import Parts
from vcpd.app.vitals import STALLED_AFTER_S
from vcpd.domain.health import Health, Readings, judge
from vcpd.domain.panel import Panel
from vcpd.domain.runs import Outcome, Run
from vcpd.schedule.snapshot import JobStatus

COLLECTED_BY: Final = timedelta(minutes=90)  # after the close; before that, bars of the day are not late
LAG_SAMPLES: Final = 600  # a minute of them: a start is always a little late
ORPHAN_AFTER: Final = timedelta(minutes=1)


def health_of(parts: Parts) -> Health:
    return judge(readings_of(parts))


def readings_of(parts: Parts) -> Readings:
    """Everything that was measured, as of now."""
    now = parts.clock.now()
    scheduler, system, vitals = parts.scheduler.snapshot(), parts.system, parts.vitals
    login = parts.market.session.status()
    cpu = vitals.cpu_pct
    return Readings(
        cpu_pct=sum(cpu) / len(cpu) if cpu else None,
        memory_pct=None if system is None else system.machine_memory_pct,
        threads=None if system is None else system.daemon.threads,
        late_loops=tuple(heart.name for heart in parts.heartbeats.late()),
        leading=scheduler.leading,
        stuck=tuple(words for _, words in stalled_jobs(parts)) + tuple(_words(run) for run in orphans(parts)),
        failed=tuple(_failed(scheduler.jobs)),
        paused=tuple(job.name for job in scheduler.jobs if job.paused),
        age_sessions=age_in_sessions(parts, now - COLLECTED_BY),
        collecting=any(job.running and _brings_bars(parts, job.name) for job in scheduler.jobs),
        login_due=(login.reason or "due") if login.login_due else None,
        excluded_pct=_excluded_pct(parts.current_panel.last_seen, vitals.unwanted),
        lag_p99_ms=_lag_p99_ms(parts),
        calendar=_calendar(parts, now),
        database=vitals.database_trouble,
        bloated_workers=bloated_workers(parts),
        refused_reload=parts.reloads.refused[0] if parts.reloads.refused else None,
        disk_free_pct=vitals.disk_free_pct,
        alerts_given_up=vitals.outbox.given_up,
        channels_missing=parts.alerts.plan.missing,
    )


def _brings_bars(parts: Parts, name: str) -> bool:
    policy = parts.configuration.jobs.get(name)
    return policy is not None and kind_of(name, policy) == "collect"


def age_in_sessions(parts: Parts, instant: datetime) -> int | None:
    """Sessions completed at `instant` that the panel lacks at its end; wall days do not count."""
    panel = parts.current_panel.last_seen
    if panel is None or not len(panel.sessions):
        return None
    last = panel.sessions[-1].item()
    completed = parts.calendar.sessions(last, max(last, parts.calendar.last_session_at(instant)))
    return int(np.count_nonzero(completed > np.datetime64(last, "D")))


def stalled_jobs(parts: Parts) -> Iterator[tuple[str, str]]:
    """Jobs whose running run shows no progress for long, or does not end although it was told to."""
    now_s = parts.clock.monotonic_s()
    for job in parts.scheduler.snapshot().jobs:
        if job.running is None:
            continue
        still_s = parts.vitals.stalls.stalled_s(job.running.run_id, now_s)
        if still_s >= STALLED_AFTER_S:
            yield job.name, f"{job.name}: no progress for {still_s / 60:.0f} minutes"


def orphans(parts: Parts) -> list[Run]:
    """Rows of runs that are under way in nobody's hands; only the one who schedules can tell.

    Rows and hands are compared as of one moment: a run that ended since then is no orphan.
    """
    status = parts.vitals.at_work
    if status is None or not status.leading:
        return []
    owned = {job.running.run_id for job in status.jobs if job.running is not None}
    waiting = {job.name for job in status.jobs if job.waiting}
    latest = status.as_of - ORPHAN_AFTER
    return [run for run in parts.vitals.recent if _is_orphan(run, latest, owned, waiting)]


def _is_orphan(run: Run, latest: datetime, owned: set[int | None], waiting: set[str]) -> bool:
    began = run.started_at
    return (
        run.outcome is None
        and run.id not in owned
        and run.job not in waiting
        and None not in owned  # a run whose row is being written may be this one
        and began is not None
        and began < latest
    )


def _words(run: Run) -> str:
    return f"{run.job}: run {run.id} of {run.session} is open, but nobody works on it"


def bloated_workers(parts: Parts) -> int:
    mark_mb = parts.configuration.workers.memory_mark_mb
    return sum(worker.private_mb > mark_mb for worker in parts.workers.snapshot().workers)


def _failed(jobs: Sequence[JobStatus]) -> Iterator[str]:
    for job in jobs:
        if job.last is not None and job.last.outcome is Outcome.FAILED and job.running is None:
            yield f"{job.name}: {job.last.reason}"


def _excluded_pct(panel: Panel | None, unwanted: frozenset[str]) -> float:
    """The share of the wanted symbols that their data keep out."""
    if panel is None:
        return 0.0
    wanted = len(frozenset(panel.symbols) - unwanted)
    return 100 * len(panel.exclusions.keys() - unwanted) / wanted if wanted else 0.0


def _calendar(parts: Parts, now: datetime) -> str | None:
    """The calendar's warning without its remedy, which the score gives itself."""
    warning = parts.calendar.warning(parts.calendar.local_date(now))
    return None if warning is None else warning.partition(";")[0]


def _lag_p99_ms(parts: Parts) -> float:
    lag = parts.lag.snapshot()
    return lag.p99_ms if lag.samples >= LAG_SAMPLES else 0.0
