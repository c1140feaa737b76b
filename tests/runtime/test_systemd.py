"""The notification protocol, spoken to a socket of our own, and the watchdog."""

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vcpd.runtime.systemd import Heartbeats, ServiceManager, Watchdog, watchdog_interval_s


class Manager:
    """Our own NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.setblocking(False)

    def on_prices(self) -> list[dict[str, str]]:
        messages: list[dict[str, str]] = []
        while True:
            try:
                text = self._socket.recv(4096).decode()
            except BlockingIOError:
                return messages
            messages.append(dict(line.split("=", 1) for line in text.splitlines()))

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    name = f"@vcpd-test-{tmp_path.name}" if request.param == "abstract" else str(tmp_path / "notify")
    made = Manager(name)
    yield made
    made.close()


def test_a_whole_lifecycle_in_the_managers_words(manager: Manager) -> None:
    service = ServiceManager(manager.address)
    before_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000
    service.ready("idle;\nnext: screen 12:00 IST")
    service.reloading()
    service.status("busy")
    service.status("busy")
    service.watchdog()
    service.extend_timeout(1.5)
    service.stopping("draining")
    ready, reloading, *rest = manager.on_prices()
    assert ready == {"READY": "1", "STATUS": "idle; next: screen 12:00 IST"}
    assert reloading["RELOADING"] == "1"
    assert (
        before_us <= int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000
    )
    assert rest == [
        {"STATUS": "busy"},
        {"WATCHDOG": "1"},
        {"EXTEND_TIMEOUT_USEC": "1500000"},
        {"STOPPING": "1", "STATUS": "draining"},
    ]


def test_children_do_not_inherit_the_socket(manager: Manager) -> None:
    environment = {"NOTIFY_SOCKET": manager.address}
    ServiceManager.from_environment(environment).ready("idle")
    assert environment == {}
    ServiceManager.from_environment(environment).ready("idle")
    assert len(manager.on_prices()) == 1


def test_without_a_manager_nothing_happens(tmp_path: Path) -> None:
    ServiceManager(None).ready("idle")
    ServiceManager(str(tmp_path / "gone")).ready("idle")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "nonsense"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({}, None),
    ],
)
def test_how_often_the_watchdog_is_patted(environment: dict[str, str], expected: float | None) -> None:
    assert watchdog_interval_s(environment, pid=7) == expected


def test_one_silent_loop_withholds_the_watchdog(manager: Manager) -> None:
    """As soon as one registered loop is late nothing is sent; when it ticks again, or is forgotten, it is."""
    now_s = 0.0
    hearts = Heartbeats(lambda: now_s)
    scheduler, web = hearts.register("scheduler", 10.0), hearts.register("web", 30.0)
    watchdog = Watchdog(ServiceManager(manager.address), hearts, 5.0)
    watchdog.tick()
    now_s = 11.0
    web()
    watchdog.tick()
    assert manager.on_prices() == [{"WATCHDOG": "1"}]
    assert hearts.ages_s() == {"scheduler": 11.0, "web": 0.0}
    scheduler()
    watchdog.tick()
    now_s = 25.0
    hearts.forget("scheduler")
    watchdog.tick()
    assert manager.on_prices() == [{"WATCHDOG": "1"}] * 2


async def test_a_loop_that_hangs_stops_the_running_watchdog(manager: Manager) -> None:
    """The real thing in small: a loop beats, then waits for ever, and the manager hears no more."""
    hearts = Heartbeats()
    hang = asyncio.Event()

    async def job_loop() -> None:
        beat = hearts.register("jobs", 0.05)
        while not hang.is_set():
            beat()
            await asyncio.sleep(0.005)

    watchdog = Watchdog(ServiceManager(manager.address), hearts, 0.005)
    patting = asyncio.create_task(watchdog.run())
    loop = asyncio.create_task(job_loop())
    received: list[dict[str, str]] = []
    async with asyncio.timeout(5):
        while len(received) < 3:
            received += manager.on_prices()
            await asyncio.sleep(0.005)
        hang.set()
        while watchdog.late_loops != ["jobs"]:  # noqa: ASYNC110 - lateness sets no event
            await asyncio.sleep(0.005)
    manager.on_prices()
    watchdog.tick()
    assert manager.on_prices() == []
    patting.cancel()
    await loop
