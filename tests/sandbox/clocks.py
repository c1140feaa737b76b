"""A clock that stands still until a test moves it."""

import asyncio
import time
from datetime import UTC, datetime
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
