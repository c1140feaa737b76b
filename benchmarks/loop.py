"""How late a 10 ms ticker in the event loop is: idle, and while two workers burn at idle priority.

Run: .venv/bin/python -m benchmarks.loop [SECONDS]
"""

import asyncio
import sys
import time

import uvloop

from vcpd.domain.panel import Panel, PanelReference
from vcpd.runtime.lag import LoopLag
from vcpd.runtime.settings import WorkerSettings
from vcpd.runtime.workers import WorkerPool

TICK_S = 0.01
P99_TARGET_MS = 8.0
MAX_TARGET_MS = 40.0


def no_panel(reference: PanelReference) -> Panel:
    raise FileNotFoundError(reference.path)


def burn(seconds: float) -> int:
    """Busy arithmetic, as a kernel would be."""
    stop = time.perf_counter() + seconds
    turns = 0
    while time.perf_counter() < stop:
        turns += 1
    return turns


async def measure(label: str, seconds: float) -> None:
    lag = LoopLag(TICK_S, window=1_000_000)
    ticking = asyncio.create_task(lag.run(), name="ticker")
    await asyncio.sleep(seconds)
    ticking.cancel()
    shown = lag.snapshot()
    print(
        f"{label:<24} {shown.samples:>6} ticks  p50 {shown.p50_ms:6.2f} ms  "
        f"p99 {shown.p99_ms:6.2f} ms  max {shown.max_ms:6.2f} ms"
    )


async def main(seconds: float) -> None:
    print(f"targets under load: p99 <= {P99_TARGET_MS:g} ms, max <= {MAX_TARGET_MS:g} ms")
    await measure("idle", seconds)
    pool = WorkerPool(WorkerSettings(count=2), no_panel)
    started_s = time.perf_counter()
    await pool.start()
    print(f"two workers warm after {time.perf_counter() - started_s:.2f} s")
    burning = [asyncio.create_task(pool.call(burn, seconds + 0.5), name="burn") for _ in range(2)]
    await measure("two workers burn", seconds)
    await asyncio.gather(*burning)
    await pool.close()


if __name__ == "__main__":
    uvloop.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0))
