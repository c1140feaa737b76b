"""Speed of the detector: one session of 2,500 symbols x 1,250 bars, and their whole history.

    python -m benchmarks.detector_speed [--bars FILE] [--symbols 2500] [--sessions 1250] [--processes 2]

The symbols of the file are repeated to the number asked for (without a file: random walks). The daemon's
own workers map the panel from a snapshot, in its own chunks; wall times hold the results in hand. Beside
each wall time stands the processor time it took, which a busy machine stretches less.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import psutil

from vcpd.analysis.backtest import BacktestParams, run_backtest
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.tasks import ScreenParams, warm_up
from vcpd.domain.panel import Panel, PanelReference, build_panel
from vcpd.runtime.settings import WorkerSettings
from vcpd.runtime.worker_pool import WorkerPool
from vcpd.store.panel_files import PanelFiles, open_panel

PRELOAD: Final = ("vcpd.analysis.screen", "vcpd.analysis.risk.report")
MEGABYTE: Final = 1 << 20
ROUNDS: Final = 7
CHUNK_ROWS: Final = WorkerSettings().chunk_rows


def panel_of(bars: Path | None, symbols: int, sessions: int) -> Panel:
    """`symbols` rows over the last `sessions` sessions of the file, its symbols repeated."""
    from tests.analysis.markets import read_panel, universe  # noqa: PLC0415 - polars stays out of the workers

    source = read_panel(bars) if bars else build_panel(universe(200, sessions))
    rows = np.arange(symbols) % len(source.symbols)
    return Panel(
        tuple(f"{source.symbols[row]}.{number}" for number, row in enumerate(rows.tolist())),
        source.sessions[-sessions:],
        np.ascontiguousarray(source.values[:, rows, -sessions:]),
        source.provisional[rows, -sessions:],
        source.index_close[-sessions:],
        source.tick_size[rows],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=Path)
    parser.add_argument("--symbols", type=int, default=2500)
    parser.add_argument("--sessions", type=int, default=1250)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    panel = panel_of(arguments.bars, arguments.symbols, arguments.sessions)
    bars = int((~np.isnan(panel.close)).sum())
    print(f"{len(panel.symbols)} symbols x {len(panel.sessions)} sessions, {bars:,} bars")
    with tempfile.TemporaryDirectory() as name:
        reference = PanelFiles(Path(name)).write(panel)
        del panel
        _one_process(open_panel(reference))
        asyncio.run(_processes(reference, arguments.processes))


def _one_process(panel: Panel) -> None:
    """Whole runs, and the sum of the chunks each at its best, which other work disturbs less."""
    warm_up()
    n = len(panel.symbols)
    chunks = [range(first, min(first + CHUNK_ROWS, n)) for first in range(0, n, CHUNK_ROWS)]
    runs = [[_cpu_of_chunk(panel, rows) for rows in chunks] for _ in range(ROUNDS)]
    whole = min(sum(run) for run in runs)
    best = sum(min(times) for times in zip(*runs, strict=True))
    each = 1000 / n
    print(f"screen, one process: {whole * each:.3f} ms of CPU a symbol, {best * each:.3f} in chunks' best")


def _cpu_of_chunk(panel: Panel, rows: range) -> float:
    begin = time.process_time()
    screen_rows(panel, rows, ScreenParams())
    return time.process_time() - begin


async def _processes(reference: PanelReference, processes: int) -> None:
    pool = WorkerPool(WorkerSettings(count=processes), open_panel, (warm_up,), PRELOAD)
    await pool.start()
    try:
        for name, task, parameters, rounds in (
            ("screen", screen_rows, ScreenParams(), ROUNDS),
            ("history", run_backtest, BacktestParams(), 1),
        ):
            await _rounds(pool, reference, name, task, parameters, rounds)
    finally:
        await pool.close()


async def _rounds(  # noqa: PLR0913, PLR0917 - what to run, on what, how often
    pool: WorkerPool, reference: PanelReference, name: str, task: Any, parameters: Any, rounds: int
) -> None:
    """One line: the wall time of whole runs, the workers' processor time, and what each had resident."""
    walls, cpus, resident_mb = [], [], 0.0
    for _ in range(rounds):
        workers = [psutil.Process(worker.pid) for worker in pool.snapshot().workers]
        begin, begin_cpu = time.perf_counter(), _cpu_s(workers)
        await pool.map_panel(task, reference, parameters)
        walls.append(time.perf_counter() - begin)
        cpus.append(_cpu_s(workers) - begin_cpu)
        resident_mb = max(resident_mb, *(worker.memory_info().rss / MEGABYTE for worker in workers))
    reported = f"wall best {min(walls):.2f} s, median {median(walls):.2f} s; workers' CPU {min(cpus):.2f} s"
    load = os.getloadavg()[0]
    print(f"{name}, {len(workers)} workers: {reported}; {resident_mb:.0f} MB resident each (load {load:.1f})")


def _cpu_s(workers: Sequence[psutil.Process]) -> float:
    return sum(sum(worker.cpu_times()[:2]) for worker in workers)


if __name__ == "__main__":
    main()
