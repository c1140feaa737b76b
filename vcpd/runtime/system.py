"""What the daemon, its children and the machine use; read in a thread, because /proc may be slow."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import psutil

PRESSURE_FOLDER: Final = Path("/proc/pressure")
MEGABYTE: Final = 1 << 20


class ProcessUse(msgspec.Struct, frozen=True):
    """One process; `cpu_pct` of one core since the last snapshot, `proportional_mb` with fair shares."""

    pid: int
    name: str
    cpu_pct: float
    resident_mb: float
    proportional_mb: float | None  # None where the kernel does not tell
    threads: int


class Pressure(msgspec.Struct, frozen=True):
    """Share of the last ten seconds in which some task waited for a resource; None where not known."""

    cpu_pct: float | None = None
    memory_pct: float | None = None
    io_pct: float | None = None


class SystemSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon with its children, and the machine around them."""

    daemon: ProcessUse
    open_files: int
    children: tuple[ProcessUse, ...]
    machine_cpu_pct: float
    machine_memory_pct: float
    machine_available_mb: float
    pressure: Pressure


class System:
    """Takes snapshots; remembers processes, because CPU use is a difference."""

    def __init__(self, pressure_folder: Path = PRESSURE_FOLDER) -> None:
        self._pressure_folder = pressure_folder
        self._daemon = psutil.Process()
        self._children: dict[int, psutil.Process] = {}
        psutil.cpu_percent(None)
        self._daemon.cpu_percent(None)

    async def snapshot(self) -> SystemSnapshot:
        """Never blocks the loop; not to be taken twice at once."""
        return await asyncio.to_thread(self.take)

    def take(self) -> SystemSnapshot:
        """The same, in this thread."""
        found = {child.pid: child for child in self._daemon.children(recursive=True)}
        self._children = {pid: self._children.get(pid, child) for pid, child in found.items()}
        uses = (use_of(child) for child in self._children.values())
        daemon = use_of(self._daemon)
        if daemon is None:
            raise RuntimeError("this process cannot see itself in /proc")
        memory = psutil.virtual_memory()
        return SystemSnapshot(
            daemon=daemon,
            open_files=self._daemon.num_fds(),
            children=tuple(use for use in uses if use is not None),
            machine_cpu_pct=psutil.cpu_percent(None),
            machine_memory_pct=memory.percent,
            machine_available_mb=memory.available / MEGABYTE,
            pressure=read_pressure(self._pressure_folder),
        )


def use_of(process: psutil.Process) -> ProcessUse | None:
    """None for a process that is gone."""
    try:
        with process.oneshot():
            return ProcessUse(
                pid=process.pid,
                name=process.name(),
                cpu_pct=process.cpu_percent(None),
                resident_mb=process.memory_info().rss / MEGABYTE,
                proportional_mb=proportional_mb(process.pid),
                threads=process.num_threads(),
            )
    except psutil.Error:
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


def read_pressure(folder: Path = PRESSURE_FOLDER) -> Pressure:
    """The kernel's pressure stall information (PSI), `some avg10` of each resource."""
    return Pressure(
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


def core_count() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))
