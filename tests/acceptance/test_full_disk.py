"""A disk that is full while the daemon runs: free space alone completes the evening, without a restart."""

import asyncio
import os
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.acceptance.daemon import Daemon, outcomes, running, write_configuration
from tests.acceptance.quick_market import ONE_WORKER, quick_market
from tests.store.disk_faults import small_disk

EVENING: Final = "2026-07-10T20:00:00+05:30"
SESSION: Final = "2026-07-10"
SPEED: Final = "20"
DEADLINE_S: Final = 300.0
JOBS: Final = ("collect", "screen", "risk")
SIZES_MB: Final = (20, 38, 40)  # for no database, one without a log of changes, one without bars
SPACE_MB: Final = 1000
SETTINGS: Final = quick_market(
    {**ONE_WORKER, "schedule": {"retry_initial_min": 1.0}, "store": {"shared_buffers_mb": 16}}
)
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


def started(folder: Path, port: int) -> AbstractAsyncContextManager[Daemon]:
    path = write_configuration(folder, port, SETTINGS)
    return running(path, port, "--now", EVENING, "--speed", SPEED)


def is_complete(status: Any) -> bool:
    jobs = [item for item in status["jobs"] if item["name"] in JOBS]
    if any(item["running"] or item["waiting"] or item["last"] is None for item in jobs):
        return False
    return all((item["last"]["outcome"], item["last"]["session"]) == ("done", SESSION) for item in jobs)


async def require_complete_evening(daemon: Daemon) -> None:
    """Every symbol has its bar, its verdict and its score; this process was never replaced."""
    status = await daemon.until(is_complete, DEADLINE_S)
    assert status["pid"] == daemon.process.pid
    setups = (await daemon.get("/api/setups?all=1"))[1]["items"]
    assert len(setups) == len((await daemon.get("/api/risk"))[1]["items"]) > 20
    for symbol in (item["symbol"] for item in setups):
        assert (await daemon.get(f"/api/bars/{symbol}"))[1]["session"][-1] == SESSION


def n_refusals(log: Path) -> int:
    """How often the daemon could not open its store, or a run of it failed."""
    lines = log.read_text(encoding="utf-8").splitlines()
    ended = sum('"run.ended"' in line and '"failed"' in line for line in lines)
    return ended + sum("daemon.storage_unavailable" in line for line in lines)


async def test_a_full_disk_under_the_snapshot_costs_only_the_time_until_there_is_space(
    tmp_path: Path, port: int
) -> None:
    """The collection says which file has no space; nothing is judged on half a snapshot."""
    panel = tmp_path / "state" / "panel"
    panel.mkdir(parents=True)
    (tmp_path / "state").chmod(0o700)
    with small_disk(panel, 64) as disk:
        async with started(tmp_path, port) as daemon:
            status = await daemon.until(lambda item: outcomes(item)["collect"] == "failed", DEADLINE_S)
            reason = next(item["last"]["reason"] for item in status["jobs"] if item["name"] == "collect")
            assert "no space is left" in reason
            assert str(panel) in reason
            assert "ExceptionGroup" not in daemon.log.read_text(encoding="utf-8")
            assert "done" not in (outcomes(status)["screen"], outcomes(status)["risk"])
            disk.resize(SPACE_MB * 1024)
            await require_complete_evening(daemon)
            assert await daemon.stop() == 0


async def test_a_state_directory_that_grows_step_by_step_holds_the_evening_in_the_end(
    short_folder: Path, port: int
) -> None:
    """Too small for the database, for its log, for the bars: each time the process stays and tries again."""
    state = short_folder / "state"
    state.mkdir()
    with small_disk(state, SIZES_MB[0] * 1024) as disk:
        state.chmod(0o700)
        async with started(short_folder, port) as daemon:
            for size_mb in SIZES_MB:
                disk.resize(size_mb * 1024)
                before = n_refusals(daemon.log)
                while n_refusals(daemon.log) == before and not await is_complete_now(daemon):
                    assert daemon.process.returncode is None, daemon.tail()
                    await asyncio.sleep(0.2)
            assert n_refusals(daemon.log) >= 3
            assert "Traceback" not in daemon.log.read_text(encoding="utf-8")
            disk.resize(SPACE_MB * 1024)
            await require_complete_evening(daemon)
            assert os.statvfs(state).f_bavail > 0
            assert await daemon.stop() == 0


async def is_complete_now(daemon: Daemon) -> bool:
    """False while the daemon does not answer, because its store is away."""
    try:
        return is_complete(await daemon.status())
    except (OSError, ValueError):
        return False
