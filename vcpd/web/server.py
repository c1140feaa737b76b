"""HTTP server: builds the aiohttp application, binds the port and accepts connections.

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
from typing import Final, Self

import structlog
from aiohttp import web

from vcpd.core.errors import UnavailableError
from vcpd.web import api_bars, api_daemon, api_screen, events, openapi, pages, sign_in
from vcpd.web.connections import (
    Connection,
    ConnectionHandler,
    ConnectionLimits,
    ConnectionTable,
    Deadlines,
    client_address,
    close_overdue,
    descriptor_limit,
)
from vcpd.web.context import WebContext
from vcpd.web.routes import EXCHANGE
from vcpd.web.security import add_security_headers, require_token_beyond_loopback, security_middleware
from vcpd.web.settings import WebSettings
from vcpd.web.sign_in import SIGN_IN, WEB_SETTINGS, SignIn

SHUTDOWN_TIMEOUT_S: Final = 5.0
BACKLOG: Final = 4096  # the kernel lowers it to net.core.somaxconn
ACCEPTS_PER_TURN: Final = 256  # of the event loop, refused ones included
SHARE_OF_A_TURN: Final = 8  # of an address's places are given away in one turn
MAX_HEAD_BYTES: Final = 32 * 1024
CHECK_INTERVAL_S: Final = 1.0
PAUSE_S: Final = 0.2
CLOSED_PER_PAUSE: Final = 16
LOG_INTERVAL_S: Final = 60.0
OUT_OF_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # linger: on, for 0 seconds
log = structlog.get_logger("vcpd.web")
ROUTES: Final = (
    api_daemon.status_routes,
    api_screen.setup_routes,
    api_screen.risk_routes,
    api_daemon.job_routes,
    api_bars.quality_routes,
    api_daemon.alert_routes,
    api_bars.bar_routes,
    api_daemon.login_routes,
    api_screen.sizing_routes,
    api_bars.watch_routes,
    api_daemon.performance_routes,
    api_screen.board_routes,
    events.event_routes,
    sign_in.session_routes,
    pages.page_routes,
)


def build_application(settings: WebSettings, context: WebContext) -> web.Application:
    """All routes, behind the request checks."""
    application = web.Application(
        middlewares=[security_middleware(settings, context)],
        client_max_size=settings.body_limit_kb * 1024,
    )
    application.on_response_prepare.append(add_security_headers)
    application[EXCHANGE] = context.exchange
    application[WEB_SETTINGS] = settings
    application[SIGN_IN] = SignIn(
        context.password_hash,
        required=settings.require_authentication,
        published=settings.is_published,
        trusted_proxies=settings.trusted_proxies,
    )
    events.attach_events(application, context)
    pages.attach_pages(application)
    definitions = route_definitions(context)
    definitions += openapi.openapi_routes(definitions)
    application.add_routes([*definitions, *_below(settings.public_path, definitions)])
    return application


def _below(path: str, definitions: Sequence[web.RouteDef]) -> list[web.RouteDef]:
    """The routes once more below the published path, for a reverse proxy that passes it on."""
    if not path:
        return []
    below = [
        web.RouteDef(route.method, path + route.path, route.handler, route.kwargs) for route in definitions
    ]
    return [*below, pages.to_folder(path)]


def route_definitions(context: WebContext) -> list[web.RouteDef]:
    """Every route but that of the OpenAPI document."""
    return [definition for routes in ROUTES for definition in routes(context)]


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


class WebServer:
    """Binds the port on `start` and releases it on `close`."""

    def __init__(self, runner: web.AppRunner, listener: Listener, port: int) -> None:
        self._runner = runner
        self._listener = listener
        self.port = port

    @classmethod
    async def start(cls, settings: WebSettings, context: WebContext) -> Self:
        """Raises UnavailableError when the port cannot be bound, ConfigurationError when it would be open."""
        require_token_beyond_loopback(settings, context)
        runner = web.AppRunner(
            build_application(settings, context), handle_signals=False, shutdown_timeout=SHUTDOWN_TIMEOUT_S
        )
        try:
            sockets = await bind_sockets(settings.host, settings.port)
        except OSError as error:
            raise UnavailableError(_bind_error_text(settings, error)) from error
        await runner.setup()
        assert runner.server is not None
        limits = ConnectionLimits.within(settings.max_connections, descriptor_limit())
        deadlines = Deadlines(head_s=settings.head_timeout_s)
        listener = Listener(runner.server, ConnectionTable(limits), deadlines)
        listener.start(sockets)
        return cls(runner, listener, sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._listener.table)

    async def close(self) -> None:
        self._listener.close()
        await self._runner.cleanup()


async def bind_sockets(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on every address of `host`, all on one port. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            bound_port = sockets[0].getsockname()[1] if sockets else port
            sock = socket.socket(family, kind, protocol)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setblocking(False)
            sock.bind((address[0], bound_port, *address[2:]))
            sock.listen(BACKLOG)
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bind_error_text(settings: WebSettings, error: OSError) -> str:
    place = f"{settings.host}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        return f"port {place} is in use: stop what listens there (another vcpd?) or set another [web] port"
    if error.errno == errno.EACCES:
        return f"port {place} is not allowed for this user: set [web] port to 1024 or above"
    return f"cannot listen on {place}: {error.strerror or error}; check [web] host and port"
