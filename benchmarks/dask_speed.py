"""Dask workers of this machine beside the local pool: a screen, a history and a study over the same market.

    python -m benchmarks.dask_speed [--symbols 2500] [--sessions 1250] [--cells 50]

The study's cells differ in structure, so that each searches the bases anew; by default the local pool of two
takes at least a minute for it. The first task on a cluster, which sends the bars, is timed apart. Beside each
wall time stands the processor time of the workers and of the client, which a busy machine stretches less.
Equal digests are equal results.
"""

import argparse
import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
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


class Market(NamedTuple):
    """The bars, their snapshot, and the study that is asked of them."""

    panel: Panel
    reference: PanelReference
    plan: StudyPlan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=2500)
    parser.add_argument("--sessions", type=int, default=1250)
    parser.add_argument("--cells", type=int, default=50)
    arguments = parser.parse_args()
    leaders = int(arguments.symbols * LEADER_SHARE)
    panel = planted_panel(1, leaders=leaders, walkers=arguments.symbols - leaders, bars=arguments.sessions)
    ratios = np.linspace(0.6, 0.9, arguments.cells).tolist()
    settings = tuple(msgspec.structs.replace(THRESHOLDS, max_depth_ratio=ratio) for ratio in ratios)
    plan = StudyPlan(settings=settings, validation=ValidationPlan(sealed_months=12, placebos=0))
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_measure(Market(panel, PanelFiles(Path(folder)).write(panel), plan), Path(folder)))


async def _measure(market: Market, folder: Path) -> None:
    print(f"load {os.getloadavg()[0]:.1f}; wall time, processor time of workers and of this process")
    for count in (2, 1):
        pool = WorkerPool(msgspec.structs.replace(SETTINGS, count=count), open_panel, (warm_up,))
        await pool.start()
        await _measure_engine(f"local pool of {count}", pool, market)
        await pool.close()
    for count in (2, 1):
        with dask_processes(folder / f"dask-{count}") as cluster:
            cluster.start_scheduler()
            for number in range(count):
                cluster.start_worker(f"cache-{number}")
            cluster.wait_for_workers(count)
            dask = DaskSettings(scheduler=cluster.address, fallback=False)
            workers = DaskWorkers(SETTINGS, dask, open_panel, (warm_up,))
            await _measure_engine(f"{count} Dask workers", workers, market)
            await workers.close()


async def _measure_engine(name: str, workers: Workers, market: Market) -> None:
    """The first screen maps and, on a cluster, sends the bars to a cache of each worker."""

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
    for what, work in {"first screen": screen, "screen": screen, "history": history, cells: study}.items():
        print(f"{name}, {what}: {await _timed(work)}", flush=True)


async def _timed(work: Callable[[], Awaitable[object]]) -> str:
    begin, own, others = time.perf_counter(), time.process_time(), _cpu_of_children()
    result = await work()
    wall, own, others = time.perf_counter() - begin, time.process_time() - own, _cpu_of_children() - others
    digest = sha256(msgspec.json.encode(result)).hexdigest()[:8]
    return f"{wall:.2f} s, {others:.2f} s, {own:.2f} s; result {digest}"


def _cpu_of_children() -> float:
    total = 0.0
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            total += times.user + times.system
    return total


if __name__ == "__main__":
    main()
