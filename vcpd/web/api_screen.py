"""API of screen results: setups, setup table, breadth, explanation, sizing, crowding, risk scores."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from aiohttp import web

from vcpd.core.errors import BadInputError, RetryableError
from vcpd.domain.risk import RiskSummary
from vcpd.domain.setups import BaseState, Setup
from vcpd.web.context import SizeRequest, WebContext
from vcpd.web.responses import (
    HttpError,
    choice_parameter,
    date_parameter,
    flag_parameter,
    int_parameter,
    json_response,
    text_parameter,
)

SYMBOL_PATTERN: Final = "^[A-Za-z0-9][A-Za-z0-9&:._ -]{0,63}$"
SYMBOL_REGEX: Final = re.compile(SYMBOL_PATTERN)
DEFAULT_PAGE_SIZE: Final = 100
MAX_PAGE_SIZE: Final = 5_000
SORT_KEYS: Final = ("score", "rs_rating", "symbol", "risk_pct", "close")


def setup_routes(sources: WebContext) -> list[web.RouteDef]:
    return [
        web.get("/api/setups", _SetupList(sources).answer),
        web.get("/api/setups/{symbol}", _SymbolDetail(sources).answer),
        web.get("/api/explain/{symbol}", _Explanation(sources).answer),
    ]


class _SetupList:
    """GET /api/setups: {as_of, count, items}, filtered, sorted and paged."""

    def __init__(self, sources: WebContext) -> None:
        self._sources = sources

    async def answer(self, request: web.Request) -> web.Response:
        return await self._sources.cache.answer(request, lambda: self._response_body(request))

    async def _response_body(self, request: web.Request) -> Mapping[str, Any]:
        everything = flag_parameter(request, "all")
        session = date_parameter(request, "as_of")
        as_of, setups = await self._sources.setup_cache.setups(session, everything=everything)
        kept = _sorted(_filtered(setups, request), request)
        first = int_parameter(request, "offset", 0, 0, 1_000_000)
        page = MAX_PAGE_SIZE if everything else DEFAULT_PAGE_SIZE
        limit = int_parameter(request, "limit", page, 1, MAX_PAGE_SIZE)
        return {"as_of": as_of, "count": len(kept), "items": kept[first : first + limit]}


def _filtered(setups: Sequence[Setup], request: web.Request) -> list[Setup]:
    state = choice_parameter(request, "state", tuple(BaseState))
    score = int_parameter(request, "min_score", 0, 0, 100)
    rating = int_parameter(request, "min_rating", 0, 0, 99)
    text = text_parameter(request, "text").upper()
    sector = text_parameter(request, "sector").casefold()
    return [
        setup
        for setup in setups
        if (state is None or setup.state == state)
        and setup.score >= score
        and (rating == 0 or (setup.rs_rating or 0) >= rating)
        and text in setup.symbol.upper()
        and (not sector or (setup.sector or "").casefold() == sector)
    ]


def _sorted(setups: list[Setup], request: web.Request) -> list[Setup]:
    key = choice_parameter(request, "sort", SORT_KEYS) or "score"
    ascending = choice_parameter(request, "order", ("asc", "desc")) or ("asc" if key == "symbol" else "desc")
    known = [setup for setup in setups if getattr(setup, key) is not None]
    unknown = [setup for setup in setups if getattr(setup, key) is None]
    by_symbol = sorted(known, key=lambda setup: setup.symbol)
    return sorted(by_symbol, key=lambda setup: _sort_value(setup, key), reverse=ascending == "desc") + unknown


def _sort_value(setup: Setup, key: str) -> Any:
    return getattr(setup, key)


class _SymbolDetail:
    """GET /api/setups/{symbol}: the latest verdict and the bases with all their events."""

    def __init__(self, sources: WebContext) -> None:
        self._sources = sources

    async def answer(self, request: web.Request) -> web.Response:
        symbol = symbol_from_path(request)
        as_of, verdict = await self._sources.setups.for_symbol(symbol, date_parameter(request, "as_of"))
        bases = await self._sources.setups.bases_of(symbol)
        if verdict is None and not bases:
            raise HttpError(404, f"{symbol}: no verdict and no base; is the symbol in the universe?")
        return json_response({"symbol": symbol, "as_of": as_of, "setup": verdict, "bases": bases})


class _Explanation:
    """GET /api/explain/{symbol}?as_of=: every gate with its numbers, nearest miss first."""

    def __init__(self, sources: WebContext) -> None:
        self._sources = sources

    async def answer(self, request: web.Request) -> web.Response:
        symbol = symbol_from_path(request)
        try:
            setup, lines = await self._sources.daemon.explain(symbol, date_parameter(request, "as_of"))
        except KeyError:
            raise HttpError(404, f"{symbol}: not in the panel; is the symbol in the universe?") from None
        except BadInputError as error:
            raise HttpError(400, str(error)) from None
        return json_response({"symbol": symbol, "as_of": setup.as_of, "lines": lines, "setup": setup})


def symbol_from_path(request: web.Request) -> str:
    """The symbol in the path; without an exchange, NSE is meant. Refuses what can be no symbol."""
    symbol = request.match_info["symbol"].upper()
    if SYMBOL_REGEX.fullmatch(symbol) is None:
        raise HttpError(400, f"symbol: expected one such as INFY or NSE:M&M, was {symbol[:40]!r}")
    return symbol if ":" in symbol else f"NSE:{symbol}"


class SetupRow(msgspec.Struct, frozen=True, kw_only=True):
    """One setup in the table; `spark` are its last closes between their extremes, 0..99."""

    symbol: str
    sector: str | None
    state: str | None
    passed: bool
    score: float
    rating: int | None
    footprint: str | None
    weeks: int | None
    close: float | None
    pivot: float | None
    to_pivot_pct: float | None
    stop: float | None
    risk_pct: float | None
    risk: float | None
    band: str | None
    provisional: bool
    young: bool
    news: tuple[str, ...]  # what happened in this session
    why_not: str | None
    spark: Sequence[int]


def board_routes(sources: WebContext) -> list[web.RouteDef]:
    async def board(request: web.Request) -> web.Response:
        """GET /api/board?all=&as_of=: each listed setup (or every symbol) in a line."""
        return await sources.cache.answer(request, lambda: _setup_table(sources, request))

    async def breadth(request: web.Request) -> web.Response:
        """GET /api/breadth: shares above averages, new highs and lows, setups by state, by session."""
        return await sources.cache.answer(request, sources.daemon.breadth)

    return [web.get("/api/board", board), web.get("/api/breadth", breadth)]


async def _setup_table(sources: WebContext, request: web.Request) -> Mapping[str, Any]:
    session, everything = date_parameter(request, "as_of"), flag_parameter(request, "all")
    as_of, setups = await sources.setup_cache.setups(session, everything=everything)
    marks = {} if as_of is None else await sources.risk.summaries(as_of)
    sparks = await sources.daemon.sparklines([setup.symbol for setup in setups if setup.is_listed])
    items = [_setup_row(setup, marks.get(setup.symbol), sparks.get(setup.symbol, ())) for setup in setups]
    return {
        "as_of": as_of,
        "count": len(items),
        "judged": 0 if as_of is None else await sources.setups.count(as_of),
        "passed": sum(setup.passed for setup in setups),
        "items": items,
    }


def _setup_row(setup: Setup, risk: RiskSummary | None, spark: Sequence[int]) -> SetupRow:
    return SetupRow(
        symbol=setup.symbol,
        sector=setup.sector,
        state=setup.state,
        passed=setup.passed,
        score=round(setup.score, 1),
        rating=setup.rs_rating,
        footprint=setup.footprint,
        weeks=setup.weeks,
        close=setup.close,
        pivot=setup.pivot,
        to_pivot_pct=_to_pivot_pct(setup),
        stop=setup.stop,
        risk_pct=setup.risk_pct,
        risk=None if risk is None or risk.score is None else round(risk.score, 1),
        band=None if risk is None else risk.band,
        provisional=setup.provisional,
        young=setup.young,
        news=tuple(
            event.kind.value for event in setup.events if event.session == setup.as_of and not event.live
        ),
        why_not=setup.nearest_miss or setup.reason,
        spark=spark,
    )


def _to_pivot_pct(setup: Setup) -> float | None:
    """How far the close must rise to the pivot; negative above it."""
    if not setup.pivot or not setup.close:
        return None
    return round(100 * (setup.pivot / setup.close - 1), 2)


def sizing_routes(sources: WebContext) -> list[web.RouteDef]:
    async def size(request: web.Request) -> web.Response:
        """GET /api/size?symbol=&equity=&risk_pct=&entry=&stop=: the quantity with every step."""
        wanted = _size_request(request)
        try:
            return json_response(await sources.daemon.size(wanted))
        except KeyError:
            raise HttpError(404, f"{wanted.symbol}: no verdict; is the symbol in the universe?") from None
        except BadInputError as error:
            raise HttpError(400, str(error)) from None

    async def crowding(_: web.Request) -> web.Response:
        """GET /api/crowding: the latest setups in clusters that move together."""
        try:
            return json_response(await sources.daemon.crowding())
        except RetryableError as error:
            raise HttpError(503, str(error)) from None

    return [web.get("/api/size", size), web.get("/api/crowding", crowding)]


def _size_request(request: web.Request) -> SizeRequest:
    symbol = request.query.get("symbol", "").strip().upper()
    equity = _positive_parameter(request, "equity")
    if not symbol or equity is None:
        raise HttpError(400, "expected symbol and equity, such as ?symbol=INFY&equity=1000000")
    return SizeRequest(
        symbol=symbol if ":" in symbol else f"NSE:{symbol}",
        equity=equity,
        risk_pct=_positive_parameter(request, "risk_pct", most=10.0),
        entry=_positive_parameter(request, "entry"),
        stop=_positive_parameter(request, "stop"),
    )


def _positive_parameter(request: web.Request, name: str, most: float = 1e15) -> float | None:
    """The query parameter `name` as a number in (0, most]."""
    text = request.query.get(name)
    if text is None or text == "":
        return None
    try:
        number = float(text[:40])
    except ValueError:
        number = math.nan
    if not 0 < number <= most:
        raise HttpError(400, f"{name}: expected a number above 0, at most {most:g}, was {text[:40]!r}")
    return number


def risk_routes(sources: WebContext) -> list[web.RouteDef]:
    async def listing(request: web.Request) -> web.Response:
        """GET /api/risk: {as_of, count, items}; symbols without a score carry their reason."""

        async def made() -> Mapping[str, Any]:
            as_of, scores = await sources.risk.for_session(date_parameter(request, "as_of"))
            return {"as_of": as_of, "count": len(scores), "items": scores}

        return await sources.cache.answer(request, made)

    async def one(request: web.Request) -> web.Response:
        """GET /api/risk/{symbol}: the scores of all judged sessions, latest first."""
        symbol = symbol_from_path(request)
        scores = await sources.risk.for_symbol(symbol)
        if not scores:
            raise HttpError(404, f"{symbol}: no risk score; is the symbol in the universe?")
        return json_response({"symbol": symbol, "count": len(scores), "items": scores})

    return [web.get("/api/risk", listing), web.get("/api/risk/{symbol}", one)]
