"""Embedded PostgreSQL server: starts, monitors and stops a server whose data lies in one folder.

Layout below the given folder, which nothing else may use: `lock`, `data/`, `socket/`, `server.log`.
The server listens on a Unix socket only; whoever can enter `socket/` (mode 0700) is trusted. The socket is
named through an open descriptor of its folder, so that the path may be of any length.
"""

import asyncio
import contextlib
import os
import shutil
import signal
from pathlib import Path
from typing import Final

import asyncpg

from vcpd.core.errors import IncompatibleStoreError, StorageUnavailableError, UnavailableError
from vcpd.store.embedded_process import (
    FolderLock,
    PostgresBinaries,
    find_binaries,
    finish_upgrade,
    remove_stale_pidfile,
    run_command,
    server_environment,
    server_processes,
    stop_stale_servers,
)
from vcpd.store.run_as import (
    RunAsUser,
    change_owner,
    choose_run_as,
    make_folder_like_parent,
    match_folder_owner,
)
from vcpd.store.settings import StoreSettings, default_shared_buffers_mb, machine_memory_mb

SUPERUSER: Final = "vcpd"
DATABASE: Final = "postgres"
SOCKET_NAME: Final = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT: Final = 100  # bytes; the kernel's limit is 108 with the terminator
READY_POLL_INTERVAL_S: Final = 0.02
LAUNCH_RETRY_DELAY_S: Final = 0.25
LAUNCH_RETRY_PERIOD_S: Final = 10.0  # how long launches that end at once are repeated
IMMEDIATE_SHUTDOWN_TIMEOUT_S: Final = 5.0
IO_METHOD_MIN_VERSION: Final = 18
LOG_TAIL_BYTES: Final = 4_000
LOG_LIMIT_BYTES: Final = 2_000_000
# Given for each connection, so that neither libpq's environment (PGPORT, ...) nor its files (~/.pgpass, ...)
# say anything about the embedded server.
DSN_OPTIONS: Final = {
    "port": "5432",
    "password": "unused",
    "sslmode": "disable",
    "sslnegotiation": "postgres",
    "target_session_attrs": "any",
    "krbsrvname": "postgres",
    "gsslib": "gssapi",
}
INITDB_ARGUMENTS: Final = (
    f"--username={SUPERUSER}",
    "--auth-local=trust",
    "--auth-host=reject",
    "--encoding=UTF8",
    "--locale=C",
    "--no-instructions",
)


