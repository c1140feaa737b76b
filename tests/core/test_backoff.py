"""Backoff and retry until available."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.clock import FakeClock
from vcpd.core.backoff import Backoff, retry_until_available
from vcpd.core.errors import PermanentError, RetryableError, UnavailableError, VcpdError

NOON = datetime(2025, 6, 30, 10, tzinfo=UTC)


def test_pauses_double_to_a_cap_and_never_coincide() -> None:
    backoff = Backoff(1.0, 30.0)
    pauses = [backoff.pause_s(failures) for failures in range(1, 13)]
    for number, pause in enumerate(pauses):
        longest = min(30.0, 2.0**number)
        assert longest / 2 <= pause <= longest
    assert len(set(pauses)) == len(pauses)
    assert [backoff.full_s(failures) for failures in (0, 1, 2, 5, 6)] == [1.0, 1.0, 2.0, 16.0, 30.0]


@given(st.integers(0, 10**9), st.floats(0.001, 1e6), st.floats(0.0, 1e6))
def test_a_pause_is_never_shorter_than_what_the_server_asked_for(
    failures: int, first_s: float, asked_s: float
) -> None:
    assert asked_s <= Backoff(first_s, 2e6).pause_s(failures, asked_s) <= asked_s + 2e6


async def test_a_write_is_tried_until_the_store_is_back() -> None:
    clock, seen = FakeClock(NOON), list[VcpdError]()
    problems: list[Exception] = [RetryableError("away"), UnavailableError("full")]

    async def write() -> str:
        if problems:
            raise problems.pop(0)
        return "written"

    assert await retry_until_available(write, clock, 5.0, seen.append) == "written"
    assert ([str(error) for error in seen], clock.monotonic_s()) == (["away", "full"], NOON.timestamp() + 10)


async def test_what_no_waiting_helps_is_raised_at_once() -> None:
    async def write() -> None:
        raise PermanentError("never")

    with pytest.raises(PermanentError, match="never"):
        await retry_until_available(write, FakeClock(NOON), 5.0, lambda _: None)
