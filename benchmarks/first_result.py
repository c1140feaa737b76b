"""From nothing to a page with setups: `python -m benchmarks.first_result [--symbols N] [--years N]`.

A daemon with the shipped settings starts in an empty folder: it creates its database, fetches every bar
of its simulated exchange over HTTP, stores and screens them. The times run from the start of the process.
`--vendor` asks at the vendor's rates; `--busy` lets heavy jobs begin on a loaded machine, which they
otherwise wait out.
"""

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import aiohttp
import psutil

from benchmarks.daemons import configure, daemon, free_port, last_run, quiet_daemon, until

TARGET_S: Final = 30.0
JOBS: Final = ("instruments", "collect", "regime", "screen")
MARKET: Final = """
[sandbox]
symbols = {symbols}
years = {years}
real_limits = {real_limits}
"""
BUSY: Final = "[schedule]\nmax_load_per_core = 1000\n"


async def first_result(given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="vcpd-bench-") as name:
        port = free_port()
        market = MARKET.format(
            symbols=given.symbols, years=given.years, real_limits=str(given.vendor).lower()
        )
        configure(Path(name), quiet_daemon(port) + market + (BUSY if given.busy else ""))
        begun_s = time.perf_counter()
        async with daemon(Path(name)) as process:
            await until(port, bool)
            answers_s = time.perf_counter() - begun_s
            status = await until(port, lambda entry: has_ended(entry, "screen"))
            listed = await listed_setups(port)
            took_s = time.perf_counter() - begun_s
            cpu_s = processor_s(process.pid)
    report(status, answers_s)
    print(f"page with {listed} setups after {took_s:.1f} s (target {TARGET_S:g})", end="; ")
    print(f"CPU {cpu_s:.1f} s; load {os.getloadavg()[0]:.1f}")


def has_ended(status: Any, job: str) -> bool:
    return last_run(status, job).get("outcome") is not None


async def listed_setups(port: int) -> int:
    """Waits for the page's list, then counts what it shows."""
    url = f"http://127.0.0.1:{port}/api/setups"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        answer.raise_for_status()
        count: int = (await answer.json())["count"]
        return count


def processor_s(pid: int) -> float:
    """User and system time of the daemon and its children so far, ended ones included."""
    root = psutil.Process(pid)
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        times = process.cpu_times()
        total += times.user + times.system
        total += times.children_user + times.children_system if process == root else 0.0
    return total


def report(status: Any, answers_s: float) -> None:
    print(f"the port answers after {answers_s:.1f} s")
    for job in JOBS:
        run = last_run(status, job)
        took_s = next(entry["last_duration_s"] for entry in status["jobs"] if entry["name"] == job)
        counts = ", ".join(f"{name} {count:,}" for name, count in run["counts"].items())
        print(f"{job:<12} {took_s:6.2f} s  {run['outcome']}: {counts}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--symbols", type=int, default=200)
    parser.add_argument("--years", type=int, default=5)
    parser.add_argument("--vendor", action="store_true")
    parser.add_argument("--busy", action="store_true")
    asyncio.run(first_result(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
