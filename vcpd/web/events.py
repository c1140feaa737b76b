"""Live news for open pages, as server-sent events: changes only, a few a second, to a bounded crowd."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from aiohttp import web

from vcpd.web.answers import Refusal
from vcpd.web.security import HEADERS, STREAM
from vcpd.web.sources import Sources

LOOK_EVERY_S: Final = 0.5
KEEP_ALIVE_S: Final = 15.0
MOST_WATCHERS: Final = 32
STREAM_HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}


class Pulse:
    """Looks at the daemon while somebody watches; whoever is slow gets the newest news only."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._news = b""
        self._changed = asyncio.Condition()
        self._closed = False
        self.watchers = 0

    async def run(self) -> None:
        """For ever; the owner cancels it."""
        encode = msgspec.json.Encoder().encode
        while True:
            if self.watchers:
                version = await self._sources.shelf.version()
                news = encode({**self._sources.daemon.pulse(), "version": version})
                if news != self._news:
                    await self._tell(news)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _tell(self, news: bytes) -> None:
        async with self._changed:
            self._news = news
            self._changed.notify_all()

    async def close(self) -> None:
        """Send all watchers home."""
        self._closed = True
        async with self._changed:
            self._changed.notify_all()

    async def stream(self) -> AsyncIterator[bytes]:
        """Messages until the port closes: what is known at once, then each change."""
        seen: bytes = b""
        while not self._closed:
            if self._news and self._news != seen:
                seen = self._news
                yield b"event: pulse\ndata: " + seen + b"\n\n"
            else:
                yield await self._next(seen)

    async def _next(self, seen: bytes) -> bytes:
        """A comment that keeps the line open, once there are news or after a while."""
        async with self._changed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KEEP_ALIVE_S):
                    await self._changed.wait_for(lambda: self._closed or self._news != seen)
        return b":\n\n"


def routes(_: Sources) -> list[web.RouteDef]:
    async def events(request: web.Request) -> web.StreamResponse:
        """GET /api/events: a stream of `pulse` events with state, health, data, login and jobs."""
        pulse = request.app[PULSE]
        if pulse.watchers >= MOST_WATCHERS:
            raise Refusal(503, f"{MOST_WATCHERS} pages watch already; close one")
        pulse.watchers += 1
        try:
            return await _send(request, pulse)
        finally:
            pulse.watchers -= 1

    setattr(events, STREAM, True)
    return [web.get("/api/events", events, allow_head=False)]


async def _send(request: web.Request, pulse: Pulse) -> web.StreamResponse:
    response = web.StreamResponse(headers={**STREAM_HEADERS, **HEADERS})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        async for message in pulse.stream():
            await response.write(message)
    return response


PULSE: Final = web.AppKey("pulse", Pulse)


def attach(application: web.Application, sources: Sources) -> None:
    """The pulse beats as long as the application is served."""

    async def beating(app: web.Application) -> AsyncIterator[None]:
        pulse = app[PULSE] = Pulse(sources)
        task = asyncio.create_task(pulse.run(), name="web-pulse")
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def send_home(app: web.Application) -> None:
        await app[PULSE].close()

    application.cleanup_ctx.append(beating)
    application.on_shutdown.append(send_home)
