"""A small exchange on localhost that answers by script and remembers what it was asked, and when."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.fakes.clock import FakeClock
from vcpd.core.secrets import Secret
from vcpd.domain.exchange import NSE_EXCHANGE
from vcpd.kite.auth import AutomaticLogin, KiteCredentials, KiteSession
from vcpd.kite.client import KiteClient
from vcpd.kite.rate_limits import RateLimits
from vcpd.kite.settings import KiteSettings, LimitSettings
from vcpd.kite.token_store import TokenFile
from vcpd.kite.transport import Transport

API_KEY = "publickey"
API_SECRET = "very-secret-app-secret"
ACCESS_TOKEN = "very-secret-access-token"
Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Asked:
    """One request as it arrived."""

    at_s: float
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    form: dict[str, str]


@dataclass
class Exchange:
    """Answers the next scripted reply, or the default one."""

    default: Reply
    script: deque[Reply] = field(default_factory=deque)
    requested: list[Asked] = field(default_factory=list)
    root: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        at_s = time.monotonic()
        form = {key: str(value) for key, value in (await request.post()).items()}
        query = list(request.query.items())
        self.requested.append(Asked(at_s, request.method, request.path, query, dict(request.headers), form))
        reply = self.script.popleft() if self.script else self.default
        return await reply(request)

    def arrivals_s(self) -> list[float]:
        return [asked.at_s for asked in self.requested]


def success(data: object) -> Reply:
    """The envelope around `data`."""

    async def reply(_: web.Request) -> web.StreamResponse:
        body = msgspec.json.encode({"status": "success", "data": data})
        return web.Response(body=body, content_type="application/json")

    return reply


def refusal(status: int, error_type: str, message: str = "no", **headers: str) -> Reply:
    """The error envelope."""

    async def reply(_: web.Request) -> web.StreamResponse:
        body = msgspec.json.encode({"status": "error", "message": message, "error_type": error_type})
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=body, headers=named)

    return reply


def raw(body: bytes, status: int = 200, **headers: str) -> Reply:
    """Any bytes."""

    async def reply(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=body, headers=named)

    return reply


async def cut(request: web.Request) -> web.StreamResponse:
    """Half a body, then the connection is gone."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"status":"success","data":{"cand')
    if request.transport is not None:
        request.transport.close()
    return response


async def drip(request: web.Request) -> web.StreamResponse:
    """A body that never ends in time."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    for _ in range(200):
        try:
            await response.write(b" ")
        except ConnectionError:
            break
        await asyncio.sleep(0.02)
    return response


@asynccontextmanager
async def running(default: Reply) -> AsyncIterator[Exchange]:
    """An exchange that listens on a free port."""
    exchange = Exchange(default)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", exchange.handle)
    async with TestServer(app) as server:
        exchange.root = str(server.make_url("/")).rstrip("/")
        yield exchange


@dataclass
class MarketClient:
    """Everything a client is made of, for tests to look at."""

    client: KiteClient
    session: KiteSession
    transport: Transport
    limits: RateLimits
    clock: FakeClock
    file: TokenFile


FAST = LimitSettings(quote_per_s=900, historical_per_s=900, other_per_s=900, all_gets_per_s=900)


def settings_for(root: str, **changes: object) -> KiteSettings:
    """Settings for a test: short pauses."""
    given: dict[str, object] = {
        "api_key": API_KEY,
        "api_root": root,
        "login_root": f"{root}/connect/login",
        "backoff_s": 0.005,
        "backoff_max_s": 0.02,
        "timeout_s": 5.0,
        "max_attempts": 4,
    }
    return msgspec.convert({**given, **changes}, KiteSettings)


@asynccontextmanager
async def client_for(
    exchange: Exchange,
    folder: Path,
    *,
    limits: LimitSettings = FAST,
    logged_in: bool = True,
    automatic: Callable[[aiohttp.ClientSession], AutomaticLogin] | None = None,
    **changes: object,
) -> AsyncIterator[MarketClient]:
    """A client at the exchange's door, logged in unless told otherwise."""
    clock = FakeClock(datetime(2025, 6, 30, 10, 0, tzinfo=UTC))
    settings = settings_for(exchange.root, **changes)
    paces = RateLimits(limits)
    async with aiohttp.ClientSession() as http:
        transport = Transport(http, settings, paces)
        file = TokenFile(folder / "state" / "token.json")
        login = automatic(http) if automatic else None
        session = KiteSession(
            transport,
            KiteCredentials.of(settings, Secret(API_SECRET)),
            clock,
            file,
            NSE_EXCHANGE,
            automatic=login,
        )
        if logged_in:
            exchange.script.appendleft(success({"access_token": ACCESS_TOKEN, "user_id": "AB1234"}))
            await session.exchange_request_token(Secret("request"))
            exchange.requested.clear()
        yield MarketClient(
            KiteClient(transport, session, NSE_EXCHANGE), session, transport, paces, clock, file
        )
