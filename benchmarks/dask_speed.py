"""Dask workers of this machine beside the local pool: a screen, a history and a study over the same market.

    python -m benchmarks.dask_speed [--symbols 2500] [--sessions 1250] [--cells 60]

The study's cells differ in structure, so that each searches the bases anew; by default the local pool of two
takes about a minute for it. The first task on a cluster, which sends the bars, is timed apart. Beside wall
time stand processor times, which a busy machine stretches less: of the processes that compute, of Dask's
scheduler and nannies, and of the client, this process; and the client's peak memory during the row, of which
the mapped bars are a part. Equal digests are equal results. The last lines compare the study's times with
what is wanted.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import re
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import psutil

from tests.runtime.dask_processes import dask_processes
from tests.study.planted import THRESHOLDS, planted_panel
from vcpd.analysis.backtest import BacktestParams, merge_results, run_backtest
from vcpd.analysis.costs import CostSettings
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.tasks import ScreenParams, warm_up
from vcpd.domain.panel import Panel, PanelReference
from vcpd.ports import PanelTask, Workers
from vcpd.runtime.dask_workers import DaskWorkers
from vcpd.runtime.settings import DaskSettings, WorkerSettings
from vcpd.runtime.worker_pool import WorkerPool
from vcpd.store.panel_files import PanelFiles, open_panel
from vcpd.studies.plan import StudyPlan, ValidationPlan
from vcpd.studies.run import run_study

LEADER_SHARE: Final = 0.2
SETTINGS: Final = WorkerSettings(count=2, task_timeout_s=3_600, idle_stop_s=3_600)
LOCAL_TWO, DASK_TWO, DASK_ONE = "local pool of 2", "2 Dask workers", "1 Dask worker"
MOST_OF_LOCAL: Final = 1.15
LEAST_GAIN: Final = 1.6
MOST_MB: Final = 600.0


class Market(NamedTuple):
    """The bars, their snapshot, and the study that is asked of them."""

    panel: Panel
    reference: PanelReference
    plan: StudyPlan


class Cost(NamedTuple):
    """What one row took, in seconds and in MB of the client's memory, and a digest of its result."""

    wall_s: float
    workers_s: float
    others_s: float
    client_s: float
    peak_mb: float
    digest: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=2500)
    parser.add_argument("--sessions", type=int, default=1250)
    parser.add_argument("--cells", type=int, default=60)
    arguments = parser.parse_args()
    ratios = np.linspace(0.6, 0.9, arguments.cells).tolist()
    settings = tuple(msgspec.structs.replace(THRESHOLDS, max_depth_ratio=ratio) for ratio in ratios)
    plan = StudyPlan(settings=settings, validation=ValidationPlan(sealed_months=12, placebos=0))
    with tempfile.TemporaryDirectory() as folder:
        reference = _written_elsewhere(Path(folder), arguments.symbols, arguments.sessions)
        market = Market(open_panel(reference), reference, plan)
        asyncio.run(_measure(market, Path(folder)))


def _written_elsewhere(folder: Path, symbols: int, sessions: int) -> PanelReference:
    """The snapshot, made in a process of its own: its making is no part of the client's memory."""
    spawn = multiprocessing.get_context("spawn")
    receiving, sending = spawn.Pipe(duplex=False)
    maker = spawn.Process(target=write_market, args=(sending, folder, symbols, sessions))
    maker.start()
    reference: PanelReference = receiving.recv()
    maker.join()
    return reference


def write_market(answer: Connection, folder: Path, symbols: int, sessions: int) -> None:
    """Write a snapshot of a simulated market with planted patterns; its reference is the answer."""
    leaders = int(symbols * LEADER_SHARE)
    panel = planted_panel(1, leaders=leaders, walkers=symbols - leaders, bars=sessions)
    answer.send(PanelFiles(folder).write(panel))


