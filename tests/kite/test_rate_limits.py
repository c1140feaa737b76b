"""The limits in real time, against a server that counts arrivals."""

import asyncio
import time
from contextlib import suppress
from itertools import count

import aiohttp
import pytest
from aiohttp import web

from tests.kite.exchange import Exchange, running, success
from tests.kite.test_arrival_window import most_in_a_window
from tests.metrics import value
from vcpd.kite.rate_limits import RateLimits, RequestKind
from vcpd.kite.settings import LimitSettings


def _limits(**rates: float) -> RateLimits:
    return RateLimits(LimitSettings(**{"all_gets_per_s": 500, **rates}))


async def _drive(
    limits: RateLimits, exchange: Exchange, kind: RequestKind, duration_s: float, under_way: int = 6
) -> None:
    async with aiohttp.ClientSession() as http:

        async def ask() -> None:
            while True:
                async with limits.acquire(kind) as admission, http.get(f"{exchange.root}/{kind}") as response:
                    admission.mark_answered()
                    await response.read()

        with suppress(TimeoutError):
            async with asyncio.timeout(duration_s):
                await asyncio.gather(*(ask() for _ in range(under_way)))


def _rate(arrivals_s: list[float]) -> float:
    return (len(arrivals_s) - 1) / (arrivals_s[-1] - arrivals_s[0])


@pytest.mark.parametrize(
    ("kind", "rate"), [(RequestKind.HISTORICAL, 3), (RequestKind.OTHER, 10), (RequestKind.QUOTE, 40)]
)
async def test_the_rate_is_kept_and_never_exceeded(kind: RequestKind, rate: int) -> None:
    """From cold connections on: never one more than the rate in a second, and no crawling either.

    How close it comes to the rate is measured by the benchmark; a busy machine may take its share here.
    """
    async with running(success({})) as exchange:
        await _drive(_limits(**{f"{kind}_per_s": rate}), exchange, kind, 2.3)
        arrivals_s = exchange.arrivals_s()
    assert most_in_a_window(arrivals_s) <= rate
    assert _rate(arrivals_s) >= 0.5 * rate


async def test_a_line_that_holds_requests_up_does_not_bunch_them() -> None:
    """One in seven arrives 50 ms late, five times the margin: still never too many in a second."""
    async with running(success({})) as exchange:
        counted: list[float] = []
        numbers = count()

        async def late_at_times(_: web.Request) -> web.StreamResponse:
            if next(numbers) % 7 == 3:
                await asyncio.sleep(0.05)
            counted.append(time.monotonic())
            return web.Response(text="{}")

        exchange.default = late_at_times
        await _drive(_limits(other_per_s=10), exchange, RequestKind.OTHER, 3.2)
    assert most_in_a_window(counted) <= 10


async def test_late_first_connections_do_not_bunch_requests() -> None:
    """The first request of a sweep is held up for 200 ms before it is counted; the second keeps off."""
    async with running(success({})) as exchange:
        counted: list[float] = []

        async def slow_at_first(_: web.Request) -> web.StreamResponse:
            if not counted:
                await asyncio.sleep(0.2)
            counted.append(time.monotonic())
            return web.Response(text="{}")

        exchange.default = slow_at_first
        await _drive(_limits(quote_per_s=1), exchange, RequestKind.QUOTE, 2.6, under_way=2)
    assert most_in_a_window(counted) == 1
    assert len(counted) >= 3


async def test_all_gets_share_one_limit_and_no_class_starves() -> None:
    """Three classes that would make 20 a second together are held to 10, and each gets its turn."""
    limits = _limits(quote_per_s=2, historical_per_s=8, other_per_s=10, all_gets_per_s=10)
    async with running(success({})) as exchange:
        await asyncio.gather(*(_drive(limits, exchange, kind, 2.2) for kind in RequestKind))
        paths = [asked.path for asked in exchange.requested]
        assert most_in_a_window(exchange.arrivals_s()) <= 10
        for kind, rate in ((RequestKind.QUOTE, 2), (RequestKind.HISTORICAL, 8)):
            of_kind = [asked.at_s for asked in exchange.requested if asked.path == f"/{kind}"]
            assert most_in_a_window(of_kind) <= rate
        assert {path: paths.count(path) for path in paths}["/quote"] >= 4


