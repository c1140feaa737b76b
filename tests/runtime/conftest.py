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
    others = set(psutil.Process().children(recursive=True))  # a database that other tests share

    async def start(settings: WorkerSettings) -> WorkerPool:
        pool = WorkerPool(settings, open_panel)
        pools.append(pool)
        await pool.start()
        return pool

    yield start
    for pool in pools:
        await pool.close(deadline_s=1.0)
    assert _left_behind(others) == []


def _left_behind(others: set[psutil.Process]) -> list[psutil.Process]:
    """Children that are not, and do not descend from, what was there before; a server forks as it likes."""
    now = psutil.Process().children(recursive=True)
    return [one for one in now if one not in others and not others & set(_parents(one))]


def _parents(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.parents()
    except psutil.NoSuchProcess:
        return []


@pytest.fixture
def panel(tmp_path: Path) -> PanelReference:
    return save_panel(tmp_path, 40)
