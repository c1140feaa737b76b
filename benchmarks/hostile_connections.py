"""Hold and renew thousands of hostile connections against a running daemon, and measure whom it still serves.

    python -m benchmarks.hostile_connections --port 8787 --state state --connections 20000 --seconds 600

Loopback only, from many addresses of 127.0.0.0/8, for a bounded time. The connections are of five kinds in
turn: idle, half a head, a body that does not come, a reader that does not read, an event stream. One that the
daemon closes is opened again after a pause. Meanwhile, once a second: /healthz without credentials, /status
with the token, `vcpd status` if --config is given; the daemon's descriptors and memory.

    python -m benchmarks.hostile_connections --evening /tmp/evening --connections 20000 --seconds 660

builds a daemon of 2,500 symbols in that folder first (once), starts it at 16:00 of a session, attacks
while the evening runs (collections at once and at 16:05, then screen and risk), and prints each job's start
delay, duration and outcome. A daemon above --max-mb is killed.
"""

import argparse
import asyncio
import contextlib
import errno
import heapq
import json
import multiprocessing
import os
import random
import resource
import selectors
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Final

import aiohttp
import psutil

from benchmarks.hostile_evening import EVENING_AT, EveningDaemon

HOST: Final = "127.0.0.1"
MAX_SECONDS: Final = 1_800
RENEW_AFTER_S: Final = (2.0, 10.0)
CONNECTIONS_PER_PROCESS: Final = 10_000
OPENED_PER_TURN: Final = 50
BYTE_EVERY_S: Final = 2.0
PROBE_TIMEOUT_S: Final = 30.0
BASELINE_S: Final = 15.0
COMMAND_EVERY_S: Final = 5.0
IP_BIND_ADDRESS_NO_PORT: Final = 24  # of Linux: a port may serve several pairs of addresses
KINDS: Final = ("idle", "half_head", "slow_body", "slow_reader", "stream")


def first_bytes(kind: str, port: int) -> bytes:
    """What a connection of this kind sends before it does nothing more."""
    host = f"Host: {HOST}:{port}\r\n"
    return {
        "idle": b"",
        "half_head": f"GET /status HTTP/1.1\r\n{host}X-Half: ".encode(),
        "slow_body": (
            f"POST /api/session HTTP/1.1\r\n{host}Origin: http://{HOST}:{port}\r\n"
            "Content-Length: 900\r\n\r\n{"
        ).encode(),
        "slow_reader": f"GET /api/setups?all=1&limit=5000 HTTP/1.1\r\n{host}\r\n".encode(),
        "stream": f"GET /api/events HTTP/1.1\r\n{host}\r\n".encode(),
    }[kind]


class Attacker:
    """Keeps `count` hostile connections open in one process."""

    def __init__(self, port: int, count: int, addresses: list[str], until_s: float) -> None:
        self._port = port
        self._until_s = until_s
        self._addresses = addresses
        self._selector = selectors.DefaultSelector()
        self._due = [(0.0, number) for number in range(count)]
        self._reading: list[tuple[float, int, socket.socket]] = []  # slow readers, by their next byte
        self.opened = self.closed = self.failed = 0

    def run(self) -> None:
        """Until the time is over."""
        while (now_s := time.monotonic()) < self._until_s:
            opened = 0
            while self._due and self._due[0][0] <= now_s and opened < OPENED_PER_TURN:
                self._open(heapq.heappop(self._due)[1])
                opened += 1
            while self._reading and self._reading[0][0] <= now_s:
                _, number, sock = heapq.heappop(self._reading)
                self._selector.register(sock, selectors.EVENT_READ, number)
            for key, events in self._selector.select(0.0 if self._due and self._due[0][0] <= now_s else 0.05):
                self._on_event(key, events)

    def _open(self, number: int) -> None:
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        try:
            sock.bind((self._addresses[number % len(self._addresses)], 0))
            refused = sock.connect_ex((HOST, self._port)) not in {0, errno.EINPROGRESS}
        except OSError:
            refused = True
        if refused:
            self.failed += 1
            self._end(sock, number)
        else:
            self.opened += 1
            self._selector.register(sock, selectors.EVENT_WRITE, number)

    def _on_event(self, key: selectors.SelectorKey, events: int) -> None:
        sock, number = key.fileobj, key.data
        assert isinstance(sock, socket.socket)
        kind = KINDS[number % len(KINDS)]
        try:
            if events & selectors.EVENT_WRITE:
                sock.send(first_bytes(kind, self._port))
                self._selector.modify(sock, selectors.EVENT_READ, number)
                return
            closed = not sock.recv(1 if kind == "slow_reader" else 4096)
        except BlockingIOError:
            return
        except OSError:
            closed = True
        if closed:
            self.closed += 1
            self._selector.unregister(sock)
            self._end(sock, number)
        elif kind == "slow_reader":
            self._selector.unregister(sock)
            heapq.heappush(self._reading, (time.monotonic() + BYTE_EVERY_S, number, sock))

    def _end(self, sock: socket.socket, number: int) -> None:
        sock.close()
        self._later(number)

    def _later(self, number: int) -> None:
        heapq.heappush(self._due, (time.monotonic() + random.uniform(*RENEW_AFTER_S), number))


