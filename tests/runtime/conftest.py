"""A pool of real worker processes that never outlives its test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from tests.runtime.panels import open_panel, save_panel
from vcpd.domain.panel import PanelReference
from vcpd.runtime.settings import WorkerSettings
from vcpd.runtime.workers import WorkerPool

StartPool = Callable[[WorkerSettings], Awaitable[WorkerPool]]


@pytest.fixture
async def start_pool() -> AsyncIterator[StartPool]:
    pools: list[WorkerPool] = []

    async def start(settings: WorkerSettings) -> WorkerPool:
        pool = WorkerPool(settings, open_panel)
        pools.append(pool)
        await pool.start()
        return pool

    yield start
    for pool in pools:
        await pool.close(deadline_s=1.0)
    assert psutil.Process().children(recursive=True) == []


@pytest.fixture
def panel(tmp_path: Path) -> PanelReference:
    return save_panel(tmp_path, 40)
