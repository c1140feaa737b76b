"""Server-sent events: changes of the daemon's state for open pages."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from aiohttp import web

from vcpd.web.context import WebContext
from vcpd.web.responses import HttpError
from vcpd.web.security import SECURITY_HEADERS, STREAM_ATTRIBUTE

POLL_INTERVAL_S: Final = 0.5
KEEP_ALIVE_INTERVAL_S: Final = 15.0
MAX_STREAMS: Final = 32
STREAM_HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}


class EventBroadcaster:
    """Looks at the daemon while somebody watches; whoever is slow gets the newest news only."""

    def __init__(self, sources: WebContext) -> None:
        self._sources = sources
        self._payload = b""
        self._changed = asyncio.Condition()
        self._closed = False
        self.streams = 0

    async def run(self) -> None:
        """For ever; the owner cancels it."""
        encode = msgspec.json.Encoder().encode
        while True:
            if self.streams:
                version = await self._sources.cache.version()
                news = encode({**self._sources.daemon.event_payload(), "version": version})
                if news != self._payload:
                    await self._publish(news)
            await asyncio.sleep(POLL_INTERVAL_S)

    async def _publish(self, news: bytes) -> None:
        async with self._changed:
            self._payload = news
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
            if self._payload and self._payload != seen:
                seen = self._payload
                yield b"event: pulse\ndata: " + seen + b"\n\n"
            else:
                yield await self._wait_for_change(seen)

    async def _wait_for_change(self, seen: bytes) -> bytes:
        """A comment that keeps the line open, once there are news or after a while."""
        async with self._changed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KEEP_ALIVE_INTERVAL_S):
                    await self._changed.wait_for(lambda: self._closed or self._payload != seen)
        return b":\n\n"


def event_routes(_: WebContext) -> list[web.RouteDef]:
    async def events(request: web.Request) -> web.StreamResponse:
        """GET /api/events: a stream of `pulse` events with state, health, data, login and jobs."""
        pulse = request.app[BROADCASTER]
        if pulse.streams >= MAX_STREAMS:
            raise HttpError(503, f"{MAX_STREAMS} pages watch already; close one")
        pulse.streams += 1
        try:
            return await _send_events(request, pulse)
        finally:
            pulse.streams -= 1

    setattr(events, STREAM_ATTRIBUTE, True)
    return [web.get("/api/events", events, allow_head=False)]


async def _send_events(request: web.Request, pulse: EventBroadcaster) -> web.StreamResponse:
    response = web.StreamResponse(headers={**STREAM_HEADERS, **SECURITY_HEADERS})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        async for message in pulse.stream():
            await response.write(message)
    return response


BROADCASTER: Final = web.AppKey("pulse", EventBroadcaster)


def attach_events(application: web.Application, sources: WebContext) -> None:
    """The pulse beats as long as the application is served."""

    async def beating(app: web.Application) -> AsyncIterator[None]:
        pulse = app[BROADCASTER] = EventBroadcaster(sources)
        task = asyncio.create_task(pulse.run(), name="web-pulse")
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def send_home(app: web.Application) -> None:
        await app[BROADCASTER].close()

    application.cleanup_ctx.append(beating)
    application.on_shutdown.append(send_home)
