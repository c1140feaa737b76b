"""Response cache: encoded and compressed responses, and listed setups, invalidated when a run finishes.

What the port shows of the store only changes through runs of jobs, whichever daemon makes them: the
latest run of each job, asked for at most once a second, is the version of everything here. A run of this
daemon that finishes makes the next request ask at once.

A whole market's verdicts are a hundred times as many values; they are read anew and let go.
"""

import asyncio
import hashlib
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, Final

import msgspec
from aiohttp import web

from vcpd.domain.setups import Setup
from vcpd.ports import RunStore, SetupStore
from vcpd.web.responses import encode_json

POLL_INTERVAL_S: Final = 1.0
MAX_RESPONSES: Final = 128
MAX_CACHE_BYTES: Final = 16 << 20
MIN_COMPRESS_BYTES: Final = 1_400  # bytes; less goes in one packet anyway
GZIP_LEVEL: Final = 5
GZIP_WINDOW_BITS: Final = 31
ResponseFactory = Callable[[], Awaitable[Any]]
MAX_CACHED_SESSIONS: Final = 4
SessionSetups = tuple[date | None, Sequence[Setup]]


class EncodedBody(msgspec.Struct, frozen=True):
    """An encoded answer, and the same packed where that is worth it."""

    plain: bytes
    gzipped: bytes | None
    etag: str
    content_type: str = "application/json; charset=utf-8"
    cache_control: str = "no-cache"

    @property
    def size(self) -> int:
        return len(self.plain) + len(self.gzipped or b"")


class DataVersion:
    """Changes whenever a run has begun or ended; a look at the store is shared by all who ask."""

    def __init__(self, runs: RunStore) -> None:
        self._runs = runs
        self._latest_runs: object = None
        self._number = 0
        self._checked_at_s = float("-inf")
        self._turn = asyncio.Lock()

    async def now(self) -> int:
        async with self._turn:
            now_s = asyncio.get_running_loop().time()
            if now_s - self._checked_at_s >= POLL_INTERVAL_S:
                self._checked_at_s = now_s  # before the answer: a run may finish meanwhile
                await self._check()
        return self._number

    async def _check(self) -> None:
        try:
            latest = await self._runs.latest()
        except BaseException:
            self.invalidate()
            raise
        seen = sorted((job, run.id, str(run.outcome)) for job, run in latest.items())
        self._number += seen != self._latest_runs
        self._latest_runs = seen

    def invalidate(self) -> None:
        """Ask the store at the next request, however short the last one is ago."""
        self._checked_at_s = float("-inf")


class ResponseCache:
    """Bodies by question, for one version at a time; the least recently asked go first."""

    def __init__(self, version: DataVersion) -> None:
        self._version = version
        self._cached_version = -1
        self._bodies: OrderedDict[str, EncodedBody] = OrderedDict()
        self._size = 0
        self._request_locks: dict[str, asyncio.Lock] = {}

    async def version(self) -> int:
        """Changes when what is on the shelf is no longer true."""
        return await self._version.now()

    def invalidate(self) -> None:
        """Check the version at the next request."""
        self._version.invalidate()

    async def answer(self, request: web.Request, make: ResponseFactory) -> web.Response:
        """The kept answer to this very question, or the one that `make` gives now."""
        return cached_response(request, await self.cached_body(request.path_qs, make))

    async def cached_body(self, question: str, make: ResponseFactory) -> EncodedBody:
        version = await self._version.now()
        if version != self._cached_version:
            self._clear(version)
        found = self._bodies.get(question)
        if found is not None:
            self._bodies.move_to_end(question)
            return found
        async with self._request_lock(question):
            found = self._bodies.get(question)
            if found is None:
                found = await compress_in_thread(await encode_json(await make()))
                self._store(question, found, version)
        return found

    @asynccontextmanager
    async def _request_lock(self, question: str) -> AsyncIterator[None]:
        """Who asks the same meanwhile waits for the one answer."""
        turn = self._request_locks.setdefault(question, asyncio.Lock())
        async with turn:
            yield
        self._request_locks.pop(question, None)

    def _clear(self, version: int) -> None:
        self._cached_version = version
        self._bodies.clear()
        self._size = 0

    def _store(self, question: str, body: EncodedBody, version: int) -> None:
        if version != self._cached_version or question in self._bodies:
            return
        self._bodies[question] = body
        self._size += body.size
        while self._size > MAX_CACHE_BYTES or len(self._bodies) > MAX_RESPONSES:
            _, dropped = self._bodies.popitem(last=False)
            self._size -= dropped.size


async def compress_in_thread(plain: bytes) -> EncodedBody:
    """Hashing and compression let the loop go on."""
    if len(plain) < MIN_COMPRESS_BYTES:
        return encoded_body(plain)
    return await asyncio.to_thread(encoded_body, plain)


def encoded_body(plain: bytes, level: int = GZIP_LEVEL) -> EncodedBody:
    etag = f'W/"{hashlib.blake2b(plain, digest_size=12).hexdigest()}"'
    return EncodedBody(plain, gzip_compress(plain, level) if len(plain) >= MIN_COMPRESS_BYTES else None, etag)


def gzip_compress(plain: bytes, level: int) -> bytes:
    """`plain` as gzip."""
    packer = zlib.compressobj(level, zlib.DEFLATED, GZIP_WINDOW_BITS)
    return packer.compress(plain) + packer.flush()


def cached_response(request: web.Request, body: EncodedBody) -> web.Response:
    """304 where the asker has it already, else packed where the asker can unpack."""
    headers = {"ETag": body.etag, "Cache-Control": body.cache_control, "Vary": "Accept-Encoding"}
    if body.etag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = body.content_type
    if body.gzipped is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=body.gzipped, headers=headers)
    return web.Response(body=body.plain, headers=headers)


class SetupCache:
    """Verdicts by the session that was asked for; None asks for the latest."""

    def __init__(self, setups: SetupStore, version: DataVersion) -> None:
        self._setups = setups
        self._version = version
        self._cached: OrderedDict[tuple[int, date | None], SessionSetups] = OrderedDict()
        self._turn = asyncio.Lock()

    async def setups(self, session: date | None, *, everything: bool) -> SessionSetups:
        """The listed ones, or every symbol's."""
        if everything:
            return await self._setups.for_session(session)
        async with self._turn:
            key = (await self._version.now(), session)
            if key not in self._cached:
                self._cached[key] = await self._setups.listed(session)
                self._trim(key[0])
            return self._cached[key]

    def _trim(self, version: int) -> None:
        """Older versions go at once, the oldest question of this one when there are too many."""
        for key in [key for key in self._cached if key[0] != version]:
            del self._cached[key]
        while len(self._cached) > MAX_CACHED_SESSIONS:
            self._cached.popitem(last=False)
