"""How soon a daemon with a full store is ready: `python -m benchmarks.cold_start [--symbols N] [--starts N]`.

First a daemon collects a simulated market into an embedded store, then it is started again and again.
The time runs from the start of the process to READY=1 on the service manager's socket.
"""

import argparse
import asyncio
import os
import socket
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.daemons import (
    configure,
    daemon,
    free_port,
    is_done,
    last_run,
    quiet_daemon,
    unlimited_exchange,
    until,
)

TARGET_S = 3.0
STORED_YEARS = 5
ASKED_PER_S = 200


async def ready_after_s(folder: Path) -> float:
    """Seconds from the start of the process until it says that it is ready."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        path = folder / "notify"
        path.unlink(missing_ok=True)
        manager.bind(str(path))
        manager.setblocking(False)
        begun_s = time.perf_counter()
        async with daemon(folder, notify=path):
            async with asyncio.timeout(60):
                while b"READY=1" not in await asyncio.get_running_loop().sock_recv(manager, 65_536):
                    pass
            return time.perf_counter() - begun_s


async def measure(symbols: int, starts: int) -> None:
    with tempfile.TemporaryDirectory(prefix="vcpd-bench-") as name:
        folder, port = Path(name), free_port()
        exchange = unlimited_exchange(symbols=symbols, years=STORED_YEARS, asked_per_s=ASKED_PER_S)
        configure(folder, quiet_daemon(port) + exchange)
        async with daemon(folder):
            status = await until(port, lambda entry: is_done(entry, "risk"))
        bars = last_run(status, "collect")["counts"]["inserted"]
        print(f"store: {symbols:,} symbols, {bars:,} bars; load {os.getloadavg()[0]:.1f}", flush=True)
        took_s = [await ready_after_s(folder) for _ in range(starts)]
        shown = ", ".join(f"{value:.2f}" for value in took_s)
        print(
            f"start to READY=1: median {statistics.median(took_s):.2f} s (target {TARGET_S:g} s) of {shown}"
        )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--symbols", type=int, default=200)
    parser.add_argument("--starts", type=int, default=5)
    given = parser.parse_args(arguments)
    asyncio.run(measure(given.symbols, given.starts))


if __name__ == "__main__":
    main()
