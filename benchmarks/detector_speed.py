"""Speed of the detector: one session of 2,500 symbols x 1,250 bars, and their whole history.

    python benchmarks/detector_speed.py [--bars FILE] [--symbols 2500] [--sessions 1250] [--processes 2]

The symbols of the file are repeated to the number asked for (without a file: random walks). The panel is
mapped from a file by the processes, as in the daemon; the times hold the results in hand.
"""

import argparse
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
import psutil

from tests.analysis.markets import read_panel, universe
from vcpd.analysis.history import Looking, Recount, recount
from vcpd.analysis.setups import Judged, Judging, judge, warm_up
from vcpd.domain.panel import Panel, build_panel

CHUNK: Final = 320  # rows of one task


def panel_of(bars: Path | None, symbols: int, sessions: int) -> Panel:
    """`symbols` rows over the last `sessions` sessions of the file, its symbols repeated."""
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


def mapped(folder: Path) -> Panel:
    names = tuple((folder / "symbols.txt").read_text(encoding="utf-8").split())
    parts = [
        np.load(folder / f"{name}.npy", mmap_mode="r")
        for name in ("sessions", "values", "provisional", "index_close", "tick_size")
    ]
    return Panel(names, *parts)


def save(panel: Panel, folder: Path) -> None:
    (folder / "symbols.txt").write_text("\n".join(panel.symbols), encoding="utf-8")
    for name in ("sessions", "values", "provisional", "index_close", "tick_size"):
        np.save(folder / f"{name}.npy", getattr(panel, name))


def judge_chunk(folder: Path, start: int, stop: int) -> Judged:
    return judge(mapped(folder), range(start, stop), Judging())


def recount_chunk(folder: Path, start: int, stop: int) -> tuple[Recount, float]:
    """The chunk's history, and the process's resident memory in MB after it."""
    result = recount(mapped(folder), range(start, stop), Looking())
    return result, psutil.Process().memory_info().rss / 1e6


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
        save(panel, Path(name))
        _one_process(panel)
        _processes(Path(name), len(panel.symbols), arguments.processes)


def _one_process(panel: Panel) -> None:
    warm_up()
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        judge(panel, range(len(panel.symbols)), Judging())
        times.append(time.perf_counter() - begin)
    print(f"screen, one process: {1000 * min(times) / len(panel.symbols):.3f} ms a symbol")


def _processes(folder: Path, symbols: int, processes: int) -> None:
    chunks = [(at, min(at + CHUNK, symbols)) for at in range(0, symbols, CHUNK)]
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(processes, context, initializer=warm_up) as pool:
        list(pool.map(judge_chunk, [folder] * processes, range(processes), range(1, processes + 1)))
        times = []
        for _ in range(5):
            begin = time.perf_counter()
            judged = list(pool.map(judge_chunk, [folder] * len(chunks), *zip(*chunks, strict=True)))
            times.append(time.perf_counter() - begin)
        passed = sum(setup.passed for part in judged for setup in part.setups)
        took = f"median {median(times):.2f} s, best {min(times):.2f} s"
        print(f"screen, {processes} processes: {took}; {passed} setups")
        begin = time.perf_counter()
        parts = list(pool.map(recount_chunk, [folder] * len(chunks), *zip(*chunks, strict=True)))
        took_s = time.perf_counter() - begin
    sessions = sum(part.judged_sessions for part, _ in parts)
    memory_mb = max(memory for _, memory in parts)
    told = f"{took_s:.1f} s for {sessions:,} symbol-sessions"
    print(f"history, {processes} processes: {told}; {memory_mb:.0f} MB each")


if __name__ == "__main__":
    main()
