"""Connections are bounded, and nobody is locked out by others."""

import asyncio
import contextlib
import errno
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.web import AUTHORIZED, TOKEN, sources
from vcpd.web import listener
from vcpd.web.connections import (
    Connection,
    ConnectionLimits,
    ConnectionTable,
    Deadlines,
    client_address,
    close_overdue,
)
from vcpd.web.server import WebServer
from vcpd.web.settings import WebSettings

SOON_S = 10.0
LIMITS = ConnectionLimits(total=8, per_address=3, reserved=2, authenticated=2)


class FakeCarrier:
    def __init__(self) -> None:
        self.aborted = False
        self.unsent = 0

    def abort(self) -> None:
        self.aborted = True

    def unsent_bytes(self) -> int:
        return self.unsent


class Table:
    """A table with a clock that ticks at every step, and carriers that are easy to look at."""

    def __init__(self, limits: ConnectionLimits = LIMITS) -> None:
        self.now_s = 0.0
        self.table = ConnectionTable(limits, lambda: self.now_s)
        self.carriers: dict[Connection, FakeCarrier] = {}

    def admit(self, address: str) -> Connection | None:
        self.now_s += 1
        carrier = FakeCarrier()
        connection = self.table.admit(address, carrier)
        if connection is not None:
            self.carriers[connection] = carrier
        return connection

    def must_admit(self, address: str) -> Connection:
        connection = self.admit(address)
        assert connection is not None
        return connection

    def is_open(self, connection: Connection) -> bool:
        return not self.carriers[connection].aborted

    def by_address(self) -> Counter[str]:
        return Counter(connection.address for connection in self.table)


def test_an_address_that_holds_too_many_replaces_its_own_longest_idle() -> None:
    held = Table()
    other = held.must_admit("10.0.0.9")
    first, second, third = (held.must_admit("10.0.0.1") for _ in range(3))
    held.table.touch(first, busy=False)
    held.must_admit("10.0.0.1")
    assert [held.is_open(connection) for connection in (other, first, second, third)] == [
        True,
        True,
        False,
        True,
    ]


def test_when_all_are_many_the_address_with_most_gives_way() -> None:
    held = Table()
    single = [held.must_admit(f"10.0.1.{number}") for number in range(3)]
    greedy = [held.must_admit("10.0.0.1") for _ in range(3)]
    held.must_admit("10.0.2.1")
    assert all(held.is_open(connection) for connection in single)
    assert [held.is_open(connection) for connection in greedy] == [False, True, True]


def test_a_foreign_address_does_not_replace_its_own_connections_all_the_time() -> None:
    held = Table()
    first, *_ = (held.must_admit("10.0.0.1") for _ in range(3))
    held.now_s = first.since_s
    assert held.admit("10.0.0.1") is None
    assert held.is_open(first)
    local = [held.must_admit("127.0.0.1") for _ in range(3)]
    held.now_s = local[0].since_s
    assert held.admit("127.0.0.1") is not None
    assert not held.is_open(local[0])


def test_a_busy_connection_keeps_its_place_and_a_newcomer_is_refused() -> None:
    held = Table()
    for _ in range(3):
        held.table.touch(held.must_admit("10.0.0.1"), busy=True)
    assert held.admit("10.0.0.1") is None
    assert held.admit("10.0.0.2") is not None


def test_loopback_has_places_that_no_other_address_takes() -> None:
    held = Table()
    for number in range(40):
        connection = held.must_admit(f"127.0.1.{number}")
        assert connection.is_local is False
    assert len(held.table) == LIMITS.total - LIMITS.reserved
    local = [held.must_admit("127.0.0.1") for _ in range(2)]
    assert len(held.table) == LIMITS.total
    for number in range(40):
        held.must_admit(f"127.0.2.{number}")
    assert all(held.is_open(connection) for connection in local)


