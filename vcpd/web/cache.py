"""Response cache: encoded and compressed responses, and listed setups, invalidated when a run finishes.

What the port shows of the store only changes through runs of jobs, whichever daemon makes them: the
latest run of each job, read at most once a second, is the version of everything here. When a run of this
daemon finishes, the next request reads it at once.

The verdicts on all symbols are a hundred times as many values; they are read each time and not kept.

A response is computed once, few at a time, and only so many wait. A computation goes on when the client that
asked first has gone: others may wait for the same, and the next one finds it in the cache. So a client that
asks and leaves again and again costs no more than one that stays.
"""

import asyncio
import hashlib
import zlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from datetime import date
from typing import Any, Final, Generic, TypeVar

import msgspec
from aiohttp import web

from vcpd.domain.setups import Setup
from vcpd.ports import RunStore, SetupStore
from vcpd.web.connections import is_trusted
from vcpd.web.responses import RETRY_AFTER, HttpError, encode_json

MAX_WAITING: Final = 32  # different responses of unknown clients, and as many of trusted ones
COMPUTING_TIMEOUT_S: Final = 120.0
POLL_INTERVAL_S: Final = 1.0
MAX_RESPONSES: Final = 128
MAX_CACHE_BYTES: Final = 16 << 20
MIN_COMPRESS_BYTES: Final = 1_400  # bytes; less goes in one packet anyway
GZIP_LEVEL: Final = 5
GZIP_WINDOW_BITS: Final = 31
ResponseFactory = Callable[[], Awaitable[Any]]
MAX_CACHED_SESSIONS: Final = 4
T = TypeVar("T")
SessionSetups = tuple[date | None, Sequence[Setup]]


class SharedComputations(Generic[T]):
    """Computes one response at a time; requests for the same key share the result."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self._tasks: dict[Hashable, asyncio.Task[T]] = {}
        self._turn = asyncio.Lock()

    async def result(self, key: Hashable, compute: Callable[[], Awaitable[T]]) -> T:
        """What `compute` gives, or what an earlier caller's gives. HttpError 503 when too many wait."""
        task = self._tasks.get(key)
        if task is None:
            if len(self._tasks) >= self._max_waiting:
                raise HttpError(503, "too many responses are being computed; try again", RETRY_AFTER)
            task = asyncio.create_task(self._run(compute), name="web-response")
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(task)

    async def _run(self, compute: Callable[[], Awaitable[T]]) -> T:
        async with asyncio.timeout(COMPUTING_TIMEOUT_S), self._turn:
            return await compute()

    def _forget(self, key: Hashable, done: asyncio.Task[Any]) -> None:
        del self._tasks[key]
        if not done.cancelled():
            done.exception()  # every caller may have gone: nobody else reads it


class EncodedBody(msgspec.Struct, frozen=True):
    """An encoded response, and the same compressed where that saves a packet."""

    plain: bytes
    gzipped: bytes | None
    etag: str
    content_type: str = "application/json; charset=utf-8"
    cache_control: str = "no-cache"

    @property
    def size(self) -> int:
        return len(self.plain) + len(self.gzipped or b"")


class DataVersion:
    """A number that changes whenever a run has begun or ended; concurrent callers share one query."""

    def __init__(self, runs: RunStore) -> None:
        self._runs = runs
        self._latest_runs: object = None
        self._number = 0
        self._checked_at_s = float("-inf")
        self._lock = asyncio.Lock()

    async def now(self) -> int:
        async with self._lock:
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
        """Read the latest runs at the next request, however recent the last reading is."""
        self._checked_at_s = float("-inf")


