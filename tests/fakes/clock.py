"""The one fake of the Clock port: it stands at an instant until a test or a sleeper moves it."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from enum import Enum

from vcpd.runtime.clock import VirtualClock

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOTICE_S = 0.005  # real seconds that tasks get between two steps of `advance`


class Sleep(Enum):
    """What `sleep` does to the clock and to the sleeper."""

    ADVANCES = "the clock moves by the seconds slept; the sleeper goes on at once"
    RETURNS = "the sleeper goes on at once; the clock stands"
    WAITS = "the sleeper waits until the clock has been moved that far"
    IS_REAL = "real seconds pass; the clock stands, its monotonic seconds are real"


class FakeClock:
    """Implements `vcpd.ports.Clock`. `at` may be set; `advance` moves second by second."""

    def __init__(self, now: datetime = EPOCH, sleep: Sleep = Sleep.ADVANCES) -> None:
        self.at = now.astimezone(UTC)
        self._sleep = sleep
        self._moved = asyncio.Event()
        self._speed = 0.0
        self._running_since_s = 0.0

    def now(self) -> datetime:
        """The instant at which the clock stands, in UTC; after `run` it goes on by itself."""
        if not self._speed:
            return self.at
        return self.at + timedelta(seconds=(time.monotonic() - self._running_since_s) * self._speed)

    def monotonic_s(self) -> float:
        return time.monotonic() if self._sleep is Sleep.IS_REAL else self.now().timestamp()

    async def sleep(self, seconds: float) -> None:
        if self._sleep is Sleep.IS_REAL:
            await asyncio.sleep(seconds)
            return
        if self._sleep is Sleep.WAITS:
            await self._wait_until(self.at + timedelta(seconds=seconds))
            return
        if self._sleep is Sleep.ADVANCES:
            self.at += timedelta(seconds=seconds)
        await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        """Move the clock, second by second, with real time for sleepers to notice each."""
        for _ in range(round(seconds)):
            self.at += timedelta(seconds=1)
            self._moved.set()
            await asyncio.sleep(NOTICE_S)

    def run(self, speed: float) -> None:
        """Let the clock go on by itself, `speed` seconds for each real second."""
        self._speed, self._running_since_s = speed, time.monotonic()

    async def _wait_until(self, instant: datetime) -> None:
        while self.at < instant:
            self._moved.clear()
            await self._moved.wait()


def fast_clock() -> VirtualClock:
    """The daemon's own virtual clock, a hundred times as fast as real time."""
    return VirtualClock(datetime.now(UTC), speed=100)
