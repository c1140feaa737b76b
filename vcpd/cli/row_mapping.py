"""Run a task over the rows of a panel for commands: in this process, or in workers with a progress bar."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from vcpd.analysis import tasks
from vcpd.cli.engine import Engine
from vcpd.domain.panel import Panel, PanelReference
from vcpd.domain.runs import Progress
from vcpd.ports import Workers
from vcpd.progress_line import cells_of, pace_text, work_text
from vcpd.runtime import logs
from vcpd.runtime.engine_workers import EngineWorkers
from vcpd.runtime.settings import DASK, LOCAL
from vcpd.runtime.worker_pool import WorkerPool
from vcpd.store.panel_files import PanelFiles, open_panel

if TYPE_CHECKING:
    from vcpd.studies.run import RowMapping

P = TypeVar("P")
T = TypeVar("T")
POLL_INTERVAL_S: Final = 0.2
MIN_BARS_FOR_WORKERS: Final = 300_000  # with fewer the task ends sooner than two processes start
PRELOAD: Final = ("vcpd.analysis.screen",)
WARM_UPS: Final = (tasks.warm_up,)


class PanelWorkers(NamedTuple):
    """Workers, and the snapshot that they compute on."""

    workers: Workers
    panel: PanelReference


@asynccontextmanager
async def panel_workers(panel: Panel, engine: Engine) -> AsyncIterator[PanelWorkers]:
    """Workers over a snapshot of `panel` in a temporary folder: no bar is copied to a local worker."""
    configuration = engine.configuration
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vcpd-"))
        local = WorkerPool(configuration.workers, open_panel, WARM_UPS, PRELOAD)
        stack.push_async_callback(local.close)
        workers = EngineWorkers(local, open_panel, WARM_UPS)
        stack.push_async_callback(workers.close)
        chosen = LOCAL if engine.dask is None else DASK
        settings = msgspec.structs.replace(configuration.workers, engine=chosen)
        workers.apply(settings, engine.dask or configuration.dask)
        reference = await asyncio.to_thread(PanelFiles(Path(folder)).write, panel)
        yield PanelWorkers(workers, reference)


def compute_in_workers(
    task: Callable[[Panel, range, P], T], panel: Panel, rows: range, parameters: P, engine: Engine
) -> Sequence[T]:
    """Run one task over `rows` in workers, with a progress bar; the parts in row order."""

    async def compute() -> Sequence[T]:
        progress = Progress()
        progress.begin(len(rows), "")
        async with panel_workers(panel, engine) as (workers, reference), _shown_progress(progress):
            return await workers.map_panel(task, reference, parameters, rows=rows, progress=progress)

    logs.configure_quiet()
    return asyncio.run(compute())


@asynccontextmanager
async def row_mapping(panel: Panel, engine: Engine) -> "AsyncIterator[RowMapping]":
    """Give a mapping that runs a task over all rows in this process, or over chunks of them in workers.

    Local workers are used from MIN_BARS_FOR_WORKERS bars on, a Dask cluster always.
    """
    if engine.dask is None and panel.close.size < MIN_BARS_FOR_WORKERS:
        yield map_rows_here(panel)
        return
    async with panel_workers(panel, engine) as (workers, reference):

        async def map_rows(task: Callable[[Panel, range, P], T], parameters: P) -> Sequence[T]:
            progress = Progress()
            progress.begin(len(panel.symbols), "")
            async with _shown_progress(progress, cells_of(parameters)):
                return await workers.map_panel(task, reference, parameters, progress=progress)

        yield map_rows


def map_rows_here(panel: Panel) -> "RowMapping":
    """Give a mapping that runs a task over all rows at once in this process."""

    async def map_rows(task: Callable[[Panel, range, P], T], parameters: P) -> Sequence[T]:
        return [task(panel, range(len(panel.symbols)), parameters)]

    return map_rows


@asynccontextmanager
async def _shown_progress(progress: Progress, cells: int = 0) -> AsyncIterator[None]:
    """Show what is done, the rate and the time left while the block runs; nothing without a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        looking = asyncio.create_task(_update_bar(bar, progress, cells), name="progress-bar")
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)


async def _update_bar(bar: Bar, progress: Progress, cells: int) -> None:
    begin, task = monotonic(), bar.add_task(work_text(cells), total=None, pace="")
    while True:
        bar.update(
            task,
            description=", ".join(filter(None, (work_text(cells), progress.text))),
            completed=progress.done,
            total=progress.total or None,
            pace=pace_text(progress.done, progress.total, monotonic() - begin, cells),
        )
        await asyncio.sleep(POLL_INTERVAL_S)
