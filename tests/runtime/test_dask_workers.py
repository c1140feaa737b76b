"""Dask engine over a real scheduler and workers: deaths, restarts, late workers, versions, what is sent."""

import asyncio
import itertools
import os
import re
import signal
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import distributed
import msgspec
import pytest
from structlog.testing import capture_logs

from tests.runtime import panels
from tests.runtime.dask_processes import DaskProcesses, dask_processes, wait_until
from tests.runtime.panels import open_panel
from vcpd.cli.doctor_checks import DoctorContext, find_engine
from vcpd.config import load_configuration
from vcpd.core.errors import UnavailableError
from vcpd.domain.panel import PanelReference
from vcpd.domain.runs import Progress
from vcpd.ports import Workers
from vcpd.runtime import dask_cluster, engine_status, panel_blocks
from vcpd.runtime import dask_workers as dask_workers_module
from vcpd.runtime.dask_cluster import SentPanel
from vcpd.runtime.dask_members import ClusterMembers
from vcpd.runtime.dask_task import RemoteTask
from vcpd.runtime.dask_workers import DaskWorkers
from vcpd.runtime.engine_status import installed_versions, version_text
from vcpd.runtime.engine_workers import EngineWorkers
from vcpd.runtime.settings import DaskSettings, WorkerSettings
from vcpd.runtime.worker_pool import WorkerPool
from vcpd.runtime.worker_process import TaskResult

SETTINGS = WorkerSettings(count=1, chunk_rows=4)
OTHER_VERSION = r"tcp://127.* has vcpd 0.* instead of 9\.9\.9"
NO_ONE_LISTENS = "tcp://127.0.0.1:1"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskProcesses]:
    with dask_processes(tmp_path / "dask") as processes:
        processes.start_scheduler()
        yield processes


@asynccontextmanager
async def dask_workers(address: str, local: Workers | None = None) -> AsyncIterator[DaskWorkers]:
    dask = DaskSettings(scheduler=address, connect_timeout_s=60.0, worker_wait_s=120.0)
    workers = DaskWorkers(SETTINGS, dask, open_panel, local=local)
    try:
        yield workers
    finally:
        await workers.close()


def flat(parts: Sequence[Sequence[int]]) -> list[int]:
    return [row for part in parts for row in part]


