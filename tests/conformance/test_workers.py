"""Workers: results in row order, failed rows named, none lost in silence."""

import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from tests.fakes.collection import FakeBarStore, FakePanelStore, FakeQuarantineStore, Fate, InlineWorkers
from tests.runtime.dask_processes import DaskProcesses, dask_processes
from tests.runtime.panels import closes, exit_at, open_panel, save_panel
from vcpd.core.errors import PermanentError
from vcpd.domain.panel import PanelReference
from vcpd.domain.runs import Progress
from vcpd.ports import FailedSymbol, Workers
from vcpd.runtime.dask_workers import DaskWorkers
from vcpd.runtime.engine_workers import EngineWorkers
from vcpd.runtime.settings import DaskSettings, WorkerSettings
from vcpd.runtime.worker_pool import WorkerPool

DEADLY_ROW = 3


@pytest.fixture
def panel(tmp_path: Path) -> PanelReference:
    return save_panel(tmp_path, 12)


@pytest.fixture(params=["fake", "processes", "dask", "engine"])
def adapter(request: pytest.FixtureRequest) -> str:
    """Which engine a test runs over."""
    return str(request.param)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    with dask_processes(tmp_path_factory.mktemp("dask")) as processes:
        processes.start_scheduler()
        processes.start_worker()
        yield processes


@pytest.fixture
async def workers(
    adapter: str, panel: PanelReference, request: pytest.FixtureRequest
) -> AsyncIterator[Workers]:
    if adapter == "fake":
        yield inline_workers(panel)
        return
    if adapter in {"dask", "engine"}:
        settings = WorkerSettings(chunk_rows=4, engine="dask")
        address = request.getfixturevalue("cluster").address
        dask = on_cluster(adapter, settings, DaskSettings(scheduler=address, worker_wait_s=120.0))
        yield dask
        await dask.close()
        return
    pool = WorkerPool(WorkerSettings(count=2, chunk_rows=4, task_timeout_s=20.0), open_panel)
    await pool.start()
    yield pool
    await pool.close(deadline_s=5.0)


def on_cluster(adapter: str, settings: WorkerSettings, dask: DaskSettings) -> DaskWorkers | EngineWorkers:
    """The workers of a cluster, or the configured engine beside a local pool that never starts."""
    if adapter == "dask":
        return DaskWorkers(settings, dask, open_panel)
    engine = EngineWorkers(WorkerPool(settings, open_panel), open_panel)
    engine.apply(settings, msgspec.structs.replace(dask, fallback=False))
    return engine


def inline_workers(panel: PanelReference) -> InlineWorkers:
    fate = Fate()
    panels = FakePanelStore(fate, FakeBarStore(fate, {}), FakeQuarantineStore(fate))
    panels.snapshots[panel.version] = open_panel(panel)
    return InlineWorkers(fate, panels, frozenset({f"NSE:S{DEADLY_ROW:03}"}))


def flatten(parts: Sequence[Sequence[float]]) -> list[float]:
    return list(itertools.chain.from_iterable(parts))


async def test_results_come_in_row_order_and_progress_counts_rows(
    workers: Workers, panel: PanelReference
) -> None:
    progress = Progress()
    rows = range(4, 12)
    progress.begin(len(rows), "computing")
    parts = await workers.map_panel(closes, panel, 2.0, rows=rows, progress=progress)
    assert flatten(parts) == [2.0 * row for row in rows]
    assert progress.done == len(rows)
    assert list(await workers.map_panel(closes, panel, 2.0, rows=range(0))) == []


async def test_a_row_that_kills_its_worker_is_named_and_the_others_are_computed(
    workers: Workers, panel: PanelReference
) -> None:
    failed: list[FailedSymbol] = []
    parts = await workers.map_panel(exit_at, panel, [DEADLY_ROW], failed_symbols=failed)
    assert flatten(parts) == [row for row in range(12) if row != DEADLY_ROW]
    assert [(symbol.symbol, symbol.row) for symbol in failed] == [(f"NSE:S{DEADLY_ROW:03}", DEADLY_ROW)]


async def test_without_a_list_for_them_a_failed_row_raises(workers: Workers, panel: PanelReference) -> None:
    with pytest.raises(PermanentError, match=f"NSE:S{DEADLY_ROW:03}"):
        await workers.map_panel(exit_at, panel, [DEADLY_ROW])


async def test_a_function_is_called_once(workers: Workers) -> None:
    assert await workers.call(divmod, 17, 5) == (3, 2)