async def test_what_is_no_get_does_not_count_among_them() -> None:
    """A login does not wait behind a backfill that uses up the GETs."""
    limits, passed = (
        _limits(other_per_s=10, all_gets_per_s=0.1),
        value("vcpd_limiter_passed_total", limit="gets"),
    )
    async with asyncio.timeout(2):
        async with limits.acquire(RequestKind.OTHER):
            pass
        async with limits.acquire(RequestKind.OTHER, is_get=False):
            pass
    assert value("vcpd_limiter_passed_total", limit="gets") == passed + 1


async def test_first_come_is_first_served() -> None:
    """The queue keeps its order, also for those who come while others wait."""
    limits = _limits(other_per_s=50)
    order: list[int] = []

    async def take(number: int) -> None:
        async with limits.acquire(RequestKind.OTHER):
            order.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(12):
            group.create_task(take(number))
            await asyncio.sleep(0.007)
    assert order == list(range(12))


async def test_one_who_gives_up_waiting_takes_no_place() -> None:
    """A cancelled request leaves the queue, and the next one still gets its turn in time."""
    limits = _limits(historical_per_s=10)
    async with limits.acquire(RequestKind.HISTORICAL):
        pass

    async def take() -> None:
        async with limits.acquire(RequestKind.HISTORICAL):
            pass

    impatient = [asyncio.create_task(take(), name=f"impatient-{number}") for number in range(20)]
    await asyncio.sleep(0.02)
    for task in impatient:
        task.cancel()
    await asyncio.gather(*impatient, return_exceptions=True)
    began_s = time.monotonic()
    await take()
    assert time.monotonic() - began_s < 0.5
    assert value("vcpd_limiter_waiting", limit="historical") == 0


async def test_a_changed_rate_holds_from_the_next_request_on() -> None:
    """Faster on reload without a restart; slower counts what was sent before."""
    limits = _limits(other_per_s=2)
    async with running(success({})) as exchange:
        driving = asyncio.create_task(_drive(limits, exchange, RequestKind.OTHER, 2.8), name="drive")
        await asyncio.sleep(1.2)
        limits.reconfigure(LimitSettings(other_per_s=40, all_gets_per_s=500))
        changed_s = time.monotonic()
        await asyncio.sleep(0.9)
        limits.reconfigure(LimitSettings(other_per_s=5, all_gets_per_s=500))
        slower_s = time.monotonic()
        await driving
        arrivals_s = exchange.arrivals_s()
    fast = [at_s for at_s in arrivals_s if changed_s < at_s < slower_s]
    assert len([at_s for at_s in arrivals_s if at_s <= changed_s]) <= 3
    assert 8 <= len(fast) <= 40
    assert not [at_s for at_s in arrivals_s if slower_s + 0.03 < at_s < slower_s + 0.5]


async def test_a_429_pauses_and_then_goes_gently() -> None:
    """Nothing during the pause, then half the rate."""
    limits = _limits(other_per_s=20)
    async with running(success({})) as exchange:
        limits.slow_down(RequestKind.OTHER, 0.5)
        began_s = time.monotonic()
        await _drive(limits, exchange, RequestKind.OTHER, 2)
        arrivals_s = exchange.arrivals_s()
    assert arrivals_s[0] - began_s >= 0.5
    assert most_in_a_window(arrivals_s) <= 10


async def test_waits_are_counted() -> None:
    """The figures for the metrics add up."""
    limits = _limits(other_per_s=20)
    passed = value("vcpd_limiter_passed_total", limit="other")
    waited_s = value("vcpd_limiter_wait_seconds_total", limit="other")
    for _ in range(5):
        async with limits.acquire(RequestKind.OTHER):
            pass
    assert value("vcpd_limiter_passed_total", limit="other") == passed + 5
    assert value("vcpd_limiter_waiting", limit="other") == 0
    assert value("vcpd_limiter_wait_seconds_total", limit="other") > waited_s + 0.15
