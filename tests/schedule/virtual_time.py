"""An event loop whose time jumps to the next timer as soon as nothing is ready: hours cost nothing."""

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")
RESOLUTION_S = 1e-6  # after months of seconds a float knows no much smaller difference


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: the time that the loop wanted to wait is added to its clock instead."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits and no timer is set: the test would hang for ever")
        if timeout <= 0:
            return []
        self.elapsed_s += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        self._clock_resolution = RESOLUTION_S

    def time(self) -> float:
        return self._jumping.elapsed_s


class LoopClock:
    """A wall clock on the loop's virtual time, which a test can step or let sleep through a suspend."""

    def __init__(self, start: datetime) -> None:
        self.start = start.astimezone(UTC)
        self.shift = timedelta()
        self._loop = asyncio.get_running_loop()

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.monotonic_s()) + self.shift

    def monotonic_s(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def sleep_until(self, instant: datetime) -> None:
        """Let time go by; comes back at `instant`, or elsewhere if the clock is stepped meanwhile."""
        await asyncio.sleep(max(0.0, (instant - self.now()).total_seconds()))

    def step(self, by: timedelta) -> None:
        """Set the wall clock; the time since boot is not touched, as with a suspend or an NTP step."""
        self.shift += by


def run_virtually(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end in a loop of its own."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
