"""Worker processes that end after a while without a task, and start again for the next one."""

import asyncio
import os

import psutil

from tests.runtime import panels
from tests.runtime.conftest import LeftBehind, StartPool
from tests.runtime.test_worker_pool import until
from vcpd.domain.panel import PanelReference
from vcpd.runtime.settings import WorkerSettings

SHORT_IDLE = WorkerSettings(count=2, idle_stop_s=0.1)
LONG_IDLE = WorkerSettings(count=1, idle_stop_s=3_600.0)


async def test_idle_workers_and_their_server_process_end(
    start_pool: StartPool, left_behind: LeftBehind
) -> None:
    """No process of the pool is left, so that a machine at rest has all its memory; the pool says so."""
    pool = await start_pool(SHORT_IDLE)
    assert left_behind() != []
    await until(lambda: left_behind() == [])
    assert pool.snapshot().workers == ()
    assert pool.snapshot().executors_broken == pool.snapshot().executors_recycled == 0


async def test_the_next_task_starts_them_again(
    start_pool: StartPool, panel: PanelReference, left_behind: LeftBehind
) -> None:
    """Whoever asks while none runs, or while they end, gets the whole answer from new processes."""
    pool = await start_pool(SHORT_IDLE)
    for _ in range(2):
        await until(lambda: left_behind() == [])
        parts = await pool.map_panel(panels.closes, panel, 2.0)
        assert sum(len(part) for part in parts) == 40
    assert pool.snapshot().executors_started == 3


async def test_tasks_that_begin_while_workers_end_are_done(start_pool: StartPool) -> None:
    """At whatever moment of the end a task comes: nothing is lost, nothing is reported as broken."""
    pool = await start_pool(LONG_IDLE)
    for _ in range(3):
        pool._begin_stop()
        assert pool._replacing is not None
        first, second = await asyncio.gather(pool.call(divmod, 7, 3), pool.call(divmod, 9, 2))
        assert (first, second) == ((2, 1), (4, 1))
    assert pool.snapshot().executors_broken == 0


async def test_a_running_task_keeps_its_worker(start_pool: StartPool) -> None:
    """The idle seconds count from the end of the last task, however long it took."""
    pool = await start_pool(WorkerSettings(count=1, idle_stop_s=0.05))
    pid = await pool.call(panels.sleep_and_get_pid, 0.5)
    assert pid > 0
    assert pool.snapshot().executors_broken == 0


async def test_new_settings_do_not_wake_ended_workers(start_pool: StartPool, left_behind: LeftBehind) -> None:
    pool = await start_pool(SHORT_IDLE)
    await until(lambda: left_behind() == [])
    pool.apply(LONG_IDLE)
    pool.recycle("asked to")
    assert pool.snapshot().workers == ()
    assert pool.snapshot().executors_started == 1
    assert psutil.pid_exists(await pool.call(os.getpid))


async def test_closing_while_workers_end_leaves_no_process(
    start_pool: StartPool, left_behind: LeftBehind
) -> None:
    pool = await start_pool(LONG_IDLE)
    pool._begin_stop()
    await pool.close(deadline_s=5.0)
    assert left_behind() == []
