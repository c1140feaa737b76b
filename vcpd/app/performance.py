"""Performance reports, /metrics values and the optimize action."""

import asyncio
import inspect
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog

from vcpd import __version__
from vcpd.alerts.service import AlertService
from vcpd.app.health import HealthService
from vcpd.app.live_configuration import LiveConfiguration
from vcpd.app.market import MarketConnection
from vcpd.app.monitor import Monitor
from vcpd.app.panels import PanelReader
from vcpd.app.storage import Storage
from vcpd.core.errors import VcpdError
from vcpd.domain.health import MetricsSnapshot, WorkerMetrics
from vcpd.domain.runs import Outcome
from vcpd.jobs.panel_refresh import UniversePanels
from vcpd.jobs.watch import Watch
from vcpd.kite.auth import KiteLoginState
from vcpd.kite.auth import KiteLoginStatus as KiteLogin
from vcpd.ports import Clock
from vcpd.runtime.process_tuning import trim_heap
from vcpd.runtime.resources import proportional_mb
from vcpd.runtime.systemd import Heartbeats
from vcpd.runtime.worker_pool import WorkerPool
from vcpd.schedule.scheduler import Scheduler
from vcpd.schedule.status import SchedulerStatus

ENDED_REASON: Final = "ended by optimize: it was stuck"
WORKER_RESTART_TIMEOUT_S: Final = 20.0
log = structlog.get_logger("vcpd.daemon")