async def _measure(market: Market, folder: Path) -> None:
    print(f"load {os.getloadavg()[0]:.1f}; seconds of processor time: workers, scheduler and nannies, client")
    studies: dict[str, Cost] = {}
    for count in (2, 1):
        pool = WorkerPool(msgspec.structs.replace(SETTINGS, count=count), open_panel, (warm_up,))
        await pool.start()
        name = f"local pool of {count}"
        studies[name] = await _measure_engine(name, pool, market)
        await pool.close()
    for count, name in ((2, DASK_TWO), (1, DASK_ONE)):
        with dask_processes(folder / f"dask-{count}") as cluster:
            cluster.start_scheduler()
            for number in range(count):
                cluster.start_worker(f"cache-{number}")
            cluster.wait_for_workers(count)
            dask = DaskSettings(scheduler=cluster.address, fallback=False)
            workers = DaskWorkers(SETTINGS, dask, open_panel, (warm_up,))
            studies[name] = await _measure_engine(name, workers, market)
            await workers.close()
    _print_comparison(studies)


async def _measure_engine(name: str, workers: Workers, market: Market) -> Cost:
    """The study's cost and the peak of all rows; the first screen sends the bars where a cluster computes."""

    async def map_rows(task: PanelTask[Any], parameters: Any) -> Sequence[Any]:
        return await workers.map_panel(task, market.reference, parameters)

    async def screen() -> object:
        parts = await map_rows(screen_rows, ScreenParams(thresholds=THRESHOLDS))
        return [part.setups for part in parts]

    async def history() -> object:
        return merge_results(list(await map_rows(run_backtest, BacktestParams(thresholds=THRESHOLDS))))

    async def study() -> object:
        return (await run_study(market.panel, market.plan, CostSettings(), map_rows))[0]

    cells = f"study of {len(market.plan.settings)} cells"
    works = {"first screen": screen, "screen": screen, "history": history, cells: study}
    costs = {what: await _cost_of(name, what, work) for what, work in works.items()}
    return costs[cells]._replace(peak_mb=max(cost.peak_mb for cost in costs.values()))


async def _cost_of(name: str, what: str, work: Callable[[], Awaitable[object]]) -> Cost:
    _forget_peak()
    begin, client, (workers, others) = time.perf_counter(), time.process_time(), _cpu_of_children()
    result = await work()
    wall = time.perf_counter() - begin
    client, after = time.process_time() - client, _cpu_of_children()
    peak = _peak_mb()
    digest = sha256(msgspec.json.encode(result)).hexdigest()[:8]
    cost = Cost(wall, after[0] - workers, after[1] - others, client, peak, digest)
    times = f"{cost.workers_s:.2f}, {cost.others_s:.2f}, {cost.client_s:.2f} s"
    print(f"{name}, {what}: {wall:.2f} s; {times}; peak {peak:.0f} MB; result {digest}", flush=True)
    return cost


def _print_comparison(studies: dict[str, Cost]) -> None:
    local, two, single = studies[LOCAL_TWO], studies[DASK_TWO], studies[DASK_ONE]
    cpu = [cost.workers_s + cost.others_s + cost.client_s for cost in (two, local)]
    peak = max(cost.peak_mb for cost in studies.values())
    print(f"two Dask workers, wall time: {two.wall_s / local.wall_s:.2f} x local two, wanted {MOST_OF_LOCAL}")
    print(f"two Dask workers, processor time: {cpu[0] / cpu[1]:.2f} x local two")
    print(f"two Dask workers, speed: {single.wall_s / two.wall_s:.2f} x one, wanted {LEAST_GAIN}")
    print(f"client's peak {peak:.0f} MB, wanted {MOST_MB:.0f}")
    print(f"results {'equal' if len({cost.digest for cost in studies.values()}) == 1 else 'NOT EQUAL'}")


def _cpu_of_children() -> tuple[float, float]:
    """Processor seconds of the processes that compute, and of Dask's scheduler and nannies."""
    workers = others = 0.0
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            words, times = child.cmdline(), child.cpu_times()
            if "dask" in words:
                others += times.user + times.system
            else:
                workers += times.user + times.system
    return workers, others


def _forget_peak() -> None:
    """Begin the peak of this process's memory anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_mb() -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(found.group(1)) / 1024 if found else float("nan")


if __name__ == "__main__":
    main()
