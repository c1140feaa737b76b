"""Night after night in a real process: nothing grows, the daemon stays light, its threads stay few."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from tests.acceptance.conftest import QUICK_MARKET
from tests.acceptance.daemon import Daemon, running, write_configuration

NIGHTS = 10
CATCH_UP_S = 200.0  # the first use compiles the kernels
JOB_S = 30.0
DAEMON_MB = 150.0
WORKER_MB = 200.0
GROWTH_MB = 8.0
THREADS = 10
MEGABYTE = 1 << 20
HEADERS = {"X-Vcpd-Request": "1"}


def _last_run(status: Any, job: str) -> Any:
    return next(one["last"] for one in status["jobs"] if one["name"] == job)


def _is_idle(status: Any) -> bool:
    return not any(job["running"] or job["waiting"] for job in status["jobs"])


async def _run_job(daemon: Daemon, job: str) -> None:
    """Start it by hand and wait until that very run is done."""
    url = f"http://127.0.0.1:{daemon.port}/api/jobs/{job}/run"
    async with aiohttp.ClientSession() as http, http.post(url, headers=HEADERS) as answer:
        assert answer.status == 202, await answer.text()
        run_id = (await answer.json())["run_id"]
    status = await daemon.until(lambda seen: (_last_run(seen, job) or {}).get("id") == run_id, JOB_S)
    assert _last_run(status, job)["outcome"] == "done", _last_run(status, job)["reason"]


def _resident_mb(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss) / MEGABYTE


async def _sizes(daemon: Daemon) -> tuple[float, float, int]:
    """Resident MB of the daemon and of its largest worker, and the daemon's threads."""
    status = await daemon.status()
    workers = [worker["pid"] for worker in status["workers"]["workers"]]
    own = psutil.Process(daemon.process.pid)
    return _resident_mb(own.pid), max(map(_resident_mb, workers)), own.num_threads()


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
        daemons, workers, threads = (list(sizes) for sizes in zip(*nights, strict=True))
        assert max(threads) <= THREADS
        assert max(daemons) <= DAEMON_MB
        assert max(workers) <= WORKER_MB
        assert daemons[-1] - daemons[1] <= GROWTH_MB, daemons
        assert workers[-1] - workers[1] <= GROWTH_MB, workers
        assert await daemon.stop() == 0
