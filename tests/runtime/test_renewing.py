"""Fresh workers on demand."""

import asyncio
import os

from tests.runtime import panels
from tests.runtime.conftest import StartPool
from vcpd.runtime.settings import WorkerSettings


async def test_renewing_lets_a_running_task_end_and_gives_fresh_workers(start_pool: StartPool) -> None:
    pool = await start_pool(WorkerSettings(count=1))
    before = await pool.call(os.getpid)
    running = asyncio.create_task(pool.call(panels.sleep_and_get_pid, 0.2))
    while not pool.snapshot().running:  # noqa: ASYNC110 - another process's state has no event
        await asyncio.sleep(0.005)
    pool.renew("asked to")
    assert await running == before
    assert await pool.call(os.getpid) != before
    assert pool.snapshot().crews_recycled == 1
