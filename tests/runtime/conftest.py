"""A pool of real worker processes that never outlives its test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from tests.runtime.panels import open_panel, save_panel
from vcpd.domain.panel import PanelReference
from vcpd.runtime.settings import WorkerSettings
from vcpd.runtime.worker_pool import WorkerPool

StartPool = Callable[[WorkerSettings], Awaitable[WorkerPool]]


LeftBehind = Callable[[], list[psutil.Process]]


@pytest.fixture
def left_behind() -> LeftBehind:
    """Tells which children of this test are still there; a database shared by tests is none of them."""
    others = set(psutil.Process().children(recursive=True))

    def report() -> list[psutil.Process]:
        now = psutil.Process().children(recursive=True)
        return [process for process in now if process not in others and not others & set(_parents(process))]

    return report


@pytest.fixture
async def start_pool(left_behind: LeftBehind) -> AsyncIterator[StartPool]:
    pools: list[WorkerPool] = []

    async def start(settings: WorkerSettings) -> WorkerPool:
        pool = WorkerPool(settings, open_panel)
        pools.append(pool)
        await pool.start()
        return pool

    yield start
    for pool in pools:
        await pool.close(deadline_s=1.0)
    assert left_behind() == []


def _parents(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.parents()
    except psutil.NoSuchProcess:
        return []


@pytest.fixture
def panel(tmp_path: Path) -> PanelReference:
    return save_panel(tmp_path, 40)
