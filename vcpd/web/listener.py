"""Accepts connections: the sockets that listen on the port, and what a turn of the loop takes from them.

aiohttp takes over a connection when the head of its first request is complete: until then a client costs a
socket and nothing else. This machine's loopback address has a listening socket, and so a backlog, of its own:
while others fill theirs, the kernel drops what they send and not what this machine's own clients send.
"""

import asyncio
import contextlib
import ctypes
import errno
import socket
import struct
import sys
import time
from collections.abc import Sequence
from typing import Final

import structlog
from aiohttp import web

from vcpd.web.connections import (
    Connection,
    ConnectionHandler,
    ConnectionTable,
    Deadlines,
    client_address,
    close_overdue,
)

BACKLOG: Final = 4096  # the kernel lowers it to net.core.somaxconn
ACCEPTS_PER_TURN: Final = 64  # of the event loop and each socket, refused ones included
SHARE_OF_A_TURN: Final = 8  # of an address's places are given away in one turn
MAX_HEAD_BYTES: Final = 32 * 1024
CHECK_INTERVAL_S: Final = 1.0
PAUSE_S: Final = 0.2
CLOSED_PER_PAUSE: Final = 16
LOG_INTERVAL_S: Final = 60.0
OUT_OF_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # linger: on, for 0 seconds
SO_ATTACH_REUSEPORT_CBPF: Final = 51  # of Linux; Python does not name it
NETWORK_HEADER: Final = 0xFFF00000  # offsets from here count from the IP header
INSTRUCTION: Final = struct.Struct("HBBI")  # code, jumps if true and if false, operand
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # instructions of the classic packet filter
SOURCE_OFFSETS: Final = {socket.AF_INET: (12,), socket.AF_INET6: (8, 12, 16, 20)}
LOOPBACK_WORDS: Final = {socket.AF_INET: (0x7F000001,), socket.AF_INET6: (0, 0, 0, 1)}
log = structlog.get_logger("vcpd.web")


