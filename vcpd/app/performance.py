"""Performance reports, /metrics values and the optimize action."""

import asyncio
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import structlog

from vcpd import __version__
from vcpd.app.health import age_in_sessions, bloated_workers, current_health, orphaned_runs, stalled_jobs
from vcpd.app.monitor import DURATION_BUCKETS_S
from vcpd.app.services import Services
from vcpd.core.errors import VcpdError
from vcpd.domain.health import Histogram, MetricsSnapshot, RateLimitMetrics, WorkerMetrics
from vcpd.domain.runs import Outcome
from vcpd.kite.auth import KiteLoginState
from vcpd.kite.auth import KiteLoginStatus as KiteLogin
from vcpd.kite.client import KiteClient
from vcpd.kite.transport import TransportCounts
from vcpd.runtime.process_tuning import trim_heap
from vcpd.runtime.resources import LAG_BUCKETS_MS, proportional_mb
from vcpd.schedule.status import SchedulerStatus

ENDED_REASON: Final = "ended by optimize: it was stuck"
WORKER_RESTART_TIMEOUT_S: Final = 20.0
log = structlog.get_logger("vcpd.daemon")


def summary_report(parts: Services) -> Mapping[str, Any]:
    """The numbers an owner looks at first."""
    system = parts.system
    return {
        "health": current_health(parts),
        "memory_mb": None if system is None else _memory_mb(parts),
        "machine_cpu_pct": None if system is None else system.machine_cpu_pct,
        "machine_memory_pct": None if system is None else system.machine_memory_pct,
        "loop_lag_p99_ms": parts.lag.snapshot().p99_ms,
        "database_ping_ms": _milliseconds(parts.monitor.ping_s),
        "runs": _by_outcome(parts),
        "running": [job.name for job in parts.scheduler.snapshot().jobs if job.running],
        "worker_tasks": parts.workers.snapshot().tasks,
    }


def system_report(parts: Services) -> Mapping[str, Any]:
    """Processes, machine, pressure, loops."""
    return {
        "system": parts.system,
        "cpu_pct_minute": list(parts.monitor.cpu_pct),
        "disk_free_pct": parts.monitor.disk_free_pct,
        "loop_lag": parts.lag.snapshot(),
        "heartbeat_ages_s": parts.heartbeats.ages_s(),
        "workers": parts.workers.snapshot(),
    }


def scheduler_report(parts: Services) -> Mapping[str, Any]:
    """Jobs with the outcomes and durations of their latest runs."""
    durations: defaultdict[str, list[float]] = defaultdict(list)
    for run in parts.monitor.recent:
        if run.started_at and run.finished_at:
            durations[run.job].append((run.finished_at - run.started_at).total_seconds())
    return {
        "status": parts.scheduler.snapshot(),
        "latest_runs": {
            "outcomes": _by_outcome(parts),
            "mean_duration_s": {job: sum(times) / len(times) for job, times in durations.items()},
            "longest_duration_s": {job: max(times) for job, times in durations.items()},
        },
    }


async def database_report(parts: Services) -> Mapping[str, Any]:
    """How quick the store is, how full, and how many connections are out. RetryableError when it is away."""
    store = parts.storage.database
    ping_s = await store.ping()
    used, opened = store.pool_usage()
    sizes = await store.sizes()
    return {
        "ping_ms": _milliseconds(ping_s),
        "embedded": parts.storage.embedded is not None,
        "schema_version": store.version,
        "pool": {"in_use": used, "open": opened, "most": parts.configuration.store.pool_size},
        "tables": {name: {"bytes": taken, "rows_estimate": rows} for name, (taken, rows) in sizes.items()},
        "bytes": sum(taken for taken, _ in sizes.values()),
    }


def tasks_report(parts: Services) -> Mapping[str, Any]:
    """What the loop and the workers are at."""
    names = Counter(task.get_name().split("-")[0] for task in asyncio.all_tasks())
    return {
        "loop": {"count": sum(names.values()), "by_name": dict(names)},
        "running": {job.name: job.running for job in parts.scheduler.snapshot().jobs if job.running},
        "waiting": {job.name: job.waiting for job in parts.scheduler.snapshot().jobs if job.waiting},
        "workers": parts.workers.snapshot(),
        "stalled": dict(stalled_jobs(parts)),
        "orphans": orphaned_runs(parts),
    }


REPORTS: Final[Mapping[str, Callable[[Services], Any]]] = {
    "summary": summary_report,
    "system": system_report,
    "scheduler": scheduler_report,
    "database": database_report,
    "tasks": tasks_report,
}


async def optimize(parts: Services) -> Mapping[str, Any]:
    """Do now what would otherwise wait for its time; gives what was done, before and after."""
    await parts.monitor.measure(parts)
    await parts.monitor.read_runs(parts)
    before = await _health_snapshot(parts)
    done = {
        "runs_ended": await _end_stuck(parts),
        "panel": await _refresh_panel(parts),
        "workers_replaced": await _replace_bloated(parts),
        "analyzed": await parts.storage.database.analyze_stale(),
    }
    await asyncio.to_thread(trim_heap)
    await parts.monitor.measure(parts)
    await parts.monitor.read_runs(parts)
    log.info("daemon.optimized", **done)
    return {"done": done, "before": before, "after": await _health_snapshot(parts)}


async def _end_stuck(parts: Services) -> list[str]:
    ended = [name for name, _ in stalled_jobs(parts) if parts.scheduler.end_run(name, ENDED_REASON)]
    for run in orphaned_runs(parts):
        await parts.storage.runs.finish(run.id, Outcome.FAILED, ENDED_REASON)
        ended.append(f"{run.job} (run {run.id})")
    return ended