def attack(port: int, count: int, addresses: list[str], seconds: float) -> None:
    """Run one attacker; the body of a process, which leaves the honest clients their share of the machine."""
    os.nice(10)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    attacker = Attacker(port, count, addresses, time.monotonic() + seconds)
    attacker.run()
    print(
        json.dumps(
            {"opened": attacker.opened, "closed_by_daemon": attacker.closed, "failed": attacker.failed}
        )
    )


class Probes:
    """Asks as honest clients do, and keeps how long each answer took."""

    def __init__(self, port: int, authorization: dict[str, str], config: Path | None) -> None:
        self._port = port
        self._authorization = authorization
        self._config = config
        self.seconds: dict[str, list[float]] = {"healthz": [], "status_with_token": [], "vcpd_status": []}
        self.failures: list[str] = []

    async def run(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                group.create_task(self._every("healthz", 1.0, lambda: self._get("/healthz", {})))
                status = lambda: self._get("/status", self._authorization)  # noqa: E731 - short
                group.create_task(self._every("status_with_token", 1.0, status))
                if self._config is not None:
                    group.create_task(self._every("vcpd_status", COMMAND_EVERY_S, self._command))

    async def _every(self, name: str, pause_s: float, ask: Callable[[], Awaitable[None]]) -> None:
        while True:
            began_s = time.perf_counter()
            try:
                await ask()
                self.seconds[name].append(time.perf_counter() - began_s)
            except (aiohttp.ClientError, OSError, RuntimeError) as error:
                self.failures.append(f"{name}: {type(error).__name__} {error}")
            await asyncio.sleep(pause_s)

    async def _get(self, path: str, headers: dict[str, str]) -> None:
        timeout = aiohttp.ClientTimeout(PROBE_TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.get(f"http://{HOST}:{self._port}{path}", headers=headers) as answer,
        ):
            await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"status {answer.status}")

    async def _command(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "vcpd", "status", "--config", str(self._config)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        if await process.wait() not in {0, 1}:
            raise RuntimeError(f"exit code {process.returncode}")


async def watch_daemon(pid: int, seconds: float, seen: dict[str, float], max_mb: float) -> None:
    """Keep the most descriptors, the most memory (MB) and the CPU time of the daemon.

    A daemon above `max_mb` is killed; RuntimeError then, or when it ended by itself.
    """
    try:
        await _watch(psutil.Process(pid), seconds, seen, max_mb)
    except psutil.NoSuchProcess:
        raise RuntimeError(f"the daemon ended under attack; seen before: {seen}") from None


async def _watch(process: psutil.Process, seconds: float, seen: dict[str, float], max_mb: float) -> None:
    began = process.cpu_times()
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        seen["most_descriptors"] = max(seen.get("most_descriptors", 0), process.num_fds())
        resident_mb = round(process.memory_info().rss / 2**20, 1)
        seen["most_resident_mb"] = max(seen.get("most_resident_mb", 0), resident_mb)
        if resident_mb > max_mb:
            process.kill()
            raise RuntimeError(f"killed the daemon at {resident_mb:.0f} MB; permitted are {max_mb:.0f}")
        used = process.cpu_times()
        seen["cpu_s"] = round(used.user + used.system - began.user - began.system, 1)
        await asyncio.sleep(0.5)


def summary(name: str, seconds: list[float]) -> str:
    if not seconds:
        return f"{name}: never asked"
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    figures = f"median {median(ordered):.3f} s, p99 {p99:.3f} s, max {ordered[-1]:.3f} s"
    return f"{name}: {len(ordered)} answers, {figures}"


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=18_787)
    parser.add_argument("--state", type=Path, help="the daemon's state folder, for its token")
    parser.add_argument("--config", type=Path, help="ask by `vcpd status` too")
    parser.add_argument("--evening", type=Path, metavar="FOLDER", help="build and start a daemon there")
    parser.add_argument("--symbols", type=int, default=2_500, help="of the daemon of --evening")
    parser.add_argument("--max-mb", type=float, default=1_500.0, help="kill a daemon that takes more")
    parser.add_argument("--connections", type=int, default=20_000)
    parser.add_argument("--addresses", type=int, default=20, help="127.0.0.1 and so many less one others")
    parser.add_argument("--seconds", type=float, default=600.0)
    given = parser.parse_args()
    if given.state is None and given.evening is None:
        parser.error("expected --state or --evening")
    return given


