"""Fresh workers on demand."""

import asyncio
import os

from tests.runtime import panels
from tests.runtime.conftest import LeftBehind, StartPool
from vcpd.runtime.settings import WorkerSettings
from vcpd.runtime.worker_pool import WorkerPool


async def test_renewing_lets_a_running_task_end_and_gives_fresh_workers(start_pool: StartPool) -> None:
    pool = await start_pool(WorkerSettings(count=1))
    before = await pool.call(os.getpid)
    running = asyncio.create_task(pool.call(panels.sleep_and_get_pid, 0.2))
    while not pool.snapshot().running:  # noqa: ASYNC110 - another process's state has no event
        await asyncio.sleep(0.005)
    pool.recycle("asked to")
    assert await running == before
    assert await pool.call(os.getpid) != before
    assert pool.snapshot().executors_recycled == 1


async def test_a_mark_below_a_newborns_weight_still_lets_work_be_done(left_behind: LeftBehind) -> None:
    """Each worker does at least one task before it counts as too heavy; nobody is replaced for ever."""
    settings = WorkerSettings(count=1, recycle_above_mb=64)
    pool = WorkerPool(settings, panels.open_panel, warm_ups=(panels.keep_much,))
    try:
        async with asyncio.timeout(30):
            assert await pool.call(panels.burn, 0.01) > 0
            assert await pool.call(panels.burn, 0.01) > 0
        assert pool.snapshot().executors_started <= 3
    finally:
        await pool.close(deadline_s=1.0)
    assert left_behind() == []
