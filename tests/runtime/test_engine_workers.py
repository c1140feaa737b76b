"""The configured engine computes; new settings change it while tasks run."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tests.runtime import panels
from tests.runtime.panels import open_panel
from vcpd.core.errors import ConfigurationError, UnavailableError
from vcpd.domain.panel import PanelReference
from vcpd.domain.runs import Progress
from vcpd.runtime import dask_workers, engine_workers
from vcpd.runtime.engine_workers import EngineWorkers
from vcpd.runtime.settings import DASK, DaskSettings, WorkerSettings
from vcpd.runtime.worker_pool import WorkerPool

LOCAL_SETTINGS = WorkerSettings(count=1, chunk_rows=16)
ON_DASK = msgspec.structs.replace(LOCAL_SETTINGS, engine=DASK)
NO_SCHEDULER = DaskSettings(scheduler="tcp://127.0.0.1:1", connect_timeout_s=0.5)
WITHOUT_FALLBACK = msgspec.structs.replace(NO_SCHEDULER, fallback=False)


@pytest.fixture
async def local() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(LOCAL_SETTINGS, open_panel)
    yield pool
    await pool.close()


@pytest.fixture
async def engine(local: WorkerPool) -> AsyncIterator[EngineWorkers]:
    workers = EngineWorkers(local, open_panel)
    yield workers
    await workers.close()


async def test_settings_change_the_engine_from_one_task_to_the_next(
    engine: EngineWorkers, panel: PanelReference
) -> None:
    """A cluster that is away fails the task, computes it locally, or is no longer asked."""
    here = await engine.map_panel(panels.closes, panel, 2.0)
    engine.apply(ON_DASK, WITHOUT_FALLBACK)
    with pytest.raises(UnavailableError, match=r"scheduler at tcp://127\.0\.0\.1:1 cannot be reached"):
        await engine.map_panel(panels.closes, panel, 2.0)
    with pytest.raises(UnavailableError, match=r"scheduler at tcp://127\.0\.0\.1:1 cannot be reached"):
        await engine.call(divmod, 17, 5)
    engine.apply(ON_DASK, NO_SCHEDULER)
    progress = Progress()
    progress.begin(40, "computing")
    assert await engine.map_panel(panels.closes, panel, 2.0, progress=progress) == here
    assert (progress.done, progress.text) == (40, "computing, local workers instead of Dask")
    assert await engine.call(divmod, 17, 5) == (3, 2)
    engine.apply(LOCAL_SETTINGS, NO_SCHEDULER)
    assert await engine.map_panel(panels.closes, panel, 2.0) == here


class GatedWorkers:
    """Stands for the workers of a cluster: a task shows its cluster in `begun`, and waits for the gate."""

    begun: "asyncio.Queue[GatedWorkers]" = asyncio.Queue()

    def __init__(self, *_arguments: Any) -> None:
        self.gate = asyncio.Event()
        self.closed = asyncio.Event()

    async def call(self, _function: object, answer: object) -> object:
        self.begun.put_nowait(self)
        await self.gate.wait()
        assert not self.closed.is_set()
        return answer

    async def close(self) -> None:
        self.closed.set()


@pytest.fixture
async def begun(monkeypatch: pytest.MonkeyPatch) -> "asyncio.Queue[GatedWorkers]":
    queue: asyncio.Queue[GatedWorkers] = asyncio.Queue()
    monkeypatch.setattr(GatedWorkers, "begun", queue)
    monkeypatch.setattr(dask_workers, "DaskWorkers", GatedWorkers)
    return queue


async def test_a_running_task_ends_on_its_cluster_which_is_left_then(
    engine: EngineWorkers, begun: "asyncio.Queue[GatedWorkers]"
) -> None:
    engine.apply(ON_DASK, NO_SCHEDULER)
    first = asyncio.create_task(engine.call(max, 1))
    before = await begun.get()
    engine.apply(ON_DASK, WITHOUT_FALLBACK)
    second = asyncio.create_task(engine.call(max, 2))
    after = await begun.get()
    engine.apply(ON_DASK, WITHOUT_FALLBACK)  # no change: the cluster stays
    before.gate.set()
    assert await first == 1
    await before.closed.wait()
    assert not after.closed.is_set()
    after.gate.set()
    assert await second == 2
    await engine.close()
    assert after.closed.is_set()
    assert after is not before


async def test_closing_waits_for_no_task_of_a_cluster_that_was_left(
    engine: EngineWorkers, begun: "asyncio.Queue[GatedWorkers]"
) -> None:
    engine.apply(ON_DASK, NO_SCHEDULER)
    task = asyncio.create_task(engine.call(max, 1))
    cluster = await begun.get()
    engine.apply(LOCAL_SETTINGS, NO_SCHEDULER)
    await engine.close()
    assert cluster.closed.is_set()
    task.cancel()


async def test_without_dask_installed_the_setting_is_refused(
    engine: EngineWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_workers, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'vcpd\[dask\]'"):
        engine.apply(ON_DASK, NO_SCHEDULER)
    engine.apply(LOCAL_SETTINGS, NO_SCHEDULER)


def test_the_local_engine_does_not_import_dask() -> None:
    program = "import sys, vcpd.app.container, vcpd.cli.engine; print('distributed' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "False"
