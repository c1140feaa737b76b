"""What all processes of vcpd hold together, proportional, during an evening and at rest after it.

    python -m benchmarks.footprint [--instruments 2500] [--years 5] [--folder FOLDER] [--limit-mb 512]

The history is that of benchmarks.last_second, kept in FOLDER. With `--limit-mb` daemon, workers and database
run in a control group of that size without swap (needs root); the simulated exchange runs outside of it.
Proportional: each shared page is divided by those who share it.
"""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import psutil

from benchmarks.daemons import configure, free_port, is_done, last_run, until
from benchmarks.last_second import EVENING, SESSION, configuration, fill
from vcpd.runtime.resources import proportional_mb

REST_S: Final = 5.0
REST_CONFIGURATION: Final = f"[workers]\nidle_stop_s = {REST_S}\n"
LOOK_S: Final = 0.3
MEGABYTE: Final = 1 << 20
TARGETS_MB: Final = {"at rest": 260.0, "peak": 440.0, "exchange": 150.0}
GROUP: Final = "vcpd-footprint"
JOBS: Final = ("collect", "regime", "screen", "risk")
LAUNCHER: Final = """
import sys
from vcpd.app import sandbox_process
inside, outside = sys.argv[1:3]
if inside:
    open(inside, "w").write("0")
    plain = sandbox_process._command
    leave = f'echo 0 > "{outside}"; exec "$0" "$@"'
    sandbox_process._command = lambda clock: ["sh", "-c", leave, *plain(clock)]
sys.argv = ["vcpd", "run", "--config", sys.argv[3], "--now", sys.argv[4]]
from vcpd.cli.main import main
sys.exit(main())
"""


def sizes(pid: int) -> dict[str, float]:
    """MB by part: daemon, workers with their server process, database, exchange."""
    held = {"daemon": proportional_mb(pid) or 0.0, "workers": 0.0, "database": 0.0, "exchange": 0.0}
    for process in psutil.Process(pid).children(recursive=True):
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if not words:  # it has ended
            continue
        name = "database" if "postgres" in words[0] else "exchange" if "sandbox" in words else "workers"
        held[name] += proportional_mb(process.pid) or 0.0
    return held


def without_exchange(held: Mapping[str, float]) -> float:
    return sum(size for name, size in held.items() if name != "exchange")


def show(title: str, held: Mapping[str, float]) -> None:
    parts = ", ".join(f"{name} {size:.0f}" for name, size in held.items())
    print(f"{title:<22} {without_exchange(held):6.0f} MB without the exchange: {parts}", flush=True)


class MemoryGroup:
    """A control group of version 1 with a limit of memory, swap included; empty where none is wanted."""

    def __init__(self, limit_mb: int | None) -> None:
        root = Path("/sys/fs/cgroup/memory")
        self.folder = root / GROUP if limit_mb else None
        self.outside = str(root / "cgroup.procs")
        if self.folder is not None and limit_mb is not None:
            self.folder.mkdir(exist_ok=True)
            for name in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"):
                if (self.folder / name).exists():
                    (self.folder / name).write_text(str(limit_mb * MEGABYTE))

    @property
    def inside(self) -> str:
        return str(self.folder / "cgroup.procs") if self.folder is not None else ""

    def report(self) -> None:
        if self.folder is not None:
            most = int((self.folder / "memory.max_usage_in_bytes").read_text()) / MEGABYTE
            killed = (self.folder / "memory.oom_control").read_text().split()[-1]
            refused = (self.folder / "memory.failcnt").read_text().strip()
            print(f"control group: most {most:.0f} MB, page cache included; {killed} killed", end="")
            print(f" for want of memory; {refused} times at the limit")

    def close(self) -> None:
        if self.folder is not None:
            self.folder.rmdir()


@asynccontextmanager
async def launched(folder: Path, group: MemoryGroup) -> AsyncIterator[asyncio.subprocess.Process]:
    """The daemon of the evening, inside the group; its exchange outside."""
    words = (group.inside, group.outside, str(folder / "config.toml"), EVENING)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", LAUNCHER, *words)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def follow(port: int, pid: int) -> tuple[Any, dict[str, float]]:
    """The status once the evening is done, and the sizes when they were largest."""
    peak: dict[str, float] = {}
    done = asyncio.ensure_future(until(port, _is_evening_done))
    while not done.done():
        held = await asyncio.to_thread(sizes, pid)
        peak = max(peak, held, key=without_exchange)
        await asyncio.sleep(LOOK_S)
    return await done, peak


def _is_evening_done(status: Any) -> bool:
    jobs = [last_run(status, name) for name in JOBS]
    return all(is_done(status, name) for name in JOBS) and all(run["session"] == SESSION for run in jobs)


async def first_answer_s(port: int) -> float:
    """Seconds for an answer that needs a worker, once none is left."""
    await until(port, lambda status: not status["workers"]["workers"])
    async with aiohttp.ClientSession() as http:
        async with http.get(f"http://127.0.0.1:{port}/api/setups?all=1&limit=1") as listed:
            symbol = (await listed.json())["items"][0]["symbol"]
        begun_s = time.perf_counter()
        async with http.get(f"http://127.0.0.1:{port}/api/explain/{symbol}") as answer:
            answer.raise_for_status()
            await answer.read()
    return time.perf_counter() - begun_s


async def measure(given: argparse.Namespace, folder: Path) -> None:
    port = free_port()
    ports = port, free_port(), free_port()
    text = configuration(*ports, instruments=given.instruments, years=given.years)
    filled, evening = folder / "filled", folder / "evening"
    if not filled.exists():
        await fill(evening, text, port)
        evening.rename(filled)
    shutil.rmtree(evening, ignore_errors=True)
    shutil.copytree(filled, evening)
    configure(evening, text + REST_CONFIGURATION)
    group = MemoryGroup(given.limit_mb)
    try:
        async with launched(evening, group) as process:
            status, peak = await follow(port, process.pid)
            show("peak", peak)
            for name in JOBS:
                took_s = next(entry["last_duration_s"] for entry in status["jobs"] if entry["name"] == name)
                print(f"{name:<12} {took_s:6.2f} s")
            answered_s = await first_answer_s(port)
            await asyncio.sleep(4 * REST_S)
            show("at rest", await asyncio.to_thread(sizes, process.pid))
            print(f"first answer of new workers after {answered_s:.2f} s; load {os.getloadavg()[0]:.1f}")
            group.report()
    finally:
        group.close()
    print("targets in MB: " + ", ".join(f"{name} {size:g}" for name, size in TARGETS_MB.items()))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--instruments", type=int, default=2_500)
    parser.add_argument("--years", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--limit-mb", type=int)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="vcpd-bench-") as temporary:
        asyncio.run(measure(given, given.folder or Path(temporary)))


if __name__ == "__main__":
    main()
