"""The engine that computes, its workers and the versions that they have: for /status and `vcpd doctor`."""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from typing import Final

import msgspec

import vcpd
from vcpd.runtime.settings import DASK, LOCAL, DaskSettings, EngineName

COMPARED_LIBRARIES: Final = ("numpy", "msgspec", "polars")
COMPARED_PACKAGES: Final = ("vcpd", *COMPARED_LIBRARIES)
PYTHON: Final = "Python"


@cache
def installed_versions() -> dict[str, str]:
    """What must be equal on all machines, else results could differ; Python by its first two numbers."""
    libraries = {name: version(name) for name in COMPARED_LIBRARIES}
    return {"vcpd": vcpd.__version__, PYTHON: short_python(platform.python_version()), **libraries}


def short_python(number: str) -> str:
    """`3.13` of `3.13.1` or `3.13.1.final.0`."""
    return ".".join(number.split(".")[:2])


def version_differences(wanted: Mapping[str, str], have: Mapping[str, str]) -> str:
    """What `have` has otherwise, as a list in one line; empty where all is equal."""
    return ", ".join(
        f"{name} {have.get(name, 'missing')} instead of {number}"
        for name, number in wanted.items()
        if have.get(name) != number
    )


class ClusterWorker(msgspec.Struct, frozen=True):
    """A worker of a cluster; a package that it lacks has no version."""

    address: str
    threads: int
    versions: Mapping[str, str]

    @property
    def differences(self) -> str:
        """What it has otherwise than this process; empty where all is equal."""
        return version_differences(installed_versions(), self.versions)


def cluster_worker(address: str, threads: int, packages: Mapping[str, str | None]) -> ClusterWorker:
    """Read the answer of Dask's request for versions: a number for each package, None where it is missing."""
    python = packages.get("python")
    versions = {name: number for name in COMPARED_PACKAGES if (number := packages.get(name)) is not None}
    if python is not None:
        versions[PYTHON] = short_python(python)
    ordered = {name: versions[name] for name in installed_versions() if name in versions}
    return ClusterWorker(address, threads, ordered)


class EngineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The engine of screens, risk, history and studies, as far as it is known now.

    `problem` says why the cluster cannot be used; local workers compute meanwhile where `fallback` is set.
    """

    name: EngineName = LOCAL
    workers: int
    versions: Sequence[str]  # each combination that a worker has, once
    scheduler: str | None = None
    threads: int = 0
    problem: str = ""
    fallback: bool = False

    @property
    def text(self) -> str:
        """Such as `dask at tcp://10.0.0.1:8786, 4 workers, vcpd 0.2.0, Python 3.13`."""
        place = f" at {self.scheduler}" if self.scheduler else ""
        count = f"{self.workers} worker{'' if self.workers == 1 else 's'}"
        parts = [f"{self.name}{place}", count, " and ".join(self.versions), self.problem]
        return ", ".join(filter(None, parts))


def local_status(count: int) -> EngineStatus:
    """Worker processes of this machine have the versions of this process."""
    return EngineStatus(workers=count, threads=count, versions=(version_text(installed_versions()),))


def cluster_status(dask: DaskSettings, workers: Sequence[ClusterWorker], problem: str = "") -> EngineStatus:
    """What the workers of a cluster answered; a worker with other versions is the problem."""
    counted = Counter(version_text(worker.versions) for worker in workers)
    several = len(counted) > 1
    versions = [f"{count} with {text}" if several else text for text, count in counted.items()]
    return EngineStatus(
        name=DASK,
        scheduler=dask.scheduler,
        workers=len(workers),
        threads=sum(worker.threads for worker in workers),
        versions=versions,
        problem=problem or different_worker(workers) or ("" if workers else "it has no worker"),
        fallback=dask.fallback,
    )


def different_worker(workers: Sequence[ClusterWorker]) -> str:
    """The first worker with other versions than this process, with the difference; empty without one."""
    found = (f"{worker.address} has {worker.differences}" for worker in workers if worker.differences)
    return next(found, "")


def version_text(versions: Mapping[str, str]) -> str:
    """Such as `vcpd 0.2.0, Python 3.13, numpy 2.4.6`."""
    return ", ".join(f"{name} {number}" for name, number in versions.items()) or "versions unknown"
