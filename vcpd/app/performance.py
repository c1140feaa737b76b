"""Performance in five pictures, and the button that makes it better: /api/performance."""

import asyncio
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog

from vcpd.app.health import bloated_workers, health_of, orphans, stalled_jobs
from vcpd.app.parts import Parts
from vcpd.domain.errors import VcpdError
from vcpd.domain.runs import Outcome
from vcpd.runtime.memory import give_memory_back
from vcpd.runtime.system import proportional_mb

ENDED: Final = "ended by optimize: it was stuck"
NEW_WORKERS_S: Final = 20.0
log = structlog.get_logger("vcpd.daemon")


def summary(parts: Parts) -> Mapping[str, Any]:
    """The numbers an owner looks at first."""
    system = parts.system
    return {
        "health": health_of(parts),
        "memory_mb": None if system is None else _memory_mb(parts),
        "machine_cpu_pct": None if system is None else system.machine_cpu_pct,
        "machine_memory_pct": None if system is None else system.machine_memory_pct,
        "loop_lag_p99_ms": parts.lag.snapshot().p99_ms,
        "database_ping_ms": _milliseconds(parts.vitals.ping_s),
        "runs": _by_outcome(parts),
        "running": [job.name for job in parts.scheduler.snapshot().jobs if job.running],
        "worker_tasks": parts.workers.snapshot().tasks,
    }


def system(parts: Parts) -> Mapping[str, Any]:
    """Processes, machine, pressure, loops."""
    return {
        "system": parts.system,
        "cpu_pct_minute": list(parts.vitals.cpu_pct),
        "disk_free_pct": parts.vitals.disk_free_pct,
        "loop_lag": parts.lag.snapshot(),
        "heartbeat_ages_s": parts.heartbeats.ages_s(),
        "workers": parts.workers.snapshot(),
    }


def scheduler(parts: Parts) -> Mapping[str, Any]:
    """Jobs with the outcomes and durations of their latest runs."""
    durations: defaultdict[str, list[float]] = defaultdict(list)
    for run in parts.vitals.recent:
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


async def database(parts: Parts) -> Mapping[str, Any]:
    """How quick the store is, how full, and how many connections are out. RetryableError when it is away."""
    store = parts.storage.database
    ping_s = await store.ping()
    used, opened = store.pool_use()
    sizes = await store.sizes()
    return {
        "ping_ms": _milliseconds(ping_s),
        "embedded": parts.storage.embedded is not None,
        "schema_version": store.version,
        "pool": {"in_use": used, "open": opened, "most": parts.configuration.store.pool_size},
        "tables": {name: {"bytes": taken, "rows_estimate": rows} for name, (taken, rows) in sizes.items()},
        "bytes": sum(taken for taken, _ in sizes.values()),
    }


def tasks(parts: Parts) -> Mapping[str, Any]:
    """What the loop and the workers are at."""
    names = Counter(task.get_name().split("-")[0] for task in asyncio.all_tasks())
    return {
        "loop": {"count": sum(names.values()), "by_name": dict(names)},
        "running": {job.name: job.running for job in parts.scheduler.snapshot().jobs if job.running},
        "waiting": {job.name: job.waiting for job in parts.scheduler.snapshot().jobs if job.waiting},
        "workers": parts.workers.snapshot(),
        "stalled": dict(stalled_jobs(parts)),
        "orphans": orphans(parts),
    }


PICTURES: Final[Mapping[str, Callable[[Parts], Any]]] = {
    "summary": summary,
    "system": system,
    "scheduler": scheduler,
    "database": database,
    "tasks": tasks,
}


async def optimize(parts: Parts) -> Mapping[str, Any]:
    """Do now what would otherwise wait for its time; gives what was done, before and after."""
    await parts.vitals.measure(parts)
    before = await _state(parts)
    done = {
        "runs_ended": await _end_stuck(parts),
        "panel": await _refresh_panel(parts),
        "workers_replaced": await _replace_bloated(parts),
        "analyzed": await parts.storage.database.analyze_stale(),
    }
    await asyncio.to_thread(give_memory_back)
    await parts.vitals.measure(parts)
    log.info("daemon.optimized", **done)
    return {"done": done, "before": before, "after": await _state(parts)}


async def _end_stuck(parts: Parts) -> list[str]:
    ended = [name for name, _ in stalled_jobs(parts) if parts.scheduler.end_run(name, ENDED)]
    for run in orphans(parts):
        await parts.storage.runs.finish(run.id, Outcome.FAILED, ENDED)
        ended.append(f"{run.job} (run {run.id})")
    return ended


async def _replace_bloated(parts: Parts) -> int:
    """How many were too heavy; one that still works on something ends it first."""
    bloated = bloated_workers(parts)
    if bloated:
        parts.workers.renew("above the memory mark")
        await parts.workers.settle(NEW_WORKERS_S)
    return bloated


async def _refresh_panel(parts: Parts) -> str:
    """A heavy job at work has the panel in its hands: then it stays as it is."""
    if any(job.running and job.heavy for job in parts.scheduler.snapshot().jobs):
        return "left alone: a heavy job is running"
    try:
        reference = await parts.panels.refresh()
        await parts.current_panel.look()
    except VcpdError as error:
        return f"not refreshed: {error}"
    return f"refreshed to version {reference.version}"


async def _state(parts: Parts) -> Mapping[str, Any]:
    memory_mb = await asyncio.to_thread(_daemon_mb)
    health = health_of(parts)
    return {"score": health.score, "items": [item.item for item in health.items], "daemon_mb": memory_mb}


def _daemon_mb() -> float | None:
    own = proportional_mb(os.getpid())
    return None if own is None else round(own, 1)


def _memory_mb(parts: Parts) -> float:
    """The daemon's and its children's fair shares together."""
    if parts.system is None:
        return 0.0
    uses = (parts.system.daemon, *parts.system.children)
    return round(sum(use.proportional_mb or use.resident_mb for use in uses), 1)


def _by_outcome(parts: Parts) -> Mapping[str, int]:
    return Counter("running" if run.outcome is None else str(run.outcome) for run in parts.vitals.recent)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(1_000 * seconds, 2)
