"""What the daemon and a worker say to each other: small pickles in frames with their length in front."""

import asyncio
import pickle
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vcpd.domain.panel import PanelReference

_LENGTH = struct.Struct("!Q")


@dataclass(frozen=True, slots=True)
class Call:
    """Run a module-level function once."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    @property
    def name(self) -> str:
        return self.function.__name__


@dataclass(frozen=True, slots=True)
class MapRows:
    """Run a panel task on rows [first, stop) of a snapshot."""

    task: Callable[..., Any]
    panel: PanelReference
    first: int
    stop: int
    parameters: Any

    @property
    def name(self) -> str:
        return f"{self.task.__name__}[{self.first}:{self.stop}]"


Task = Call | MapRows


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a task; exactly one of `value` and `error` counts. Times and sizes since birth."""

    value: Any = None
    error: BaseException | None = None
    private_mb: float = 0.0
    cpu_s: float = 0.0


def pack(message: object) -> bytes:
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


def receive(channel: socket.socket) -> Any:
    """Wait for the next message; EOFError when the other side is gone, TimeoutError by the socket."""
    first = channel.recv(1)  # only the wait for a message may time out, not its middle
    timeout_s = channel.gettimeout()
    channel.settimeout(None)
    try:
        (length,) = _LENGTH.unpack(first + _receive_exactly(channel, _LENGTH.size - len(first)))
        return pickle.loads(_receive_exactly(channel, length))  # noqa: S301 - our own daemon speaks
    finally:
        channel.settimeout(timeout_s)


def _receive_exactly(channel: socket.socket, length: int) -> bytes:
    body = bytearray(length)
    view = memoryview(body)
    while view:
        count = channel.recv_into(view)
        if not count:
            raise EOFError("the daemon is gone")
        view = view[count:]
    return bytes(body)


async def read(reader: asyncio.StreamReader) -> Any:
    """The worker's next message; IncompleteReadError or ConnectionError when the worker is gone."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return pickle.loads(await reader.readexactly(length))  # noqa: S301 - our own worker speaks
