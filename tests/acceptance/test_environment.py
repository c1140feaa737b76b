"""Odd machines and odd surroundings: the daemon works, or says in a sentence what it lacks."""

import asyncio
import os
import signal
import sys
from hashlib import sha256
from pathlib import Path

import psutil
import pytest

from tests.acceptance.daemon import end_all, running, write_configuration
from tests.acceptance.quick_market import IDLE, QUICK_MARKET
from tests.acceptance.test_storage_away import READY_S
from vcpd.runtime.executor import SEMAPHORE_FOLDER

COMPILED_S = 200.0  # a first start compiles the kernels
pytestmark = pytest.mark.timeout(600)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change what is mounted")


async def _run_in(script: str, path: Path) -> tuple[int, str]:
    """Exit code and words of `vcpd run`, started by a shell script in a mount namespace of its own."""
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--mount", "sh", "-c", script, "sh", sys.executable, str(path)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(READY_S):
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


@as_root
@pytest.mark.parametrize(
    ("mount", "words"),
    [
        ("mount -t tmpfs -o ro none /dev/shm", "/dev/shm is missing or cannot be used"),
        ("mount -t tmpfs -o ro none /proc", "/proc/self is missing or cannot be used"),
    ],
)
async def test_a_machine_without_a_folder_of_the_system_is_named(
    tmp_path: Path, port: int, mount: str, words: str
) -> None:
    script = f'{mount} && exec "$1" -m vcpd run --config "$2"'
    code, output = await _run_in(script, write_configuration(tmp_path, port, QUICK_MARKET + IDLE))
    assert code == 75, output
    assert words in output
    assert "Traceback" not in output


async def test_a_state_folder_that_anybody_may_write_to_is_refused(tmp_path: Path, port: int) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)
    async with running(write_configuration(tmp_path, port, QUICK_MARKET + IDLE), port) as daemon:
        async with asyncio.timeout(READY_S):
            assert await daemon.process.wait() == 78
        assert "any user may write to" in daemon.log.read_text(encoding="utf-8")


async def test_closed_streams_and_a_umask_that_forbids_all_do_not_matter(tmp_path: Path, port: int) -> None:
    """The state is private whatever the umask was, and no file takes the place of standard output."""
    path = write_configuration(tmp_path, port, QUICK_MARKET + IDLE)
    script = 'umask 777; exec "$1" -m vcpd run --config "$2" <&- >&- 2>&-'
    process = await asyncio.create_subprocess_exec("sh", "-c", script, "sh", sys.executable, str(path))
    try:
        log = tmp_path / "state" / "postgres" / "server.log"
        async with asyncio.timeout(READY_S):
            while not (await asyncio.to_thread(_text, log)).count("ready to accept connections"):
                assert process.returncode is None
                await asyncio.sleep(0.1)
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
        streams = [Path(f"/proc/{process.pid}/fd/{number}") for number in range(3)]
        assert {str(stream.readlink()) for stream in streams} == {"/dev/null"}
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(READY_S):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            end_all(psutil.Process(process.pid).children(recursive=True))
            process.kill()
            await process.wait()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


async def test_nothing_is_left_of_a_family_that_was_killed(short_folder: Path, port: int) -> None:
    """The next start removes the sockets and semaphores of the last; a clean stop leaves none at all."""
    path = write_configuration(short_folder, port, QUICK_MARKET + IDLE)
    for killed in (True, False):
        async with running(path, port) as daemon:
            await daemon.until(lambda status: status["state"] == "ready", READY_S)
            await daemon.until(lambda status: status["workers"]["workers"], COMPILED_S)
            if killed:
                end_all(daemon.family())
                await daemon.process.wait()
            else:
                assert await daemon.stop() == 0
    assert _leftovers(short_folder / "state") == []


def _leftovers(state: Path) -> list[Path]:
    """Sockets, and semaphores with the prefix of this state directory."""
    prefix = f"sem.vcpd-{sha256(os.fsencode(state)).hexdigest()[:8]}-"
    return [*(state / "tmp").iterdir(), *SEMAPHORE_FOLDER.glob(f"{prefix}*")]
