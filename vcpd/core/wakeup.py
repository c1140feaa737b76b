"""Interruptible wait on an injected clock."""

import asyncio
from typing import Protocol


class SleepClock(Protocol):
    """The part of a clock that waiting needs."""

    async def sleep(self, seconds: float) -> None: ...


class Wakeup:
    """Lets one task wait until a time is over or another task calls `set`, whichever comes first."""

    def __init__(self, clock: SleepClock) -> None:
        self._clock = clock
        self._waiter: asyncio.Task[object] | None = None
        self._is_set = False

    async def wait(self, seconds: float) -> None:
        """Wait at most `seconds`; returns at once after a `set` since the last wait.

        A cancellation of the waiting task passes through. Only one task may wait at a time.
        """
        if self._is_set:
            self._is_set = False
            return
        self._waiter = asyncio.current_task()
        try:
            await self._clock.sleep(seconds)
        except asyncio.CancelledError:
            if not self._is_set or self._waiter is None or self._waiter.uncancel():
                raise
        finally:
            self._waiter = None
            self._is_set = False

    def set(self) -> None:
        """End the wait, or the next one if nobody waits; may be called from anywhere in the loop."""
        if not self._is_set:
            self._is_set = True
            if self._waiter is not None:
                self._waiter.cancel()
