"""Workers warm up: once, politely, and a stop does not wait for them."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.runtime import panels
from tests.runtime.conftest import LeftBehind
from tests.runtime.panels import open_panel
from vcpd.core.errors import UnavailableError
from vcpd.runtime.settings import WorkerSettings
from vcpd.runtime.worker_pool import WorkerPool

NOTES = "VCPD_TEST_NOTES"


def note_warm_up() -> None:
    """Appends who warms up, and how politely."""
    with Path(os.environ[NOTES]).open("a", encoding="utf-8") as notes:
        notes.write(f"{os.getpid()} {os.nice(0)}\n")


def warm_up_for_ever() -> None:
    note_warm_up()
    time.sleep(600)


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


async def test_each_worker_warms_up_once_and_politely(notes: Path) -> None:
    """At a niceness 10 higher; a second crew warms up for itself."""
    pool = WorkerPool(WorkerSettings(count=2), open_panel, (note_warm_up,))
    async with closed_after(pool):
        await pool.start()
        lines = [line.split() for line in lines_of(notes)]
        assert {nice for _, nice in lines} == {str(min(os.nice(0) + 10, 19))}
        assert sorted(int(pid) for pid, _ in lines) == sorted(
            worker.pid for worker in pool.snapshot().workers
        )
        pool.apply(WorkerSettings(count=2, memory_limit_mb=500))
        await pool.call(panels.burn, 0.0)
        assert len(lines_of(notes)) == 4


async def test_closing_during_the_warm_up_is_quick_and_leaves_no_process(
    notes: Path, left_behind: LeftBehind
) -> None:
    """Whoever stops the daemon a second after its first start does not wait for it."""
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
