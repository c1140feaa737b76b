"""Clock: aware instants in UTC, monotonic seconds, sleepers that wake."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.fakes.clock import FakeClock, Sleep, fast_clock
from tests.schedule.virtual_time import LoopClock, run_virtually
from vcpd.ports import Clock
from vcpd.runtime.clock import WallClock

NOON = datetime(2024, 3, 4, 12, 0, tzinfo=UTC)
SLEEP_S = 0.02


async def _check(clock: Clock) -> None:
    before, before_s = clock.now(), clock.monotonic_s()
    await clock.sleep(SLEEP_S)
    assert before.utcoffset() == timedelta(0)
    assert clock.now() >= before
    assert clock.monotonic_s() - before_s >= SLEEP_S * 0.9
    await clock.sleep(0.0)


@pytest.mark.parametrize("build", [lambda: FakeClock(NOON), WallClock, fast_clock])
async def test_a_clock_moves_while_somebody_sleeps(build: Callable[[], Clock]) -> None:
    await _check(build())


def test_the_virtual_loops_clock_does_too() -> None:
    async def act() -> None:
        await _check(LoopClock(NOON))

    run_virtually(act())


async def test_a_waiting_sleeper_wakes_when_the_clock_is_moved_far_enough() -> None:
    import asyncio  # noqa: PLC0415 - beside its only use

    clock = FakeClock(NOON, Sleep.WAITS)
    sleeper: Awaitable[None] = asyncio.ensure_future(clock.sleep(3.0))
    await clock.advance(2)
    assert not asyncio.ensure_future(sleeper).done()
    await clock.advance(2)
    await asyncio.wait_for(sleeper, 1.0)
