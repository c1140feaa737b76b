"""A real daemon does its first evening while hostile connections are held and renewed around it."""

import asyncio
import contextlib
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import psutil
import pytest

from benchmarks.hostile_connections import attack
from tests.acceptance.daemon import Daemon, outcomes, running, write_configuration
from tests.acceptance.exchange import free_port
from tests.acceptance.quick_market import QUICK_MARKET

pytestmark = pytest.mark.timeout(400)
EVENING_S = 300.0  # for a busy machine
HOSTILE = 1_200
MAX_CONNECTIONS = 128
OTHER_DESCRIPTORS = 128
ADDRESSES = ["127.0.0.1", *(f"127.0.7.{number}" for number in range(1, 6))]
DONE = {"instruments": "done", "collect": "done", "screen": "done", "risk": "done"}


@contextmanager
def attacked(port: int) -> Iterator[None]:
    attacker = multiprocessing.get_context("spawn").Process(
        target=attack, args=(port, HOSTILE, ADDRESSES, EVENING_S), daemon=True
    )
    attacker.start()
    try:
        yield
    finally:
        attacker.terminate()
        attacker.join()


async def _ask_on(daemon: Daemon, stop: asyncio.Event) -> tuple[int, int]:
    """Ask as honest clients do until `stop`; gives how often, and the most descriptors seen."""
    process, asked, most = psutil.Process(daemon.process.pid), 0, 0
    while not stop.is_set():
        assert await _get(f"http://127.0.0.1:{daemon.port}/healthz", {}) == 200
        assert await _get(f"http://127.0.0.1:{daemon.port}/status", daemon.authorization()) == 200
        asked, most = asked + 1, max(most, process.num_fds())
        await asyncio.sleep(0.2)
    return asked, most


async def _get(url: str, headers: dict[str, str]) -> int:
    """The status; asks again where the connection was given away before its request was read."""
    for _ in range(3):
        with contextlib.suppress(aiohttp.ClientConnectionError):
            async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
                return answer.status
    return 0


async def _until_refused(port: int, count: int) -> None:
    """Wait until the daemon has refused more than `count` connections; fails after EVENING_S."""
    refused, end_s = 0.0, time.monotonic() + EVENING_S
    while time.monotonic() < end_s:
        refused = await _refused(port)
        if refused > count:
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"{refused:.0f} connections were refused, expected more than {count}")


async def _refused(port: int) -> float:
    """The refused connections by /metrics; 0 where the connection was given away before it was read."""
    with contextlib.suppress(aiohttp.ClientConnectionError):
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/metrics") as answer:
            text = await answer.text()
        counts = [line for line in text.splitlines() if 'closed_total{reason="refused"}' in line]
        return float(counts[0].rpartition(" ")[2])
    return 0.0


def _status_command(configuration: Path) -> int:
    command = [sys.executable, "-m", "vcpd", "status", "--config", str(configuration)]
    return subprocess.run(command, capture_output=True, check=False, timeout=120).returncode


async def test_the_evening_is_done_and_honest_clients_are_served_under_attack(tmp_path: Path) -> None:
    port = free_port()
    path = write_configuration(tmp_path, port, f"max_connections = {MAX_CONNECTIONS}\n{QUICK_MARKET}")
    async with running(path, port) as daemon:
        await daemon.until(lambda status: status["state"] == "ready", EVENING_S)
        with attacked(port):
            stop = asyncio.Event()
            asking = asyncio.create_task(_ask_on(daemon, stop))
            await daemon.until(lambda status: DONE.items() <= outcomes(status).items(), EVENING_S)
            assert await asyncio.to_thread(_status_command, path) in {0, 1}  # 1: not ready, but answered
            await _until_refused(port, HOSTILE)  # a quick evening ends before so many were refused
            stop.set()
            asked, most_descriptors = await asking
        assert asked > 0
        assert most_descriptors <= MAX_CONNECTIONS + MAX_CONNECTIONS // 8 + OTHER_DESCRIPTORS
        assert await daemon.stop() == 0
