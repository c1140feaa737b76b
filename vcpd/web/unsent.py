"""Large bodies on their way to clients: sent a slice at a time, held once however many clients take them.

A transport copies what a client does not take. A body of megabytes would be copied for each client that
reads slowly, so it is given to the transport a slice at a time, each after the client took the one before.
What remains is the body itself, which all its readers share. Its bytes are counted once; above the limit
the clients that hold most lose their connections.
"""

from collections.abc import Iterator
from typing import Final, Generic, Protocol, TypeVar

from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload
from prometheus_client import Gauge

SLICE_BYTES: Final = 64 << 10
MAX_HELD_BYTES: Final = 32 << 20  # of unknown clients; as many again of loopback and authenticated ones
HELD_BYTES: Final = Gauge(
    "vcpd_web_held_bytes",
    "Bytes of large responses that clients have not received yet; shared ones count once.",
)


class SlicedBody(Payload):
    """The body of a response, of which one slice at most waits for the client."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._size = len(content)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The whole body as text."""
        content: bytes = self._value
        return content.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send all slices; each waits until the client has taken the ones before."""
        view = memoryview(self._value)
        for start in range(0, len(view), SLICE_BYTES):
            await writer.write(view[start : start + SLICE_BYTES])
            await writer.drain()


class Reader(Protocol):
    """A connection that takes a body."""

    @property
    def address(self) -> str:
        """The client to whom the bytes are counted."""
        ...


R = TypeVar("R", bound=Reader)


class HeldBody(Generic[R]):
    """One body and the connections that take it."""

    __slots__ = ("content", "readers")

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.readers: dict[R, None] = {}


class UnsentBodies(Generic[R]):
    """The distinct bodies that connections of one kind of clients are taking, the oldest first."""

    def __init__(self, limit_bytes: int = MAX_HELD_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self.size = 0
        self._held: dict[int, HeldBody[R]] = {}

    def hold(self, reader: R, content: bytes) -> list[R]:
        """Count `content` for `reader`; gives the readers of other bodies that must be closed for it."""
        held = self._held.get(id(content))
        if held is None:
            held = self._held[id(content)] = HeldBody(content)
            self.size += len(content)
            HELD_BYTES.inc(len(content))
        held.readers[reader] = None
        return list(self._excess(held))

    def release(self, reader: R, content: bytes) -> None:
        """`reader` takes no more of `content`. A second call does nothing."""
        held = self._held.get(id(content))
        if held is None or reader not in held.readers:
            return
        del held.readers[reader]
        if not held.readers:
            self._drop(held)

    def _drop(self, held: HeldBody[R]) -> None:
        del self._held[id(held.content)]
        self.size -= len(held.content)
        HELD_BYTES.dec(len(held.content))

    def _excess(self, newest: HeldBody[R]) -> Iterator[R]:
        """Forget bodies until the rest is below the limit; the readers of the forgotten ones."""
        while self.size > self.limit_bytes and len(self._held) > 1:
            bytes_by_address = self._bytes_by_address()
            victim = max(
                (held for held in self._held.values() if held is not newest),
                key=lambda held: min(bytes_by_address[reader.address] for reader in held.readers),
            )
            self._drop(victim)
            yield from victim.readers

    def _bytes_by_address(self) -> dict[str, int]:
        """The bytes of the distinct bodies that each address takes."""
        counted: dict[str, int] = {}
        for held in self._held.values():
            for address in {reader.address for reader in held.readers}:
                counted[address] = counted.get(address, 0) + len(held.content)
        return counted
