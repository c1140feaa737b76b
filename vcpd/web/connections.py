"""Open connections: who holds how many, and which one is closed when there are too many.

Descriptors are shared with the store and with files, so the number of connections is bounded. Nobody is
locked out by it: a new connection takes the place of the one that has been idle for longest, first at its
own address, then at the address that holds most. Clients that proved who they are have places of their
own, and so has this machine's loopback address.
"""

import asyncio
import ipaddress
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import msgspec
import structlog
from aiohttp import web
from aiohttp.web_request import BaseRequest
from prometheus_client import Counter, Gauge

from vcpd.web.responses import INTERNAL_ERROR, malformed_request_response
from vcpd.web.unsent import SLICE_BYTES, SlicedBody, UnsentBodies

LOCAL_ADDRESSES: Final = frozenset({"127.0.0.1", "::1"})
IPV6_NETWORK_BITS: Final = 64  # one customer's network; its addresses are free of charge
SHARE_OF_DESCRIPTORS: Final = 2  # connections take at most one in so many
SHARE_PER_ADDRESS: Final = 4
SHARE_RESERVED: Final = 8
MIN_IDLE_S: Final = 2.0  # before a connection gives way to another one of its own address
KEEP_ALIVE_S: Final = 10.0
UNREAD_BODY_S: Final = 1.0  # for the rest of a body that is not read
CONNECTIONS: Final = Gauge("vcpd_web_connections", "Open connections to the HTTP port.")
CLOSED: Final = Counter(
    "vcpd_web_connections_closed", "Connections that the HTTP port closed, by reason.", ["reason"]
)
log = structlog.get_logger("vcpd.web")


