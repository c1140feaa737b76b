"""Runs the sandbox exchange as an HTTP server on one port."""

from typing import Final

from aiohttp import web

from vcpd.core.errors import UnavailableError
from vcpd.ports import Clock
from vcpd.sandbox.exchange import SandboxExchange
from vcpd.sandbox.market import SandboxMarket
from vcpd.sandbox.settings import SandboxSettings

MAX_LINE_BYTES: Final = 65_536  # a thousand symbols in one address
CLOSE_DEADLINE_S: Final = 1.0


class RunningSandbox:
    """An exchange that answers at `url` until it is closed."""

    def __init__(self, exchange: SandboxExchange, runner: web.AppRunner, url: str) -> None:
        self.exchange = exchange
        self.url = url
        self._runner = runner

    @property
    def ticker_url(self) -> str:
        """Where the live feed is."""
        return self.url.replace("http://", "ws://", 1)

    async def close(self) -> None:
        """Stop answering; requests in flight get a second."""
        self.exchange.close()
        await self._runner.cleanup()


async def start_server(
    settings: SandboxSettings,
    market: SandboxMarket,
    clock: Clock,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
) -> RunningSandbox:
    """Answer on `port` (default: the settings', 0 takes a free one). UnavailableError if it is taken."""
    exchange = SandboxExchange(settings, market, clock)
    runner = web.AppRunner(
        exchange.application(),
        access_log=None,
        shutdown_timeout=CLOSE_DEADLINE_S,
        max_line_size=MAX_LINE_BYTES,
    )
    await runner.setup()
    wanted = settings.port if port is None else port
    try:
        await web.TCPSite(runner, host, wanted).start()
    except OSError as error:
        await runner.cleanup()
        raise UnavailableError(
            f"the sandbox cannot listen on {host}:{wanted} ({error.strerror}); choose another with --port"
        ) from error
    return RunningSandbox(exchange, runner, f"http://{host}:{runner.addresses[0][1]}")
