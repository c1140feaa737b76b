"""HTTP server: builds the aiohttp application and binds the port."""

import errno
from typing import Final, Self

from aiohttp import web

from vcpd.core.errors import UnavailableError
from vcpd.web import api_bars, api_daemon, api_screen, events, metrics, openapi, pages
from vcpd.web.context import WebContext
from vcpd.web.security import require_token_beyond_loopback, security_middleware
from vcpd.web.settings import WebSettings

SHUTDOWN_TIMEOUT_S: Final = 5.0
ROUTES: Final = (
    api_daemon.status_routes,
    api_screen.setup_routes,
    api_screen.risk_routes,
    api_daemon.job_routes,
    api_bars.quality_routes,
    api_daemon.alert_routes,
    api_bars.bar_routes,
    api_daemon.login_routes,
    api_screen.sizing_routes,
    api_bars.watch_routes,
    api_daemon.performance_routes,
    api_screen.board_routes,
    events.event_routes,
    metrics.metrics_routes,
    openapi.openapi_routes,
    pages.page_routes,
)


def build_application(settings: WebSettings, sources: WebContext) -> web.Application:
    """All routes behind the guard."""
    application = web.Application(
        middlewares=[security_middleware(settings, sources.token)],
        client_max_size=settings.body_limit_kb * 1024,
    )
    events.attach_events(application, sources)
    pages.attach_pages(application)
    for routes in ROUTES:
        application.add_routes(routes(sources))
    return application


class WebServer:
    """Binds the port on `start` and lets go of it on `close`."""

    def __init__(self, runner: web.AppRunner, settings: WebSettings) -> None:
        self._runner = runner
        self._settings = settings

    @classmethod
    async def start(cls, settings: WebSettings, sources: WebContext) -> Self:
        """Raises UnavailableError when the port cannot be had, ConfigurationError when it would be open."""
        require_token_beyond_loopback(settings, sources.token)
        runner = web.AppRunner(
            build_application(settings, sources),
            access_log=None,
            handle_signals=False,
            shutdown_timeout=SHUTDOWN_TIMEOUT_S,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
        except OSError as error:
            await runner.cleanup()
            raise UnavailableError(_bind_error_text(settings, error)) from error
        return cls(runner, settings)

    @property
    def port(self) -> int:
        """The port that was bound."""
        port: int = self._runner.addresses[0][1]
        return port

    async def close(self) -> None:
        await self._runner.cleanup()


def _bind_error_text(settings: WebSettings, error: OSError) -> str:
    place = f"{settings.host}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        return f"port {place} is taken: stop what listens there (another vcpd?) or set another [web] port"
    if error.errno == errno.EACCES:
        return f"port {place} is not allowed for this user: set [web] port to 1024 or above"
    return f"cannot listen on {place}: {error.strerror or error}; check [web] host and port"
