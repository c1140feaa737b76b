"""The worker pool with real processes: order, isolation of culprits, cancelling, recycling, closing."""

import asyncio
import itertools
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest

from tests.runtime import panels
from tests.runtime.conftest import LeftBehind, StartPool
from vcpd.core.errors import PermanentError, UnavailableError
from vcpd.core.secrets import Secret
from vcpd.domain.panel import Panel, PanelReference
from vcpd.domain.runs import Progress
from vcpd.ports import FailedSymbol, Workers
from vcpd.runtime.settings import WorkerSettings
from vcpd.runtime.worker_pool import WorkerPool

SMALL = WorkerSettings(count=2, chunk_rows=8, task_timeout_s=20.0)
DeadlyTask = Callable[[Panel, range, Sequence[int]], list[int]]


async def until(condition: Callable[[], bool], deadline_s: float = 30.0) -> None:
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110 - processes set no event
            await asyncio.sleep(0.01)


def flatten(parts: Sequence[list[int]]) -> list[int]:
    return list(itertools.chain.from_iterable(parts))


async def test_results_come_in_row_order_with_progress(start_pool: StartPool, panel: PanelReference) -> None:
    """Every row is computed from the mapped panel, the parts come in order, and progress counts each row."""
    workers: Workers = await start_pool(SMALL)
    progress = Progress()
    progress.begin(panel.n_symbols, "screening")
    parts = await workers.map_panel(panels.closes, panel, 2.0, progress=progress)
    assert [value for part in parts for value in part] == [2.0 * row for row in range(40)]
    assert progress.done == 40


async def test_only_the_given_rows_are_computed(start_pool: StartPool, panel: PanelReference) -> None:
    pool = await start_pool(SMALL)
    assert flatten(await pool.map_panel(panels.exit_at, panel, [0, 39], rows=range(7, 30))) == list(
        range(7, 30)
    )
    assert await pool.map_panel(panels.exit_at, panel, [0], rows=range(0)) == []


@pytest.mark.parametrize(
    ("task", "timeout_s", "reason"),
    [
        (panels.exit_at, 20.0, "exited with 3"),
        (panels.segfault_at, 20.0, "SIGSEGV"),
        (panels.loop_at, 0.5, "longer than 0.5 s"),
        (panels.eat_memory_at, 20.0, "more than its limit of 300 MB"),
        (panels.raise_at, 20.0, "ZeroDivisionError: this row has no bars"),
    ],
)
async def test_a_deadly_symbol_costs_only_itself(
    start_pool: StartPool, panel: PanelReference, task: DeadlyTask, timeout_s: float, reason: str
) -> None:
    """Whatever way a symbol is deadly, it alone is reported, and all others have their results."""
    settings = WorkerSettings(count=2, chunk_rows=8, task_timeout_s=timeout_s, memory_limit_mb=300)
    pool = await start_pool(settings)
    failed_symbols: list[FailedSymbol] = []
    parts = await pool.map_panel(task, panel, [13], failed_symbols=failed_symbols)
    assert flatten(parts) == [row for row in range(40) if row != 13]
    assert [(symbol.symbol, symbol.row) for symbol in failed_symbols] == [("NSE:S013", 13)]
    assert reason in failed_symbols[0].reason


async def test_two_deadly_symbols_are_both_found(start_pool: StartPool, panel: PanelReference) -> None:
    """Two culprits in flight at once do not hide each other nor drag a neighbour along."""
    pool = await start_pool(SMALL)
    failed_symbols: list[FailedSymbol] = []
    parts = await pool.map_panel(panels.exit_at, panel, [3, 12], failed_symbols=failed_symbols)
    assert sorted(symbol.row for symbol in failed_symbols) == [3, 12]
    assert len(flatten(parts)) == 38


async def test_a_death_by_chance_costs_nothing(
    start_pool: StartPool, panel: PanelReference, tmp_path: Path
) -> None:
    """A worker that is killed once from outside has its work done again: every row, nobody blamed."""
    pool = await start_pool(SMALL)
    failed_symbols: list[FailedSymbol] = []
    parts = await pool.map_panel(
        panels.die_once, panel, str(tmp_path / "died"), failed_symbols=failed_symbols
    )
    assert flatten(parts) == list(range(40))
    assert failed_symbols == []


