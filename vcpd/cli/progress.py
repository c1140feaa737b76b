"""A progress bar on standard error for work that a verb awaits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from vcpd.domain.runs import Progress

LOOK_EVERY_S: Final = 0.2


@asynccontextmanager
async def showing(progress: Progress, what: str) -> AsyncIterator[Progress]:
    """Show `progress` while the block runs; nothing where standard error is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        looking = asyncio.create_task(_look(bar, progress, what), name="progress-bar")
        try:
            yield progress
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)


async def _look(bar: Bar, progress: Progress, what: str) -> None:
    task = bar.add_task(what, total=None)
    while True:
        bar.update(task, completed=progress.done, total=progress.total or None)
        await asyncio.sleep(LOOK_EVERY_S)
