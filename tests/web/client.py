"""A client that speaks to the port over a real socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import CookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from vcpd.web.context import WebContext
from vcpd.web.server import build_application
from vcpd.web.settings import WebSettings

Client = TestClient[web.Request, web.Application]


@asynccontextmanager
async def asking(sources: WebContext, settings: WebSettings | None = None) -> AsyncIterator[Client]:
    """A client for an application over `sources`."""
    server = TestServer(build_application(settings or WebSettings(), sources))
    async with TestClient(server, cookie_jar=CookieJar(unsafe=True)) as client:
        yield client