async def test_without_a_list_a_lost_symbol_fails_the_job(
    start_pool: StartPool, panel: PanelReference
) -> None:
    """No row is lost in silence: who does not take failed_symbols gets an error that names the symbol."""
    pool = await start_pool(SMALL)
    with pytest.raises(PermanentError, match=r"NSE:S013: .*exited with 3"):
        await pool.map_panel(panels.exit_at, panel, [13])


async def test_a_task_that_always_fails_is_given_up(start_pool: StartPool, panel: PanelReference) -> None:
    """More failed_symbols than allowed fail the whole job instead of quarantining the market."""
    pool = await start_pool(WorkerSettings(count=2, chunk_rows=8, max_failed_symbols=2))
    failed_symbols: list[FailedSymbol] = []
    with pytest.raises(PermanentError, match="given up"):
        await pool.map_panel(panels.raise_at, panel, range(40), failed_symbols=failed_symbols)
    assert failed_symbols == []


async def test_cancelling_kills_the_running_work(start_pool: StartPool, panel: PanelReference) -> None:
    """The processes of a cancelled job are gone, and the pool serves the next task with new ones."""
    pool = await start_pool(SMALL)
    before = {view.pid for view in pool.snapshot().workers}
    job = asyncio.create_task(pool.map_panel(panels.loop_at, panel, [1, 9]))
    await until(lambda: len(pool.snapshot().running) == 2)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    await until(lambda: not any(psutil.pid_exists(pid) for pid in before))
    assert await pool.call(os.getpid) not in before


async def test_cancelling_one_job_does_not_hurt_another(start_pool: StartPool, panel: PanelReference) -> None:
    """The neighbour that shared the killed executor is run again and never learns of it."""
    pool = await start_pool(SMALL)
    endless = asyncio.create_task(pool.map_panel(panels.loop_at, panel, [0], rows=range(1)))
    healthy = asyncio.create_task(pool.map_panel(panels.slow, panel, 0.3, rows=range(1)))
    await until(lambda: len(pool.snapshot().running) == 2)
    endless.cancel()
    assert flatten(await healthy) == [0]
    assert pool.snapshot().executors_broken == 1


async def test_an_idle_worker_that_dies_is_replaced(start_pool: StartPool) -> None:
    pool = await start_pool(SMALL)
    victim = pool.snapshot().workers[0].pid
    os.kill(victim, signal.SIGKILL)
    await until(lambda: not psutil.pid_exists(victim))
    assert await pool.call(os.getpid) != victim


async def test_a_call_gives_its_value_or_its_error(start_pool: StartPool) -> None:
    """Errors arrive as they were raised, with the worker's trace as a note; unportable ones as text."""
    pool = await start_pool(SMALL)
    assert await pool.call(divmod, 7, 3) == (2, 1)
    with pytest.raises(ZeroDivisionError) as caught:
        await pool.call(divmod, 7, 0)
    assert "in a worker" in caught.value.__notes__[0]
    with pytest.raises(PermanentError, match="PickyError: not portable"):
        await pool.call(panels.raise_picky)
    assert pool.snapshot().executors_broken == 0


async def test_a_call_that_kills_twice_fails(start_pool: StartPool) -> None:
    pool = await start_pool(SMALL)
    with pytest.raises(PermanentError, match="failed twice: its worker exited with 3"):
        await pool.call(os._exit, 3)


async def test_recycled_after_so_many_tasks(start_pool: StartPool) -> None:
    pool = await start_pool(WorkerSettings(count=1, recycle_after_tasks=3))
    pids = [await pool.call(os.getpid) for _ in range(7)]
    assert [len(list(group)) for _, group in itertools.groupby(pids)] == [3, 3, 1]
    assert pool.snapshot().executors_recycled == 2


