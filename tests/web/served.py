"""The port over fakes, served for clients that know nothing of our event loop."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from vcpd.web.context import WebContext
from vcpd.web.server import WebServer
from vcpd.web.settings import WebSettings

READY_WITHIN_S = 30.0


@contextmanager
def served(given: WebContext, settings: WebSettings | None = None) -> Iterator[str]:
    """The address of a port that another thread's loop serves."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="served-port", daemon=True)
    thread.start()
    starting = asyncio.run_coroutine_threadsafe(WebServer.start(settings or WebSettings(port=0), given), loop)
    server = starting.result(READY_WITHIN_S)
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        asyncio.run_coroutine_threadsafe(server.close(), loop).result(READY_WITHIN_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(READY_WITHIN_S)
        loop.close()
