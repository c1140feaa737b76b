"""Answers kept ready, encoded and compressed, until a run ends and the world is another.

What the port shows of the store only changes through runs of jobs, whichever daemon makes them: the
latest run of each job, asked for at most once a second, is the version of everything here.
"""

import asyncio
import hashlib
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from aiohttp import web

from vcpd.ports import RunStore
from vcpd.web.answers import encoded

LOOK_EVERY_S: Final = 1.0
MOST_ANSWERS: Final = 128
MOST_BYTES: Final = 16 << 20
WORTH_PACKING: Final = 1_400  # bytes; less goes in one packet anyway
PACK_LEVEL: Final = 5
GZIP_WINDOW_BITS: Final = 31

Make = Callable[[], Awaitable[Any]]


class Body(msgspec.Struct, frozen=True):
    """An encoded answer, and the same packed where that is worth it."""

    plain: bytes
    packed: bytes | None
    etag: str
    content_type: str = "application/json; charset=utf-8"
    cache_control: str = "no-cache"

    @property
    def size(self) -> int:
        return len(self.plain) + len(self.packed or b"")


class Version:
    """Changes whenever a run has begun or ended; a look at the store is shared by all who ask."""

    def __init__(self, runs: RunStore) -> None:
        self._runs = runs
        self._seen: object = None
        self._number = 0
        self._looked_at_s = float("-inf")
        self._turn = asyncio.Lock()

    async def now(self) -> int:
        async with self._turn:
            now_s = asyncio.get_running_loop().time()
            if now_s - self._looked_at_s >= LOOK_EVERY_S:
                latest = await self._runs.latest()
                seen = sorted((job, run.id, str(run.outcome)) for job, run in latest.items())
                self._number += seen != self._seen
                self._seen, self._looked_at_s = seen, now_s
        return self._number


class Shelf:
    """Bodies by question, for one version at a time; the least recently asked go first."""

    def __init__(self, version: Version) -> None:
        self._version = version
        self._of_version = -1
        self._bodies: OrderedDict[str, Body] = OrderedDict()
        self._size = 0
        self._turns: dict[str, asyncio.Lock] = {}

    async def version(self) -> int:
        """Changes when what is on the shelf is no longer true."""
        return await self._version.now()

    async def answer(self, request: web.Request, make: Make) -> web.Response:
        """The kept answer to this very question, or the one that `make` gives now."""
        return respond(request, await self.body(request.path_qs, make))

    async def body(self, question: str, make: Make) -> Body:
        version = await self._version.now()
        if version != self._of_version:
            self._clear(version)
        found = self._bodies.get(question)
        if found is not None:
            self._bodies.move_to_end(question)
            return found
        async with self._turn(question):
            found = self._bodies.get(question)
            if found is None:
                found = await pack(await encoded(await make()))
                self._keep(question, found, version)
        return found

    @asynccontextmanager
    async def _turn(self, question: str) -> AsyncIterator[None]:
        """Who asks the same meanwhile waits for the one answer."""
        turn = self._turns.setdefault(question, asyncio.Lock())
        async with turn:
            yield
        self._turns.pop(question, None)

    def _clear(self, version: int) -> None:
        self._of_version = version
        self._bodies.clear()
        self._size = 0

    def _keep(self, question: str, body: Body, version: int) -> None:
        if version != self._of_version or question in self._bodies:
            return
        self._bodies[question] = body
        self._size += body.size
        while self._size > MOST_BYTES or len(self._bodies) > MOST_ANSWERS:
            _, dropped = self._bodies.popitem(last=False)
            self._size -= dropped.size


async def pack(plain: bytes) -> Body:
    """Hashing and compression let the loop go on."""
    if len(plain) < WORTH_PACKING:
        return packed_body(plain)
    return await asyncio.to_thread(packed_body, plain)


def packed_body(plain: bytes, level: int = PACK_LEVEL) -> Body:
    etag = f'W/"{hashlib.blake2b(plain, digest_size=12).hexdigest()}"'
    return Body(plain, compressed(plain, level) if len(plain) >= WORTH_PACKING else None, etag)


def compressed(plain: bytes, level: int) -> bytes:
    """`plain` as gzip."""
    packer = zlib.compressobj(level, zlib.DEFLATED, GZIP_WINDOW_BITS)
    return packer.compress(plain) + packer.flush()


def respond(request: web.Request, body: Body) -> web.Response:
    """304 where the asker has it already, else packed where the asker can unpack."""
    headers = {"ETag": body.etag, "Cache-Control": body.cache_control, "Vary": "Accept-Encoding"}
    if body.etag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = body.content_type
    if body.packed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=body.packed, headers=headers)
    return web.Response(body=body.plain, headers=headers)
