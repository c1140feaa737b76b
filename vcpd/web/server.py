"""The local port: one aiohttp site, every request guarded."""

import errno
from typing import Final, Self

from aiohttp import web

from vcpd.domain.errors import UnavailableError
from vcpd.web import (
    alerts,
    bars,
    board,
    events,
    jobs,
    login,
    metrics,
    openapi,
    pages,
    performance,
    quality,
    risk,
    setups,
    size,
    status,
    watch,
)
from vcpd.web.security import demand_token_beyond_loopback, guard
from vcpd.web.settings import WebSettings
from vcpd.web.sources import Sources

SHUTDOWN_S: Final = 5.0
ROOMS: Final = (
    status,
    setups,
    risk,
    jobs,
    quality,
    alerts,
    bars,
    login,
    size,
    watch,
    performance,
    board,
    events,
    metrics,
    openapi,
    pages,
)


def build_application(settings: WebSettings, sources: Sources) -> web.Application:
    """All routes behind the guard."""
    application = web.Application(
        middlewares=[guard(settings, sources.token)], client_max_size=settings.body_limit_kb * 1024
    )
    events.attach(application, sources)
    pages.attach(application)
    for room in ROOMS:
        application.add_routes(room.routes(sources))
    return application


class WebServer:
    """Binds the port on `start` and lets go of it on `close`."""

    def __init__(self, runner: web.AppRunner, settings: WebSettings) -> None:
        self._runner = runner
        self._settings = settings

    @classmethod
    async def start(cls, settings: WebSettings, sources: Sources) -> Self:
        """Raises UnavailableError when the port cannot be had, ConfigurationError when it would be open."""
        demand_token_beyond_loopback(settings, sources.token)
        runner = web.AppRunner(
            build_application(settings, sources),
            access_log=None,
            handle_signals=False,
            shutdown_timeout=SHUTDOWN_S,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
        except OSError as error:
            await runner.cleanup()
            raise UnavailableError(_why_not_bound(settings, error)) from error
        return cls(runner, settings)

    @property
    def port(self) -> int:
        """The port that was bound."""
        port: int = self._runner.addresses[0][1]
        return port

    async def close(self) -> None:
        await self._runner.cleanup()


def _why_not_bound(settings: WebSettings, error: OSError) -> str:
    place = f"{settings.host}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        return f"port {place} is taken: stop what listens there (another vcpd?) or set another [web] port"
    if error.errno == errno.EACCES:
        return f"port {place} is not allowed for this user: set [web] port to 1024 or above"
    return f"cannot listen on {place}: {error.strerror or error}; check [web] host and port"