def main() -> None:
    given = arguments()
    if given.evening is None:
        asyncio.run(attack_and_measure(given, given.state, given.config))
        return
    daemon = EveningDaemon(given.evening, given.port, given.symbols)
    daemon.build()
    with daemon.running(EVENING_AT):
        try:
            asyncio.run(attack_and_measure(given, daemon.state, daemon.config))
        finally:
            print(*daemon.job_lines(), sep="\n")


async def attack_and_measure(given: argparse.Namespace, state: Path, config: Path | None) -> None:
    """Probe alone, then under attack; prints the figures of both."""
    seconds = min(given.seconds, MAX_SECONDS)
    addresses = [
        HOST,
        *(f"127.0.{number // 200 + 1}.{number % 200 + 1}" for number in range(given.addresses - 1)),
    ]
    name, _, value = (state / "authorization.header").read_text(encoding="ascii").strip().partition(": ")
    probes, seen = Probes(given.port, {name: value}, config), dict[str, float]()
    async with aiohttp.ClientSession() as http, http.get(f"http://{HOST}:{given.port}/status") as answer:
        pid = (await answer.json())["pid"]
    before = Probes(given.port, {name: value}, config)
    await before.run(BASELINE_S)
    for kind, taken in before.seconds.items():
        print(summary(f"before, {kind}", taken))
    attackers = start_attackers(given.port, given.connections, addresses, seconds)
    try:
        await asyncio.gather(probes.run(seconds), watch_daemon(pid, seconds, seen, given.max_mb))
    finally:
        for attacker in attackers:
            attacker.join(10)
            attacker.terminate()
    for kind, taken in probes.seconds.items():
        print(summary(kind, taken))
    print(f"failures: {len(probes.failures)}", *probes.failures[:5], sep="\n  ")
    print(json.dumps(seen))


def start_attackers(
    port: int, connections: int, addresses: list[str], seconds: float
) -> list[multiprocessing.Process]:
    """As many processes as the connections need descriptors."""
    processes = []
    while connections > 0:
        count = min(connections, CONNECTIONS_PER_PROCESS)
        connections -= count
        processes.append(
            multiprocessing.Process(target=attack, args=(port, count, addresses, seconds), daemon=True)
        )
        processes[-1].start()
    return processes


if __name__ == "__main__":
    main()
