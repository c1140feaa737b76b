"""Server processes that a dead daemon left behind, found by the folder they work in."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

from vcpd.domain.errors import UnavailableError

PROGRAM: Final = "postgres"
LOOK_AGAIN_S: Final = 0.05
FAST_SHUTDOWN_S: Final = 10.0
KILLED_S: Final = 5.0


def server_processes(data_folder: Path) -> list[psutil.Process]:
    """Every PostgreSQL process that works in `data_folder`, whoever its parent is now."""
    return list(_server_processes(data_folder.resolve()))


def _server_processes(data_folder: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.name() == PROGRAM and Path(process.cwd()) == data_folder:
                yield process
        except psutil.Error:
            continue  # ended meanwhile, or not ours to look at


async def end_orphans(data_folder: Path) -> int:
    """Stop what still works in `data_folder`; the caller holds the folder's lock. Gives how many there were.

    Raises UnavailableError when one survives even SIGKILL.
    """
    orphans = server_processes(data_folder)
    if not orphans:
        return 0
    _send(orphans, signal.SIGINT, only=_recorded_pid(data_folder))
    if not await _all_gone(data_folder, FAST_SHUTDOWN_S):
        _send(server_processes(data_folder), signal.SIGKILL)
        if not await _all_gone(data_folder, KILLED_S):
            raise UnavailableError(
                f"a PostgreSQL server of an earlier vcpd still works in {data_folder} and cannot be stopped: "
                "end its processes, then start again"
            )
    return len(orphans)


def forget_dead_server(data_folder: Path) -> None:
    """Remove a pid file whose server is gone, so that another process with that number is no obstacle."""
    if not server_processes(data_folder):
        (data_folder / "postmaster.pid").unlink(missing_ok=True)


def _recorded_pid(data_folder: Path) -> int | None:
    try:
        return int((data_folder / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _send(processes: list[psutil.Process], number: signal.Signals, only: int | None = None) -> None:
    """Signal each process; with `only`, the postmaster of that pid alone, which then ends the rest."""
    recorded = [process for process in processes if process.pid == only]
    for process in recorded or processes:
        try:
            process.send_signal(number)
        except psutil.Error:
            continue


async def _all_gone(data_folder: Path, timeout_s: float) -> bool:
    deadline = asyncio.get_running_loop().time() + timeout_s
    while server_processes(data_folder):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(LOOK_AGAIN_S)
    return True
