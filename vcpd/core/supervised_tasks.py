"""Supervised background tasks: named, cancelled with a deadline, failures always reported; a forced end."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog

FORCE_EXIT_AFTER_S: Final = 3.0
CANCEL_TIMEOUT_S: Final = 5.0
log = structlog.get_logger(__name__)


class TaskExitedError(RuntimeError):
    """A background task that should run until it is stopped returned."""


class SupervisedTasks:
    """Owns background tasks and reports each failure with the task's name and error.

    A task from `start` runs until it is stopped: any other end is a failure. One from `spawn` may return
    or be cancelled: only an exception is a failure.
    """

    def __init__(self, on_failure: Callable[[str, BaseException], None]) -> None:
        self._on_failure = on_failure
        self._permanent: dict[str, asyncio.Task[Any]] = {}
        self._passing: set[asyncio.Task[Any]] = set()
        self.failure: BaseException | None = None  # the first one

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Own `work`, which should never end by itself. ValueError for a name that is in use."""
        if name in self._permanent:
            work.close()
            raise ValueError(f"a background task named {name} runs already")
        task = asyncio.create_task(work, name=name)
        self._permanent[name] = task
        task.add_done_callback(self._permanent_ended)
        return task

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Own `work` until it ends; several may have one name."""
        task = asyncio.create_task(work, name=name)
        self._passing.add(task)
        task.add_done_callback(self._passing_ended)
        return task

    @property
    def names(self) -> list[str]:
        """The names of the tasks from `start`."""
        return sorted(self._permanent)

    @property
    def pending(self) -> frozenset[asyncio.Task[Any]]:
        """The tasks from `spawn` that have not ended."""
        return frozenset(self._passing)

    async def stop(self, name: str) -> None:
        """Cancel a task from `start` and wait for its end; gives up on one that ignores it."""
        task = self._permanent.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=CANCEL_TIMEOUT_S)
            if not task.done():
                log.error("background_task_ignores_cancel", task=name)

    async def stop_all(self) -> None:
        """Stop the tasks from `start`, the latest first."""
        for name in reversed(list(self._permanent)):
            await self.stop(name)

    async def wait(self, deadline_s: float) -> None:
        """Wait for the tasks from `spawn`, at most `deadline_s` of real time."""
        if self._passing:
            await asyncio.wait(self._passing, timeout=deadline_s)

    async def cancel(self, deadline_s: float) -> None:
        """Cancel the tasks from `spawn` and wait at most `deadline_s` of real time for their end."""
        for task in self.pending:
            task.cancel()
        await self.wait(deadline_s)

    def _permanent_ended(self, task: asyncio.Task[Any]) -> None:
        name = task.get_name()
        if self._permanent.get(name) is not task:
            return  # `stop` removed it
        del self._permanent[name]
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        self._fail(name, error or TaskExitedError(f"background task {name} returned"))

    def _passing_ended(self, task: asyncio.Task[Any]) -> None:
        self._passing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(task.get_name(), error)

    def _fail(self, name: str, error: BaseException) -> None:
        log.critical("background_task_died", task=name, exc_info=error)
        self.failure = self.failure or error
        self._on_failure(name, error)


async def force_exit(code: int) -> int:
    """Give `code` once every other task and thread of the loop has ended; end the process where one does not.

    A task that ignores its cancellation, or a thread that a dead disk holds, would keep the loop open.
    """
    deaf = await _cancel_other_tasks()
    threads = asyncio.create_task(asyncio.get_running_loop().shutdown_default_executor())
    done, _ = await asyncio.wait({threads}, timeout=FORCE_EXIT_AFTER_S)
    if deaf or not done:
        log.error("daemon.forced_exit", tasks=deaf, threads=not done)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


async def _cancel_other_tasks() -> list[str]:
    """Cancel every other task; gives the names of those that do not end."""
    rest: set[asyncio.Task[Any]] = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    if rest:
        await asyncio.wait(rest, timeout=FORCE_EXIT_AFTER_S)
    return [task.get_name() for task in rest if not task.done()]
