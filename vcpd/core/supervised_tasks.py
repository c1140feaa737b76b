"""Supervised background tasks: named, cancelled with a deadline, and failures are always reported."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog

CANCEL_TIMEOUT_S: Final = 5.0
log = structlog.get_logger(__name__)


class TaskExitedError(RuntimeError):
    """A background task that should run for ever returned."""


class SupervisedTasks:
    """Tasks that live as long as their owner; one that ends by itself is reported with its name and error."""

    def __init__(self, on_death: Callable[[str, BaseException], None]) -> None:
        self._on_failure = on_death
        self._tasks: dict[str, asyncio.Task[Any]] = {}

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Own `work`, which should never end by itself. ValueError for a name that is in use."""
        if name in self._tasks:
            work.close()
            raise ValueError(f"a background task named {name} runs already")
        task = asyncio.create_task(work, name=name)
        self._tasks[name] = task
        task.add_done_callback(self._ended)
        return task

    @property
    def names(self) -> list[str]:
        return sorted(self._tasks)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        name = task.get_name()
        if self._tasks.get(name) is not task:
            return  # its owner stopped it
        del self._tasks[name]
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        death = error or TaskExitedError(f"background task {name} returned")
        log.critical("background_task_died", task=name, exc_info=death)
        self._on_failure(name, death)

    async def stop(self, name: str) -> None:
        """Cancel one and wait until it is gone; one that does not listen holds up nobody."""
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=CANCEL_TIMEOUT_S)
            if not task.done():
                log.error("background_task_deaf", task=name)

    async def stop_all(self) -> None:
        """Cancel the latest first, and wait until all are gone."""
        for name in reversed(list(self._tasks)):
            await self.stop(name)


class BackgroundTasks:
    """Starts tasks and keeps the first thing that one of them should not have raised."""

    def __init__(self, died: Callable[[], None]) -> None:
        """`died` is called when a task ends by an exception."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._on_failure = died
        self.failure: BaseException | None = None

    def spawn(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def wait(self, deadline_s: float) -> None:
        """Until all have ended, at most `deadline_s` of real time."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=deadline_s)

    async def cancel(self, deadline_s: float) -> None:
        """Cancel all, and wait at most `deadline_s` of real time: one may not listen."""
        for task in set(self._tasks):
            task.cancel()
        await self.wait(deadline_s)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failure = self.failure or error
            self._on_failure()
