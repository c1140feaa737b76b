"""The throwaway process that warms up first: once, politely, and never the workers' undoing."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from tests.runtime import panels
from tests.runtime.conftest import LeftBehind
from tests.runtime.panels import open_panel
from vcpd.core.errors import UnavailableError
from vcpd.runtime.executor import stop_helper_processes
from vcpd.runtime.settings import WorkerSettings
from vcpd.runtime.warmup import precompile
from vcpd.runtime.worker_pool import WorkerPool

NOTES = "VCPD_TEST_NOTES"


def note_warm_up() -> None:
    """Appends who warms up, and how politely."""
    with Path(os.environ[NOTES]).open("a", encoding="utf-8") as notes:
        notes.write(f"{os.getpid()} {os.nice(0)}\n")


def warm_up_for_ever() -> None:
    note_warm_up()
    time.sleep(600)


def die_in_warm_up() -> None:
    os._exit(7)


def lines_of(notes: Path) -> list[str]:
    return notes.read_text(encoding="utf-8").splitlines()


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "notes"
    path.touch()
    monkeypatch.setenv(NOTES, str(path))
    return path


@contextlib.asynccontextmanager
async def closed_after(pool: WorkerPool) -> AsyncIterator[WorkerPool]:
    try:
        yield pool
    finally:
        await pool.close(deadline_s=1.0)


async def test_one_process_warms_up_before_the_workers_and_is_gone(notes: Path) -> None:
    """Three warm-ups for two workers: the first in a process that has ended, at a niceness 10 higher."""
    pool = WorkerPool(WorkerSettings(count=2), open_panel, (note_warm_up,))
    async with closed_after(pool):
        await pool.start()
        lines = [line.split() for line in lines_of(notes)]
        first, *others = [int(pid) for pid, _ in lines]
        assert {nice for _, nice in lines} == {str(min(os.nice(0) + 10, 19))}
        assert not psutil.pid_exists(first)
        assert sorted(others) == sorted(worker.pid for worker in pool.snapshot().workers)


async def test_a_replaced_executor_is_not_warmed_up_again(notes: Path) -> None:
    """The second crew finds everything compiled: it brings two warm-ups, not three."""
    pool = WorkerPool(WorkerSettings(count=2), open_panel, (note_warm_up,))
    async with closed_after(pool):
        await pool.start()
        pool.apply(WorkerSettings(count=2, memory_limit_mb=500))
        await pool.call(panels.burn, 0.0)
        assert len(lines_of(notes)) == 5


async def test_without_warm_ups_there_is_nothing_to_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> None:
        raise AssertionError("rehearsed")

    monkeypatch.setattr("vcpd.runtime.worker_pool.precompile", never)
    async with closed_after(WorkerPool(WorkerSettings(count=1), open_panel)) as pool:
        await pool.start()


async def test_a_warm_up_that_dies_is_shown_with_its_code() -> None:
    with pytest.raises(UnavailableError, match="ended with 7"):
        await precompile("forkserver", (die_in_warm_up,), ())
    await asyncio.to_thread(stop_helper_processes)


async def test_closing_during_the_warm_up_is_quick_and_leaves_no_process(
    notes: Path, left_behind: LeftBehind
) -> None:
    """Whoever stops the daemon a second after its first start does not wait for a compiler."""
    pool = WorkerPool(WorkerSettings(count=2), open_panel, (warm_up_for_ever,))
    starting = asyncio.create_task(pool.start(), name="start")
    async with asyncio.timeout(20.0):
        while not lines_of(notes):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)
    begun_s = time.perf_counter()
    await pool.close(deadline_s=10.0)
    assert time.perf_counter() - begun_s < 5.0
    with pytest.raises(UnavailableError, match="stopping"):
        await starting
    assert left_behind() == []
