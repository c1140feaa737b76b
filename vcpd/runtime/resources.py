"""Resource use of the daemon, its children and the machine; event loop lag."""

import asyncio
import os
import sys
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import psutil
from prometheus_client import Histogram

from vcpd.core.errors import UnavailableError
from vcpd.domain.health import MachineLoad

PRESSURE_FOLDER: Final = Path("/proc/pressure")
MEGABYTE: Final = 1 << 20
LAG_BUCKETS_MS: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 40.0, 100.0, 500.0, 1_000.0)
LOOP_LAG: Final = Histogram(
    "vcpd_loop_lag_seconds",
    "How late the event loop ran a timer.",
    buckets=tuple(edge / 1_000 for edge in LAG_BUCKETS_MS),
)
LAG_WINDOW_SAMPLES: Final = 6_000  # samples for the quantiles: ten minutes of 0.1 s


SYSTEM_FOLDERS: Final[Mapping[Path, tuple[int, str]]] = {
    Path("/proc/self"): (os.R_OK, "processes are looked up in it: mount it (`mount -t proc proc /proc`)"),
    Path("/dev/shm"): (os.W_OK, "worker processes share locks in it: mount a tmpfs of 64 MB there"),  # noqa: S108 - looked at only
}


def check_system_folders(folders: Mapping[Path, tuple[int, str]] = SYSTEM_FOLDERS) -> None:
    """UnavailableError where a folder of the system that vcpd cannot do without is missing."""
    for folder, (mode, reason) in folders.items() if sys.platform == "linux" else ():
        if not os.access(folder, mode):
            raise UnavailableError(f"{folder} is missing or cannot be used: {reason}")


class ProcessUsage(msgspec.Struct, frozen=True):
    """One process; `cpu_pct` of one core since the last snapshot, `proportional_mb` with fair shares."""

    pid: int
    name: str
    cpu_pct: float
    resident_mb: float
    proportional_mb: float | None  # None where the kernel does not tell
    threads: int


class PressureStall(msgspec.Struct, frozen=True):
    """Share of the last ten seconds in which some task waited for a resource; None where not known."""

    cpu_pct: float | None = None
    memory_pct: float | None = None
    io_pct: float | None = None


class ResourceSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon with its children, and the machine around them."""

    daemon: ProcessUsage
    open_files: int
    children: tuple[ProcessUsage, ...]
    machine_cpu_pct: float
    machine_memory_pct: float
    machine_available_mb: float
    pressure: PressureStall


class ResourceMonitor:
    """Takes snapshots; remembers processes, because CPU use is a difference."""

    def __init__(self, pressure_folder: Path = PRESSURE_FOLDER) -> None:
        self._pressure_folder = pressure_folder
        self._daemon: psutil.Process | None = None
        self._children: dict[int, psutil.Process] = {}
        self.latest: ResourceSnapshot | None = None  # the last one that could be read

    async def snapshot(self) -> ResourceSnapshot | None:
        """Measure in a thread; not to be called twice at once. None where the machine cannot be read.

        The reason may be a lack of descriptors, or a /proc that is missing or hidden.
        """
        found = await asyncio.to_thread(self.measure)
        self.latest = found or self.latest
        return found

    def measure(self) -> ResourceSnapshot | None:
        """The same, in this thread."""
        try:
            return self._measure()
        except (OSError, psutil.Error):
            return None

    def machine_load(self) -> MachineLoad:
        """The machine's memory as last measured, and the load of the last minute now."""
        memory_pct = 0.0 if self.latest is None else self.latest.machine_memory_pct
        return MachineLoad(memory_pct, os.getloadavg()[0] / available_cores())

    def _measure(self) -> ResourceSnapshot | None:
        if self._daemon is None:
            self._daemon = psutil.Process()
            psutil.cpu_percent(None)
            self._daemon.cpu_percent(None)
        found = {child.pid: child for child in self._daemon.children(recursive=True)}
        self._children = {pid: self._children.get(pid, child) for pid, child in found.items()}
        usages = (process_usage(child) for child in self._children.values())
        daemon = process_usage(self._daemon)
        if daemon is None:
            return None
        memory = psutil.virtual_memory()
        return ResourceSnapshot(
            daemon=daemon,
            open_files=self._daemon.num_fds(),
            children=tuple(usage for usage in usages if usage is not None),
            machine_cpu_pct=psutil.cpu_percent(None),
            machine_memory_pct=memory.percent,
            machine_available_mb=memory.available / MEGABYTE,
            pressure=read_pressure(self._pressure_folder),
        )


def process_usage(process: psutil.Process) -> ProcessUsage | None:
    """Returns the use of a process; None for one that has ended or cannot be read."""
    try:
        with process.oneshot():
            return ProcessUsage(
                pid=process.pid,
                name=process.name(),
                cpu_pct=process.cpu_percent(None),
                resident_mb=process.memory_info().rss / MEGABYTE,
                proportional_mb=proportional_mb(process.pid),
                threads=process.num_threads(),
            )
    except (OSError, psutil.Error):
        return None


def proportional_mb(pid: int) -> float | None:
    """Pss of smaps_rollup: each shared page divided by those who share it."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return None


def read_pressure(folder: Path = PRESSURE_FOLDER) -> PressureStall:
    """The kernel's pressure stall information (PSI), `some avg10` of each resource."""
    return PressureStall(
        _some_avg10_pct(folder / "cpu"), _some_avg10_pct(folder / "memory"), _some_avg10_pct(folder / "io")
    )


def _some_avg10_pct(path: Path) -> float | None:
    try:
        text = path.read_text(encoding="ascii")
    except OSError:
        return None
    for line in text.splitlines():
        kind, *pairs = line.split()
        if kind == "some":
            return _number(dict(pair.split("=", 1) for pair in pairs), "avg10")
    return None


def _number(values: Mapping[str, str], name: str) -> float | None:
    return float(values[name]) if name in values else None


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))


class LoopLagSnapshot(msgspec.Struct, frozen=True):
    """Quantiles over the window; `counts` since the start, one more than buckets, not cumulative."""

    samples: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    sum_ms: float
    counts: tuple[int, ...]


class LoopLag:
    """Measures how much later than requested the loop wakes a task."""

    def __init__(self, interval_s: float = 0.1, window: int = LAG_WINDOW_SAMPLES) -> None:
        self.interval_s = interval_s
        self._recent_ms: deque[float] = deque(maxlen=window)
        self._counts = [0] * (len(LAG_BUCKETS_MS) + 1)
        self._sum_ms = 0.0

    async def run(self) -> None:
        """Runs until it is cancelled."""
        while True:
            due_s = time.perf_counter() + self.interval_s
            await asyncio.sleep(self.interval_s)
            self.record((time.perf_counter() - due_s) * 1_000)

    def record(self, lag_ms: float) -> None:
        lag_ms = max(0.0, lag_ms)
        self._recent_ms.append(lag_ms)
        self._counts[bisect_left(LAG_BUCKETS_MS, lag_ms)] += 1
        self._sum_ms += lag_ms
        LOOP_LAG.observe(lag_ms / 1_000)

    def snapshot(self) -> LoopLagSnapshot:
        ordered = sorted(self._recent_ms)
        return LoopLagSnapshot(
            samples=sum(self._counts),
            p50_ms=_quantile(ordered, 0.5),
            p99_ms=_quantile(ordered, 0.99),
            max_ms=ordered[-1] if ordered else 0.0,
            sum_ms=self._sum_ms,
            counts=tuple(self._counts),
        )


def _quantile(ordered: list[float], share: float) -> float:
    """The value that `share` of the samples do not exceed."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
