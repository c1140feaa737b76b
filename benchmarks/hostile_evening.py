"""A daemon with an evening to do, for benchmarks that attack it: builds its state and times its jobs.

The state is that of a sandbox of `symbols` symbols whose first evening is done. The daemon is then started
again at 16:00, with a clock as fast as the machine's: it makes up for the collection of 15:35, collects again
at 16:05, then screens and measures risk.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

from benchmarks.daemons import INDICES, configure, limited_exchange, quiet_daemon

BUILT_AT: Final = "2026-07-10T08:40:00+05:30"
EVENING_AT: Final = "2026-07-10T16:00:00+05:30"
EVENING_JOBS: Final = ("instruments", "collect", "screen", "risk")
BUILD_TIMEOUT_S: Final = 1_800.0
START_TIMEOUT_S: Final = 120.0
STOP_TIMEOUT_S: Final = 60.0
ASK_TIMEOUT_S: Final = 30.0
MIN_DESCRIPTORS: Final = 65_536
STORED_YEARS: Final = 2
ASKED_PER_S: Final = 300


class EveningDaemon:
    """A daemon in `folder`, whose configuration and state lie there."""

    def __init__(self, folder: Path, port: int, symbols: int) -> None:
        self._address = f"http://127.0.0.1:{port}"
        self.config = folder / "config.toml"
        self.state = folder / "state"
        self._log = folder / "daemon.log"
        folder.mkdir(parents=True, exist_ok=True)
        exchange = limited_exchange(
            0, instruments=symbols + INDICES, years=STORED_YEARS, asked_per_s=ASKED_PER_S
        )
        configure(folder, quiet_daemon(port) + exchange)

    def build(self) -> None:
        """Do the first evening, unless it is done already."""
        done = self.state / "benchmark-built"
        if done.exists():
            return
        with self.running(BUILT_AT):
            self._wait_until(self._is_evening_done, BUILD_TIMEOUT_S)
        done.touch()

    @contextmanager
    def running(self, now: str) -> Iterator[None]:
        """The daemon from `now` on; ready to answer."""
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        command = [sys.executable, "-m", "vcpd", "run", "--config", str(self.config), "--now", now]
        with self._log.open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        descriptors = (min(MIN_DESCRIPTORS, hard), hard)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, descriptors)
        try:
            self._wait_until(lambda: self.get("/healthz") is not None, START_TIMEOUT_S)
            yield
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()

    def get(self, path: str) -> Any:
        """What the daemon answers; None while it does not."""
        try:
            with urlopen(self._address + path, timeout=ASK_TIMEOUT_S) as answer:
                return json.load(answer)
        except OSError:
            return None

    def _is_evening_done(self) -> bool:
        found = self.get("/status")
        last = {} if found is None else {job["name"]: job["last"] for job in found["jobs"]}
        return all((last.get(name) or {}).get("outcome") == "done" for name in EVENING_JOBS)

    @staticmethod
    def _wait_until(condition: Callable[[], bool], timeout_s: float) -> None:
        end_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end_s:
                raise TimeoutError(
                    f"the daemon was not ready after {timeout_s:.0f} s; its log names the cause"
                )
            time.sleep(0.5)

    def job_lines(self) -> Iterator[str]:
        """Start delay, duration and outcome of each run since 16:00."""
        begin = datetime.fromisoformat(EVENING_AT)
        found = self.get("/api/runs?limit=100")
        if found is None:
            yield "the daemon does not answer: the runs of the evening are unknown"
            return
        for run in sorted(found["items"], key=lambda run: str(run["scheduled_at"])):
            if datetime.fromisoformat(run["scheduled_at"]) >= begin:
                yield run_line(run)


def run_line(run: Mapping[str, Any]) -> str:
    """One run of /api/runs in words."""
    scheduled, started, finished = (
        None if run[name] is None else datetime.fromisoformat(run[name])
        for name in ("scheduled_at", "started_at", "finished_at")
    )
    delay = (
        "-" if started is None or scheduled is None else start_words((started - scheduled).total_seconds())
    )
    duration = "-" if started is None or finished is None else f"{(finished - started).total_seconds():.1f} s"
    outcome = f"{run['outcome'] or 'not finished'} {run['reason']}".strip()
    return f"{run['job']} (planned {run['scheduled_at']}): started {delay}, took {duration}, {outcome}"


def start_words(delay_s: float) -> str:
    """When a run started, by its plan; a job that follows another may start ahead of it."""
    return f"{-delay_s:.1f} s before its plan" if delay_s < 0 else f"after {delay_s:.1f} s"