async def test_killed_and_late_workers_lose_and_double_nothing_and_blocks_are_sent_once(
    cluster: DaskProcesses, panel: PanelReference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    whole = panel_blocks.blocks_to_send

    def counted(*arguments: object) -> Iterator[tuple[str, bytes]]:
        for digest, body in whole(*arguments):  # type: ignore[arg-type]
            sent.append(len(body))
            yield digest, body

    monkeypatch.setattr(dask_cluster, "blocks_to_send", counted)
    cluster.start_worker()
    cluster.wait_for_workers(1)
    marker, started = tmp_path / "killed", tmp_path / "started"
    async with dask_workers(cluster.address) as workers:
        progress = Progress()
        progress.begin(80, "computing")
        killed_once = await workers.map_panel(panels.die_once, panel, str(marker), progress=progress)
        assert flat(killed_once) == list(range(40))
        assert "1 died" in progress.text
        parameters = (str(started), str(tmp_path / "go"))
        running = asyncio.create_task(
            workers.map_panel(panels.wait_for_file, panel, parameters, progress=progress)
        )
        await asyncio.to_thread(wait_until, started.exists)
        cluster.start_worker()
        await asyncio.to_thread(
            wait_until, lambda: progress.text == "computing, 2 Dask workers, 1 died, 2 joined"
        )
        for pid in await asyncio.to_thread(cluster.worker_pids):
            os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(wait_until, lambda: "3 died" in progress.text)
        (tmp_path / "go").touch()
        assert flat(await running) == list(range(40))
    assert marker.exists()
    assert len(sent) == 2  # the head and one block of rows: all workers share one folder


async def test_an_answer_whose_worker_dies_before_it_is_fetched_is_computed_again(
    cluster: DaskProcesses, panel: PanelReference, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []

    def wait_and_kill(*arguments: object, **keywords: object) -> object:
        done: object = distributed.wait(*arguments, **keywords)
        if not killed:
            killed.extend(cluster.worker_pids())
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
        return done

    monkeypatch.setattr(dask_cluster, "wait", wait_and_kill)
    monkeypatch.setattr(dask_cluster, "ANSWER_TIMEOUT_S", 1.0)
    cluster.start_worker()
    async with dask_workers(cluster.address) as workers:
        assert flat(await workers.map_panel(panels.closes, panel, 1.0)) == list(range(40))  # type: ignore[arg-type]
    assert killed


async def test_a_scheduler_that_is_restarted_while_tasks_run_loses_and_doubles_nothing(
    cluster: DaskProcesses, panel: PanelReference, tmp_path: Path
) -> None:
    cluster.start_worker()
    started, go, progress = tmp_path / "started", tmp_path / "go", Progress()
    progress.begin(40, "computing")
    async with dask_workers(cluster.address) as workers:
        with capture_logs() as lines:
            running = asyncio.create_task(
                workers.map_panel(panels.wait_for_file, panel, (str(started), str(go)), progress=progress)
            )
            await asyncio.to_thread(wait_until, started.exists)
            port = int(cluster.address.rsplit(":", 1)[1])
            cluster.end()
            await asyncio.to_thread(cluster.start_scheduler, port)
            cluster.start_worker()
            go.touch()
            assert flat(await running) == list(range(40))
        assert (progress.done, "scheduler lost 1 x" in progress.text) == (40, True)
        events = [line["event"] for line in lines]
        assert events.index("dask.scheduler_lost") > events.index("dask.connected")
        assert flat(await workers.map_panel(panels.closes, panel, 1.0)) == list(range(40))  # type: ignore[arg-type]


async def test_a_worker_with_another_version_is_refused_by_name_and_shown_by_status_and_doctor(
    cluster: DaskProcesses, panel: PanelReference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.start_worker()
    await asyncio.to_thread(cluster.wait_for_workers, 1)
    config = tmp_path / "config.toml"
    config.write_text(
        f'[workers]\nengine = "dask"\n[dask]\nscheduler = "{cluster.address}"\n', encoding="utf-8"
    )
    doctor = DoctorContext(load_configuration(config, {}), datetime.now(UTC))
    async with engine_workers(cluster.address) as workers:
        assert workers.status(1).text == f"dask at {cluster.address}, 0 workers, not connected yet"
        await workers.look()
        own = version_text(installed_versions())
        assert workers.status(1).text == f"dask at {cluster.address}, 1 worker, {own}"
        finding = await asyncio.to_thread(find_engine, doctor)
        assert (finding.good, finding.text) == (True, workers.status(1).text)
        wanted = {**installed_versions(), "vcpd": "9.9.9"}
        monkeypatch.setattr(dask_cluster, "installed_versions", lambda: wanted)
        monkeypatch.setattr(engine_status, "installed_versions", lambda: wanted)
        with pytest.raises(UnavailableError, match=OTHER_VERSION):
            await workers.map_panel(panels.closes, panel, 1.0)
        finding = await asyncio.to_thread(find_engine, doctor)
        assert finding.good is False
        assert re.search(OTHER_VERSION, finding.text)


@asynccontextmanager
async def engine_workers(address: str) -> AsyncIterator[EngineWorkers]:
    """The configured engine without local workers that could take over."""
    engine = EngineWorkers(WorkerPool(SETTINGS, open_panel), open_panel)
    dask = DaskSettings(scheduler=address, fallback=False)
    engine.apply(msgspec.structs.replace(SETTINGS, engine="dask"), dask)
    try:
        yield engine
    finally:
        await engine.close()


async def test_without_a_cluster_local_workers_compute_after_one_warning(panel: PanelReference) -> None:
    local = WorkerPool(SETTINGS, open_panel)
    dask = DaskSettings(scheduler=NO_ONE_LISTENS, connect_timeout_s=0.5)
    workers = DaskWorkers(SETTINGS, dask, open_panel, local=local)
    try:
        with capture_logs() as lines:
            parts = await workers.map_panel(panels.closes, panel, 1.0)
        assert flat(parts) == list(range(40))  # type: ignore[arg-type]
        warnings = [line for line in lines if line["event"] == "dask_unavailable"]
        assert [warning["log_level"] for warning in warnings] == ["warning"]
        assert NO_ONE_LISTENS in warnings[0]["reason"]
    finally:
        await workers.close()
        await local.close()


async def test_without_a_cluster_and_without_fallback_the_error_names_the_scheduler(
    panel: PanelReference,
) -> None:
    dask = DaskSettings(scheduler=NO_ONE_LISTENS, connect_timeout_s=0.5)
    workers = DaskWorkers(SETTINGS, dask, open_panel)
    try:
        with pytest.raises(UnavailableError, match=NO_ONE_LISTENS):
            await workers.map_panel(panels.closes, panel, 1.0)
    finally:
        await workers.close()


class CountingCluster:
    """Stands for a cluster of five threads: all its tasks but the first run twelve at once, or fail."""

    def __init__(self) -> None:
        self._barrier = threading.Barrier(12)
        self._first = itertools.count()
        self.members = ClusterMembers()

    def n_threads(self) -> int:
        return 5

    def run(self, task: RemoteTask, sent: SentPanel) -> TaskResult:
        if next(self._first) > 0:
            self._barrier.wait(timeout=60.0)
        return TaskResult(
            task.function(sent.panel, range(task.first, task.stop), task.parameters), None, 0, 0
        )

    def close(self) -> None:
        self._barrier.abort()


async def test_two_tasks_are_given_out_for_each_thread_of_the_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a large cluster is kept busy, and a small one costs this process few threads."""
    monkeypatch.setattr(dask_workers_module, "DaskCluster", lambda _: CountingCluster())
    panel = panels.save_panel(tmp_path, 1 + 2 * 12)
    settings = msgspec.structs.replace(SETTINGS, chunk_rows=1)
    workers = DaskWorkers(settings, DaskSettings(scheduler=NO_ONE_LISTENS), open_panel)
    try:
        parts = await workers.map_panel(panels.closes, panel, 1.0)
    finally:
        await workers.close()
    assert flat(parts) == list(range(25))  # type: ignore[arg-type]
