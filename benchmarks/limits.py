"""Requests that a server sees in any one-second window, and the share of the rate that is kept.

Run with `python -m benchmarks.limits [SECONDS]`. The server is a process of its own; each client opens
its connections cold and keeps eight requests under way.
"""

import asyncio
import multiprocessing
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from multiprocessing.connection import Connection

import aiohttp
import uvloop
from aiohttp import web
from aiolimiter import AsyncLimiter

from vcpd.kite.rate_limits import RateLimits, RequestKind
from vcpd.kite.settings import LimitSettings

UNDER_WAY = 8
Gate = Callable[[], AbstractAsyncContextManager[object]]


def _serve(pipe: Connection) -> None:
    """Count arrivals until told to stop, then hand them over; `drain` empties the list."""
    uvloop.run(_count(pipe))


async def _count(pipe: Connection) -> None:
    arrivals: list[float] = []

    async def arrive(_: web.Request) -> web.Response:
        arrivals.append(time.monotonic())
        return web.Response(text="{}")

    app = web.Application()
    app.router.add_get("/", arrive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    pipe.send(runner.addresses[0][1])
    while await asyncio.to_thread(pipe.recv) == "drain":
        pipe.send(list(arrivals))
        arrivals.clear()
    await runner.cleanup()


def plain(rate: int) -> Gate:
    """A bucket that holds a second's worth: bursts, then the rate."""
    limiter = AsyncLimiter(rate, 1)
    return lambda: limiter


def spaced(rate: int) -> Gate:
    """A bucket of one: spaced by exactly 1 / rate."""
    limiter = AsyncLimiter(1, 1 / rate)
    return lambda: limiter


def ours(rate: int) -> Gate:
    """The limits that vcpd keeps."""
    limits = RateLimits(LimitSettings(historical_per_s=rate, all_gets_per_s=1000))

    @asynccontextmanager
    async def gate() -> AsyncIterator[object]:
        async with limits.acquire(RequestKind.HISTORICAL) as admission:
            yield admission

    return gate


async def drive(gate: Gate, port: int, duration_s: float) -> None:
    """Ask as fast as the gate lets us for `duration_s`."""
    until_s = time.monotonic() + duration_s
    async with aiohttp.ClientSession() as http:

        async def ask() -> None:
            while time.monotonic() < until_s:
                async with gate() as admission, http.get(f"http://127.0.0.1:{port}/") as response:
                    if hasattr(admission, "answered"):
                        admission.answered()
                    await response.read()

        await asyncio.gather(*(ask() for _ in range(UNDER_WAY)))


def most_in_a_second(arrivals_s: list[float]) -> int:
    """The largest count in any window of one second."""
    most, start = 0, 0
    for stop, arrival_s in enumerate(arrivals_s):
        while arrivals_s[start] <= arrival_s - 1.0:
            start += 1
        most = max(most, stop - start + 1)
    return most


def share_of_rate(arrivals_s: list[float], rate: int) -> float:
    """Requests a second over the whole run, as a share of `rate`."""
    return (len(arrivals_s) - 1) / (arrivals_s[-1] - arrivals_s[0]) / rate


def main(duration_s: float = 12.0) -> None:
    """Print one line a client and rate."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=_serve, args=(there,), name="counting-server")
    server.start()
    port = here.recv()
    clients = {"AsyncLimiter(n, 1)": plain, "AsyncLimiter(1, 1/n)": spaced, "vcpd": ours}
    print(f"{'client':<22}{'limit':>6}{'most in 1 s':>13}{'share of rate':>15}")
    for name, make in clients.items():
        for rate in (1, 3, 10, 200):
            uvloop.run(drive(make(rate), port, duration_s))
            here.send("drain")
            arrivals = sorted(here.recv())
            print(
                f"{name:<22}{rate:>6}{most_in_a_second(arrivals):>13}{share_of_rate(arrivals, rate):>14.1%}"
            )
    here.send("stop")
    server.join()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 12.0)
