"""Run a task over the rows of a panel for commands: in this process, or in workers with a progress bar."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from vcpd.cli.engine import Engine, panel_workers
from vcpd.domain.panel import Panel
from vcpd.domain.runs import Progress

if TYPE_CHECKING:
    from vcpd.studies.run import RowMapping

P = TypeVar("P")
T = TypeVar("T")
POLL_INTERVAL_S: Final = 0.2
MIN_BARS_FOR_WORKERS: Final = 300_000  # with fewer the task ends sooner than two processes start


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
            async with _shown_progress(Progress(), "symbols") as progress:
                return await workers.map_panel(task, reference, parameters, progress=progress)

        yield map_rows


def map_rows_here(panel: Panel) -> "RowMapping":
    """Give a mapping that runs a task over all rows at once in this process."""

    async def map_rows(task: Callable[[Panel, range, P], T], parameters: P) -> Sequence[T]:
        return [task(panel, range(len(panel.symbols)), parameters)]

    return map_rows


@asynccontextmanager
async def _shown_progress(progress: Progress, what: str) -> AsyncIterator[Progress]:
    """Show `progress` while the block runs; show nothing where standard error is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        looking = asyncio.create_task(_update_bar(bar, progress, what), name="progress-bar")
        try:
            yield progress
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)


async def _update_bar(bar: Bar, progress: Progress, what: str) -> None:
    task = bar.add_task(what, total=None)
    while True:
        description = ", ".join(filter(None, (what, progress.text)))
        bar.update(task, description=description, completed=progress.done, total=progress.total or None)
        await asyncio.sleep(POLL_INTERVAL_S)
