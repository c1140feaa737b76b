"""The sandbox exchange as an HTTP server: routes, rate limits, error envelopes, injected faults."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime
from typing import Any, Final

import msgspec
import numpy as np
from aiohttp import web

from vcpd.core.deprecated_names import rename_table
from vcpd.core.errors import UnavailableError
from vcpd.domain.bars import BarSeries
from vcpd.kite.ticker_protocol import TickerMessage
from vcpd.ports import Clock
from vcpd.sandbox.account import USER_PROFILE, SandboxAccount, login_page
from vcpd.sandbox.faults import FaultInjector, FaultSelector, fault_error
from vcpd.sandbox.market import ZONE, CandleSpan, MarketQuote, SandboxMarket
from vcpd.sandbox.portfolio import SandboxPortfolio
from vcpd.sandbox.protocol import (
    MAX_FULL_QUOTES,
    MAX_SHORT_QUOTES,
    ApiError,
    CandleRequest,
    daily_candles,
    error_response,
    form_field,
    full_quote,
    futures_csv,
    intraday_candles,
    listing_csv,
    ltp_quote,
    ohlc_quote,
    parse_candle_request,
    parse_day_span,
    parse_exchange,
    parse_quote_symbols,
    sector_list,
    success_response,
    with_gzip,
)
from vcpd.sandbox.rate_limit import RequestLimiter, request_class
from vcpd.sandbox.settings import SIMULATED_EXCHANGE, FaultKind, FaultSettings, SandboxSettings
from vcpd.sandbox.ticker import SandboxTicker

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
KITE_VERSION: Final = "3"
CONTROL_HEADER: Final = "X-Sandbox-Request"
CONTROL_HOST: Final = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?")
CONTROL_PREFIX: Final = "/sandbox/"
CONTROL_PATHS: Final = (CONTROL_PREFIX, "/connect/")
TICKER_PATHS: Final = ("/", "/ws")  # another host of the vendor's, with limits of its own
MARGINS: Final = {"enabled": True, "net": 0.0, "available": {"cash": 0.0}, "utilised": {"debits": 0.0}}


class SandboxExchange:
    """A Kite-compatible exchange over `market`; `clock` gives the market's time, limits are in real time."""

    def __init__(self, settings: SandboxSettings, market: SandboxMarket, clock: Clock) -> None:
        self.limiter = RequestLimiter(settings.limits)
        self.faults = FaultSelector(settings.faults)
        self._settings = settings
        self._market = market
        self._clock = clock
        self._account = SandboxAccount(settings)
        self.ticker = SandboxTicker(settings.ticker, market, clock, self._account, self.faults)
        self._portfolio = SandboxPortfolio(settings.calendar(), market, self._authorized_time)
        self._fault_injector = FaultInjector()
        self._prepare_lock = asyncio.Lock()
        self._cached_listing: tuple[tuple[date, int], bytes, bytes] | None = None

    def application(self) -> web.Application:
        """Builds the routes behind counting, errors and faults, in this order."""
        application = web.Application(
            middlewares=[self._limit_rate, self._wrap_errors, _protect_control, self._inject_fault]
        )
        application.on_shutdown.append(self.ticker.close)
        application.add_routes(
            [
                web.get("/", self._open_ticker),
                web.get("/ws", self._open_ticker),
                web.get("/connect/login", self._login),
                web.post("/connect/login", self._submit_login),
                web.post("/session/token", self._open_session),
                web.delete("/session/token", self._close_session),
                web.get("/user/profile", self._profile),
                web.get("/user/margins", self._margins),
                web.get("/user/margins/{segment}", self._margins),
                web.get("/instruments", self._instruments),
                web.get("/instruments/{exchange}", self._instruments),
                web.get("/instruments/historical/{token}/{interval}", self._historical),
                web.get("/quote", self._quote),
                web.get("/quote/ohlc", self._ohlc),
                web.get("/quote/ltp", self._last_price),
                web.get("/sandbox/statistics", self._statistics),
                web.delete("/sandbox/statistics", self._reset_statistics),
                web.get("/sandbox/planted", self._known_bases),
                web.get("/sandbox/sectors", self._sectors),
                web.get("/sandbox/breakouts", self._breakouts),
                web.post("/sandbox/ticker/messages", self._send_message),
                web.get("/sandbox/faults", self._show_faults),
                web.post("/sandbox/faults", self._set_faults),
            ]
        )
        application.add_routes(self._portfolio.routes())
        return application

    def close(self) -> None:
        """Ends every request that a fault is holding."""
        self._fault_injector.close()

    @web.middleware
    async def _limit_rate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Counts the arrival at once and refuses it if it is beyond the limits."""
        if request.path.startswith(CONTROL_PATHS) or request.path in TICKER_PATHS:
            return await handler(request)
        is_get = request.method == "GET"
        if not self.limiter.admit(request_class(request.path), is_get=is_get, now_s=time.monotonic()):
            return error_response(ApiError("NetworkException", "Too many requests", 429))
        return await handler(request)

    @web.middleware
    async def _wrap_errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answers every error in the vendor's envelope."""
        try:
            return await handler(request)
        except ApiError as error:
            return error_response(error)
        except web.HTTPNotFound:
            return error_response(ApiError("GeneralException", "Route not found", 404))
        except web.HTTPMethodNotAllowed:
            return error_response(ApiError("GeneralException", "Method not allowed", 405))

    @web.middleware
    async def _inject_fault(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Applies a fault to the request if it is its turn."""
        drawn = self.faults.next_fault(request.path)
        if drawn is None:
            return await handler(request)
        kind, chance = drawn
        if (error := fault_error(kind)) is not None:
            raise error
        if kind is FaultKind.TOKEN_EXPIRY:
            self._account.end_session()
            return await handler(request)
        answer = await handler(request)
        if not isinstance(answer, web.Response):
            return answer
        return await self._fault_injector.apply(kind, chance, self.faults.settings, request, answer)

    async def _authorized_time(self, request: web.Request) -> datetime:
        """Returns the market's present for a request with valid headers, once the market is ready for it."""
        at = self._clock.now()
        if request.headers.get("X-Kite-Version") != KITE_VERSION:
            raise ApiError("InputException", "Missing or unknown `X-Kite-Version`: expected 3")
        self._account.require_token(request.headers.get("Authorization"), at)
        return await self._prepare_market(at)

    async def _prepare_market(self, at: datetime) -> datetime:
        async with self._prepare_lock:
            if not self._market.ready(at):
                await asyncio.to_thread(self._market.prepare, at)
        return at

    async def _open_ticker(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise web.HTTPNotFound
        return await self.ticker.connect(request, self._prepare_market)

    async def _login(self, request: web.Request) -> web.StreamResponse:
        api_key = form_field(request.query, "api_key")
        params = request.query.get("redirect_params", "")
        if self._settings.automatic_login:
            raise web.HTTPFound(
                self._account.redirect_url(self._account.issue_request_token(api_key), params)
            )
        if api_key != self._settings.api_key:
            raise ApiError("InputException", "Invalid `api_key`.")
        return login_page(api_key, params)

    async def _submit_login(self, request: web.Request) -> web.StreamResponse:
        """Accepts the login page's button, or a POST to the page's own link."""
        form: dict[str, object] = {"redirect_params": "", **request.query, **await request.post()}
        token = self._account.issue_request_token(form_field(form, "api_key"))
        raise web.HTTPFound(self._account.redirect_url(token, str(form["redirect_params"])))

    async def _open_session(self, request: web.Request) -> web.Response:
        form = await request.post()
        api_key, request_token = form_field(form, "api_key"), form_field(form, "request_token")
        checksum = form_field(form, "checksum")
        return success_response(
            self._account.create_session(api_key, request_token, checksum, self._clock.now())
        )

    async def _close_session(self, request: web.Request) -> web.Response:
        query = request.query
        self._account.log_out(form_field(query, "api_key"), form_field(query, "access_token"))
        return success_response(data=True)

    async def _profile(self, request: web.Request) -> web.Response:
        await self._authorized_time(request)
        return success_response(USER_PROFILE)

    async def _margins(self, request: web.Request) -> web.Response:
        await self._authorized_time(request)
        return success_response(MARGINS if "segment" in request.match_info else {"equity": MARGINS})

    async def _instruments(self, request: web.Request) -> web.Response:
        at = await self._authorized_time(request)
        exchange = parse_exchange(request.match_info.get("exchange", SIMULATED_EXCHANGE.name))
        plain, packed = (
            await self._listing(at)
            if exchange == SIMULATED_EXCHANGE.name
            else with_gzip(futures_csv(self._market.listings(at), exchange, at.date()))
        )
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=packed, content_type="text/csv", headers={"Content-Encoding": "gzip"})
        return web.Response(body=plain, content_type="text/csv")

    async def _listing(self, at: datetime) -> tuple[bytes, bytes]:
        """Returns the instruments file, plain and packed; made once a day."""
        key = (at.astimezone(ZONE).date(), id(self.faults.settings))
        if self._cached_listing is None or self._cached_listing[0] != key:
            self._cached_listing = (key, *await asyncio.to_thread(self._make_listing, at))
        return self._cached_listing[1:]

    def _make_listing(self, at: datetime) -> tuple[bytes, bytes]:
        listed = self._market.listings(at)
        return with_gzip(listing_csv(row for row in listed if not self.faults.is_hidden(row.symbol)))

    async def _historical(self, request: web.Request) -> web.Response:
        at = await self._authorized_time(request)
        path = request.match_info
        question = parse_candle_request(path["token"], path["interval"], request.query)
        series = self._market.bars(question.token, at)
        if series is None or self.faults.is_hidden(series.symbol):
            raise ApiError("InputException", "invalid token")
        if question.step_minutes is not None:
            span = CandleSpan(question.step_minutes, question.first, question.last)
            return await self._intraday(question, span, at)
        window = _within(self.faults.restate(series), question.first.date(), question.last.date())
        return success_response({"candles": daily_candles(window, open_interest=question.open_interest)})

    async def _intraday(self, question: CandleRequest, span: CandleSpan, at: datetime) -> web.Response:
        found = await asyncio.to_thread(self._market.candles, question.token, span, at)
        if found is None:
            raise ApiError("InputException", "invalid token")
        rows = intraday_candles(self.faults.restate(found), open_interest=question.open_interest)
        return success_response({"candles": rows})

    async def _quote(self, request: web.Request) -> web.Response:
        def shape(symbol: str, quote: MarketQuote) -> Mapping[str, Any]:
            return full_quote(quote, is_locked=self.faults.is_locked(symbol))

        return await self._quotes(request, MAX_FULL_QUOTES, shape)

    async def _ohlc(self, request: web.Request) -> web.Response:
        return await self._quotes(request, MAX_SHORT_QUOTES, lambda _, quote: ohlc_quote(quote))

    async def _last_price(self, request: web.Request) -> web.Response:
        return await self._quotes(request, MAX_SHORT_QUOTES, lambda _, quote: ltp_quote(quote))

    async def _quotes(
        self, request: web.Request, limit: int, shape: Callable[[str, MarketQuote], Mapping[str, Any]]
    ) -> web.Response:
        at = await self._authorized_time(request)
        asked = parse_quote_symbols(request.query.getall("i", []), limit)
        known = self._market.quotes([symbol for symbol in asked if not self.faults.is_hidden(symbol)], at)
        restate = self.faults.restate_quote
        return success_response(
            {symbol: shape(symbol, restate(symbol, quote)) for symbol, quote in known.items()}
        )

    async def _statistics(self, _: web.Request) -> web.Response:
        return success_response({"classes": self.limiter.statistics(), "faults": dict(self.faults.injected)})

    async def _reset_statistics(self, _: web.Request) -> web.Response:
        self.limiter.reset()
        return success_response(data=True)

    async def _sectors(self, _: web.Request) -> web.Response:
        """Answers with each company's sector, as an index list gives it."""
        at = await self._prepare_market(self._clock.now())
        text = await asyncio.to_thread(lambda: sector_list(self._market.listings(at)))
        return web.Response(text=text, content_type="text/csv")

    async def _known_bases(self, _: web.Request) -> web.Response:
        at = await self._prepare_market(self._clock.now())
        return success_response(await asyncio.to_thread(self._market.known_bases, at))

    async def _breakouts(self, request: web.Request) -> web.Response:
        """Returns the planted breakouts of today, or of the requested days."""
        at = await self._prepare_market(self._clock.now())
        first, last = parse_day_span(request.query, at.astimezone(ZONE).date())
        return success_response(await asyncio.to_thread(self._market.breakouts, first, last))

    async def _send_message(self, request: web.Request) -> web.Response:
        """Send a text frame, such as a postback or an error, to every client of the live feed."""
        try:
            message = msgspec.json.decode(await request.read(), type=TickerMessage)
        except msgspec.MsgspecError as error:
            raise ApiError("InputException", f"invalid message: {error}") from None
        return success_response({"clients": self.ticker.send_message(message)})

    async def _show_faults(self, _: web.Request) -> web.Response:
        return success_response(self.faults.settings)

    async def _set_faults(self, request: web.Request) -> web.Response:
        try:
            settings = _read_faults(await request.read())
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise ApiError("InputException", f"invalid faults: {error}") from None
        self.faults.replace(settings)
        return success_response(settings)


@web.middleware
async def _protect_control(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses pages of other origins at the control of the sandbox, whatever name leads here."""
    if request.path.startswith(CONTROL_PREFIX):
        if (
            CONTROL_HOST.fullmatch(request.headers.get("Host", "").lower()) is None
            or "Origin" in request.headers
        ):
            raise ApiError("PermissionException", "the control answers this machine's programs only", 403)
        if request.method not in {"GET", "HEAD"} and CONTROL_HEADER not in request.headers:
            raise ApiError("PermissionException", f"expected the header `{CONTROL_HEADER}: 1`", 403)
    return await handler(request)


def _read_faults(body: bytes) -> FaultSettings:
    """Decode the JSON of faults, old names included. Raises msgspec.ValidationError or DecodeError."""
    raw = msgspec.json.decode(body, type=dict[str, Any])
    problems: list[str] = []
    list(rename_table(raw, problems, "sandbox.faults"))
    if problems:
        raise msgspec.ValidationError("; ".join(problems))
    return msgspec.convert(raw, FaultSettings)


def _within(series: BarSeries, first: date, last: date) -> BarSeries:
    start = int(np.searchsorted(series.sessions, np.datetime64(first, "D")))
    return BarSeries(series.symbol, series.until(last).records[start:])


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
        """The address of the live feed."""
        return self.url.replace("http://", "ws://", 1)

    async def close(self) -> None:
        """Stops answering; requests in flight get a second."""
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
