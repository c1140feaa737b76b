"""The market made of bulletins at full size: `python benchmarks/bhavcopy_files.py [SHARES] [SESSIONS]`.

Prints bulletins of a made-up market into a folder, then measures taking them in, one evening more, and
the histories of all shares; the loop's longest pause beside it, and the worker's memory.
"""

import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import structlog

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.bhavcopy.publisher import Publisher, Share
from tests.fakes.clock import FakeClock, Sleep
from vcpd.bhavcopy.client import BhavcopyClient, create_client
from vcpd.bhavcopy.settings import BhavcopySettings
from vcpd.bhavcopy.sync import ExchangeClock
from vcpd.domain.exchange import NSE_EXCHANGE
from vcpd.domain.nse_calendar import NSE

LAST = date(2025, 6, 30)


def print_market(n_shares: int, n_sessions: int, folder: Path) -> Publisher:
    """Bulletins of `n_sessions` up to LAST, in the layouts of their time."""
    sessions = NSE.sessions(date(2016, 1, 1), LAST)[-n_sessions:].tolist()
    dice = np.random.default_rng(1)
    shares = []
    for number in range(n_shares):
        close = 100 * np.exp(np.cumsum(dice.normal(0, 0.01, n_sessions)))
        truth = np.column_stack([close, close * 1.01, close * 0.99, close, np.full(n_sessions, 1e5)])
        shares.append(Share(f"S{number:04d}", truth, f"INE{number:06d}011"))
    publisher = Publisher(sessions, shares, {"Nifty 50": np.full((n_sessions, 4), 25000.0)})
    publisher.publish(folder)
    return publisher


async def longest_pause_s(work: Awaitable[Any]) -> tuple[float, float]:
    """Seconds of the work, and the longest time the loop did not come back meanwhile."""
    task = asyncio.ensure_future(work)
    began = seen = time.perf_counter()
    longest_s = 0.0
    while not task.done():
        await asyncio.sleep(0.001)
        longest_s, seen = max(longest_s, time.perf_counter() - seen), time.perf_counter()
    await task
    return time.perf_counter() - began, longest_s


def evening(session: date) -> FakeClock:
    return FakeClock(datetime.fromisoformat(f"{session}T20:00:00+05:30"), Sleep.RETURNS)


async def all_histories(market: BhavcopyClient, first: date, last: date) -> int:
    listed = await market.instruments()
    bars = [len(await market.daily_bars(instrument, first, last)) for instrument in listed]
    return sum(bars)


async def measure(publisher: Publisher, folder: Path, cache: Path, pool: ProcessPoolExecutor) -> None:
    compute: Callable[..., Awaitable[Any]] = partial(asyncio.get_running_loop().run_in_executor, pool)
    clock = evening(publisher.sessions[-2])
    settings = BhavcopySettings(folder=str(folder))
    async with aiohttp.ClientSession() as http:
        market = create_client(
            settings, cache, ExchangeClock(clock, NSE), NSE_EXCHANGE, http, compute=compute
        )
        first, eve, last = publisher.sessions[0], publisher.sessions[-2], publisher.sessions[-1]
        nifty = next(instrument for instrument in await market.instruments() if instrument.is_index)
        took_s, pause_s = await longest_pause_s(market.daily_bars(nifty, first, eve))
        say(f"taking in {len(publisher.sessions) - 1} sessions", took_s, pause_s)
        took_s, pause_s = await longest_pause_s(all_histories(market, first, eve))
        print(
            f"histories of {len(publisher.shares)} shares: {took_s:.1f} s, "
            f"longest pause {pause_s * 1e3:.0f} ms"
        )
        clock.at = evening(last).at
        symbols = [f"NSE:{share.symbol}" for share in publisher.shares]
        took_s, pause_s = await longest_pause_s(market.quotes(symbols))
        say("one evening more, as quotes", took_s, pause_s)


def say(what: str, took_s: float, pause_s: float) -> None:
    print(f"{what}: {took_s:.2f} s, longest pause of the loop {pause_s * 1e3:.0f} ms")


def main() -> None:
    n_shares = int(sys.argv[1]) if len(sys.argv) > 1 else 2_500
    n_sessions = int(sys.argv[2]) if len(sys.argv) > 2 else 1_300
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(1) as pool:
        folder = Path(name)
        publisher = print_market(n_shares, n_sessions, folder / "bulletins")
        asyncio.run(measure(publisher, folder / "bulletins", folder / "cache", pool))
        newest = max((folder / "cache" / "history").iterdir())
        size_mb = sum(path.stat().st_size for path in newest.iterdir()) / 2**20
        print(f"the table on disk: {size_mb:.0f} MB")
        peak_kb: int = pool.submit(resource.getrusage, resource.RUSAGE_SELF).result().ru_maxrss
        print(f"the worker's peak: {peak_kb / 1024:.0f} MB resident, the mapped table included")


if __name__ == "__main__":
    main()
