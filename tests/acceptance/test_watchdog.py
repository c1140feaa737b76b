"""The service manager's watchdog hears of a real daemon only while its loop and its scheduler tick."""

import asyncio
import signal
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.acceptance.daemon import Daemon, running, write_configuration
from tests.acceptance.hangable import HANG_S, SCHEDULER_LATE_AFTER_S
from tests.acceptance.notify import NotifySocket, notify_socket
from tests.acceptance.quick_market import IDLE, QUICK_MARKET

pytestmark = pytest.mark.timeout(240)
READY_S = 90.0
PATIENCE_S = 1.0  # half of it lies between two messages
PAT = "WATCHDOG=1"
CLOCK = ("--now", "2026-07-11T12:00:00+05:30", "--speed", "60")  # a nap of a minute lasts a second


async def test_a_loop_that_hangs_stops_the_watchdog_until_it_ticks_again(tmp_path: Path, port: int) -> None:
    with notify_socket(tmp_path) as manager:
        async with _hangable(tmp_path, port, manager) as daemon:
            await asyncio.to_thread(manager.until, PAT, READY_S)
            daemon.process.send_signal(signal.SIGUSR1)
            await _silence(manager, HANG_S / 2)
            await _has_answered_again(manager)
            assert await daemon.stop() == 0


async def test_a_scheduler_that_hangs_stops_the_watchdog_although_the_loop_ticks(
    tmp_path: Path, port: int
) -> None:
    with notify_socket(tmp_path) as manager:
        async with _hangable(tmp_path, port, manager) as daemon:
            await asyncio.to_thread(manager.until, PAT, READY_S)
            daemon.process.send_signal(signal.SIGUSR2)
            status = await daemon.until(
                lambda entry: any("scheduler" in item["seen"] for item in entry["health"]["items"]),
                SCHEDULER_LATE_AFTER_S + 20,
            )
            assert status["state"] == "ready"
            await _silence(manager, 3 * PATIENCE_S)
            assert (await daemon.get("/healthz"))[0] == 503
            assert "watchdog_withheld" in daemon.tail()


def _hangable(folder: Path, port: int, manager: NotifySocket) -> AbstractAsyncContextManager[Daemon]:
    path = write_configuration(folder, port, QUICK_MARKET + IDLE)
    environment = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": str(int(1e6 * PATIENCE_S))}
    return running(path, port, *CLOCK, environment=environment, module="tests.acceptance.hangable")


async def _silence(manager: NotifySocket, seconds: float) -> None:
    """Nothing is said for so long, after what was on its way when it began."""
    await asyncio.sleep(PATIENCE_S)
    manager.read()
    before = len(manager.messages)
    await asyncio.sleep(seconds)
    assert not any(PAT in message for message in manager.read()[before:])


async def _has_answered_again(manager: NotifySocket) -> None:
    manager.messages.clear()
    await asyncio.to_thread(manager.until, PAT, HANG_S + READY_S)
