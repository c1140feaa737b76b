"""The sweep after the close, 2,500 instruments at one request a second: `python -m benchmarks.evening`.

A daemon on a virtual clock first collects a history, a second one wakes just before the first collection of
the evening. The time is that of the whole run: what is missing, quotes, bars, the panel, its doubts.
"""

import argparse
import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.daemons import (
    configure,
    daemon,
    exchange_counts,
    free_port,
    is_done,
    last_run,
    limited_exchange,
    quiet_daemon,
    until,
)

MORNING, EVENING = "2026-07-10T08:40:00+05:30", "2026-07-10T15:34:20+05:30"
SESSION = "2026-07-10"
TARGET = 1.3
ASKED_PER_S = 300
COLLECTION_ALONE = """
[jobs.screen]
enabled = false
[jobs.risk]
enabled = false
"""


async def measure(instruments: int, years: int) -> None:
    with tempfile.TemporaryDirectory(prefix="vcpd-bench-") as name:
        port, exchange = free_port(), free_port()
        market = limited_exchange(exchange, instruments=instruments, years=years, asked_per_s=ASKED_PER_S)
        configure(Path(name), quiet_daemon(port) + market + COLLECTION_ALONE)
        async with daemon(Path(name), "--now", MORNING):
            await until(port, lambda entry: is_done(entry, "collect"))
        async with daemon(Path(name), "--now", EVENING):
            status = await until(port, _is_swept)
            report(status, (await exchange_counts(exchange))["quote"])


def _is_swept(status: Any) -> bool:
    return is_done(status, "collect") and last_run(status, "collect")["session"] == SESSION


def report(status: Any, counts: Any) -> None:
    took_s = next(entry["last_duration_s"] for entry in status["jobs"] if entry["name"] == "collect")
    swept = last_run(status, "collect")["counts"]["swept"]
    own_s = counts["requests"] / counts["limit"]
    print(f"{swept:,} bars by {counts['requests']} requests, {counts['refused']} answered with 429", end="; ")
    print(f"load {os.getloadavg()[0]:.1f}")
    print(f"whole run {took_s:.2f} s = {took_s / own_s:.2f} x the limit's {own_s:g} s (target {TARGET:g} x)")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--instruments", type=int, default=2_500)
    parser.add_argument("--years", type=int, default=2)
    given = parser.parse_args(arguments)
    asyncio.run(measure(given.instruments, given.years))


if __name__ == "__main__":
    main()