async def _replace_bloated(parts: Services) -> int:
    """How many were too heavy; one that still works on something ends it first."""
    bloated = bloated_workers(parts)
    if bloated:
        parts.workers.recycle("above the memory mark")
        await parts.workers.drain(WORKER_RESTART_TIMEOUT_S)
    return bloated


async def _refresh_panel(parts: Services) -> str:
    """A heavy job at work has the panel in its hands: then it stays as it is."""
    if any(job.running and job.heavy for job in parts.scheduler.snapshot().jobs):
        return "left alone: a heavy job is running"
    try:
        reference = await parts.panels.refresh()
        await parts.current_panel.load()
    except VcpdError as error:
        return f"not refreshed: {error}"
    return f"refreshed to version {reference.version}"


async def _health_snapshot(parts: Services) -> Mapping[str, Any]:
    memory_mb = await asyncio.to_thread(_daemon_mb)
    health = current_health(parts)
    return {"score": health.score, "items": [item.item for item in health.items], "daemon_mb": memory_mb}


def _daemon_mb() -> float | None:
    own = proportional_mb(os.getpid())
    return None if own is None else round(own, 1)


def _memory_mb(parts: Services) -> float:
    """The daemon's and its children's fair shares together."""
    if parts.system is None:
        return 0.0
    uses = (parts.system.daemon, *parts.system.children)
    return round(sum(use.proportional_mb or use.resident_mb for use in uses), 1)


def _by_outcome(parts: Services) -> Mapping[str, int]:
    return Counter("running" if run.outcome is None else str(run.outcome) for run in parts.monitor.recent)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(1_000 * seconds, 2)


def collect_metrics(parts: Services, uptime_s: float) -> MetricsSnapshot:
    """Everything as of now."""
    now, vitals, system = parts.clock.now(), parts.monitor, parts.system
    status, panel = parts.scheduler.snapshot(), parts.current_panel.last_loaded
    market = _market_counts(parts)
    login = parts.market.session.status()
    kite_login = login if isinstance(login, KiteLogin) else KiteLogin(KiteLoginState.NO_TOKEN)
    in_use, opened = parts.storage.database.pool_usage()
    return MetricsSnapshot(
        version=__version__,
        market=parts.configuration.daemon.market,
        now=now,
        uptime_s=uptime_s,
        health=current_health(parts).score,
        leading=status.leading,
        runs={(job, str(outcome)): count for (job, outcome), count in vitals.run_counters.outcomes.items()},
        run_seconds=_run_seconds(parts),
        running_jobs=[job.name for job in status.jobs if job.running is not None],
        next_run_s=_next_run_s(status, now),
        last_done_age_s=_last_done_age_s(parts, now),
        requests={(endpoint, str(code)): count for (endpoint, code), count in market.responses.items()},
        retries=market.retries,
        limits={
            name: RateLimitMetrics(pace.passed, pace.waiting, pace.waited_s, pace.throttled)
            for name, pace in market.limits.items()
        },
        bars=vitals.bars_estimate,
        symbols=0 if panel is None else len(panel.symbols),
        excluded=0 if panel is None else len(panel.exclusions),
        quarantined=vitals.quarantined,
        age_sessions=age_in_sessions(parts, now),
        states=vitals.states,
        workers=_worker_metrics(parts),
        loop_lag_s=_loop_lag_s(parts),
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
        alerts=parts.alerts.sent,
        alerts_pending=vitals.outbox.pending,
        alerts_given_up=vitals.outbox.given_up,
        watch=parts.watch.status(),
    )


def _run_seconds(parts: Services) -> dict[str, Histogram]:
    durations = parts.monitor.run_counters.durations
    return {
        job: Histogram(DURATION_BUCKETS_S, tuple(one.counts), one.sum_s) for job, one in durations.items()
    }


def _next_run_s(status: SchedulerStatus, now: datetime) -> dict[str, float]:
    return {job.name: (job.next_at - now).total_seconds() for job in status.jobs if job.next_at is not None}


def _last_done_age_s(parts: Services, now: datetime) -> dict[str, float]:
    ages: dict[str, float] = {}
    for run in parts.monitor.recent:
        age_s = _seconds_since(run.finished_at, now)
        if run.outcome is Outcome.DONE and age_s is not None:
            ages[run.job] = min(age_s, ages.get(run.job, age_s))
    return ages


def _worker_metrics(parts: Services) -> WorkerMetrics:
    snapshot = parts.workers.snapshot()
    return WorkerMetrics(
        private_mb={str(worker.pid): worker.private_mb for worker in snapshot.workers},
        tasks=snapshot.tasks,
        restarts={"broken": snapshot.crews_broken, "recycled": snapshot.crews_recycled},
        running=len(snapshot.running),
    )


def _loop_lag_s(parts: Services) -> Histogram:
    lag = parts.lag.snapshot()
    return Histogram(tuple(edge / 1_000 for edge in LAG_BUCKETS_MS), lag.counts, lag.sum_ms / 1_000)


def _market_counts(parts: Services) -> TransportCounts:
    """Only Kite's client counts requests."""
    client = parts.market.client
    return client.counts() if isinstance(client, KiteClient) else TransportCounts({}, 0, {})


def _seconds_until(until: datetime | None, now: datetime) -> float | None:
    return None if until is None else (until - now).total_seconds()


def _seconds_since(since: datetime | None, now: datetime) -> float | None:
    return None if since is None else (now - since).total_seconds()
