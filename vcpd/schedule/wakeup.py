"""Interruptible sleep on the injected clock."""

import asyncio

from vcpd.ports import Clock


class InterruptibleSleep:
    """`sleep` belongs to one task; `wake` may be called by anyone in the loop, also before the sleep."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sleeper: asyncio.Task[object] | None = None
        self._woken = False

    async def sleep(self, seconds: float) -> None:
        """Until the clock says so or somebody wakes; a cancellation from outside goes through."""
        if self._woken:
            self._woken = False
            return
        self._sleeper = asyncio.current_task()
        try:
            await self._clock.sleep(seconds)
        except asyncio.CancelledError:
            if not self._woken or self._sleeper is None or self._sleeper.uncancel():
                raise
        finally:
            self._sleeper = None
            self._woken = False

    def wake(self) -> None:
        if not self._woken:
            self._woken = True
            if self._sleeper is not None:
                self._sleeper.cancel()
