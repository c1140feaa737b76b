"""Health readings from cached measurements; never waits."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from vcpd.app.jobs import job_kind
from vcpd.app.monitor import STALLED_AFTER_S
from vcpd.app.services import Services
from vcpd.domain.calendar import unscheduled_closing_text, unscheduled_session_text
from vcpd.domain.health import Health, HealthReadings, score_health
from vcpd.domain.panel import Panel
from vcpd.domain.runs import Outcome, Run
from vcpd.schedule.status import JobStatus
from vcpd.schedule.trigger import last_tick_of_session

COLLECTION_GRACE: Final = timedelta(minutes=55)  # after the last collection's time; then bars are late
SCREEN_GRACE: Final = timedelta(minutes=60)  # after the evening's screen is due at the latest
MIN_SURPRISE_SYMBOLS: Final = 5  # fewer bars on a day without session are errors of the data
SURPRISE_SHARE: Final = 0.5  # of the symbols: then it is the market that traded
COLLECT, SCREEN = "collect", "screen"
MIN_LAG_SAMPLES: Final = 600  # a minute of them: a start is always a little late
ORPHAN_AFTER: Final = timedelta(minutes=1)


def current_health(parts: Services) -> Health:
    return score_health(current_readings(parts))


def current_readings(parts: Services) -> HealthReadings:
    """Everything that was measured, as of now."""
    now = parts.clock.now()
    scheduler, system, vitals = parts.scheduler.snapshot(), parts.system, parts.monitor
    login = parts.market.session.status()
    cpu = vitals.cpu_pct
    return HealthReadings(
        cpu_pct=sum(cpu) / len(cpu) if cpu else None,
        memory_pct=None if system is None else system.machine_memory_pct,
        threads=None if system is None else system.daemon.threads,
        stalled_loops=tuple(heart.name for heart in parts.heartbeats.late()),
        leading=scheduler.leading,
        stuck=tuple(words for _, words in stalled_jobs(parts))
        + tuple(_describe_orphan(run) for run in orphaned_runs(parts)),
        failed=tuple(_failed_jobs(scheduler.jobs)),
        paused=tuple(job.name for job in scheduler.jobs if job.paused),
        age_sessions=late_sessions(parts, now),
        calendar_surprises=tuple(text for _, text in calendar_surprises(parts, now)),
        unscreened=missing_evening(parts, now),
        clock=scheduler.clock_error,
        collecting=any(job.running and _is_job_of(parts, job.name, COLLECT) for job in scheduler.jobs),
        login_due=(login.reason or "due") if login.login_due else None,
        excluded_pct=_excluded_pct(parts.current_panel.last_loaded, vitals.excluded_by_user),
        lag_p99_ms=_lag_p99_ms(parts),
        calendar=_calendar_warning(parts, now),
        database=vitals.database_error,
        oversized_workers=bloated_workers(parts),
        reload_error=parts.reloads.refused[0] if parts.reloads.refused else None,
        disk_free_pct=vitals.disk_free_pct,
        alerts_given_up=vitals.outbox.given_up,
        channels_missing=parts.alerts.plan.missing,
    )


def _is_job_of(parts: Services, name: str, kind: str) -> bool:
    policy = parts.configuration.jobs.get(name)
    return policy is not None and job_kind(name, policy) == kind


def age_in_sessions(parts: Services, instant: datetime) -> int | None:
    """Sessions completed at `instant` that the panel lacks at its end; wall days do not count."""
    panel = parts.current_panel.last_loaded
    if panel is None or not len(panel.sessions):
        return None
    last = panel.sessions[-1].item()
    completed = parts.calendar.sessions(last, max(last, parts.calendar.last_session_at(instant)))
    return int(np.count_nonzero(completed > np.datetime64(last, "D")))


def late_sessions(parts: Services, now: datetime) -> int | None:
    """Sessions that the panel lacks although their last collection was due `COLLECTION_GRACE` ago.

    The collection is due when this market's own schedule says so. None without a panel.
    """
    return age_in_sessions(parts, parts.calendar.open_close(_last_due_session(parts, now))[1])


def _last_due_session(parts: Services, now: datetime) -> date:
    """The last session whose bars should be there."""
    session = parts.calendar.last_session_at(now)
    due = _due_at(parts, COLLECT, session)
    late = due is None or now >= due + COLLECTION_GRACE
    return session if late else parts.calendar.previous(session)


def missing_evening(parts: Services, now: datetime) -> date | None:
    """The session of the newest bars, where its screen is overdue and none is running."""
    newest, screened = parts.monitor.newest_bar, parts.monitor.newest_screen
    if newest is None or not parts.calendar.is_session(newest) or (screened and newest <= screened):
        return None
    due = _due_at(parts, SCREEN, newest)
    running = any(
        job.running and _is_job_of(parts, job.name, SCREEN) for job in parts.scheduler.snapshot().jobs
    )
    return None if due is None or running or now < due + SCREEN_GRACE else newest


def calendar_surprises(parts: Services, now: datetime) -> list[tuple[date, str]]:
    """Days on which the market did not keep to the calendar, each with what to do about it."""
    panel, calendar = parts.current_panel.last_loaded, parts.calendar
    mark = max(MIN_SURPRISE_SYMBOLS, SURPRISE_SHARE * (0 if panel is None else len(panel.symbols)))
    found = [
        (day, unscheduled_session_text(day, n_symbols))
        for day, n_symbols in parts.monitor.unscheduled.items()
        if n_symbols >= mark and not calendar.is_session(day)
    ]
    session, newest = _last_due_session(parts, now), parts.monitor.newest_bar
    if newest is not None and newest < session and _is_collected(parts, session):
        found.append((session, unscheduled_closing_text(session)))
    return found


def _is_collected(parts: Services, session: date) -> bool:
    """Whether the market answered for every symbol when the session was last collected."""
    jobs = parts.scheduler.snapshot().jobs
    runs = [job.last for job in jobs if _is_job_of(parts, job.name, COLLECT) and job.last is not None]
    done = [run for run in runs if run.session == session and run.outcome is Outcome.DONE]
    return any(not run.counts.get("failed") for run in done)


def _due_at(parts: Services, kind: str, session: date) -> datetime | None:
    """When the last run of the kind is due for the session."""
    configuration = parts.configuration
    policies = [one for name, one in configuration.jobs.items() if job_kind(name, one) == kind]
    return last_tick_of_session(policies, parts.calendar, configuration.schedule.time_zone, session)


def stalled_jobs(parts: Services) -> Iterator[tuple[str, str]]:
    """Jobs whose run makes no progress for long, or does not end after its cancellation."""
    now_s = parts.clock.monotonic_s()
    for job in parts.scheduler.snapshot().jobs:
        if job.running is None:
            continue
        still_s = parts.monitor.stall_detector.stalled_s(job.running.run_id, now_s)
        if still_s >= STALLED_AFTER_S:
            yield job.name, f"{job.name}: no progress for {still_s / 60:.0f} minutes"


def orphaned_runs(parts: Services) -> list[Run]:
    """Rows of running runs that no daemon executes; only the scheduling daemon can determine them.

    Rows and running tasks are read at the same time: a run that ended since is no orphan.
    """
    status = parts.monitor.scheduler_status
    if status is None or not status.leading:
        return []
    owned = {job.running.run_id for job in status.jobs if job.running is not None}
    waiting = {job.name for job in status.jobs if job.waiting}
    latest = status.as_of - ORPHAN_AFTER
    return [run for run in parts.monitor.recent if _is_orphan(run, latest, owned, waiting)]


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


def _describe_orphan(run: Run) -> str:
    return f"{run.job}: run {run.id} of {run.session} is open, but nobody works on it"


def bloated_workers(parts: Services) -> int:
    mark_mb = parts.configuration.workers.recycle_above_mb
    return sum(worker.private_mb > mark_mb for worker in parts.workers.snapshot().workers)


def _failed_jobs(jobs: Sequence[JobStatus]) -> Iterator[str]:
    for job in jobs:
        if job.last is not None and job.last.outcome is Outcome.FAILED and job.running is None:
            yield f"{job.name}: {job.last.reason}"


def _excluded_pct(panel: Panel | None, unwanted: frozenset[str]) -> float:
    """The share of the wanted symbols that their data keep out."""
    if panel is None:
        return 0.0
    wanted = len(frozenset(panel.symbols) - unwanted)
    return 100 * len(panel.exclusions.keys() - unwanted) / wanted if wanted else 0.0


def _calendar_warning(parts: Services, now: datetime) -> str | None:
    """The calendar's warning without its remedy, which the score gives itself."""
    warning = parts.calendar.warning(parts.calendar.local_date(now))
    return None if warning is None else warning.partition(";")[0]


def _lag_p99_ms(parts: Services) -> float:
    lag = parts.lag.snapshot()
    return lag.p99_ms if lag.samples >= MIN_LAG_SAMPLES else 0.0
