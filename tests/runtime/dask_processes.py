"""A Dask scheduler and workers as processes of this machine, on free ports, ended with the test."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from distributed import Client

from vcpd.runtime.dask_security import cluster_security
from vcpd.runtime.settings import DaskSettings

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 120.0
CONFIGURATION = {
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",  # as docs/scale-out.md says
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s",
}


@dataclass(eq=False)
class DaskProcesses:
    """Programs as a user starts them; `folder` holds their files and the workers' cache.

    With `tls` all of them use these files and nothing else.
    """

    folder: Path
    tls: DaskSettings | None = None
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    address: str = ""

    def start_scheduler(self, port: int = 0) -> None:
        """Start a scheduler and wait until it says where it listens."""
        file = self.folder / "scheduler.json"
        file.unlink(missing_ok=True)
        self._start(
            "scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--scheduler-file",
            str(file),
            "--no-dashboard",
            *self._protocol(),
        )
        wait_until(file.exists)
        with self.client() as client:
            self.address = client.scheduler.address

    def start_worker(self, cache: str = "cache") -> None:
        """Start a worker of one thread under a nanny that replaces it when it dies."""
        self._start(
            "worker", self.address, "--nthreads", "1", "--memory-limit", "0", "--no-dashboard", cache=cache
        )

    def client(self) -> Client:
        security = None if self.tls is None else cluster_security(self.tls)
        file = str(self.folder / "scheduler.json")
        return Client(scheduler_file=file, set_as_default=False, timeout=60, security=security)

    def wait_for_workers(self, count: int) -> None:
        with self.client() as client:
            client.wait_for_workers(count, timeout=START_TIMEOUT_S)

    def worker_pids(self) -> list[int]:
        """The processes that compute, not their nannies."""
        with self.client() as client:
            return [int(pid) for pid in client.run(os.getpid).values()]

    def _start(self, *words: str, cache: str = "cache") -> None:
        environment = {
            **os.environ,
            **CONFIGURATION,
            "PYTHONPATH": str(ROOT),
            "VCPD_WORKER_CACHE": str(self.folder / cache),
        }
        command = [sys.executable, "-m", "dask", *words, *self._tls_files()]
        with (self.folder / f"{words[0]}.log").open("ab") as log:
            started = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self.processes.append(started)

    def _protocol(self) -> tuple[str, ...]:
        return () if self.tls is None else ("--protocol", "tls")

    def _tls_files(self) -> tuple[str, ...]:
        tls = self.tls
        if tls is None:
            return ()
        files = {"ca-file": tls.tls_ca_file, "cert": tls.tls_cert_file, "key": tls.tls_key_file}
        return tuple(word for name, file in files.items() for word in (f"--tls-{name}", str(file)))

    def end(self) -> None:
        """Kill every process that was started, with its children."""
        for process in self.processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                for child in psutil.Process(process.pid).children(recursive=True):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.kill()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=START_TIMEOUT_S)


@contextlib.contextmanager
def dask_processes(folder: Path, tls: DaskSettings | None = None) -> Iterator[DaskProcesses]:
    folder.mkdir(parents=True, exist_ok=True)
    cluster = DaskProcesses(folder, tls)
    try:
        yield cluster
    finally:
        cluster.end()


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for a condition; TimeoutError after far more time than a busy machine needs."""
    stop = time.monotonic() + START_TIMEOUT_S
    while not holds():
        if time.monotonic() > stop:
            raise TimeoutError("the condition never held")
        time.sleep(0.05)
