"""Health readings from cached measurements; never waits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from vcpd.alerts.service import AlertService
from vcpd.app.jobs import job_kind
from vcpd.app.live_configuration import LiveConfiguration
from vcpd.app.market import MarketConnection
from vcpd.app.monitor import STALLED_AFTER_S, Monitor
from vcpd.app.panels import PanelReader
from vcpd.domain.calendar import unscheduled_closing_text, unscheduled_session_text
from vcpd.domain.health import Health, HealthReadings, score_health
from vcpd.domain.panel import Panel
from vcpd.domain.runs import Outcome, Run
from vcpd.jobs.backup import are_backups_enabled
from vcpd.ports import Clock
from vcpd.runtime.systemd import Heartbeats
from vcpd.runtime.worker_pool import WorkerPool
from vcpd.schedule.scheduler import Scheduler
from vcpd.schedule.status import JobStatus
from vcpd.schedule.trigger import last_tick_of_session

COLLECTION_GRACE: Final = timedelta(minutes=55)  # after the last collection's time; then bars are late
SCREEN_GRACE: Final = timedelta(minutes=60)  # after the evening's screen is due at the latest
MIN_SURPRISE_SYMBOLS: Final = 5  # fewer bars on a day without session are errors of the data
SURPRISE_SHARE: Final = 0.5  # of the symbols: then it is the market that traded
COLLECT, SCREEN = "collect", "screen"
MIN_LAG_SAMPLES: Final = 600  # a minute of them: a start is always a little late
ORPHAN_AFTER: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class HealthService:
    """Reads the daemon's health from cached measurements; no method waits."""

    live: LiveConfiguration
    clock: Clock
    scheduler: Scheduler
    monitor: Monitor
    market: MarketConnection
    workers: WorkerPool
    heartbeats: Heartbeats
    current_panel: PanelReader
    alerts: AlertService

    def current(self) -> Health:
        return score_health(self.readings())

    def readings(self) -> HealthReadings:
        """Everything that was measured, as of now."""
        now = self.clock.now()
        scheduler, system, vitals = self.scheduler.snapshot(), self.monitor.system, self.monitor
        login = self.market.session.status()
        cpu = vitals.cpu_pct
        return HealthReadings(
            cpu_pct=sum(cpu) / len(cpu) if cpu else None,
            memory_pct=None if system is None else system.machine_memory_pct,
            threads=None if system is None else system.daemon.threads,
            stalled_loops=tuple(heart.name for heart in self.heartbeats.late()),
            leading=scheduler.leading,
            stuck=tuple(words for _, words in self.stalled_jobs())
            + tuple(_describe_orphan(run) for run in self.orphaned_runs()),
            failed=tuple(_failed_jobs(scheduler.jobs)),
            paused=tuple(job.name for job in scheduler.jobs if job.paused),
            age_sessions=self.late_sessions(now),
            calendar_surprises=tuple(text for _, text in self.calendar_surprises(now)),
            unscreened=self.missing_evening(now),
            clock=scheduler.clock_error,
            collecting=any(job.running and self._is_job_of(job.name, COLLECT) for job in scheduler.jobs),
            login_due=(login.reason or "due") if login.login_due else None,
            excluded_pct=_excluded_pct(self.current_panel.last_loaded, vitals.excluded_by_user),
            lag_p99_ms=self._lag_p99_ms(),
            database=vitals.database_error,
            oversized_workers=self.bloated_workers(),
            reload_error=self.live.status.refused[0] if self.live.status.refused else None,
            backup_age_days=self._overdue_backup_days(now),
            disk_free_pct=vitals.disk_free_pct,
            alerts_given_up=vitals.outbox.given_up,
            channels_missing=self.alerts.plan.missing,
        )

    def _is_job_of(self, name: str, kind: str) -> bool:
        policy = self.live.configuration.jobs.get(name)
        return policy is not None and job_kind(name, policy) == kind

    def age_in_sessions(self, instant: datetime) -> int | None:
        """Sessions completed at `instant` that the panel lacks at its end; wall days do not count."""
        panel = self.current_panel.last_loaded
        if panel is None or not len(panel.sessions):
            return None
        last = panel.sessions[-1].item()
        completed = self.live.calendar.sessions(last, max(last, self.live.calendar.last_session_at(instant)))
        return int(np.count_nonzero(completed > np.datetime64(last, "D")))

    def late_sessions(self, now: datetime) -> int | None:
        """Sessions that the panel lacks although their last collection was due `COLLECTION_GRACE` ago.

        The collection is due when this market's own schedule says so. None without a panel.
        """
        return self.age_in_sessions(self.live.calendar.open_close(self._last_due_session(now))[1])

    def _last_due_session(self, now: datetime) -> date:
        """The last session whose bars should be there."""
        session = self.live.calendar.last_session_at(now)
        while self.live.market_days.latest.is_suspected(session):
            session = self.live.calendar.previous(session)  # a second look decides whether it was one
        due = self._due_at(COLLECT, session)
        late = due is None or now >= due + COLLECTION_GRACE
        return session if late else self.live.calendar.previous(session)

    def missing_evening(self, now: datetime) -> date | None:
        """The session of the newest bars, where its screen is overdue and not under way."""
        newest, screened = self.monitor.newest_bar, self.monitor.newest_screen
        if newest is None or not self.live.calendar.is_session(newest) or (screened and newest <= screened):
            return None
        due = self._due_at(SCREEN, newest)
        return None if due is None or self._is_screening() or now < due + SCREEN_GRACE else newest

    def _is_screening(self) -> bool:
        """Whether a screen runs, or waits for a collection that runs."""
        jobs = self.scheduler.snapshot().jobs
        screens = [job for job in jobs if self._is_job_of(job.name, SCREEN)]
        collecting = any(job.running and self._is_job_of(job.name, COLLECT) for job in jobs)
        return any(job.running or (job.waiting and collecting) for job in screens)

    def calendar_surprises(self, now: datetime) -> list[tuple[date, str]]:
        """Days on which the market did not keep to the calendar, each with what to do about it."""
        panel, calendar = self.current_panel.last_loaded, self.live.calendar
        mark = max(MIN_SURPRISE_SYMBOLS, SURPRISE_SHARE * (0 if panel is None else len(panel.symbols)))
        found = [
            (day, unscheduled_session_text(day, n_symbols))
            for day, n_symbols in self.monitor.unscheduled.items()
            if n_symbols >= mark and not calendar.is_session(day)
        ]
        session, newest = self._last_due_session(now), self.monitor.newest_bar
        if newest is not None and newest < session and self._is_collected(session):
            found.append((session, unscheduled_closing_text(session)))
        return found

    def _is_collected(self, session: date) -> bool:
        """Whether the market answered for every symbol when the session was last collected."""
        jobs = self.scheduler.snapshot().jobs
        runs = [job.last for job in jobs if self._is_job_of(job.name, COLLECT) and job.last is not None]
        done = [run for run in runs if run.session == session and run.outcome is Outcome.DONE]
        return any(not run.counts.get("failed") for run in done)

    def _due_at(self, kind: str, session: date) -> datetime | None:
        """When the last run of the kind is due for the session."""
        configuration = self.live.configuration
        policies = [policy for name, policy in configuration.jobs.items() if job_kind(name, policy) == kind]
        return last_tick_of_session(policies, self.live.calendar, configuration.schedule.time_zone, session)

    def stalled_jobs(self) -> Iterator[tuple[str, str]]:
        """Jobs whose run makes no progress for long, or does not end after its cancellation."""
        now_s = self.clock.monotonic_s()
        for job in self.scheduler.snapshot().jobs:
            if job.running is None:
                continue
            still_s = self.monitor.stall_detector.stalled_s(job.running.run_id, now_s)
            if still_s >= STALLED_AFTER_S:
                yield job.name, f"{job.name}: no progress for {still_s / 60:.0f} minutes"

    def orphaned_runs(self) -> list[Run]:
        """Rows of running runs that no daemon executes; only the scheduling daemon can determine them.

        Rows and running tasks are read at the same time: a run that ended since is no orphan.
        """
        status = self.monitor.scheduler_status
        if status is None or not status.leading:
            return []
        owned = {job.running.run_id for job in status.jobs if job.running is not None}
        waiting = {job.name for job in status.jobs if job.waiting}
        latest = status.as_of - ORPHAN_AFTER
        return [run for run in self.monitor.recent if _is_orphan(run, latest, owned, waiting)]

    def _overdue_backup_days(self, now: datetime) -> float | None:
        """The age of the newest backup in days, where it is above [backup] max_age_days; else None.

        Where there is none yet, the daemon's own start counts.
        """
        settings = self.live.configuration.backup
        if not are_backups_enabled(settings, is_embedded=self.monitor.storage.embedded is not None):
            return None
        newest = self.monitor.newest_backup
        age_days = (now - (self.monitor.since if newest is None else newest.created_at)) / timedelta(days=1)
        return age_days if age_days > settings.max_age_days else None

    def bloated_workers(self) -> int:
        mark_mb = self.live.configuration.workers.recycle_above_mb
        return sum(worker.private_mb > mark_mb for worker in self.workers.snapshot().workers)

    def _lag_p99_ms(self) -> float:
        lag = self.monitor.lag.snapshot()
        return lag.p99_ms if lag.samples >= MIN_LAG_SAMPLES else 0.0


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
    return f"{run.job}: run {run.id} of {run.session} is open, but no process works on it"


def _failed_jobs(jobs: Sequence[JobStatus]) -> Iterator[str]:
    for job in jobs:
        if job.last is not None and job.last.outcome is Outcome.FAILED and job.running is None:
            yield f"{job.name}: {job.last.reason}"


def _excluded_pct(panel: Panel | None, unwanted: frozenset[str]) -> float:
    """The percentage of wanted symbols that are excluded by data quality."""
    if panel is None:
        return 0.0
    wanted = len(frozenset(panel.symbols) - unwanted)
    return 100 * len(panel.exclusions.keys() - unwanted) / wanted if wanted else 0.0