class EmbeddedPostgres:
    """Starts, watches and stops the server in `folder`."""

    def __init__(
        self, folder: Path, settings: StoreSettings | None = None, programs: Path | None = None
    ) -> None:
        """`programs` is a folder with the programs of a PostgreSQL that this vcpd does not ship."""
        self._folder = folder.absolute()
        self._programs = programs
        self._settings = settings or StoreSettings()
        self._lock = FolderLock(self._folder / "lock")
        self._process: asyncio.subprocess.Process | None = None
        self._socket_folder_fd: int | None = None
        self._stopping = False

    @property
    def data_folder(self) -> Path:
        return self._folder / "data"

    @property
    def log_path(self) -> Path:
        return self._folder / "server.log"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> str:
        """Bring the server up, creating its data where there is none; gives the DSN.

        Raises PermanentError when another daemon has the folder, UnavailableError when the machine
        (disk, permissions, programs) does not allow it. Nothing is left running after an error.
        """
        self._make_folders()
        self._lock.acquire()
        try:
            return await self._start_locked()
        except BaseException as error:
            await self.stop()
            if isinstance(error, OSError):
                raise _unusable_folder(self._folder, error) from error
            raise

    async def attach(self) -> str | None:
        """The DSN of the server that a daemon of this machine already runs here, or None."""
        if not self.data_folder.exists() or not server_processes(self.data_folder):
            return None
        dsn = self._dsn()
        return dsn if await self._accepts_connections(dsn) else None

    async def watch(self) -> None:
        """Return once the server has been stopped; raise StorageUnavailableError when it ends by itself."""
        if self._process is None:
            return
        code = await self._process.wait()
        if not self._stopping:
            raise StorageUnavailableError(
                f"the embedded PostgreSQL ended unexpectedly ({code}): {_with_advice(self._log_tail())}"
            )

    async def stop(self) -> None:
        """Fast shutdown; after the deadline, first an immediate one, then SIGKILL. Safe to call twice."""
        self._stopping = True
        if self._process is not None and self._process.returncode is None:
            await self._terminate(self._process)
        self._process = None
        if self._socket_folder_fd is not None:
            os.close(self._socket_folder_fd)
            self._socket_folder_fd = None
        self._lock.release()

    async def _start_locked(self) -> str:
        self._stopping = False
        finish_upgrade(self._folder)
        programs = self._matching_binaries(await find_binaries(self._programs))
        await stop_stale_servers(self.data_folder)
        identity = await choose_run_as(self._folder, programs.folder / "postgres")
        if not self.data_folder.exists():
            await self._create_data(programs, identity)
        return await self._launch_until_ready(programs, identity)

    def _make_folders(self) -> None:
        try:
            for folder in (self._folder, self._folder / "socket"):
                make_folder_like_parent(folder)
                folder.chmod(0o700)
        except OSError as error:
            raise _unusable_folder(self._folder, error) from None

    def _matching_binaries(self, shipped: list[PostgresBinaries]) -> PostgresBinaries:
        """The installation that can read the data, or the newest where there is none yet."""
        try:
            major = int((self.data_folder / "PG_VERSION").read_text(encoding="ascii"))
        except FileNotFoundError:
            return shipped[0]
        except (OSError, ValueError) as error:
            raise UnavailableError(f"{self.data_folder} cannot be read as PostgreSQL data: {error}") from None
        for programs in shipped:
            if programs.major == major:
                return programs
        versions = " and ".join(str(programs.major) for programs in shipped)
        raise IncompatibleStoreError(
            f"{self.data_folder} was written by PostgreSQL {major}, this vcpd ships {versions}: "
            f"move it with `vcpd store upgrade --old-programs FOLDER`, where FOLDER holds the programs of "
            f"PostgreSQL {major}, for example those of the vcpd that wrote it"
        )

    async def _create_data(self, programs: PostgresBinaries, identity: RunAsUser) -> None:
        """A new data folder appears whole or not at all."""
        unfinished = self._folder / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        change_owner(unfinished, identity)
        command = identity.command(programs.folder / "initdb", "-D", str(unfinished), *INITDB_ARGUMENTS)
        code, output = await run_command(command)
        if code != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise UnavailableError(
                f"cannot create the store's data in {self._folder}: {_with_advice(output)}"
            )
        unfinished.rename(self.data_folder)

    async def _launch_until_ready(self, programs: PostgresBinaries, identity: RunAsUser) -> str:
        """Right after a kill the first launches can fail: try again for a while."""
        timeout_s = self._settings.start_timeout_s
        give_up_at = asyncio.get_running_loop().time() + min(LAUNCH_RETRY_PERIOD_S, timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                while not await self._try_launch(programs, identity):
                    failure = self._log_tail()
                    if _is_permanent_failure(failure) or asyncio.get_running_loop().time() > give_up_at:
                        break
                    await asyncio.sleep(LAUNCH_RETRY_DELAY_S)
                else:
                    return self._dsn()
        except TimeoutError:
            failure = f"not ready within {timeout_s:g} s; {self._log_tail()}"
        raise UnavailableError(f"the embedded PostgreSQL does not start: {_with_advice(failure)}")

    async def _try_launch(self, programs: PostgresBinaries, identity: RunAsUser) -> bool:
        """Whether this launch leads to a server that answers."""
        remove_stale_pidfile(self.data_folder)
        self._process = await self._launch(programs, identity)
        return await self._wait_until_ready(self._dsn(), self._process)

    async def _launch(self, programs: PostgresBinaries, identity: RunAsUser) -> asyncio.subprocess.Process:
        self._rotate_log()
        arguments = ["-D", str(self.data_folder), *self._server_arguments(programs.major)]
        with self.log_path.open("ab") as log:
            match_folder_owner(self.log_path)
            return await asyncio.create_subprocess_exec(
                *identity.command(programs.folder / "postgres", *arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=server_environment(),
            )

    def _server_arguments(self, major: int) -> list[str]:
        values = {
            "listen_addresses": "",
            "unix_socket_directories": "../socket",
            "unix_socket_permissions": "0700",
            "port": "5432",
            "max_connections": str(self._settings.pool_size + 14),
            "dynamic_shared_memory_type": "mmap",  # a kill leaves nothing outside the folder
            "shared_buffers": f"{self._shared_buffers_mb()}MB",
            "max_wal_size": f"{self._settings.max_wal_mb}MB",
            "min_wal_size": "80MB",
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "maintenance_work_mem": "64MB",
            "work_mem": "32MB",
            "jit": "off",
            "max_parallel_workers": "2",
            "checkpoint_completion_target": "0.9",
            "log_checkpoints": "off",
            "log_line_prefix": "%m [%p] ",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if major >= IO_METHOD_MIN_VERSION:
            values["io_method"] = "sync"  # pages are in memory: handing reads to a worker costs more
        return [part for name, value in values.items() for part in ("-c", f"{name}={value}")]

    def _shared_buffers_mb(self) -> int:
        return self._settings.shared_buffers_mb or default_shared_buffers_mb(machine_memory_mb())

    async def _wait_until_ready(self, dsn: str, process: asyncio.subprocess.Process) -> bool:
        """True once the server answers, False once the process has ended."""
        while process.returncode is None:
            if await self._accepts_connections(dsn):
                return True
            await asyncio.sleep(READY_POLL_INTERVAL_S)
        return False

    async def _accepts_connections(self, dsn: str) -> bool:
        try:
            connection = await asyncpg.connect(dsn, timeout=self._settings.connect_timeout_s)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            return False
        await connection.close()
        return True

    def _dsn(self) -> str:
        options = {"host": self._short_socket_folder(), **DSN_OPTIONS}
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"postgresql://{SUPERUSER}@/{DATABASE}?{query}"

    def _short_socket_folder(self) -> str:
        """The socket's folder by a name short enough for the kernel."""
        folder = self._folder / "socket"
        if len(os.fsencode(folder / SOCKET_NAME)) <= SOCKET_PATH_LIMIT and _is_dsn_safe(folder):
            return str(folder)
        if not Path("/proc/self/fd").exists():
            raise UnavailableError(
                f"the path {folder} is too long for a socket: choose a shorter [daemon] state_dir"
            )
        if self._socket_folder_fd is None:
            self._socket_folder_fd = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        return f"/proc/self/fd/{self._socket_folder_fd}"

    async def _terminate(self, process: asyncio.subprocess.Process) -> None:
        """SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one."""
        steps = (
            (signal.SIGINT, self._settings.stop_timeout_s),
            (signal.SIGQUIT, IMMEDIATE_SHUTDOWN_TIMEOUT_S),
            (signal.SIGKILL, IMMEDIATE_SHUTDOWN_TIMEOUT_S),
        )
        for number, timeout_s in steps:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await process.wait()
                return

    def _rotate_log(self) -> None:
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_LIMIT_BYTES:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))

    def _log_tail(self) -> str:
        """The end of the server's log, without the routine lines."""
        try:
            with self.log_path.open("rb") as log:
                log.seek(max(0, self.log_path.stat().st_size - LOG_TAIL_BYTES))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return "no log was written"
        relevant = [line for line in lines if "LOG:  " not in line]
        return "; ".join((relevant or lines)[-3:])


def _unusable_folder(folder: Path, error: OSError) -> UnavailableError:
    place = error.filename or folder
    return UnavailableError(
        f"cannot use {place} for the store ({error.strerror}): "
        "make it writable, or choose another [daemon] state_dir"
    )


def _is_dsn_safe(folder: Path) -> bool:
    """Whether the name can stand in a DSN as it is."""
    return not set(str(folder)) & set("?&#%, ")


def _is_permanent_failure(text: str) -> bool:
    """Whether trying again at once is no use: the disk or the permissions must change first."""
    return any(word in text for word in ("No space left", "Permission denied", "Read-only file system"))


def _with_advice(text: str) -> str:
    """The server's message, with a remedy where the cause is known."""
    last = text.strip()[-600:]
    if "No space left" in last:
        return f"the disk is full: free some space, then start again ({last})"
    if "Permission denied" in last or "Read-only file system" in last:
        return f"the folder is not writable: correct its permissions, or choose another state_dir ({last})"
    return last
