"""What the daemon and its workers hold over many nights: a real `vcpd run` on a virtual clock.

Each line is one night: the most that was resident during it, and what was left a moment after its last
heavy job, resident and proportional (each shared page divided by those who share it).

Run: .venv/bin/python -m benchmarks.memory [--symbols N] [--nights N] [--day SECONDS]
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from vcpd.runtime.resources import proportional_mb

DAEMON_TARGET_MB = 150.0
WORKER_TARGET_MB = 200.0
GROWTH_TARGET_MB = 10.0
THREADS_TARGET = 10
MEGABYTE = 1 << 20
SECONDS_A_DAY = 86_400
START = "2026-10-30T20:00+05:30"  # a Friday evening: what is missing is fetched over the weekend
POLL_S = 0.2
SETTLE_S = 1.0
CONFIGURATION = """
[daemon]
state_dir = "state"
[web]
port = {port}
[sandbox]
symbols = {symbols}
[sandbox.limits]
quote_per_s = 100000
historical_per_s = 100000
other_per_s = 100000
all_gets_per_s = 100000
[limits]
quote_per_s = 400
historical_per_s = 400
other_per_s = 400
all_gets_per_s = 400
[schedule]
max_load_per_core = 1000
max_memory_pct = 100
"""
UNHURRIED = """
[jobs.{job}]
timeout_s = 600000
start_deadline_s = 600000
"""  # in virtual seconds
JOBS = ("instruments", "reconcile", "collect", "screen", "risk", "housekeeping")


@dataclass(slots=True)
class Night:
    """MB of the daemon and of the largest worker; proportional sizes of the daemon and all workers."""

    session: str = ""
    daemon_peak: float = 0.0
    worker_peak: float = 0.0
    daemon_rest: float = 0.0
    worker_rest: float = 0.0
    daemon_proportional: float = 0.0
    workers_proportional: float = 0.0
    threads: int = 0

    def look(self, status: Mapping[str, Any]) -> None:
        """Take the present sizes for the rest, and the largest for the peak."""
        daemon = psutil.Process(status["pid"])
        workers = [worker["pid"] for worker in status["workers"]["workers"]]
        self.daemon_rest = resident_mb(status["pid"])
        self.worker_rest = max((resident_mb(pid) for pid in workers), default=0.0)
        self.daemon_peak = max(self.daemon_peak, self.daemon_rest)
        self.worker_peak = max(self.worker_peak, self.worker_rest)
        self.daemon_proportional = proportional_mb(status["pid"]) or 0.0
        self.workers_proportional = sum(proportional_mb(pid) or 0.0 for pid in workers)
        self.threads = max(self.threads, daemon.num_threads())

    def show(self) -> None:
        print(
            f"{self.session:<12} {self.daemon_peak:>11.1f} {self.daemon_rest:>8.1f} "
            f"{self.daemon_proportional:>6.1f}   {self.worker_peak:>11.1f} {self.worker_rest:>8.1f} "
            f"{self.workers_proportional:>6.1f}   {self.threads:>7}",
            flush=True,
        )


def resident_mb(pid: int) -> float:
    try:
        return float(psutil.Process(pid).memory_info().rss) / MEGABYTE
    except psutil.NoSuchProcess:
        return 0.0


@asynccontextmanager
async def a_daemon(folder: Path, symbols: int, port: int, speed: float) -> Any:
    path = folder / "config.toml"
    text = CONFIGURATION.format(port=port, symbols=symbols)
    path.write_text(text + "".join(UNHURRIED.format(job=job) for job in JOBS), encoding="utf-8")
    command = (sys.executable, "-m", "vcpd", "run", "--config", str(path))
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, "--now", START, "--speed", str(speed), stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def status_of(http: aiohttp.ClientSession, port: int) -> Mapping[str, Any] | None:
    """None until the port answers."""
    try:
        async with http.get(f"http://127.0.0.1:{port}/status") as answer:
            status: Mapping[str, Any] = await answer.json()
            return status
    except aiohttp.ClientError:
        return None


def scored(status: Mapping[str, Any]) -> str:
    """The session of the last risk run that is done, the last heavy job of a night."""
    last = next(job["last"] for job in status["jobs"] if job["name"] == "risk")
    return str(last["session"]) if last and last["outcome"] == "done" else ""


async def nights(port: int, count: int) -> list[Night]:
    """Follow the daemon until it has scored `count` sessions."""
    seen: list[Night] = []
    night = Night()
    async with aiohttp.ClientSession() as http:
        while len(seen) < count:
            await asyncio.sleep(POLL_S)
            status = await status_of(http, port)
            if status is None:
                continue
            night.look(status)
            session = scored(status)
            if session and session != (seen[-1].session if seen else ""):
                await asyncio.sleep(SETTLE_S)
                night.look(status)
                night.session = session
                night.show()
                seen.append(night)
                night = Night()
    return seen


def judged(seen: list[Night]) -> bool:
    """Print how the numbers stand to their targets; whether all are met."""
    growth = seen[-1].daemon_rest - seen[min(1, len(seen) - 1)].daemon_rest
    met = {
        f"daemon at rest <= {DAEMON_TARGET_MB:g} MB": seen[-1].daemon_rest <= DAEMON_TARGET_MB,
        f"worker <= {WORKER_TARGET_MB:g} MB": max(night.worker_peak for night in seen) <= WORKER_TARGET_MB,
        f"growth after the second night <= {GROWTH_TARGET_MB:g} MB ({growth:+.1f})": growth
        <= GROWTH_TARGET_MB,
        f"threads <= {THREADS_TARGET}": max(night.threads for night in seen) <= THREADS_TARGET,
    }
    for target, fulfilled in met.items():
        print(f"{'met   ' if fulfilled else 'MISSED'} {target}")
    return all(met.values())


async def main(arguments: argparse.Namespace) -> int:
    print(f"{arguments.symbols} symbols, {arguments.nights} nights of {arguments.day:g} s")
    print("session      daemon peak  at rest   prop.   worker peak  at rest  prop. x2   threads")
    with tempfile.TemporaryDirectory() as folder:
        speed = SECONDS_A_DAY / arguments.day
        async with a_daemon(Path(folder), arguments.symbols, arguments.port, speed):
            seen = await nights(arguments.port, arguments.nights)
    return 0 if judged(seen) else 1


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--symbols", type=int, default=2_500)
    parser.add_argument("--nights", type=int, default=10)
    parser.add_argument("--day", type=float, default=150.0, help="real seconds of a virtual day")
    parser.add_argument("--port", type=int, default=8791)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main(read_arguments())))
