"""Wall clock and virtual clock behind `ports.Clock`."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

from vcpd.core.errors import BadInputError


class WallClock:
    """The host's time in UTC; asked anew each time, so that suspend and NTP steps are seen."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class VirtualClock:
    """virtual now = `start` + (real now - `since`) x `speed`.

    Another process given the same `start`, `speed` and `since` reads the same time. Real time goes on by
    the monotonic clock, so a step of the host's clock moves nothing here. BadInputError on a naive
    instant or a speed that is not positive.
    """

    def __init__(self, start: datetime, speed: float = 1.0, since: datetime | None = None) -> None:
        if start.tzinfo is None or (since is not None and since.tzinfo is None):
            raise BadInputError(
                "a virtual clock needs instants with a time zone, e.g. 2025-06-30T10:00+05:30"
            )
        if not speed > 0:
            raise BadInputError(f"the speed of a virtual clock must be above 0, was {speed}")
        self._monotonic_at_origin_s = time.monotonic()
        real_now = datetime.now(UTC)
        self.start = start.astimezone(UTC)
        self.speed = speed
        self.since = real_now if since is None else since.astimezone(UTC)
        self._elapsed_at_origin_s = (real_now - self.since).total_seconds()

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.monotonic_s())

    def monotonic_s(self) -> float:
        real_s = time.monotonic() - self._monotonic_at_origin_s
        return (self._elapsed_at_origin_s + real_s) * self.speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) / self.speed)


def make_clock(now: datetime | None, speed: float, since: datetime | None) -> WallClock | VirtualClock:
    """The wall clock, or the virtual one that starts at `now`."""
    return WallClock() if now is None else VirtualClock(now, speed, since)
