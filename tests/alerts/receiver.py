"""A server for channels to talk to: remembers what came, answers what it is told to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from vcpd.app.alert_channels import ChannelFactory
from vcpd.core.http import HttpClient
from vcpd.runtime.clock import WallClock


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """`answers` are given in turn, then 200."""

    port: int = 0
    answers: list[web.Response] = field(default_factory=list)
    arrived: list[Arrival] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.arrived.append(Arrival(request.method, request.path, headers, await request.read()))
        return self.answers.pop(0) if self.answers else web.Response()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    application = web.Application(client_max_size=1 << 24)
    application.router.add_route("*", "/{path:.*}", receiver.take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def http_client(timeout_s: float = 5.0) -> AsyncIterator[HttpClient]:
    channels = ChannelFactory.open(WallClock())
    try:
        yield HttpClient(channels.http, timeout_s, channels.clock)
    finally:
        await channels.close()
