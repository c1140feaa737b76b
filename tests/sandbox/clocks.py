"""A clock that stands still until a test moves it."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

IST = ZoneInfo("Asia/Kolkata")


def ist(text: str) -> datetime:
    """An instant written in the exchange's wall time, such as 2026-11-20T10:00."""
    return datetime.fromisoformat(text).replace(tzinfo=IST).astimezone(UTC)


class StandingClock:
    """Implements the Clock port; `set` moves it."""

    def __init__(self, at: datetime) -> None:
        self._now = at

    def set(self, at: datetime) -> None:
        self._now = at

    def now(self) -> datetime:
        return self._now

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SpedClock(StandingClock):
    """Stands still until it is let go; then runs at `speed`."""

    def __init__(self, at: datetime, speed: float) -> None:
        super().__init__(at)
        self._speed = speed
        self._began_s: float | None = None

    def go(self) -> None:
        self._began_s = time.monotonic()

    def now(self) -> datetime:
        if self._began_s is None:
            return self._now
        return self._now + timedelta(seconds=(time.monotonic() - self._began_s) * self._speed)