@dataclass(frozen=True, slots=True)
class PerformanceService:
    """Performance reports, the values of /metrics, and the optimize action."""

    live: LiveConfiguration
    clock: Clock
    storage: Storage
    scheduler: Scheduler
    monitor: Monitor
    health: HealthService
    market: MarketConnection
    workers: WorkerPool
    heartbeats: Heartbeats
    panels: UniversePanels
    current_panel: PanelReader
    alerts: AlertService
    watch: Watch

    async def report(self, name: str) -> Any:
        """The report of `name`. KeyError for an unknown one, RetryableError while the store is away."""
        reports: Mapping[str, Callable[[], Any]] = {
            "summary": self.summary_report,
            "system": self.system_report,
            "scheduler": self.scheduler_report,
            "database": self.database_report,
            "tasks": self.tasks_report,
        }
        report = reports[name]()
        return await report if inspect.isawaitable(report) else report

    def summary_report(self) -> Mapping[str, Any]:
        """The most important numbers."""
        system = self.monitor.system
        return {
            "health": self.health.current(),
            "memory_mb": None if system is None else self._memory_mb(),
            "machine_cpu_pct": None if system is None else system.machine_cpu_pct,
            "machine_memory_pct": None if system is None else system.machine_memory_pct,
            "loop_lag_p99_ms": self.monitor.lag.snapshot().p99_ms,
            "database_ping_ms": _milliseconds(self.monitor.ping_s),
            "runs": self._by_outcome(),
            "running": [job.name for job in self.scheduler.snapshot().jobs if job.running],
            "worker_tasks": self.workers.snapshot().tasks,
        }

    def system_report(self) -> Mapping[str, Any]:
        """Processes, machine, pressure, loops."""
        return {
            "system": self.monitor.system,
            "cpu_pct_minute": list(self.monitor.cpu_pct),
            "disk_free_pct": self.monitor.disk_free_pct,
            "loop_lag": self.monitor.lag.snapshot(),
            "heartbeat_ages_s": self.heartbeats.ages_s(),
            "workers": self.workers.snapshot(),
        }

    def scheduler_report(self) -> Mapping[str, Any]:
        """Jobs with the outcomes and durations of their latest runs."""
        durations: defaultdict[str, list[float]] = defaultdict(list)
        for run in self.monitor.recent:
            if run.started_at and run.finished_at:
                durations[run.job].append((run.finished_at - run.started_at).total_seconds())
        return {
            "status": self.scheduler.snapshot(),
            "latest_runs": {
                "outcomes": self._by_outcome(),
                "mean_duration_s": {job: sum(times) / len(times) for job, times in durations.items()},
                "longest_duration_s": {job: max(times) for job, times in durations.items()},
            },
        }

    async def database_report(self) -> Mapping[str, Any]:
        """Latency, sizes and connections of the store. RetryableError while it is away."""
        store = self.storage.database
        ping_s = await store.ping()
        used, opened = store.pool_usage()
        sizes = await store.sizes()
        return {
            "ping_ms": _milliseconds(ping_s),
            "embedded": self.storage.embedded is not None,
            "schema_version": store.version,
            "pool": {"in_use": used, "open": opened, "most": self.live.configuration.store.pool_size},
            "tables": {
                name: {"bytes": taken, "rows_estimate": rows} for name, (taken, rows) in sizes.items()
            },
            "bytes": sum(taken for taken, _ in sizes.values()),
        }

    def tasks_report(self) -> Mapping[str, Any]:
        """What the loop and the workers are at."""
        names = Counter(task.get_name().split("-")[0] for task in asyncio.all_tasks())
        return {
            "loop": {"count": sum(names.values()), "by_name": dict(names)},
            "running": {job.name: job.running for job in self.scheduler.snapshot().jobs if job.running},
            "waiting": {job.name: job.waiting for job in self.scheduler.snapshot().jobs if job.waiting},
            "workers": self.workers.snapshot(),
            "stalled": dict(self.health.stalled_jobs()),
            "orphans": self.health.orphaned_runs(),
        }

    async def optimize(self) -> Mapping[str, Any]:
        """Do now what would otherwise wait for its time; gives what was done, before and after."""
        await self.monitor.measure()
        await self.monitor.read_runs()
        before = await self._health_snapshot()
        done = {
            "runs_ended": await self._end_stuck(),
            "panel": await self._refresh_panel(),
            "workers_replaced": await self._replace_bloated(),
            "analyzed": await self.storage.database.analyze_stale(),
        }
        await asyncio.to_thread(trim_heap)
        await self.monitor.measure()
        await self.monitor.read_runs()
        log.info("daemon.optimized", **done)
        return {"done": done, "before": before, "after": await self._health_snapshot()}

    async def _end_stuck(self) -> list[str]:
        ended = [name for name, _ in self.health.stalled_jobs() if self.scheduler.end_run(name, ENDED_REASON)]
        for run in self.health.orphaned_runs():
            await self.storage.runs.finish(run.id, Outcome.FAILED, ENDED_REASON)
            ended.append(f"{run.job} (run {run.id})")
        return ended

    async def _replace_bloated(self) -> int:
        """How many were too heavy; one that still works on something ends it first."""
        bloated = self.health.bloated_workers()
        if bloated:
            self.workers.recycle("above the memory mark")
            await self.workers.drain(WORKER_RESTART_TIMEOUT_S)
        return bloated

    async def _refresh_panel(self) -> str:
        """Refresh the panel, unless a heavy job is using it."""
        if any(job.running and job.heavy for job in self.scheduler.snapshot().jobs):
            return "skipped: a heavy job is running"
        try:
            reference = await self.panels.refresh()
            await self.current_panel.load()
        except VcpdError as error:
            return f"not refreshed: {error}"
        return f"refreshed to version {reference.version}"

    async def _health_snapshot(self) -> Mapping[str, Any]:
        memory_mb = await asyncio.to_thread(_daemon_mb)
        health = self.health.current()
        return {"score": health.score, "items": [item.item for item in health.items], "daemon_mb": memory_mb}

    def _memory_mb(self) -> float:
        """The daemon's and its children's fair shares together."""
        if self.monitor.system is None:
            return 0.0
        uses = (self.monitor.system.daemon, *self.monitor.system.children)
        return round(sum(use.proportional_mb or use.resident_mb for use in uses), 1)

    def _by_outcome(self) -> Mapping[str, int]:
        return Counter("running" if run.outcome is None else str(run.outcome) for run in self.monitor.recent)

    def collect_metrics(self, uptime_s: float) -> MetricsSnapshot:
        """Everything as of now."""
        now, vitals, system = self.clock.now(), self.monitor, self.monitor.system
        status, panel = self.scheduler.snapshot(), self.current_panel.last_loaded
        login = self.market.session.status()
        kite_login = login if isinstance(login, KiteLogin) else KiteLogin(KiteLoginState.NO_TOKEN)
        in_use, opened = self.storage.database.pool_usage()
        return MetricsSnapshot(
            version=__version__,
            market=self.live.configuration.daemon.market,
            now=now,
            uptime_s=uptime_s,
            health=self.health.current().score,
            leading=status.leading,
            running_jobs=[job.name for job in status.jobs if job.running is not None],
            next_run_s=_next_run_s(status, now),
            last_done_age_s=self._last_done_age_s(now),
            bars=vitals.bars_estimate,
            symbols=0 if panel is None else len(panel.symbols),
            excluded=0 if panel is None else len(panel.exclusions),
            quarantined=vitals.quarantined,
            age_sessions=self.health.age_in_sessions(now),
            states=vitals.states,
            workers=self._worker_metrics(),
            pool_in_use=in_use,
            pool_open=opened,
            database_up=vitals.database_error is None,
            database_ping_s=vitals.ping_s,
            login_valid=not login.login_due,
            token_age_s=_seconds_since(kite_login.login_at, now),
            token_left_s=_seconds_until(kite_login.expires_at, now),
            daemon_mb=None if system is None else system.daemon.proportional_mb or system.daemon.resident_mb,
            threads=None if system is None else system.daemon.threads,
            disk_free_pct=vitals.disk_free_pct,
            last_backup_s=None
            if vitals.newest_backup is None
            else vitals.newest_backup.created_at.timestamp(),
            alerts=self.alerts.sent,
            alerts_pending=vitals.outbox.pending,
            alerts_given_up=vitals.outbox.given_up,
            watch=self.watch.status(),
        )

    def _last_done_age_s(self, now: datetime) -> dict[str, float]:
        ages: dict[str, float] = {}
        for run in self.monitor.recent:
            age_s = _seconds_since(run.finished_at, now)
            if run.outcome is Outcome.DONE and age_s is not None:
                ages[run.job] = min(age_s, ages.get(run.job, age_s))
        return ages

    def _worker_metrics(self) -> WorkerMetrics:
        snapshot = self.workers.snapshot()
        return WorkerMetrics(
            private_mb={str(worker.pid): worker.private_mb for worker in snapshot.workers},
            tasks=snapshot.tasks,
            restarts={"broken": snapshot.executors_broken, "recycled": snapshot.executors_recycled},
            running=len(snapshot.running),
        )


def _daemon_mb() -> float | None:
    own = proportional_mb(os.getpid())
    return None if own is None else round(own, 1)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(1_000 * seconds, 2)


def _next_run_s(status: SchedulerStatus, now: datetime) -> dict[str, float]:
    return {job.name: (job.next_at - now).total_seconds() for job in status.jobs if job.next_at is not None}


def _seconds_until(until: datetime | None, now: datetime) -> float | None:
    return None if until is None else (until - now).total_seconds()


def _seconds_since(since: datetime | None, now: datetime) -> float | None:
    return None if since is None else (now - since).total_seconds()