async def test_recycled_above_the_memory_mark(start_pool: StartPool) -> None:
    pool = await start_pool(WorkerSettings(count=1, recycle_above_mb=100))
    first = await pool.call(os.getpid)
    await pool.call(panels.hold_memory, 100)
    assert await pool.call(os.getpid) != first


async def test_new_settings_are_taken_live(start_pool: StartPool) -> None:
    """Another worker count applies at once, without losing the task that runs meanwhile."""
    pool = await start_pool(WorkerSettings(count=1))
    running = asyncio.create_task(pool.call(panels.sleep_and_get_pid, 0.2))
    await until(lambda: bool(pool.snapshot().running))
    pool.apply(WorkerSettings(count=2))
    assert await running
    await until(lambda: len(pool.snapshot().workers) == 2)


async def test_a_newer_panel_unmaps_the_older(
    start_pool: StartPool, panel: PanelReference, tmp_path: Path
) -> None:
    """A worker keeps one snapshot mapped, so that a deleted one gives its disk space back."""
    pool = await start_pool(WorkerSettings(count=1, chunk_rows=100))
    newer = panels.save_panel(tmp_path, 40, version="2")
    await pool.map_panel(panels.mapped_files, panel, None)
    assert await pool.map_panel(panels.mapped_files, newer, None) == [[newer.path]]


async def test_an_idle_worker_lets_go_of_the_panel(start_pool: StartPool, panel: PanelReference) -> None:
    pool = await start_pool(WorkerSettings(count=1, idle_release_s=0.1))
    await pool.map_panel(panels.closes, panel, 1.0)
    maps = Path(f"/proc/{pool.snapshot().workers[0].pid}/maps")
    await until(lambda: panel.path not in maps.read_text(encoding="utf-8"))


async def test_a_panel_that_is_not_there_says_so(start_pool: StartPool) -> None:
    """The rows are not blamed for it."""
    pool = await start_pool(SMALL)
    with pytest.raises(UnavailableError, match="panel /nowhere cannot be opened"):
        await pool.map_panel(panels.closes, PanelReference("/nowhere", "1", 4, 4), 1.0, failed_symbols=[])


async def test_workers_go_last_and_count_one_thread(start_pool: StartPool) -> None:
    """Idle scheduling, one numeric thread, deaf to Ctrl-C; and the daemon's own environment is as before."""
    pool = await start_pool(SMALL)
    assert await pool.call(os.sched_getscheduler, 0) == os.SCHED_IDLE or await pool.call(os.nice, 0) == 19
    for name in ("OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"):
        assert await pool.call(panels.environment, name) == "1"
    assert os.environ.get("POLARS_MAX_THREADS") is None
    assert signal.SIGINT in await pool.call(panels.blocked_signals)
    assert signal.SIGINT not in panels.blocked_signals()


