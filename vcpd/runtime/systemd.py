"""systemd integration: sd_notify(3), and a watchdog that requires a heartbeat of each loop."""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Final, Self

import structlog

MICROSECONDS: Final = 1_000_000
log = structlog.get_logger(__name__)


class Heartbeat:
    """One loop's pulse. Call it in each turn; it is late when a turn takes longer than it should."""

    __slots__ = ("_beat_at_s", "_monotonic_s", "late_after_s", "name")

    def __init__(self, name: str, late_after_s: float, monotonic_s: Callable[[], float]) -> None:
        self.name = name
        self.late_after_s = late_after_s
        self._monotonic_s = monotonic_s
        self._beat_at_s = monotonic_s()

    def __call__(self) -> None:
        self._beat_at_s = self._monotonic_s()

    @property
    def age_s(self) -> float:
        return self._monotonic_s() - self._beat_at_s

    @property
    def is_late(self) -> bool:
        return self.age_s > self.late_after_s


class Heartbeats:
    """All loops that must tick; in real time, whatever the market's clock says."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._heartbeats: dict[str, Heartbeat] = {}

    def register(self, name: str, late_after_s: float) -> Heartbeat:
        """The pulse that loop `name` beats; registering it again starts it anew."""
        heart = Heartbeat(name, late_after_s, self._monotonic_s)
        self._heartbeats[name] = heart
        return heart

    def forget(self, name: str) -> None:
        """The loop ended on purpose."""
        self._heartbeats.pop(name, None)

    def late(self) -> list[Heartbeat]:
        return [heart for heart in self._heartbeats.values() if heart.is_late]

    def ages_s(self) -> dict[str, float]:
        return {name: heart.age_s for name, heart in self._heartbeats.items()}


class ServiceManager:
    """Speaks to NOTIFY_SOCKET, a path or `@name` for the abstract namespace; None: sends nothing."""

    def __init__(self, address: str | None) -> None:
        self._address = "\0" + address[1:] if address and address.startswith("@") else address
        self._status = ""

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str] = os.environ) -> Self:
        """Takes the variable out, so that no child process speaks in our name."""
        return cls(environment.pop("NOTIFY_SOCKET", None))

    def ready(self, status: str) -> None:
        self._status = status
        self._send("READY=1", f"STATUS={_one_line(status)}")

    def reloading(self) -> None:
        """Reports a reload, which lasts until the next `ready`, with the time of its beginning."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now}")

    def status(self, text: str) -> None:
        """Send a text for `systemctl status`; a text that has not changed is not sent again."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={_one_line(text)}")

    def stopping(self, status: str) -> None:
        self._status = status
        self._send("STOPPING=1", f"STATUS={_one_line(status)}")

    def watchdog(self) -> None:
        self._send("WATCHDOG=1")

    def extend_timeout(self, seconds: float) -> None:
        """Ask for this much more time from now on, while starting, reloading or stopping."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * MICROSECONDS)}")

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.setblocking(False)
            try:
                channel.sendto("\n".join(lines).encode(), self._address)
            except OSError as error:
                log.warning("service_manager_unreachable", reason=str(error), lost=lines[0])


def _one_line(text: str) -> str:
    return " ".join(text.split())


def watchdog_interval_s(environment: Mapping[str, str], pid: int) -> float | None:
    """Interval of watchdog messages, half the time limit of the manager; None without a watchdog."""
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    try:
        patience_us = int(environment["WATCHDOG_USEC"])
    except (KeyError, ValueError):
        return None
    return patience_us / MICROSECONDS / 2 if patience_us > 0 else None


class Watchdog:
    """Pats the manager's watchdog only while every registered loop ticks."""

    def __init__(self, manager: ServiceManager, heartbeats: Heartbeats, interval_s: float) -> None:
        self._manager = manager
        self._heartbeats = heartbeats
        self._interval_s = interval_s
        self.late_loops: list[str] = []

    async def run(self) -> None:
        """Runs until it is cancelled."""
        while True:
            self.tick()
            await asyncio.sleep(self._interval_s)

    def tick(self) -> None:
        late = [heart.name for heart in self._heartbeats.late()]
        if not late:
            self._manager.watchdog()
        if late != self.late_loops:
            self.late_loops = late
            if late:
                log.error("watchdog_withheld", loops=late)
            else:
                log.info("watchdog_resumed")
