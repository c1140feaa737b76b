"""Reloads in a real process, many of them, good and bad in turn."""

import asyncio
import signal
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.acceptance.daemon import Daemon, running, write_configuration
from tests.acceptance.quick_market import QUICK_MARKET

READY_S = 60.0
RELOADS = 200
POLL_S = 0.01
EVERY = timedelta(minutes=2)
OFTEN = """
[jobs.housekeeping]
cron = "*/2 * * * *"
not_during = []
heavy = false
overlap = "queue"
catch_up = "all"
"""


async def test_200_reloads_of_good_and_bad_files_lose_no_tick_and_no_run(tmp_path: Path, port: int) -> None:
    """A virtual minute lasts a tenth of a second; every second one has exactly one run, all through it."""
    path = write_configuration(tmp_path, port, QUICK_MARKET + OFTEN)
    good = path.read_text(encoding="utf-8")
    async with running(path, port, "--now", "2026-11-21T12:00:30+05:30", "--speed", "600") as daemon:
        await daemon.until(_has_run_housekeeping, READY_S)
        for number in range(RELOADS // 2):
            await _reload(daemon, path, good + "[size]\nnonsense = 1\n", "reload.refused", number + 1)
            text = good + f"[workers]\nchunk_rows = {32 + number}\n"
            await _reload(daemon, path, text, "reload.done", number + 1)
        await daemon.until(lambda status: status["configuration"]["reloads"] == RELOADS // 2, READY_S)
        _, runs = await daemon.get("/api/runs?job=housekeeping&limit=1000")
        assert await daemon.stop() == 0
    ticks = sorted(datetime.fromisoformat(run["scheduled_at"]) for run in runs["items"] if _is_scheduled(run))
    assert len(ticks) > 10
    assert {later - earlier for earlier, later in pairwise(ticks)} == {EVERY}
    assert {run["outcome"] for run in runs["items"]} <= {"done", None}


def _is_scheduled(run: Any) -> bool:
    return run["cause"] in {"tick", "catch_up"}


def _has_run_housekeeping(status: Any) -> bool:
    return any(job["name"] == "housekeeping" and job["last"] for job in status["jobs"])


async def _reload(daemon: Daemon, path: Path, text: str, event: str, count: int) -> None:
    """Write the file, send the signal, and wait for the `count`th such event in the log.

    /status is encoded a few times a second at most: 200 waits for it would take a minute.
    """
    await asyncio.to_thread(path.write_text, text, encoding="utf-8")
    daemon.process.send_signal(signal.SIGHUP)
    async with asyncio.timeout(READY_S):
        while (await asyncio.to_thread(daemon.log.read_text, errors="replace")).count(event) < count:
            assert daemon.process.returncode is None, daemon.tail()
            await asyncio.sleep(POLL_S)
