"""The exchange's door: Kite's routes, limits, errors and faults over a market."""

import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime
from typing import Any, Final

import msgspec
import numpy as np
from aiohttp import web

from vcpd.domain.bars import BarSeries
from vcpd.kite.ticker import Message
from vcpd.ports import Clock
from vcpd.sandbox.account import USER, Account
from vcpd.sandbox.envelope import Refusal, refused, success
from vcpd.sandbox.faults import Faults, refusal_of
from vcpd.sandbox.login import login_page
from vcpd.sandbox.market import CandleSpan, Market, MarketQuote
from vcpd.sandbox.mishaps import Mishaps
from vcpd.sandbox.moment import IST
from vcpd.sandbox.questions import (
    FULL_QUOTES,
    SHORT_QUOTES,
    CandleQuestion,
    candle_question,
    day_span,
    exchange_question,
    form_field,
    quote_question,
)
from vcpd.sandbox.sectors import sector_list
from vcpd.sandbox.settings import FaultKind, FaultSettings, SandboxSettings
from vcpd.sandbox.shapes import candles, full_quote, intraday_candles, listing_csv, price_only, with_ohlc
from vcpd.sandbox.ticker import Ticker
from vcpd.sandbox.traffic import Traffic, class_of

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

KITE_VERSION: Final = "3"
OWN_PATHS: Final = ("/sandbox/", "/connect/")
TICKER_PATHS: Final = ("/", "/ws")  # another host of the vendor's, with limits of its own
MARGINS: Final = {"enabled": True, "net": 0.0, "available": {"cash": 0.0}, "utilised": {"debits": 0.0}}