class ResponseCache:
    """Response bodies by key, for one version of the data; the least recently used are dropped first."""

    def __init__(self, version: DataVersion) -> None:
        self._version = version
        self._cached_version = -1
        self._bodies: OrderedDict[str, EncodedBody] = OrderedDict()
        self._size = 0
        self._computations = {is_trusted: SharedComputations[EncodedBody]() for is_trusted in (True, False)}

    async def version(self) -> int:
        """Changes when cached responses are out of date."""
        return await self._version.now()

    def invalidate(self) -> None:
        """Check the version at the next request."""
        self._version.invalidate()

    async def respond(self, request: web.Request, factory: ResponseFactory) -> web.Response:
        """The cached response to this path and query, or the one that `factory` gives now."""
        body = await self._cached_body(request.path_qs, factory, is_trusted=is_trusted(request))
        return cached_response(request, body)

    async def _cached_body(self, key: str, factory: ResponseFactory, *, is_trusted: bool) -> EncodedBody:
        version = await self._version.now()
        if version != self._cached_version:
            self._clear(version)
        found = self._bodies.get(key)
        if found is not None:
            self._bodies.move_to_end(key)
            return found

        async def compute() -> EncodedBody:
            body = await compress_in_thread(await encode_json(await factory()))
            self._store(key, body, version)
            return body

        return await self._computations[is_trusted].result((key, version), compute)

    def _clear(self, version: int) -> None:
        self._cached_version = version
        self._bodies.clear()
        self._size = 0

    def _store(self, key: str, body: EncodedBody, version: int) -> None:
        if version != self._cached_version or key in self._bodies:
            return
        self._bodies[key] = body
        self._size += body.size
        while self._size > MAX_CACHE_BYTES or len(self._bodies) > MAX_RESPONSES:
            _, dropped = self._bodies.popitem(last=False)
            self._size -= dropped.size


async def compress_in_thread(plain: bytes) -> EncodedBody:
    """Hash and compress in a thread, so that the event loop is not blocked."""
    if len(plain) < MIN_COMPRESS_BYTES:
        return encoded_body(plain)
    return await asyncio.to_thread(encoded_body, plain)


def encoded_body(plain: bytes, level: int = GZIP_LEVEL) -> EncodedBody:
    """`plain` with its ETag, compressed where it is large enough."""
    etag = f'W/"{hashlib.blake2b(plain, digest_size=12).hexdigest()}"'
    return EncodedBody(plain, gzip_compress(plain, level) if len(plain) >= MIN_COMPRESS_BYTES else None, etag)


def gzip_compress(plain: bytes, level: int) -> bytes:
    """`plain` as gzip."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, GZIP_WINDOW_BITS)
    return compressor.compress(plain) + compressor.flush()


def cached_response(request: web.Request, body: EncodedBody) -> web.Response:
    """304 where the client has it already, else compressed where the client accepts gzip."""
    headers = {"ETag": body.etag, "Cache-Control": body.cache_control, "Vary": "Accept-Encoding"}
    if is_cached_by_client(request.headers.get("If-None-Match", ""), body.etag):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = body.content_type
    if body.gzipped is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=body.gzipped, headers=headers)
    return web.Response(body=body.plain, headers=headers)


def is_cached_by_client(if_none_match: str, etag: str) -> bool:
    """Whether the header names `etag`, by the weak comparison of RFC 9110, or any version (`*`)."""
    named = {name.strip().removeprefix("W/") for name in if_none_match.split(",")}
    return "*" in named or etag.removeprefix("W/") in named


class SetupCache:
    """Listed setups by requested session; None is the latest."""

    def __init__(self, setups: SetupStore, version: DataVersion) -> None:
        self._setups = setups
        self._version = version
        self._cached: OrderedDict[tuple[int, date | None], SessionSetups] = OrderedDict()
        self._lock = asyncio.Lock()

    async def setups(self, session: date | None, *, all_symbols: bool) -> SessionSetups:
        """The listed setups, or the verdicts on all symbols."""
        if all_symbols:
            return await self._setups.for_session(session)
        async with self._lock:
            key = (await self._version.now(), session)
            if key not in self._cached:
                self._cached[key] = await self._setups.listed(session)
                self._trim(key[0])
            return self._cached[key]

    def _trim(self, version: int) -> None:
        """Drop other versions at once, and the oldest entry of this one when there are too many."""
        for key in [key for key in self._cached if key[0] != version]:
            del self._cached[key]
        while len(self._cached) > MAX_CACHED_SESSIONS:
            self._cached.popitem(last=False)
