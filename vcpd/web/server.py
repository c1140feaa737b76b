"""HTTP server: builds the aiohttp application and binds the port."""

import errno
from collections.abc import Sequence
from typing import Final, Self

from aiohttp import web

from vcpd.core.errors import UnavailableError
from vcpd.web import (
    api_bars,
    api_board,
    api_daemon,
    api_market,
    api_positions,
    api_scan,
    api_screen,
    api_symbols,
    api_watchlists,
    events,
    openapi,
    pages,
    sign_in,
)
from vcpd.web.connections import ConnectionLimits, ConnectionTable, Deadlines, descriptor_limit
from vcpd.web.context import WebContext
from vcpd.web.listener import Listener
from vcpd.web.routes import EXCHANGE, SESSION_ON, declared_operation
from vcpd.web.security import add_security_headers, require_token_beyond_loopback, security_middleware
from vcpd.web.settings import WebSettings
from vcpd.web.sign_in import SIGN_IN, WEB_SETTINGS, SignIn
from vcpd.web.sockets import bind_sockets

SHUTDOWN_TIMEOUT_S: Final = 5.0
BYTES_PER_KB: Final = 1024
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
    api_board.board_routes,
    api_scan.scan_routes,
    api_scan.scan_change_routes,
    api_market.market_routes,
    api_positions.position_routes,
    api_positions.position_change_routes,
    api_positions.broker_routes,
    api_screen.record_routes,
    api_symbols.symbol_routes,
    api_watchlists.watchlist_routes,
    api_watchlists.watchlist_change_routes,
    events.event_routes,
    sign_in.session_routes,
    pages.page_routes,
)


def build_application(settings: WebSettings, context: WebContext) -> web.Application:
    """All routes, behind the request checks."""
    definitions = route_definitions(context)
    application = web.Application(
        middlewares=[security_middleware(settings, context)],
        client_max_size=_largest_body_bytes(settings, definitions),
    )
    application.on_response_prepare.append(add_security_headers)
    application[EXCHANGE] = context.exchange
    application[SESSION_ON] = context.daemon.session_on
    application[WEB_SETTINGS] = settings
    application[SIGN_IN] = SignIn(
        context.password_hash,
        required=settings.require_authentication,
        published=settings.is_published,
        trusted_proxies=settings.trusted_proxies,
    )
    events.attach_events(application, context)
    pages.attach_pages(application)
    definitions += openapi.openapi_routes(definitions)
    application.add_routes([*definitions, *_below(settings.public_path, definitions)])
    return application


def _largest_body_bytes(settings: WebSettings, definitions: Sequence[web.RouteDef]) -> int:
    """What any operation accepts; the request checks hold each one to its own limit."""
    declared = (declared_operation(definition).body_limit_kb for definition in definitions)
    return max(settings.body_limit_kb, *declared) * BYTES_PER_KB


def _below(path: str, definitions: Sequence[web.RouteDef]) -> list[web.RouteDef]:
    """The routes once more below the published path, for a reverse proxy that passes it on."""
    if not path:
        return []
    below = [
        web.RouteDef(route.method, path + route.path, route.handler, route.kwargs) for route in definitions
    ]
    return [*below, pages.to_folder(path)]


def route_definitions(context: WebContext) -> list[web.RouteDef]:
    """Every route but that of the OpenAPI document."""
    return [definition for routes in ROUTES for definition in routes(context)]


class WebServer:
    """Binds the port on `start` and releases it on `close`."""

    def __init__(self, runner: web.AppRunner, listener: Listener, port: int) -> None:
        self._runner = runner
        self._listener = listener
        self.port = port

    @classmethod
    async def start(cls, settings: WebSettings, context: WebContext) -> Self:
        """Raises UnavailableError when the port cannot be bound, ConfigurationError when it would be open."""
        require_token_beyond_loopback(settings, context)
        runner = web.AppRunner(
            build_application(settings, context), handle_signals=False, shutdown_timeout=SHUTDOWN_TIMEOUT_S
        )
        try:
            sockets = await bind_sockets(settings.host, settings.port)
        except OSError as error:
            raise UnavailableError(_bind_error_text(settings, error)) from error
        await runner.setup()
        assert runner.server is not None
        limits = ConnectionLimits.within(settings.max_connections, descriptor_limit())
        deadlines = Deadlines(head_s=settings.head_timeout_s)
        listener = Listener(runner.server, ConnectionTable(limits), deadlines)
        listener.start(sockets)
        return cls(runner, listener, sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._listener.table)

    async def close(self) -> None:
        self._listener.close()
        await self._runner.cleanup()


def _bind_error_text(settings: WebSettings, error: OSError) -> str:
    place = f"{settings.host}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        return f"port {place} is in use: stop what listens there (another vcpd?) or set another [web] port"
    if error.errno == errno.EACCES:
        return f"port {place} is not allowed for this user: set [web] port to 1024 or above"
    return f"cannot listen on {place}: {error.strerror or error}; check [web] host and port"