def test_a_client_that_proved_who_it_is_is_replaced_by_no_stranger() -> None:
    held = Table()
    known = held.must_admit("10.0.0.1")
    held.table.authenticate(known)
    for _ in range(20):
        held.must_admit("10.0.0.1")
        held.must_admit("10.0.0.2")
    assert held.is_open(known)
    others = [held.must_admit("10.0.0.3") for _ in range(2)]
    for other in others:
        held.table.authenticate(other)
    assert not held.is_open(known)
    assert sum(connection.authenticated for connection in held.table) == LIMITS.authenticated


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["admit", "busy", "idle", "authenticate", "forget"]),
            st.sampled_from(["127.0.0.1", "::1", *(f"10.0.0.{number}" for number in range(9))]),
            st.integers(0, 30),
        ),
        max_size=200,
    )
)
def test_no_limit_is_ever_exceeded(steps: list[tuple[str, str, int]]) -> None:
    held = Table()
    for what, address, place in steps:
        open_ones = [carrier for carrier in held.carriers if held.is_open(carrier)]
        chosen = open_ones[place % len(open_ones)] if open_ones else None
        if what == "admit" or chosen is None:
            held.admit(address)
        elif what == "authenticate":
            held.table.authenticate(chosen)
        elif what == "forget":
            held.table.forget(chosen)
            held.carriers.pop(chosen)
        else:
            held.table.touch(chosen, busy=what == "busy")
        present = list(held.table)
        unknown = [connection for connection in present if not connection.authenticated]
        assert len(unknown) <= LIMITS.total
        assert len(present) - len(unknown) <= LIMITS.authenticated
        assert (
            max(Counter(connection.address for connection in unknown).values(), default=0)
            <= LIMITS.per_address
        )
        assert sum(not connection.is_local for connection in unknown) <= LIMITS.total - LIMITS.reserved
        assert {carrier for carrier in held.carriers if held.is_open(carrier)} == set(present)
        assert len(held.table) == len(present)


def test_late_heads_and_slow_readers_are_closed_and_the_largest_buffers_first() -> None:
    held = Table(ConnectionLimits(total=80, per_address=80, reserved=8, authenticated=8))
    late, reading, large, small, busy = (held.must_admit("10.0.0.1") for _ in range(5))
    for connection, unsent in ((reading, 10), (large, 900), (small, 20), (busy, 5)):
        connection.waits_for_head = False
        held.carriers[connection].unsent = unsent
        held.table.touch(connection, busy=connection is busy)
    reading.since_s -= 100
    busy.since_s -= 100
    late.opened_s -= 100
    close_overdue(held.table, Deadlines(unsent_bytes=50), held.now_s)
    closed = [not held.is_open(connection) for connection in (late, reading, large, small, busy)]
    assert closed == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("descriptors", "limits"),
    [
        (1024, ConnectionLimits(512, 128, 64, 64)),
        (8192, ConnectionLimits(512, 128, 64, 64)),
        (256, ConnectionLimits(128, 32, 16, 16)),
        (8, ConnectionLimits(8, 2, 1, 1)),
    ],
)
def test_the_limits_leave_descriptors_for_store_and_files(descriptors: int, limits: ConnectionLimits) -> None:
    assert ConnectionLimits.within(512, descriptors) == limits


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (("10.1.2.3", 5), "10.1.2.3"),
        (("::ffff:10.1.2.3", 5, 0, 0), "10.1.2.3"),
        (("2001:db8:1:2:3::4", 5, 0, 0), "2001:db8:1:2::/64"),
        (("::1", 5, 0, 0), "::1"),
        (("fe80::1%eth0", 5, 0, 2), "fe80::/64"),
        ("", ""),
    ],
)
def test_an_ipv6_client_counts_by_its_network(peer: object, address: str) -> None:
    assert client_address(peer) == address


@asynccontextmanager
async def port(settings: WebSettings) -> AsyncIterator[WebServer]:
    running = await WebServer.start(settings, sources())
    try:
        yield running
    finally:
        await running.close()