async def test_a_worker_that_waits_for_a_core_is_not_late(
    start_pool: StartPool, panel: PanelReference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine busy with other things delays idle-priority work; that must not look like an endless loop."""
    pool = await start_pool(WorkerSettings(count=1, task_timeout_s=0.2))
    executor = pool._executor
    assert executor is not None
    monkeypatch.setattr(type(executor), "_cpu_s", lambda self: 0.0)
    assert await pool.call(panels.burn, 0.7) > 0
    monkeypatch.setattr(type(executor), "_is_runnable", lambda self: False)
    with pytest.raises(PermanentError, match=r"longer than 0\.2 s"):
        await pool.call(panels.burn, 0.7)


async def test_a_failing_warm_up_says_why(left_behind: LeftBehind) -> None:
    pool = WorkerPool(SMALL, panels.open_panel, (panels.fail_to_warm_up,))
    with pytest.raises(UnavailableError, match="no kernel"):
        await pool.start()
    await pool.close()
    assert left_behind() == []


async def test_spawn_works_too(start_pool: StartPool) -> None:
    pool = await start_pool(WorkerSettings(count=1, start_method="spawn"))
    assert await pool.call(divmod, 9, 2) == (4, 1)


async def test_close_ends_busy_workers_within_the_deadline(
    start_pool: StartPool, panel: PanelReference, left_behind: LeftBehind
) -> None:
    """Running work is killed at the deadline, its caller hears that the daemon stops, no process is left."""
    pool = await start_pool(SMALL)
    job = asyncio.create_task(pool.map_panel(panels.loop_at, panel, [1]))
    await until(lambda: bool(pool.snapshot().running))
    await pool.close(deadline_s=0.2)
    with pytest.raises(UnavailableError, match="stopping"):
        await job
    assert left_behind() == []


async def test_close_lets_short_work_end(start_pool: StartPool) -> None:
    pool = await start_pool(SMALL)
    job = asyncio.create_task(pool.call(panels.sleep_and_get_pid, 0.3))
    await until(lambda: bool(pool.snapshot().running))
    await pool.close(deadline_s=10)
    assert await job


async def test_a_killed_forkserver_is_started_again(start_pool: StartPool) -> None:
    """Losing the process that starts workers costs one replacement, not the pool."""
    pool = await start_pool(SMALL)
    workers = {view.pid for view in pool.snapshot().workers}
    (parent,) = {psutil.Process(pid).ppid() for pid in workers}
    os.kill(parent, signal.SIGKILL)
    await until(lambda: not any(psutil.pid_exists(pid) for pid in workers))
    assert await pool.call(os.getpid) not in workers


async def test_a_secret_does_not_travel_to_a_worker(start_pool: StartPool) -> None:
    """It is refused where it was given, and the pool is as good as before."""
    pool = await start_pool(SMALL)
    with pytest.raises(TypeError, match="secret does not travel"):
        await pool.call(print, Secret("hunter2"))
    assert await pool.call(divmod, 7, 3) == (2, 1)


async def test_many_tasks_through_many_recyclings(start_pool: StartPool, panel: PanelReference) -> None:
    """Tasks that queue for a crew which is being replaced go to the next one: none is lost, none blamed."""
    pool = await start_pool(WorkerSettings(count=2, chunk_rows=1, recycle_after_tasks=7))
    maps = (pool.map_panel(panels.exit_at, panel, []) for _ in range(3))
    assert [flatten(parts) for parts in await asyncio.gather(*maps)] == [list(range(40))] * 3
    assert pool.snapshot().executors_recycled >= 4


async def test_a_death_in_the_middle_of_a_large_answer(start_pool: StartPool) -> None:
    """Half an answer in the pipe must not keep anybody waiting for the other half."""
    pool = await start_pool(WorkerSettings(count=1))
    for _ in range(3):
        job = asyncio.create_task(pool.call(panels.large_answer, 200))
        await until(lambda: bool(pool.snapshot().running))
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert await pool.call(divmod, 7, 3) == (2, 1)


async def test_who_waits_for_workers_receives_of_the_close(start_pool: StartPool) -> None:
    """Also one who waits while a crew is being replaced; and as an error, not as a cancellation."""
    pool = await start_pool(SMALL)
    os.kill(pool.snapshot().workers[0].pid, signal.SIGKILL)
    jobs = [asyncio.create_task(pool.call(panels.sleep_and_get_pid, 5.0)) for _ in range(4)]
    await asyncio.sleep(0)
    await pool.close(deadline_s=0.0)
    ends = await asyncio.gather(*jobs, return_exceptions=True)
    assert {type(end) for end in ends} == {UnavailableError}


async def test_the_panel_is_shared_by_mapping(start_pool: StartPool, tmp_path: Path) -> None:
    """Every worker reads all of 64 MB of bars, and none of them holds a copy."""
    pool = await start_pool(WorkerSettings(count=2, chunk_rows=10_000))
    large = panels.save_panel(tmp_path, 160_000)
    before = {view.pid: view.private_mb for view in pool.snapshot().workers}
    assert sum(await pool.map_panel(panels.total, large, None)) == pytest.approx(5 * 10 * sum(range(160_000)))
    after = {view.pid: view.private_mb for view in pool.snapshot().workers}
    assert all(after[pid] - before[pid] < 24 for pid in before)
