"""Interruptible wait."""

import asyncio
from datetime import UTC, datetime

import pytest

from tests.schedule.virtual_time import LoopClock, run_virtually
from vcpd.core.backoff import Wakeup

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_a_wait_ends_by_the_clock_by_a_call_or_by_cancellation() -> None:
    """A call before the wait counts too; a cancellation from outside is never swallowed."""

    async def act() -> None:
        clock = LoopClock(NOW)
        wakeup = Wakeup(clock)
        await wakeup.wait(10)
        assert clock.monotonic_s() == pytest.approx(10)
        wakeup.set()
        await wakeup.wait(10)
        assert clock.monotonic_s() == pytest.approx(10)
        asyncio.get_running_loop().call_later(3, wakeup.set)
        await wakeup.wait(10)
        assert clock.monotonic_s() == pytest.approx(13)
        sleeper = asyncio.create_task(wakeup.wait(10))
        await asyncio.sleep(1)
        wakeup.set()
        sleeper.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sleeper

    run_virtually(act())
