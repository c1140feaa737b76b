"""A real daemon whose screens and risk compute on a Dask cluster that is away at first, comes, and ends."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.daemon import Daemon, outcomes, running, write_configuration
from tests.acceptance.quick_market import Section, quick_market
from tests.runtime.dask_processes import DaskProcesses, dask_processes

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
LONG_S = 100.0  # far more than a busy machine needs
NOW = "2026-11-21T12:00:00+05:30"  # a Saturday: no session runs
DONE = {"collect": "done", "screen": "done", "risk": "done"}


def market(scheduler: str, *, fallback: bool) -> str:
    changes: dict[str, Section] = {
        "workers": {"count": 1, "chunk_rows": 5, "engine": "dask"},
        "dask": {"scheduler": scheduler, "connect_timeout_s": 5, "worker_wait_s": 60, "fallback": fallback},
        "schedule": {"retry_initial_min": 0.1, "retry_max_min": 0.1},
    }
    return quick_market(changes)


async def test_a_screen_waits_for_its_cluster_and_without_one_gives_the_same_locally(
    tmp_path: Path, port: int
) -> None:
    with dask_processes(tmp_path / "dask") as cluster:
        cluster.start_scheduler()
        cluster.end()  # its address is known, and nobody listens there
        path = write_configuration(tmp_path, port, market(cluster.address, fallback=False))
        async with running(path, port, "--now", NOW) as daemon:
            await daemon.until(lambda status: outcomes(status)["screen"] == "failed", LONG_S)
            await asyncio.to_thread(_start, cluster)
            await daemon.until(lambda status: DONE.items() <= outcomes(status).items(), LONG_S)
            await daemon.until(_has_equal_worker, LONG_S)
            await _expect_a_retry(daemon, cluster.address)
            assert list((tmp_path / "dask" / "cache").glob("panel-*"))  # what a worker was sent
            on_cluster = await _results(daemon)
            cluster.end()
            write_configuration(tmp_path, port, market(cluster.address, fallback=True))
            daemon.process.send_signal(signal.SIGHUP)
            await daemon.until(lambda status: status["configuration"]["reloads"] == 1, LONG_S)
            for job in ("screen", "risk"):
                await _run_to_its_end(daemon, job)
            assert await _results(daemon) == on_cluster
            assert '"dask_unavailable"' in daemon.log.read_text(encoding="utf-8")
            assert await daemon.stop(deadline_s=LONG_S) == 0


def _start(cluster: DaskProcesses) -> None:
    cluster.start_scheduler(int(cluster.address.rsplit(":", 1)[1]))
    cluster.start_worker()


def _has_equal_worker(status: Any) -> bool:
    """Whether /status names the one worker of the cluster, with the versions of the daemon."""
    engine = status["engine"]
    return bool(engine["name"] == "dask" and engine["workers"] == 1 and not engine["problem"])


async def _expect_a_retry(daemon: Daemon, address: str) -> None:
    """The first screen failed and named the scheduler; the last was tried again by itself."""
    _, runs = await daemon.get("/api/runs?job=screen")
    last, first = runs["items"][0], runs["items"][-1]
    assert (last["outcome"], last["cause"], first["outcome"]) == ("done", "retry", "failed")
    assert f"the Dask scheduler at {address} cannot be reached" in first["reason"]


async def _run_to_its_end(daemon: Daemon, job: str) -> None:
    """Start a run by hand and wait until it is done."""
    number = await daemon.start_job(job)

    def has_ended(status: Any) -> bool:
        last = next(known["last"] for known in status["jobs"] if known["name"] == job)
        return bool(last["id"] == number and last["outcome"] == "done")

    await daemon.until(has_ended, LONG_S)


async def _results(daemon: Daemon) -> list[Any]:
    """Setups and risk scores of all symbols."""
    answers = [(await daemon.get(path))[1] for path in ("/api/setups?all=1", "/api/risk")]
    assert all(len(answer["items"]) > 20 for answer in answers)
    return [answer["items"] for answer in answers]