class Exchange:
    """A Kite-compatible exchange over `market`; `clock` tells the market's time, limits are in real time."""

    def __init__(self, settings: SandboxSettings, market: Market, clock: Clock) -> None:
        self.traffic = Traffic(settings.limits)
        self.faults = Faults(settings.faults)
        self._settings = settings
        self._market = market
        self._clock = clock
        self._account = Account(settings)
        self.ticker = Ticker(settings.ticker, market, clock, self._account, self.faults)
        self._mishaps = Mishaps()
        self._preparing = asyncio.Lock()
        self._list: tuple[tuple[date, int], bytes, bytes] | None = None

    def application(self) -> web.Application:
        """The routes, behind counting, errors and faults, in this order."""
        application = web.Application(middlewares=[self._count, self._explain, self._spoil])
        application.on_shutdown.append(self.ticker.close)
        application.add_routes(
            [
                web.get("/", self._live),
                web.get("/ws", self._live),
                web.get("/connect/login", self._login),
                web.post("/connect/login", self._login_pressed),
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
                web.delete("/sandbox/statistics", self._forget_statistics),
                web.get("/sandbox/planted", self._planted),
                web.get("/sandbox/sectors", self._sectors),
                web.get("/sandbox/breakouts", self._breakouts),
                web.post("/sandbox/ticker/messages", self._say),
                web.get("/sandbox/faults", self._show_faults),
                web.post("/sandbox/faults", self._set_faults),
            ]
        )
        return application

    def close(self) -> None:
        """Let go of every request that a fault is holding."""
        self._mishaps.close()

    @web.middleware
    async def _count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count the arrival at once and turn it away if it is beyond the limits."""
        if request.path.startswith(OWN_PATHS) or request.path in TICKER_PATHS:
            return await handler(request)
        is_get = request.method == "GET"
        if not self.traffic.admit(class_of(request.path), is_get=is_get, now_s=time.monotonic()):
            return refused(Refusal("NetworkException", "Too many requests", 429))
        return await handler(request)

    @web.middleware
    async def _explain(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every error leaves in the envelope."""
        try:
            return await handler(request)
        except Refusal as refusal:
            return refused(refusal)
        except web.HTTPNotFound:
            return refused(Refusal("GeneralException", "Route not found", 404))
        except web.HTTPMethodNotAllowed:
            return refused(Refusal("GeneralException", "Method not allowed", 405))

    @web.middleware
    async def _spoil(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a fault happen to the request if it is its turn."""
        drawn = self.faults.draw(request.path)
        if drawn is None:
            return await handler(request)
        kind, chance = drawn
        if (refusal := refusal_of(kind)) is not None:
            raise refusal
        if kind is FaultKind.TOKEN_EXPIRY:
            self._account.expire()
            return await handler(request)
        answer = await handler(request)
        if not isinstance(answer, web.Response):
            return answer
        return await self._mishaps.befall(kind, chance, self.faults.settings, request, answer)

    async def _at(self, request: web.Request) -> datetime:
        """The market's present for a request whose headers are in order, with the market ready for it."""
        at = self._clock.now()
        if request.headers.get("X-Kite-Version") != KITE_VERSION:
            raise Refusal("InputException", "Missing or unknown `X-Kite-Version`: expected 3")
        self._account.check(request.headers.get("Authorization"), at)
        return await self._ready(at)

    async def _ready(self, at: datetime) -> datetime:
        async with self._preparing:
            if not self._market.ready(at):
                await asyncio.to_thread(self._market.prepare, at)
        return at

    async def _live(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise web.HTTPNotFound
        return await self.ticker.connect(request, self._ready)

    async def _login(self, request: web.Request) -> web.StreamResponse:
        api_key = form_field(request.query, "api_key")
        params = request.query.get("redirect_params", "")
        if self._settings.automatic_login:
            raise web.HTTPFound(self._account.redirect(self._account.grant(api_key), params))
        if api_key != self._settings.api_key:
            raise Refusal("InputException", "Invalid `api_key`.")
        return login_page(api_key, params)

    async def _login_pressed(self, request: web.Request) -> web.StreamResponse:
        """The button, or a POST to the very link of the login page."""
        form: dict[str, object] = {"redirect_params": "", **request.query, **await request.post()}
        token = self._account.grant(form_field(form, "api_key"))
        raise web.HTTPFound(self._account.redirect(token, str(form["redirect_params"])))

    async def _open_session(self, request: web.Request) -> web.Response:
        form = await request.post()
        api_key, request_token = form_field(form, "api_key"), form_field(form, "request_token")
        checksum = form_field(form, "checksum")
        return success(self._account.exchange(api_key, request_token, checksum, self._clock.now()))

    async def _close_session(self, request: web.Request) -> web.Response:
        query = request.query
        self._account.log_out(form_field(query, "api_key"), form_field(query, "access_token"))
        return success(data=True)

    async def _profile(self, request: web.Request) -> web.Response:
        await self._at(request)
        return success(USER)

    async def _margins(self, request: web.Request) -> web.Response:
        await self._at(request)
        return success(MARGINS if "segment" in request.match_info else {"equity": MARGINS})

    async def _instruments(self, request: web.Request) -> web.Response:
        at = await self._at(request)
        exchange = exchange_question(request.match_info.get("exchange", "NSE"))
        plain, packed = await self._listing(at) if exchange == "NSE" else _both(listing_csv([]))
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=packed, content_type="text/csv", headers={"Content-Encoding": "gzip"})
        return web.Response(body=plain, content_type="text/csv")

    async def _listing(self, at: datetime) -> tuple[bytes, bytes]:
        """The instruments file, plain and packed; made once a day."""
        key = (at.astimezone(IST).date(), id(self.faults.settings))
        if self._list is None or self._list[0] != key:
            self._list = (key, *await asyncio.to_thread(self._make_listing, at))
        return self._list[1:]

    def _make_listing(self, at: datetime) -> tuple[bytes, bytes]:
        listed = self._market.listings(at)
        return _both(listing_csv(row for row in listed if not self.faults.hides(row.symbol)))

    async def _historical(self, request: web.Request) -> web.Response:
        at = await self._at(request)
        path = request.match_info
        question = candle_question(path["token"], path["interval"], request.query)
        series = self._market.bars(question.token, at)
        if series is None or self.faults.hides(series.symbol):
            raise Refusal("InputException", "invalid token")
        if question.step_minutes is not None:
            span = CandleSpan(question.step_minutes, question.first, question.last)
            return await self._intraday(question, span, at)
        window = _within(self.faults.restate(series), question.first.date(), question.last.date())
        return success({"candles": candles(window, open_interest=question.open_interest)})

    async def _intraday(self, question: CandleQuestion, span: CandleSpan, at: datetime) -> web.Response:
        found = await asyncio.to_thread(self._market.candles, question.token, span, at)
        if found is None:
            raise Refusal("InputException", "invalid token")
        rows = intraday_candles(self.faults.restate(found), open_interest=question.open_interest)
        return success({"candles": rows})

    async def _quote(self, request: web.Request) -> web.Response:
        return await self._quotes(request, FULL_QUOTES, full_quote)

    async def _ohlc(self, request: web.Request) -> web.Response:
        return await self._quotes(request, SHORT_QUOTES, with_ohlc)

    async def _last_price(self, request: web.Request) -> web.Response:
        return await self._quotes(request, SHORT_QUOTES, price_only)

    async def _quotes(
        self, request: web.Request, limit: int, shape: Callable[[MarketQuote], Mapping[str, Any]]
    ) -> web.Response:
        at = await self._at(request)
        asked = quote_question(request.query.getall("i", []), limit)
        known = self._market.quotes([symbol for symbol in asked if not self.faults.hides(symbol)], at)
        restate = self.faults.restate_quote
        return success({symbol: shape(restate(symbol, quote)) for symbol, quote in known.items()})

    async def _statistics(self, _: web.Request) -> web.Response:
        return success({"classes": self.traffic.statistics(), "faults": dict(self.faults.injected)})

    async def _forget_statistics(self, _: web.Request) -> web.Response:
        self.traffic.reset()
        return success(data=True)

    async def _sectors(self, _: web.Request) -> web.Response:
        """Each company's sector, as an index list tells it."""
        at = await self._ready(self._clock.now())
        text = await asyncio.to_thread(lambda: sector_list(self._market.listings(at)))
        return web.Response(text=text, content_type="text/csv")

    async def _planted(self, _: web.Request) -> web.Response:
        at = await self._ready(self._clock.now())
        return success(await asyncio.to_thread(self._market.planted, at))

    async def _breakouts(self, request: web.Request) -> web.Response:
        """Of today, or of the days asked for."""
        at = await self._ready(self._clock.now())
        first, last = day_span(request.query, at.astimezone(IST).date())
        return success(await asyncio.to_thread(self._market.breakouts, first, last))

    async def _say(self, request: web.Request) -> web.Response:
        """Send a text frame, such as a postback or an error, to every client of the live feed."""
        try:
            message = msgspec.json.decode(await request.read(), type=Message)
        except msgspec.MsgspecError as error:
            raise Refusal("InputException", f"invalid message: {error}") from None
        return success({"clients": self.ticker.say(message)})

    async def _show_faults(self, _: web.Request) -> web.Response:
        return success(self.faults.settings)

    async def _set_faults(self, request: web.Request) -> web.Response:
        try:
            settings = msgspec.json.decode(await request.read(), type=FaultSettings)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise Refusal("InputException", f"invalid faults: {error}") from None
        self.faults.replace(settings)
        return success(settings)


def _both(plain: bytes) -> tuple[bytes, bytes]:
    return plain, gzip.compress(plain, mtime=0)


def _within(series: BarSeries, first: date, last: date) -> BarSeries:
    start = int(np.searchsorted(series.sessions, np.datetime64(first, "D")))
    return BarSeries(series.symbol, series.until(last).records[start:])
