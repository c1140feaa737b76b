"""Accepts connections: the sockets that listen on the port, and what a turn of the loop takes from them.

aiohttp takes over a connection when the head of its first request is complete: until then a client costs a
socket and nothing else.
"""

import asyncio
import contextlib
import errno
import socket
import struct
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

ACCEPTS_PER_TURN: Final = 64  # of the event loop and each socket, refused ones included
SHARE_OF_A_TURN: Final = 8  # of an address's places are given away in one turn
MAX_HEAD_BYTES: Final = 32 * 1024
CHECK_INTERVAL_S: Final = 1.0
PAUSE_S: Final = 0.2
SEND_BUFFER_BYTES: Final = 128 << 10  # of the kernel, which takes twice as much; megabytes unless set
CLOSED_PER_PAUSE: Final = 16
LOG_INTERVAL_S: Final = 60.0
OUT_OF_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # linger: on, for 0 seconds
log = structlog.get_logger("vcpd.web")


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
        with contextlib.suppress(OSError):  # the client is gone again
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
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
        """Pass the connection to aiohttp."""
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
