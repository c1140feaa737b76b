"""How late a 10 ms ticker in the daemon's loop is, and how soon /status answers meanwhile.

First alone and while two workers burn, then inside a whole daemon that collects a simulated market,
screens it, scores it and runs every preset as a followed scan, while another process asks for /status 200
times a second; at the end a further process asks for scans.

Run: .venv/bin/python -m benchmarks.loop [--symbols N] [--years N] [--rate N] [--ask N] [--scans N]
"""

import argparse
import asyncio
import gc
import json
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import uvloop

from benchmarks.asking import asking
from benchmarks.daemons import configure, quiet_daemon, unlimited_exchange
from vcpd.analysis import tasks
from vcpd.analysis.scans.presets import PRESETS
from vcpd.app.container import PRELOAD, OpenDaemon
from vcpd.app.daemon import Daemon
from vcpd.config import load_configuration
from vcpd.domain.panel import Panel, PanelReference
from vcpd.runtime.clock import WallClock
from vcpd.runtime.process_tuning import limit_native_threads
from vcpd.runtime.resources import LoopLag
from vcpd.runtime.settings import WorkerSettings
from vcpd.runtime.systemd import ServiceManager
from vcpd.runtime.worker_pool import WorkerPool

TICK_S = 0.01
LATE_S = 0.02
P99_TARGET_MS = 8.0
MAX_TARGET_MS = 40.0
STATUS_P99_TARGET_MS = 20.0
SCANS_S = 20.0
SCAN = f"/api/scan?{urlencode({'expression': PRESETS['trend_template'].expression})}"
POLL_S = 0.05
BUSY_DAY = """
[collect]
history_years = {years}
[scans]
follow = {scans}
[schedule]
max_load_per_core = 1000
max_memory_pct = 100
"""


def waited_for_a_core_ms() -> float:
    """How long this thread has been ready to run while others ran, since it began."""
    return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1]) / 1e6


@dataclass(slots=True)
class Ticker:
    """Measures the loop's lag, in all and without the waiting for a core that others held.

    A thread beside it notes what the loop was at when it came late.
    """

    lag: LoopLag = field(default_factory=lambda: LoopLag(TICK_S, window=1_000_000))
    own: LoopLag = field(default_factory=lambda: LoopLag(TICK_S, window=1_000_000))
    held_by: Counter[str] = field(default_factory=Counter)
    ended: threading.Event = field(default_factory=threading.Event)
    ticked_at_s: float = 0.0

    async def tick(self) -> None:
        while True:
            waited_ms = waited_for_a_core_ms()
            self.ticked_at_s = time.perf_counter()
            await asyncio.sleep(TICK_S)
            lag_ms = (time.perf_counter() - self.ticked_at_s - TICK_S) * 1_000
            self.lag.record(lag_ms)
            self.own.record(lag_ms - (waited_for_a_core_ms() - waited_ms))

    def watch(self, loop_thread: int) -> None:
        noted_s = 0.0
        while not self.ended.wait(0.002):
            late_s = time.perf_counter() - self.ticked_at_s - TICK_S
            if self.ticked_at_s and late_s > LATE_S and self.ticked_at_s != noted_s:
                noted_s = self.ticked_at_s
                self.held_by[_where(loop_thread)] += 1


def _where(thread: int) -> str:
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - its documented name
    stack = traceback.extract_stack(frame)[-7:]
    return " > ".join(f"{Path(entry.filename).stem}:{entry.name}:{entry.lineno}" for entry in stack)


@contextmanager
def ticking(label: str) -> Iterator[Ticker]:
    """Measure while the block runs, then print."""
    ticker = Ticker()
    task = asyncio.create_task(ticker.tick(), name="ticker")
    watcher = threading.Thread(target=ticker.watch, args=(threading.get_ident(),), daemon=True)
    watcher.start()
    yield ticker
    task.cancel()
    ticker.ended.set()
    shown, own = ticker.lag.snapshot(), ticker.own.snapshot()
    print(
        f"{label:<24} {shown.samples:>6} ticks  p50 {shown.p50_ms:6.2f}  p99 {shown.p99_ms:6.2f}  "
        f"max {shown.max_ms:6.2f} ms   own work: p99 {own.p99_ms:6.2f}  max {own.max_ms:6.2f} ms",
        flush=True,
    )
    for where, count in ticker.held_by.most_common(8):
        print(f"    {count} x more than {LATE_S * 1_000:g} ms late in {where}", flush=True)