async def _ask(number: int, *, source: str = "127.0.0.1", path: str = "/healthz", head: str = "") -> int:
    """The status of one request from an address of this machine."""
    async with asyncio.timeout(SOON_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", number, local_addr=(source, 0))
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{head}Connection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
    return int(answer.split(b" ", 2)[1])


@pytest.fixture
def hostile() -> Iterable[list[socket.socket]]:
    held: list[socket.socket] = []
    yield held
    for entry in held:
        entry.close()


def _connect(number: int, source: str, first: bytes = b"") -> socket.socket:
    sock = socket.socket()
    sock.settimeout(SOON_S)
    try:
        sock.bind((source, 0))
        sock.connect(("127.0.0.1", number))
        if first:
            sock.sendall(first)
    except OSError:
        sock.close()
        raise
    return sock


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\nHost: local", b"POST /api/session HTTP/1.1\r\n"])
@pytest.mark.parametrize("sources_in_use", [["127.0.0.1"], ["127.0.0.2", "127.0.0.3", "127.0.0.4"]])
async def test_others_are_served_while_idle_connections_are_held(
    first: bytes, sources_in_use: list[str], hostile: list[socket.socket]
) -> None:
    async with port(WebSettings(port=0, max_connections=16)) as running:
        for turn in range(60):
            source = sources_in_use[turn % len(sources_in_use)]
            with contextlib.suppress(ConnectionError):  # refused at once: its address holds most already
                hostile.append(await asyncio.to_thread(_connect, running.port, source, first))
            assert running.connections <= 16
        assert await _ask(running.port) == 200
        assert await _ask(running.port, source="127.0.0.5") == 200
        bearer = f"Authorization: Bearer {TOKEN}\r\n"
        assert await _ask(running.port, path="/status", head=bearer) == 200


async def test_a_head_that_does_not_end_is_closed(hostile: list[socket.socket]) -> None:
    async with port(WebSettings(port=0, head_timeout_s=0.1)) as running:
        hostile.append(await asyncio.to_thread(_connect, running.port, "127.0.0.2", b"GET / HT"))
        with pytest.raises(ConnectionResetError):
            await asyncio.to_thread(hostile[0].recv, 1)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"GET secret-in-the-line\r\n\r\n",
        b"GET / HTTP/1.1\nHost: localhost\n\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: secret-in-the-line\r\nContent-Length: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nsecret-in-the-line \x00: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 40_000,
    ],
)
async def test_what_is_not_http_gets_our_json_and_nothing_back(sent: bytes) -> None:
    async with port(WebSettings(port=0)) as running, asyncio.timeout(SOON_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(sent)
        answer = await reader.read()
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == b"400"
    assert body == b'{"error":"not a valid HTTP request","status":400}'
    assert b"Server: vcpd" in head
    assert b"default-src 'none'" in head
    assert b"secret" not in answer


async def test_a_body_that_does_not_come_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vcpd.web.security.BODY_TIMEOUT_S", 0.05)
    async with port(WebSettings(port=0)) as running, asyncio.timeout(SOON_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        origin = f"http://localhost:{running.port}"
        writer.write(
            f"POST /api/session HTTP/1.1\r\nHost: localhost:{running.port}\r\nOrigin: {origin}\r\n"
            "Content-Length: 40\r\n\r\n{".encode()
        )
        assert (await reader.readline()).split(b" ")[1] == b"408"
        writer.close()


async def test_keep_alive_still_serves_one_request_after_the_other() -> None:
    async with port(WebSettings(port=0)) as running, asyncio.timeout(SOON_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        for _ in range(3):
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5)
        for _ in range(5):
            assert b" 200 " in await reader.readuntil(b"}")
        writer.close()


async def test_a_process_out_of_descriptors_closes_some_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """accept() fails as the kernel lets it fail; the listener waits a moment and serves again."""
    monkeypatch.setattr(listener, "PAUSE_S", 0.01)
    async with port(WebSettings(port=0)) as running:
        accept = socket.socket.accept
        failures = iter([errno.EMFILE, errno.ENFILE, errno.ENOBUFS])

        def failing(sock: socket.socket) -> tuple[socket.socket, object]:
            if (number := next(failures, None)) is not None:
                raise OSError(number, "no descriptor")
            return accept(sock)

        monkeypatch.setattr(socket.socket, "accept", failing)
        assert await _ask(running.port) == 200
        assert next(failures, None) is None


async def test_closing_leaves_no_socket_open(hostile: list[socket.socket]) -> None:
    async with port(WebSettings(port=0)) as running:
        hostile.append(await asyncio.to_thread(_connect, running.port, "127.0.0.2", b"GET"))
        assert await _ask(running.port, head=f"Authorization: {AUTHORIZED['Authorization']}\r\n") == 200
    with pytest.raises(ConnectionResetError):
        await asyncio.to_thread(hostile[0].recv, 1)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.to_thread(_connect, running.port, "127.0.0.1")
