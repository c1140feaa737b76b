"""Tasks with an owner: named, waited for, and never dead in silence."""

import asyncio
from collections.abc import Callable, Coroutine


class OwnedTasks:
    """Starts tasks and keeps the first thing that one of them should not have raised."""

    def __init__(self, died: Callable[[], None]) -> None:
        """`died` is called when a task ends by an exception."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._died = died
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
            self._died()
