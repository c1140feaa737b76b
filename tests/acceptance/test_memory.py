"""Night after night in real processes: nothing grows, they stay light, the daemon's threads stay few.

A worker maps libraries and the panel, and how many pages of them count as resident is the machine's affair:
it is judged by its proportional size (each shared page divided by those who share it) and by what is its own.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from tests.acceptance.daemon import Daemon, running, write_configuration
from tests.acceptance.quick_market import QUICK_MARKET
from vcpd.runtime.resources import proportional_mb

NIGHTS = 10
CATCH_UP_S = 200.0  # for a busy machine
JOB_S = 30.0
DAEMON_MB = 150.0
WORKER_PROPORTIONAL_MB = 150.0
GROWTH_MB = 8.0
THREADS = 10
MEGABYTE = 1 << 20


def _last_run(status: Any, job: str) -> Any:
    return next(entry["last"] for entry in status["jobs"] if entry["name"] == job)


def _is_idle(status: Any) -> bool:
    return not any(job["running"] or job["waiting"] for job in status["jobs"])


async def _run_job(daemon: Daemon, job: str) -> None:
    """Start it by hand and wait until that very run is done."""
    url = f"http://127.0.0.1:{daemon.port}/api/jobs/{job}/run"
    async with aiohttp.ClientSession() as http, http.post(url, headers=daemon.authorization()) as answer:
        assert answer.status == 202, await answer.text()
        run_id = (await answer.json())["run_id"]
    status = await daemon.until(lambda seen: (_last_run(seen, job) or {}).get("id") == run_id, JOB_S)
    assert _last_run(status, job)["outcome"] == "done", _last_run(status, job)["reason"]


@dataclass(frozen=True)
class Night:
    """MB resident in the daemon; of the largest worker what is its own, and the largest proportional size."""

    daemon: float
    workers_own: float
    worker_proportional: float
    threads: int


def _own_mb(pid: int) -> float:
    """Without mapped files."""
    memory = psutil.Process(pid).memory_info()
    return float(memory.rss - memory.shared) / MEGABYTE


def _proportional_mb(pid: int) -> float:
    size = proportional_mb(pid)
    assert size is not None, "the kernel does not tell proportional sizes"
    return size


async def _sizes(daemon: Daemon) -> Night:
    status = await daemon.status()
    workers = [worker["pid"] for worker in status["workers"]["workers"]]
    own = psutil.Process(daemon.process.pid)
    return Night(
        daemon=own.memory_info().rss / MEGABYTE,
        workers_own=max(map(_own_mb, workers)),
        worker_proportional=max(map(_proportional_mb, workers)),
        threads=own.num_threads(),
    )


async def test_ten_nights_in_a_row_do_not_grow(tmp_path: Path, port: int) -> None:
    """The same heavy jobs ten times over leave daemon and workers as large as after the second time."""
    async with running(write_configuration(tmp_path, port, QUICK_MARKET), port) as daemon:
        await daemon.until(lambda status: _is_idle(status) and _last_run(status, "risk"), CATCH_UP_S)
        nights = []
        for _ in range(NIGHTS):
            for job in ("collect", "screen", "risk"):
                await _run_job(daemon, job)
            await asyncio.sleep(0.1)  # real time for the last job's memory to go back
            nights.append(await _sizes(daemon))
        assert max(night.threads for night in nights) <= THREADS
        assert max(night.daemon for night in nights) <= DAEMON_MB
        assert max(night.worker_proportional for night in nights) <= WORKER_PROPORTIONAL_MB
        assert nights[-1].daemon - nights[1].daemon <= GROWTH_MB, nights
        assert nights[-1].workers_own - nights[1].workers_own <= GROWTH_MB, nights
        assert await daemon.stop() == 0
