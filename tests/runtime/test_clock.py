"""Clocks: aware UTC instants, a virtual time that processes share."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from vcpd.core.errors import BadInputError
from vcpd.ports import Clock
from vcpd.runtime.clock import VirtualClock, WallClock

START = datetime(2025, 6, 30, 10, tzinfo=timezone(timedelta(hours=5, minutes=30)))


@pytest.mark.parametrize("clock", [WallClock(), VirtualClock(START)])
def test_instants_are_aware_and_utc(clock: Clock) -> None:
    assert clock.now().tzinfo is UTC


def test_virtual_time_runs_at_its_speed_from_its_start() -> None:
    """A clock born ten real seconds ago at speed 60 stands ten minutes after its start."""
    since = datetime.now(UTC) - timedelta(seconds=10)
    clock = VirtualClock(START, 60.0, since)
    elapsed_s = (clock.now() - START).total_seconds()
    assert 600.0 <= elapsed_s < 630.0
    assert clock.monotonic_s() >= elapsed_s


def test_clocks_of_the_same_three_values_agree() -> None:
    first = VirtualClock(START, 100.0)
    second = VirtualClock(first.start, first.speed, first.since)
    assert abs((first.now() - second.now()).total_seconds()) < 5.0


def test_a_step_of_the_hosts_clock_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = VirtualClock(START, 1.0)
    monkeypatch.setattr("vcpd.runtime.clock.datetime", None)  # it is not even asked any more
    assert (clock.now() - START).total_seconds() < 60.0


@pytest.mark.parametrize("clock", [WallClock(), VirtualClock(START, 1_000.0)])
async def test_sleep_is_in_the_clocks_own_time(clock: Clock) -> None:
    """A second of a clock that runs a thousand times faster is over in a thousandth."""
    seconds = 1.0 if isinstance(clock, VirtualClock) else 0.001
    before, real_before_s = clock.now(), time.monotonic()
    await clock.sleep(seconds)
    await clock.sleep(-1.0)
    assert (clock.now() - before).total_seconds() >= seconds * 0.99
    assert time.monotonic() - real_before_s < 0.9


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_an_impossible_speed_is_refused(speed: float) -> None:
    with pytest.raises(BadInputError, match="speed"):
        VirtualClock(START, speed)


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(BadInputError, match="time zone"):
        VirtualClock(datetime(2025, 6, 30))  # noqa: DTZ001 - the point of the test
