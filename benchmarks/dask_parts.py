"""The parts of a large market's work on a cluster, each measured alone, and what they add up to.

    python -m benchmarks.dask_parts [--symbols 400] [--sessions 5040] [--to-symbols 60000]

Processor time of this process, which a busy machine stretches less; the transfer alone is wall time, over the
loopback of this machine. Costs a bar are taken from the market and from its half, to see whether they grow
with the number of bars alone. The sum assumes four cores a machine.
"""

import argparse
import pickle
import resource
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import numpy as np

from tests.runtime.dask_processes import dask_processes
from tests.study.planted import THRESHOLDS, planted_panel
from vcpd.analysis.backtest import BacktestParams, merge_results, run_backtest
from vcpd.analysis.indicators import bars_of
from vcpd.analysis.session_context import SessionContext
from vcpd.analysis.strength import StrengthRatings
from vcpd.domain.panel import Panel
from vcpd.runtime.dask_task import put_block
from vcpd.runtime.panel_blocks import PanelCache, block_of, manifest_of
from vcpd.store.panel_files import PanelFiles, open_panel
from vcpd.studies.cells import TradeSetKey
from vcpd.studies.rules import TradeRules
from vcpd.studies.simulation import SimulationParams, simulate_rows

LEADER_SHARE: Final = 0.2
CORES: Final = 4
MEGABYTE: Final = 1e6
NETWORK_MB_S: Final = 110.0  # a gigabit
RATED_SYMBOLS: Final = 10_000
RATED_SESSIONS: Final = 504
SENT_BLOCKS: Final = 20
SENT_BYTES: Final = 13_000_000  # of 64 symbols and 5,040 sessions
T = TypeVar("T")


class Parts(NamedTuple):
    """Costs per bar: bytes on disk, seconds of a processor, bytes of results."""

    bytes_stored: float
    hash_s: float
    assemble_s: float
    rate_s: float
    history_s: float
    history_bytes: float
    merge_s: float
    study_s: float
    study_bytes: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=400)
    parser.add_argument("--sessions", type=int, default=5040)
    parser.add_argument("--to-symbols", type=int, default=60_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for share in (2, 1):
            parts = _measure(arguments.symbols // share, arguments.sessions, Path(folder) / str(share))
            print(
                "\n".join(f"{name}: {1e9 * value:,.1f} e-9 a bar" for name, value in parts._asdict().items())
            )
        rate = _transfer_mb_s(Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"through scheduler and worker of this machine: {rate:.0f} MB/s; this process at most {peak:.0f} MB"
    )
    bars = arguments.to_symbols * arguments.sessions
    print(f"{arguments.to_symbols:,} symbols x {arguments.sessions:,} sessions, {CORES} cores a machine:")
    for machines in (1, 4, 16):
        print(f"{machines} machines: {_estimate(parts, bars, machines, rate)}")


def _measure(symbols: int, sessions: int, folder: Path) -> Parts:
    leaders = int(symbols * LEADER_SHARE)
    made = planted_panel(1, leaders=leaders, walkers=symbols - leaders, bars=sessions)
    panel = open_panel(PanelFiles(folder).write(made))
    bars, rows = symbols * sessions, range(symbols)
    manifest, hash_s = _timed(lambda: manifest_of(panel))
    cache = PanelCache(folder / "cache")
    for number, digest in enumerate(manifest.hashes):
        cache.put(digest, block_of(panel, number))
    _, assemble_s = _timed(lambda: cache.open(manifest))
    wide = _wide_market()
    _, rate_s = _timed(lambda: StrengthRatings(wide, 5).since(np.asarray(wide.close), 0))
    SessionContext(panel, THRESHOLDS).ratings_of(
        0, bars_of(panel, 0), 0
    )  # so that the history finds them rated
    asked = BacktestParams(thresholds=THRESHOLDS)
    found, history_s = _timed(lambda: run_backtest(panel, rows, asked))
    _, merge_s = _timed(lambda: merge_results([pickle.loads(pickle.dumps(found))]))
    plan = SimulationParams(keys=(TradeSetKey(0, TradeRules()),), settings=(THRESHOLDS,))
    studied, study_s = _timed(lambda: simulate_rows(panel, rows, plan))
    stored = sum(len(block_of(panel, number)) for number in range(len(manifest.hashes)))
    sizes = (len(pickle.dumps(found)), len(pickle.dumps(studied)))
    rate_s *= bars / wide.close.size
    costs = (stored, hash_s, assemble_s, rate_s, history_s, sizes[0], merge_s, study_s, sizes[1])
    return Parts(*(cost / bars for cost in costs))


def _wide_market() -> Panel:
    """Random closes of many symbols: ranking them costs more a bar than ranking few."""
    random = np.random.default_rng(1)
    shape = (RATED_SYMBOLS, RATED_SESSIONS)
    values = np.exp(np.cumsum(random.normal(0, 0.02, (5, *shape)), axis=2))
    return Panel(
        tuple(map(str, range(RATED_SYMBOLS))),
        np.arange(RATED_SESSIONS).astype("M8[D]"),
        values,
        np.zeros(shape, np.bool_),
        np.full(RATED_SESSIONS, np.nan),
        np.full(RATED_SYMBOLS, 0.05),
    )


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    """The result, and the processor time that it took."""
    begin = time.process_time()
    result = work()
    return result, time.process_time() - begin


def _transfer_mb_s(folder: Path) -> float:
    """Blocks of random bytes from a client through a scheduler into a worker's cache folder."""
    bodies = [np.random.default_rng(number).bytes(SENT_BYTES) for number in range(SENT_BLOCKS)]
    with dask_processes(folder / "dask") as cluster:
        cluster.start_scheduler()
        cluster.start_worker()
        cluster.wait_for_workers(1)
        with cluster.client() as client:
            client.run(put_block, sha256(b"").hexdigest(), b"")
            begin = time.perf_counter()
            for body in bodies:
                client.run(put_block, sha256(body).hexdigest(), body)
            return SENT_BLOCKS * SENT_BYTES / MEGABYTE / (time.perf_counter() - begin)


def _estimate(parts: Parts, bars: int, machines: int, rate_mb_s: float) -> str:
    """What a history and a study's cell cost; the client and the scheduler have one network link each."""
    stored_mb, workers = parts.bytes_stored * bars / MEGABYTE, machines * CORES
    sent_s = machines * stored_mb / min(NETWORK_MB_S, rate_mb_s)
    prepared_s = sent_s + (parts.hash_s + parts.assemble_s + parts.rate_s) * bars
    figures = {
        "bars on each, GB": stored_mb / 1e3,
        "ratings in the workers of each, GB": CORES * bars / 1e9,  # a byte a bar in each worker
        "sent, GB": machines * stored_mb / 1e3,
        "sent, min": sent_s / 60,
        "prepared after, min": prepared_s / 60,
        "history, min": parts.history_s * bars / workers / 60,
        "its results, GB": parts.history_bytes * bars / 1e9,
        "joining them, s": parts.merge_s * bars,
        "a study's structural cell, min": parts.study_s * bars / workers / 60,
        "its results, MB": parts.study_bytes * bars / MEGABYTE,
    }
    return "; ".join(f"{name}: {value:.1f}" for name, value in figures.items())


if __name__ == "__main__":
    main()
