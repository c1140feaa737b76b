"""Waiting: exponential backoff, retry until available, interruptible wait."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf
from random import SystemRandom
from typing import Final, Protocol, TypeVar

from vcpd.core.errors import RetryableError, UnavailableError, VcpdError


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
        """End the wait, or the next one if none is waiting; may be called from anywhere in the loop."""
        if not self._is_set:
            self._is_set = True
            if self._waiter is not None:
                self._waiter.cancel()


MAX_DOUBLINGS: Final = 30  # more would leave the range of a time
STORE_ERRORS: Final = (RetryableError, UnavailableError)
T = TypeVar("T")
_random = SystemRandom()


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double from `first_s` with each failure in a row, up to `longest_s`."""

    first_s: float
    longest_s: float = inf

    def full_s(self, failures: int) -> float:
        """The pause in seconds after so many failures in a row, without jitter."""
        doublings = min(max(failures - 1, 0), MAX_DOUBLINGS)
        return min(self.longest_s, self.first_s * 2.0**doublings)

    def pause_s(self, failures: int, asked_s: float | None = None) -> float:
        """The same with jitter: between half of it and all of it, so that many clients do not return at once.

        `asked_s` is what the server asked for; it is added, so that no client comes back before its end.
        """
        full_s = self.full_s(failures)
        return (asked_s or 0.0) + _random.uniform(full_s / 2, full_s)


async def retry_until_available(
    operation: Callable[[], Awaitable[T]],
    clock: SleepClock,
    pause_s: float,
    on_error: Callable[[VcpdError], None],
) -> T:
    """The result of `operation`, tried again every `pause_s` while the store is away.

    `on_error` gets each RetryableError or UnavailableError, for the log; other errors pass through.
    """
    while True:
        try:
            return await operation()
        except STORE_ERRORS as error:
            on_error(error)
        await clock.sleep(pause_s)
