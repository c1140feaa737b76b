"""The exchange's archive on localhost: serves files, misbehaves by script, remembers what it was asked."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class ArchiveServer:
    """`faults` by path are answered instead of the file, one after another."""

    files: dict[str, bytes]
    faults: dict[str, list[Reply]] = field(default_factory=dict)
    requested: list[str] = field(default_factory=list)
    asked_at_s: list[float] = field(default_factory=list)
    is_down: bool = False
    root: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/")
        self.requested.append(path)
        self.asked_at_s.append(time.monotonic())
        if self.is_down:
            return web.Response(status=503)
        if faults := self.faults.get(path):
            return await faults.pop(0)(request)
        if path not in self.files:
            return web.Response(status=404, text="<html>Not found</html>", content_type="text/html")
        return web.Response(body=self.files[path])


@asynccontextmanager
async def serving(files: dict[str, bytes]) -> AsyncIterator[ArchiveServer]:
    archive = ArchiveServer(files)
    app = web.Application()
    app.router.add_get("/{tail:.*}", archive.handle)
    async with TestServer(app) as server:
        archive.root = str(server.make_url("/")).rstrip("/")
        yield archive


def answer(status: int, body: bytes = b"", **headers: str) -> Reply:
    async def reply(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=body, headers=named)

    return reply


async def cut(request: web.Request) -> web.StreamResponse:
    """Half a body, then the connection is gone."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"SYMBOL,SERIES")
    if request.transport is not None:
        request.transport.close()
    return response
