"""Items that wait to be processed in order, a batch at a time; none is dropped before it was processed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Generic, TypeVar

from vcpd.core.errors import RetryableError, UnavailableError

T = TypeVar("T")


class BatchQueue(Generic[T]):
    """Takes items without blocking and hands all that wait to `process`, again after each temporary failure.

    `failed` waits before a batch is processed again, and reports why it was not.
    """

    def __init__(
        self,
        process: Callable[[Sequence[T]], Awaitable[None]],
        failed: Callable[[Sequence[T], Exception], Awaitable[None]],
    ) -> None:
        self._process, self._failed = process, failed
        self._waiting: list[T] = []
        self._wakeup, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, items: Iterable[T]) -> None:
        """Append items; those of a batch that is being processed come before them."""
        self._waiting += items
        if self._waiting:
            self._idle.clear()
            self._wakeup.set()

    async def run(self) -> None:
        """Process what is added, until cancelled."""
        while True:
            await self._wakeup.wait()
            self._wakeup.clear()
            while self._waiting:
                batch = tuple(self._waiting)
                await self._process_at_last(batch)
                del self._waiting[: len(batch)]
            self._idle.set()

    async def wait_until_idle(self, deadline_s: float) -> bool:
        """Wait until nothing waits; False where the deadline came first."""
        try:
            async with asyncio.timeout(deadline_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def _process_at_last(self, batch: Sequence[T]) -> None:
        """Process a batch until that succeeds; any error that is not temporary is raised."""
        while True:
            try:
                await self._process(batch)
            except (RetryableError, UnavailableError) as error:
                await self._failed(batch, error)
            else:
                return
