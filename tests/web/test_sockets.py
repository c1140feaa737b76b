"""Listening sockets: loopback has a backlog of its own, and nobody shares the port."""

import errno
import socket
import sys
from collections.abc import AsyncIterator

import pytest

from vcpd.web.sockets import bind_sockets, loopback_filter

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a packet filter of Linux")
WAIT_S = 5.0


@pytest.fixture
async def listening() -> AsyncIterator[list[socket.socket]]:
    sockets = await bind_sockets("0.0.0.0", 0)
    yield sockets
    for sock in sockets:
        sock.close()


def _connect(port: int, source: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), WAIT_S, (source, 0))


def _arrived(sock: socket.socket) -> str | None:
    try:
        accepted, address = sock.accept()
    except BlockingIOError:
        return None
    accepted.close()
    return str(address[0])


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2", "127.3.2.1"])
async def test_loopback_clients_arrive_at_their_own_socket(
    listening: list[socket.socket], source: str
) -> None:
    port = listening[0].getsockname()[1]
    assert [sock.getsockname()[1] for sock in listening] == [port, port]
    for _ in range(8):  # without the filter they would spread
        with _connect(port, source):
            own, others = _arrived(listening[0]), _arrived(listening[1])
            assert (own, others) == ((source, None) if source == "127.0.0.1" else (None, source))


async def test_a_full_backlog_of_others_does_not_delay_loopback(
    listening: list[socket.socket],
) -> None:
    listening[1].listen(4)  # the same socket with a shorter backlog
    port = listening[0].getsockname()[1]
    held = []
    for number in range(64):
        sock = socket.socket()
        sock.setblocking(False)
        sock.bind((f"127.0.5.{number + 1}", 0))
        sock.connect_ex(("127.0.0.1", port))
        held.append(sock)
    with socket.create_connection(("127.0.0.1", port), 0.9):  # a SYN that is dropped comes again after 1 s
        assert _arrived(listening[0]) == "127.0.0.1"
    for sock in held:
        sock.close()


async def test_ipv6_loopback_has_its_own_socket() -> None:
    try:
        sockets = await bind_sockets("::1", 0)
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error.strerror}")
    with socket.create_connection(sockets[0].getsockname()[:2], WAIT_S):
        assert (_arrived(sockets[0]), _arrived(sockets[1])) == ("::1", None)
    for sock in sockets:
        sock.close()


async def test_a_port_that_is_taken_stays_taken(listening: list[socket.socket]) -> None:
    with pytest.raises(OSError, match="in use") as refused:
        await bind_sockets("0.0.0.0", listening[0].getsockname()[1])
    assert refused.value.errno == errno.EADDRINUSE


@pytest.mark.parametrize(("family", "instructions"), [(socket.AF_INET, 4), (socket.AF_INET6, 10)])
def test_the_filter_has_two_instructions_a_word_and_two_results(
    family: socket.AddressFamily, instructions: int
) -> None:
    assert len(loopback_filter(family)) == 8 * instructions
