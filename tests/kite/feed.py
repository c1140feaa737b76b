"""A small live feed on localhost that does what a test says, and clocks for those who wait for it."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

HEARTBEAT = b"\x00"
DEADLINE_S = 5.0


def full_packet(token: int, price: float, volume: int = 1_000, traded_at: int = 1_775_620_800) -> bytes:
    """184 bytes in mode full; previous close 100."""
    quote = struct.pack(
        ">IiIiIIIiiii", token, round(price * 100), 1, 0, volume, 0, 0, 9_900, 10_100, 9_900, 10_000
    )
    return quote + struct.pack(">IIIII", traded_at, 0, 0, 0, traded_at) + bytes(120)


def framed(*packets: bytes) -> bytes:
    return struct.pack(">H", len(packets)) + b"".join(
        struct.pack(">H", len(packet)) + packet for packet in packets
    )


@dataclass(eq=False)
class Client:
    """One connection as the feed sees it."""

    query: dict[str, str]
    socket: web.WebSocketResponse
    commands: list[dict[str, Any]] = field(default_factory=list)
    gone: bool = False

    async def send(self, *frames: bytes) -> None:
        for frame in frames:
            await self.socket.send_bytes(frame)

    def followed(self) -> set[int]:
        """What the commands so far amount to."""
        tokens: set[int] = set()
        for command in self.commands:
            if command["a"] == "subscribe":
                tokens |= set(command["v"])
            elif command["a"] == "unsubscribe":
                tokens -= set(command["v"])
        return tokens

    def in_mode(self, mode: str) -> set[int]:
        modes = [command["v"] for command in self.commands if command["a"] == "mode"]
        return {token for name, tokens in modes if name == mode for token in tokens}


@dataclass
class Feed:
    """Accepts connections until `status` says otherwise."""

    status: int = 101
    clients: list[Client] = field(default_factory=list)
    attempts: int = 0
    root: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.attempts += 1
        if self.status != 101:
            return web.Response(status=self.status)
        socket = web.WebSocketResponse(autoping=True)
        await socket.prepare(request)
        client = Client(dict(request.query), socket)
        self.clients.append(client)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                client.commands.append(json.loads(message.data))
        client.gone = True
        return socket

    async def client(self, number: int = 0) -> Client:
        await until(lambda: len(self.clients) > number)
        return self.clients[number]


@asynccontextmanager
async def open_feed() -> AsyncIterator[Feed]:
    feed = Feed()
    app = web.Application()
    app.router.add_get("/", feed.handle)
    async with TestServer(app) as server:
        feed.root = str(server.make_url("/")).rstrip("/").replace("http", "ws", 1)
        yield feed
        for client in feed.clients:
            await client.socket.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for the condition; fails when it does not come true in time."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - whatever it is, it may come from anywhere
            await asyncio.sleep(0.002)