class ConnectionLimits(msgspec.Struct, frozen=True):
    """How many connections may be open.

    `total` bounds those of unknown clients, `per_address` those of one address among them; `reserved` of
    `total` are kept for loopback; `authenticated` come on top.
    """

    total: int
    per_address: int
    reserved: int
    authenticated: int

    @classmethod
    def within(cls, max_connections: int, descriptors: int) -> "ConnectionLimits":
        """The limits for a setting and a process that may open `descriptors` files and sockets."""
        total = max(SHARE_RESERVED, min(max_connections, descriptors // SHARE_OF_DESCRIPTORS))
        return cls(
            total,
            per_address=max(1, total // SHARE_PER_ADDRESS),
            reserved=total // SHARE_RESERVED,
            authenticated=total // SHARE_RESERVED,
        )


def descriptor_limit() -> int:
    """How many files and sockets this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft


def client_address(peer: object) -> str:
    """Returns the client of a socket's peer: its IPv4 address, or its IPv6 network of 64 bits."""
    text = str(peer[0]) if isinstance(peer, tuple) and peer else ""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        if not address.is_loopback:
            return str(ipaddress.ip_network((address, IPV6_NETWORK_BITS), strict=False))
    return str(address)


class Connectable(Protocol):
    """What carries a connection: a socket, later a transport."""

    def abort(self) -> None:
        """Close at once."""
        ...

    def unsent_bytes(self) -> int:
        """Bytes of a response that the client has not taken yet."""
        ...


class Connection:
    """One open connection; `since_s` is when it became idle, or when its response began."""

    __slots__ = ("address", "authenticated", "busy", "carrier", "opened_s", "since_s", "waits_for_head")

    def __init__(self, address: str, carrier: Connectable, now_s: float) -> None:
        self.address = address
        self.carrier = carrier
        self.opened_s = now_s
        self.since_s = now_s
        self.waits_for_head = True  # of its first request
        self.busy = False  # a handler is at work, which has a time limit of its own
        self.authenticated = False

    @property
    def is_local(self) -> bool:
        return self.address in LOCAL_ADDRESSES

    @property
    def is_trusted(self) -> bool:
        """Whether the client is on this machine, or proved who it is."""
        return self.authenticated or self.is_local


class ConnectionTable:
    """The open connections by address, those that are idle for longest first."""

    def __init__(self, limits: ConnectionLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._clock = clock
        self._unknown: dict[str, dict[Connection, None]] = {}
        self._authenticated: dict[Connection, None] = {}
        self._counts = {True: 0, False: 0}  # of unknown clients, by whether they are local
        self._bodies = {is_trusted: UnsentBodies[Connection]() for is_trusted in (True, False)}

    def __iter__(self) -> Iterator[Connection]:
        for group in list(self._unknown.values()):
            yield from list(group)
        yield from list(self._authenticated)

    def __len__(self) -> int:
        return sum(self._counts.values()) + len(self._authenticated)

    def admit(self, address: str, carrier: Connectable) -> Connection | None:
        """Add a connection, closing another one where that is needed; None where no place can be made."""
        connection = Connection(address, carrier, self._clock())
        if (crowd := self._crowd(connection)) is not None:
            victim = self._longest_idle(crowd)
            if victim is None or self._is_too_soon(connection, victim):
                CLOSED.labels("refused").inc()
                return None
            self.close(victim, "replaced")
        self._insert(connection)
        CONNECTIONS.set(len(self))
        return connection

    def _is_too_soon(self, newcomer: Connection, victim: Connection) -> bool:
        """Whether addresses that hold equally many would only replace each other's connections."""
        if newcomer.is_local or newcomer.since_s - victim.since_s >= MIN_IDLE_S:
            return False
        return len(self._group_of(newcomer)) + 1 >= len(self._group_of(victim))

    def _crowd(self, newcomer: Connection) -> Iterable[dict[Connection, None]] | None:
        """The groups one of which must give way to `newcomer`; None below the limit."""
        group = self._unknown.get(newcomer.address)
        if group is not None and len(group) >= self.limits.per_address:
            return (group,)
        total, foreign = sum(self._counts.values()), self._counts[False]
        if not newcomer.is_local and foreign >= self.limits.total - self.limits.reserved:
            return [held for address, held in self._unknown.items() if address not in LOCAL_ADDRESSES]
        return list(self._unknown.values()) if total >= self.limits.total else None

    @staticmethod
    def _longest_idle(groups: Iterable[dict[Connection, None]]) -> Connection | None:
        """Returns the longest idle connection of the largest group that has one."""
        found: Connection | None = None
        size = 0
        for group in groups:
            if len(group) < size:
                continue
            idle = next((connection for connection in group if not connection.busy), None)
            if idle is not None and (found is None or len(group) > size or idle.since_s < found.since_s):
                found, size = idle, len(group)
        return found

    def touch(self, connection: Connection, *, busy: bool) -> None:
        """Note that the connection did something right now, and whether a handler works for it."""
        connection.since_s, connection.busy = self._clock(), busy
        group = self._group_of(connection)
        if connection in group:
            del group[connection]
            group[connection] = None

    def authenticate(self, connection: Connection) -> None:
        """Move the connection of a client that proved who it is to the places kept for such."""
        if connection.authenticated or connection not in self._group_of(connection):
            return
        if len(self._authenticated) >= self.limits.authenticated:
            idle = next((connection for connection in self._authenticated if not connection.busy), None)
            if idle is None:
                return
            self.close(idle, "replaced")
        self._remove(connection)
        connection.authenticated = True
        self._authenticated[connection] = None

    @contextmanager
    def sending(self, connection: Connection, content: bytes) -> Iterator[None]:
        """Count a large body while it is sent, and close others where too many bytes would be held."""
        bodies = self._bodies[connection.is_trusted]
        for reader in bodies.hold(connection, content):
            self.close(reader, "held_bytes")
        try:
            yield
        finally:
            bodies.release(connection, content)

    def close(self, connection: Connection, reason: str) -> None:
        """Close a connection at once."""
        CLOSED.labels(reason).inc()
        self.forget(connection)
        connection.carrier.abort()

    def close_longest_idle(self, number: int) -> None:
        """Close connections when the process runs out of descriptors."""
        for _ in range(number):
            if (victim := self._longest_idle(list(self._unknown.values()))) is None:
                return
            self.close(victim, "descriptors")

    def forget(self, connection: Connection) -> None:
        """The connection is closed. A second call does nothing."""
        if connection in self._group_of(connection):
            self._remove(connection)
            CONNECTIONS.set(len(self))

    def _group_of(self, connection: Connection) -> dict[Connection, None]:
        if connection.authenticated:
            return self._authenticated
        return self._unknown.get(connection.address, {})

    def _insert(self, connection: Connection) -> None:
        self._unknown.setdefault(connection.address, {})[connection] = None
        self._counts[connection.is_local] += 1

    def _remove(self, connection: Connection) -> None:
        group = self._group_of(connection)
        del group[connection]
        if connection.authenticated:
            return
        self._counts[connection.is_local] -= 1
        if not group:
            del self._unknown[connection.address]


class Deadlines(msgspec.Struct, frozen=True):
    """Seconds until a connection is closed, and bytes that may wait for slow readers in all."""

    head_s: float = 10.0
    response_s: float = 30.0  # to take a response
    unsent_bytes: int = 32 << 20


def close_overdue(table: ConnectionTable, deadlines: Deadlines, now_s: float) -> None:
    """Close connections with a late first head or an unread response, and the largest above the bound."""
    waiting: list[tuple[int, Connection]] = []
    for connection in table:
        if connection.waits_for_head and now_s - connection.opened_s >= deadlines.head_s:
            table.close(connection, "head")
            continue
        unsent = connection.carrier.unsent_bytes()
        if unsent and not connection.busy and now_s - connection.since_s >= deadlines.response_s:
            table.close(connection, "slow_reader")
        elif unsent:
            waiting.append((unsent, connection))
    excess = sum(unsent for unsent, _ in waiting) - deadlines.unsent_bytes
    for unsent, connection in sorted(waiting, key=lambda pair: (pair[1].authenticated, -pair[0])):
        if excess <= 0:
            return
        table.close(connection, "unsent_bytes")
        excess -= unsent


class ConnectionHandler(web.RequestHandler):
    """aiohttp's protocol of one connection; keeps the table informed and answers errors in our own form."""

    def __init__(self, server: web.Server, table: ConnectionTable, connection: Connection) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=KEEP_ALIVE_S,
            access_log=None,  # type: ignore[arg-type]  # as its own runner does
            lingering_time=UNREAD_BODY_S,
            auto_decompress=False,
        )
        self.table = table
        self.connection = connection
        self._head = b""

    def take_over(self, head: bytes) -> None:
        """Carry the connection from now on; the bytes that were read already come first."""
        self._head = head
        self.connection.carrier = self
        self.connection.waits_for_head = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.data_received(self._head)
        self._head = b""

    def connection_lost(self, exc: BaseException | None) -> None:
        self.table.forget(self.connection)
        super().connection_lost(exc)

    def abort(self) -> None:
        transport = self.transport
        self.force_close()
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()

    def unsent_bytes(self) -> int:
        return 0 if self.transport is None else self.transport.get_write_buffer_size()

    async def finish_response(
        self, request: BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Start the time limits of the client: to receive the response, then to send the next request."""
        self.table.touch(self.connection, busy=False)
        content = resp.body if isinstance(resp, web.Response) else None
        if (
            not isinstance(resp, web.Response)
            or not isinstance(content, bytes)
            or len(content) <= SLICE_BYTES
        ):
            return await super().finish_response(request, resp, start_time)
        resp.body = SlicedBody(content)
        with self.table.sending(self.connection, content):
            return await super().finish_response(request, resp, start_time)

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it repeats what was sent
    ) -> web.StreamResponse:
        """A request that the parser refused, or a failure outside of the middleware."""
        if status >= INTERNAL_ERROR:
            log.error("web.request_failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the response is sent already")
        return malformed_request_response(status)


def is_trusted(request: web.Request) -> bool:
    """Whether the request comes from this machine, or from a client that proved who it is."""
    protocol = request.protocol
    return isinstance(protocol, ConnectionHandler) and protocol.connection.is_trusted
