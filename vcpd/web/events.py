"""Server-sent events: changes of the daemon's state for open pages."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from aiohttp import web

from vcpd.web.context import WebContext
from vcpd.web.routes import route
from vcpd.web.security import set_busy
from vcpd.web.sign_in import SIGN_IN

POLL_INTERVAL_S: Final = 0.5
KEEP_ALIVE_INTERVAL_S: Final = 15.0
SEND_TIMEOUT_S: Final = 10.0
MAX_STREAMS: Final = 64
MAX_STREAMS_PER_CLIENT: Final = 8
STREAM_HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}


class EventStream:
    """One client's stream; yields the newest state only, so a slow client skips the ones between."""

    def __init__(self, client: str) -> None:
        self.client = client
        self.is_open = True
        self._payload = b""
        self._changed = asyncio.Event()

    def publish(self, payload: bytes) -> None:
        self._payload = payload
        self._changed.set()

    def close(self) -> None:
        self.is_open = False
        self._changed.set()

    async def messages(self) -> AsyncIterator[bytes]:
        """Each new state, and a comment now and then that keeps the connection open."""
        while self.is_open:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KEEP_ALIVE_INTERVAL_S):
                    await self._changed.wait()
            self._changed.clear()
            payload, self._payload = self._payload, b""
            yield b"event: pulse\ndata: " + payload + b"\n\n" if payload else b":\n\n"


class EventBroadcaster:
    """Compares the daemon's state twice a second while somebody listens, and publishes each change."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._payload = b""
        self._streams: dict[EventStream, None] = {}  # the oldest first

    async def run(self) -> None:
        """Runs until it is cancelled."""
        encode = msgspec.json.Encoder().encode
        while True:
            if self._streams:
                version = await self._context.cache.version()
                payload = encode({**self._context.daemon.event_payload(), "version": version})
                if payload != self._payload:
                    self._payload = payload
                    for stream in self._streams:
                        stream.publish(payload)
            await asyncio.sleep(POLL_INTERVAL_S)

    def open(self, client: str) -> EventStream:
        """A new stream; where the client or all clients have too many, the oldest ends."""
        self._drop_oldest(client)
        stream = EventStream(client)
        self._streams[stream] = None
        if self._payload:
            stream.publish(self._payload)
        return stream

    def release(self, stream: EventStream) -> None:
        self._streams.pop(stream, None)

    def close(self) -> None:
        """End all streams."""
        for stream in self._streams:
            stream.close()

    def _drop_oldest(self, client: str) -> None:
        counts = Counter(stream.client for stream in self._streams)
        if counts[client] >= MAX_STREAMS_PER_CLIENT:
            self._end_oldest_of(client)
        elif len(self._streams) >= MAX_STREAMS:
            self._end_oldest_of(counts.most_common(1)[0][0])

    def _end_oldest_of(self, client: str) -> None:
        oldest = next(stream for stream in self._streams if stream.client == client)
        oldest.close()
        self.release(oldest)


BROADCASTER: Final = web.AppKey("broadcaster", EventBroadcaster)


def event_routes(_: WebContext) -> list[web.RouteDef]:
    """The route of the event stream."""

    @route("GET", "/api/events", response=str, media="text/event-stream", stream=True)
    async def events(request: web.Request) -> web.StreamResponse:
        """A stream of `pulse` events: state, health, data, login, jobs."""
        broadcaster = request.app[BROADCASTER]
        stream = broadcaster.open(request.app[SIGN_IN].client_of(request))
        try:
            return await _send_events(request, stream)
        finally:
            broadcaster.release(stream)

    return [events]


async def _send_events(request: web.Request, stream: EventStream) -> web.StreamResponse:
    """Send until the stream ends, the client disconnects, or it does not read for some seconds."""
    response = web.StreamResponse(headers=STREAM_HEADERS)
    response.force_close()
    await response.prepare(request)
    with contextlib.suppress(ConnectionError, TimeoutError):
        async for message in stream.messages():
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await response.write(message)
            set_busy(request, busy=False)
    return response


def attach_events(application: web.Application, context: WebContext) -> None:
    """Run the broadcaster as long as the application is served."""

    async def broadcasting(app: web.Application) -> AsyncIterator[None]:
        broadcaster = app[BROADCASTER] = EventBroadcaster(context)
        task = asyncio.create_task(broadcaster.run(), name="web-events")
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def close_streams(app: web.Application) -> None:
        app[BROADCASTER].close()

    application.cleanup_ctx.append(broadcasting)
    application.on_shutdown.append(close_streams)