async def bind_sockets(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on every address of `host`, all on one port. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            bound_port = sockets[0].getsockname()[1] if sockets else port
            sockets += _listen(family, (address[0], bound_port, *address[2:]))
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _listen(family: socket.AddressFamily, address: tuple[object, ...]) -> list[socket.socket]:
    """The sockets that listen on one address: on Linux one for loopback clients and one for all others.

    The address is bound alone first: a second daemon must not share it.
    """
    alone = _bound(family, address, shared=False)
    if not sys.platform.startswith("linux"):
        alone.listen(BACKLOG)
        return [alone]
    with alone:
        bound = alone.getsockname()
    sockets: list[socket.socket] = []
    try:
        for _ in range(2):
            sockets.append(_bound(family, bound, shared=True))
            sockets[-1].listen(BACKLOG)
        _direct_loopback_to_first(sockets[0], family)
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bound(family: socket.AddressFamily, address: tuple[object, ...], *, shared: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _direct_loopback_to_first(sock: socket.socket, family: socket.AddressFamily) -> None:
    """Attach a packet filter that gives connections from 127.0.0.1 or ::1 to the first socket of the group.

    A kernel that does not know the filter spreads connections over both, which is no worse than one.
    """
    filter_program = loopback_filter(family)
    buffer = ctypes.create_string_buffer(filter_program, len(filter_program))
    program = struct.pack("HP", len(filter_program) // INSTRUCTION.size, ctypes.addressof(buffer))
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, program)
    except OSError as error:
        log.warning("web.no_backlog_for_loopback", reason=error.strerror)


def loopback_filter(family: socket.AddressFamily) -> bytes:
    """The program: 0, the first socket, where each word of the source is that of loopback, else 1."""
    offsets, words = SOURCE_OFFSETS[family], LOOPBACK_WORDS[family]
    instructions = []
    for place, (offset, word) in enumerate(zip(offsets, words, strict=True)):
        to_others = 2 * (len(words) - place) - 1
        instructions += [(LOAD_WORD, 0, 0, NETWORK_HEADER + offset), (JUMP_IF_EQUAL, 0, to_others, word)]
    instructions += [(RETURN, 0, 0, 0), (RETURN, 0, 0, 1)]
    return b"".join(INSTRUCTION.pack(*instruction) for instruction in instructions)


class PendingSocket:
    """Carries a connection until the head of its first request is there."""

    __slots__ = ("head", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.head = bytearray()

    def abort(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            asyncio.get_running_loop().remove_reader(self.sock)
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.sock.close()

    def unsent_bytes(self) -> int:
        return 0

    def receive(self) -> bool | None:
        """Read what has come. True with a whole head, False while more is needed, None at the end."""
        try:
            received = self.sock.recv(MAX_HEAD_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return None
        if not received:
            return None
        self.head += received
        return is_complete_head(self.head)


def is_complete_head(head: bytes | bytearray) -> bool:
    """Whether the parser can decide: by the empty line, or because it is too long or not HTTP at all."""
    if not 65 <= head[0] <= 90:  # a method begins with a capital letter; TLS, for one, does not
        return True
    return b"\r\n\r\n" in head or b"\n\n" in head or len(head) > MAX_HEAD_BYTES


class Listener:
    """Accepts connections on bound sockets and keeps their number within the table's limits."""

    def __init__(self, server: web.Server, table: ConnectionTable, deadlines: Deadlines) -> None:
        self.table = table
        self._server = server
        self._deadlines = deadlines
        self._loop = asyncio.get_running_loop()
        self._sockets: Sequence[socket.socket] = ()
        self._starting: set[asyncio.Task[None]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._logged_s = float("-inf")
        self._admitted_per_turn = max(1, table.limits.per_address // SHARE_OF_A_TURN)

    def start(self, sockets: Sequence[socket.socket]) -> None:
        """Listen on `sockets`, which are bound and do not block."""
        self._sockets = sockets
        self._resume()
        self._check()

    def close(self) -> None:
        """Accept no more, and close what has not sent a request yet."""
        for timer in self._timers.values():
            timer.cancel()
        for sock in self._sockets:
            self._loop.remove_reader(sock)
            sock.close()
        for connection in self.table:
            if connection.waits_for_head:
                self.table.close(connection, "stopped")

    def _resume(self) -> None:
        for sock in self._sockets:
            self._loop.add_reader(sock, self._accept, sock)

    def _accept(self, sock: socket.socket) -> None:
        """A few at a time, so that requests are served before further connections take their places."""
        admitted = 0
        for _ in range(ACCEPTS_PER_TURN):
            try:
                accepted, peer = sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in OUT_OF_DESCRIPTORS:
                    self._pause(error)
                    return
                continue  # the client is gone again
            admitted += self._admit(accepted, peer)
            if admitted >= self._admitted_per_turn:
                return

    def _pause(self, error: OSError) -> None:
        """Out of descriptors: close some connections, and accept again in a moment."""
        if time.monotonic() - self._logged_s >= LOG_INTERVAL_S:
            self._logged_s = time.monotonic()
            log.warning("web.out_of_descriptors", reason=error.strerror, connections=len(self.table))
        for sock in self._sockets:
            self._loop.remove_reader(sock)
        self.table.close_longest_idle(CLOSED_PER_PAUSE)
        self._timers["pause"] = self._loop.call_later(PAUSE_S, self._resume)

    def _admit(self, accepted: socket.socket, peer: object) -> bool:
        """Whether there is a place. A head that was sent already is read at once."""
        accepted.setblocking(False)
        pending = PendingSocket(accepted)
        connection = self.table.admit(client_address(peer), pending)
        if connection is None:
            pending.abort()
            return False
        if self._read_head(connection, pending) is False:
            self._loop.add_reader(accepted, self._read_further, connection, pending)
        return True

    def _read_further(self, connection: Connection, pending: PendingSocket) -> None:
        if self._read_head(connection, pending):
            self._loop.remove_reader(pending.sock)

    def _read_head(self, connection: Connection, pending: PendingSocket) -> bool | None:
        """Whether the head is complete, which is then served; None where the connection has ended."""
        complete = pending.receive()
        if complete is None:
            self.table.close(connection, "ended")
        elif complete:
            self.table.touch(connection, busy=True)
            task = self._loop.create_task(self._serve(connection, pending), name="web-connection")
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)
        return complete

    async def _serve(self, connection: Connection, pending: PendingSocket) -> None:
        """Hand the connection to aiohttp."""
        handler = ConnectionHandler(self._server, self.table, connection)
        handler.take_over(bytes(pending.head))
        try:
            await self._loop.connect_accepted_socket(lambda: handler, pending.sock)
        except OSError:
            self.table.forget(connection)
            pending.sock.close()

    def _check(self) -> None:
        try:
            close_overdue(self.table, self._deadlines, time.monotonic())
        finally:
            self._timers["check"] = self._loop.call_later(CHECK_INTERVAL_S, self._check)
