"""While database or disk is away the process stays, and goes on by itself once they are back."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import psutil
import pytest

from tests.acceptance.daemon import Daemon, running, write_configuration
from tests.acceptance.notify import NotifySocket, notify_socket
from tests.acceptance.quick_market import IDLE, QUICK_MARKET
from vcpd.store.embedded import EmbeddedPostgres
from vcpd.store.embedded_process import server_processes
from vcpd.store.settings import StoreSettings

pytestmark = pytest.mark.timeout(240)
READY_S = 90.0
START_STEP_S = 0.1  # ten of them are longer than it takes to refuse a configuration


def started(folder: Path, port: int, manager: NotifySocket, text: str) -> AbstractAsyncContextManager[Daemon]:
    """A daemon without jobs under a service manager that wants to hear it every second."""
    path = write_configuration(folder, port, QUICK_MARKET + IDLE + text)
    variables = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "2000000"}
    return running(path, port, environment=variables)


@pytest.mark.long
async def test_a_database_that_comes_up_late_is_waited_for_and_the_manager_is_reported(
    tmp_path: Path, short_folder: Path, port: int
) -> None:
    """Its status line says what is missing; the password is in none of the words.

    The server's folder has a short name: clients refuse a socket whose whole name has more than 107 bytes.
    """
    folder = short_folder / "postgres"
    server = EmbeddedPostgres(folder, StoreSettings(shared_buffers_mb=16))
    address = f"postgresql://vcpd:verysecret@/postgres?host={folder}/socket"
    with notify_socket(tmp_path) as manager:
        async with started(tmp_path, port, manager, f'[store]\ndsn = "{address}"\n') as daemon:
            reported = await asyncio.to_thread(
                manager.until, "STATUS=waiting: cannot reach the store", READY_S
            )
            assert "next attempt in 1 s" in reported
            await asyncio.to_thread(manager.until, "next attempt in 2 s", READY_S)
            await asyncio.to_thread(manager.until, "EXTEND_TIMEOUT_USEC", READY_S)
            await asyncio.to_thread(manager.until, "WATCHDOG=1", READY_S)
            assert not any("STOPPING" in name for name in manager.read())
            await server.start()
            try:
                daemon.process.send_signal(signal.SIGHUP)  # ends the pause
                await asyncio.to_thread(manager.until, "READY=1", READY_S)
                assert await daemon.stop() == 0
            finally:
                await server.stop()
            assert "verysecret" not in daemon.log.read_text(encoding="utf-8") + "".join(manager.read())


async def test_a_daemon_that_waits_for_its_database_stops_when_it_should(tmp_path: Path, port: int) -> None:
    address = "postgresql://me:verysecret@127.0.0.1:9/none"
    with notify_socket(tmp_path) as manager:
        async with started(tmp_path, port, manager, f'[store]\ndsn = "{address}"\n') as daemon:
            await asyncio.to_thread(manager.until, "next attempt in 2 s", READY_S)
            family = daemon.family()
            assert await daemon.stop() == 0
            assert (await asyncio.to_thread(psutil.wait_procs, family, 15.0))[1] == []


async def test_the_death_of_the_embedded_server_is_mended_inside_the_process(
    tmp_path: Path, port: int
) -> None:
    """No service manager is needed: the same process answers again, with a server of its own."""
    with notify_socket(tmp_path) as manager:
        async with started(tmp_path, port, manager, "") as daemon:
            before = await daemon.until(lambda status: status["state"] == "ready", READY_S)
            killed = {process.pid for process in server_processes(tmp_path / "state" / "postgres" / "data")}
            assert killed
            for pid in killed:
                with contextlib.suppress(ProcessLookupError):  # its end follows the postmaster's
                    os.kill(pid, signal.SIGKILL)
            await asyncio.to_thread(manager.until, "waiting: the embedded PostgreSQL ended", READY_S)
            after = await daemon.until(lambda status: status["state"] == "ready", READY_S)
            assert after["pid"] == before["pid"]
            servers = {process.pid for process in server_processes(tmp_path / "state" / "postgres" / "data")}
            assert servers.isdisjoint(killed)
            assert servers
            assert not any("STOPPING" in name for name in manager.read())
            assert await daemon.stop() == 0


async def test_a_reload_signal_ends_nothing_at_the_first_nor_at_the_last_moment(
    tmp_path: Path, port: int
) -> None:
    """SIGHUP while the program is imported, while it starts, and while it stops."""
    with notify_socket(tmp_path) as manager:
        async with started(tmp_path, port, manager, "") as daemon:
            await until_held(daemon, signal.SIGHUP)
            for _ in range(100):
                daemon.process.send_signal(signal.SIGHUP)
                await asyncio.sleep(0.02)
            await asyncio.to_thread(manager.until, "READY=1", READY_S)
            await daemon.until(lambda status: status["state"] == "ready", READY_S)
            daemon.process.send_signal(signal.SIGTERM)
            while daemon.process.returncode is None:
                with contextlib.suppress(ProcessLookupError):  # by its number: Popen would take the exit code
                    os.kill(daemon.process.pid, signal.SIGHUP)
                await asyncio.sleep(0.005)
            assert daemon.process.returncode == 0


async def until_held(daemon: Daemon, number: signal.Signals) -> None:
    """Until the process blocks or handles the signal: nothing of it but its entry is imported then."""
    while not await asyncio.to_thread(_holds, daemon.process.pid, number):
        assert daemon.process.returncode is None
        await asyncio.sleep(0.001)


def _holds(pid: int, number: signal.Signals) -> bool:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    lines = dict(line.split(":\t", 1) for line in text.splitlines())
    return any(int(lines[name], 16) >> (number - 1) & 1 for name in ("SigBlk", "SigCgt"))


def test_the_entry_blocks_the_reload_signal_before_it_imports_the_program() -> None:
    """Only for `vcpd run`: whatever else the terminal starts ends with it."""
    code = (
        "import signal, sys; sys.argv = ['vcpd', sys.argv[1], '--help'];"
        "known = set(sys.modules); import vcpd.__main__ as entry;"
        "print(sorted(name for name in set(sys.modules) - known if name.startswith('vcpd')));"
        "import vcpd.cli.main as program; program.main = lambda: print(signal.pthread_sigmask(0, []));"
        "entry.main()"
    )
    said = {
        word: subprocess.run([sys.executable, "-c", code, word], check=True, capture_output=True, text=True)
        for word in ("run", "status")
    }
    assert said["run"].stdout.splitlines() == ["['vcpd', 'vcpd.__main__']", "{<Signals.SIGHUP: 1>}"]
    assert said["status"].stdout.splitlines()[1] == "set()"


async def test_a_reload_signal_at_any_time_of_a_short_life_is_survived(tmp_path: Path, port: int) -> None:
    """A configuration that is refused ends the program soon: ten of them, each hit at another time."""
    path = write_configuration(tmp_path, port, "nonsense = 1\n")
    for step in range(10):
        async with running(path, port) as daemon:
            await until_held(daemon, signal.SIGHUP)
            await asyncio.sleep(step * START_STEP_S)
            with contextlib.suppress(ProcessLookupError):
                os.kill(daemon.process.pid, signal.SIGHUP)
            assert await daemon.process.wait() == 78
