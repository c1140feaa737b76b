"""The engine in one line: its workers, their versions, and what is wrong with them."""

import pytest

from vcpd.runtime import engine_status
from vcpd.runtime.engine_status import cluster_status, cluster_worker, local_status
from vcpd.runtime.settings import DaskSettings

DASK = DaskSettings(scheduler="tcp://10.0.0.1:8786")
OWN = {"vcpd": "0.2.0", "Python": "3.13", "numpy": "2.4.6"}
EQUAL = {"python": "3.13.1.final.0", "numpy": "2.4.6", "vcpd": "0.2.0", "msgpack": "1.1"}


@pytest.fixture(autouse=True)
def own_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_status, "installed_versions", lambda: OWN)


def test_equal_workers_are_counted_with_their_versions() -> None:
    workers = [cluster_worker(f"tcp://10.0.0.{number}:1", 2, EQUAL) for number in (2, 3)]
    status = cluster_status(DASK, workers)
    assert (status.workers, status.threads, status.problem) == (2, 4, "")
    assert status.text == "dask at tcp://10.0.0.1:8786, 2 workers, vcpd 0.2.0, Python 3.13, numpy 2.4.6"


def test_a_worker_with_another_version_is_the_problem() -> None:
    other = cluster_worker("tcp://10.0.0.3:1", 1, {**EQUAL, "numpy": "2.1.0"})
    status = cluster_status(DASK, [cluster_worker("tcp://10.0.0.2:1", 1, EQUAL), other])
    assert status.problem == "tcp://10.0.0.3:1 has numpy 2.1.0 instead of 2.4.6"
    assert list(status.versions) == [
        "1 with vcpd 0.2.0, Python 3.13, numpy 2.4.6",
        "1 with vcpd 0.2.0, Python 3.13, numpy 2.1.0",
    ]


def test_a_worker_without_vcpd_is_the_problem() -> None:
    (problem,) = {cluster_status(DASK, [cluster_worker("tcp://10.0.0.2:1", 1, {"vcpd": None})]).problem}
    assert problem.startswith("tcp://10.0.0.2:1 has vcpd missing instead of 0.2.0")


def test_a_cluster_without_workers_is_a_problem() -> None:
    assert cluster_status(DASK, ()).text == "dask at tcp://10.0.0.1:8786, 0 workers, it has no worker"


def test_local_workers_have_the_versions_of_this_process() -> None:
    assert local_status(2).text == "local, 2 workers, vcpd 0.2.0, Python 3.13, numpy 2.4.6"