def no_panel(reference: PanelReference) -> Panel:
    raise FileNotFoundError(reference.path)


def burn(seconds: float) -> int:
    """Busy arithmetic, as a kernel would be."""
    stop = time.perf_counter() + seconds
    turns = 0
    while time.perf_counter() < stop:
        turns += 1
    return turns


async def beside_burning_workers(seconds: float) -> None:
    pool = WorkerPool(WorkerSettings(count=2), no_panel)
    await pool.start()
    burning = [asyncio.create_task(pool.call(burn, seconds + 0.5), name="burn") for _ in range(2)]
    with ticking("two workers burn"):
        await asyncio.sleep(seconds)
    await asyncio.gather(*burning)
    await pool.close()


async def start_workers_once() -> None:
    """How long workers take to start."""
    pool = WorkerPool(WorkerSettings(count=2), no_panel, (tasks.warm_up,), PRELOAD)
    begun_s = time.perf_counter()
    await pool.start()
    print(f"workers warm after {time.perf_counter() - begun_s:.1f} s", flush=True)
    await pool.close()


async def inside_a_daemon(folder: Path, arguments: argparse.Namespace) -> None:
    path = folder / "config.toml"
    exchange = unlimited_exchange(
        symbols=arguments.symbols, years=arguments.years, asked_per_s=arguments.rate
    )
    day = BUSY_DAY.format(years=arguments.years, scans=json.dumps(list(PRESETS)))
    configure(folder, quiet_daemon(0) + exchange + day)
    daemon = Daemon(load_configuration(path, {}), path, WallClock(), ServiceManager(None))
    try:
        await daemon.open()
        await _measured(daemon, arguments)
    finally:
        await daemon.close()


async def _measured(daemon: Daemon, arguments: argparse.Namespace) -> None:
    opened = _opened(daemon)
    async with asking(opened.port, arguments.ask) as answers:
        for job in ("instruments", "collect", "regime", "screen", "risk", "scan"):
            with ticking(job):
                await _until_done(opened, job)
        with ticking("idle, asked for /status"):
            await asyncio.sleep(5.0)
        async with asking(opened.port, arguments.scans, SCAN) as scans:
            with ticking("asked for scans"):
                await asyncio.sleep(SCANS_S)
    answers.show(STATUS_P99_TARGET_MS)
    scans.show()


def _opened(daemon: Daemon) -> OpenDaemon:
    if daemon.opened is None:
        raise RuntimeError("the daemon was stopped while it opened")
    return daemon.opened


async def _until_done(opened: OpenDaemon, job: str) -> None:
    scheduler = opened.reloader.scheduler
    while not any(entry.name == job and entry.last for entry in scheduler.snapshot().jobs):  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(POLL_S)


async def main(arguments: argparse.Namespace) -> None:
    print(f"targets under load: p99 <= {P99_TARGET_MS:g} ms, max <= {MAX_TARGET_MS:g} ms", flush=True)
    if arguments.seconds:
        with ticking("alone"):
            await asyncio.sleep(arguments.seconds)
        await beside_burning_workers(arguments.seconds)
    with tempfile.TemporaryDirectory() as folder:
        await start_workers_once()
        gc.collect()
        await inside_a_daemon(Path(folder), arguments)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="of the parts without a daemon")
    parser.add_argument("--symbols", type=int, default=2_500)
    parser.add_argument("--years", type=int, default=5)
    parser.add_argument("--rate", type=int, default=100, help="requests a second to the market")
    parser.add_argument("--ask", type=int, default=200, help="requests a second to /status")
    parser.add_argument("--scans", type=int, default=5, help="requests a second to /api/scan")
    return parser.parse_args()


if __name__ == "__main__":
    limit_native_threads()
    uvloop.run(main(arguments()))
