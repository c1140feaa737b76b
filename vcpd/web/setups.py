"""Tonight's setups, one symbol's life, and why any symbol is what it is."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import web

from vcpd.domain.errors import BadInputError
from vcpd.domain.setups import Setup, State
from vcpd.web.answers import (
    Refusal,
    as_json,
    choice_parameter,
    date_parameter,
    flag_parameter,
    text_parameter,
    whole_parameter,
)
from vcpd.web.sources import Sources

SYMBOL_PATTERN: Final = "^[A-Za-z0-9][A-Za-z0-9&:._ -]{0,63}$"
SYMBOL_SHAPE: Final = re.compile(SYMBOL_PATTERN)
PAGE: Final = 100
LARGEST_PAGE: Final = 5_000
ORDERS: Final = ("score", "rs_rating", "symbol", "risk_pct", "close")


def routes(sources: Sources) -> list[web.RouteDef]:
    return [
        web.get("/api/setups", _Listing(sources).answer),
        web.get("/api/setups/{symbol}", _OneSymbol(sources).answer),
        web.get("/api/explain/{symbol}", _Explanation(sources).answer),
    ]


class _Listing:
    """GET /api/setups: {as_of, count, items}, filtered, sorted and paged."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def answer(self, request: web.Request) -> web.Response:
        return await self._sources.shelf.answer(request, lambda: self._made(request))

    async def _made(self, request: web.Request) -> Mapping[str, Any]:
        everything = flag_parameter(request, "all")
        session = date_parameter(request, "as_of")
        as_of, setups = await self._sources.judged.setups(session, everything=everything)
        kept = _sorted(_filtered(setups, request), request)
        first = whole_parameter(request, "offset", 0, 0, 1_000_000)
        page = LARGEST_PAGE if everything else PAGE
        limit = whole_parameter(request, "limit", page, 1, LARGEST_PAGE)
        return {"as_of": as_of, "count": len(kept), "items": kept[first : first + limit]}


def _filtered(setups: Sequence[Setup], request: web.Request) -> list[Setup]:
    state = choice_parameter(request, "state", tuple(State))
    score = whole_parameter(request, "min_score", 0, 0, 100)
    rating = whole_parameter(request, "min_rating", 0, 0, 99)
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
    key = choice_parameter(request, "sort", ORDERS) or "score"
    ascending = choice_parameter(request, "order", ("asc", "desc")) or ("asc" if key == "symbol" else "desc")
    known = [setup for setup in setups if getattr(setup, key) is not None]
    unknown = [setup for setup in setups if getattr(setup, key) is None]
    by_symbol = sorted(known, key=lambda setup: setup.symbol)
    return sorted(by_symbol, key=lambda setup: _order(setup, key), reverse=ascending == "desc") + unknown


def _order(setup: Setup, key: str) -> Any:
    return getattr(setup, key)


class _OneSymbol:
    """GET /api/setups/{symbol}: the latest verdict and the bases with all their events."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def answer(self, request: web.Request) -> web.Response:
        symbol = symbol_of(request)
        as_of, verdict = await self._sources.setups.of(symbol, date_parameter(request, "as_of"))
        bases = await self._sources.setups.base(symbol)
        if verdict is None and not bases:
            raise Refusal(404, f"{symbol}: no verdict and no base; is the symbol in the universe?")
        return as_json({"symbol": symbol, "as_of": as_of, "setup": verdict, "bases": bases})


class _Explanation:
    """GET /api/explain/{symbol}?as_of=: every gate with its numbers, nearest miss first."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def answer(self, request: web.Request) -> web.Response:
        symbol = symbol_of(request)
        try:
            setup, lines = await self._sources.daemon.explain(symbol, date_parameter(request, "as_of"))
        except KeyError:
            raise Refusal(404, f"{symbol}: not in the panel; is the symbol in the universe?") from None
        except BadInputError as error:
            raise Refusal(400, str(error)) from None
        return as_json({"symbol": symbol, "as_of": setup.as_of, "lines": lines, "setup": setup})


def symbol_of(request: web.Request) -> str:
    """The symbol in the path; without an exchange, NSE is meant. Refuses what can be no symbol."""
    symbol = request.match_info["symbol"].upper()
    if SYMBOL_SHAPE.fullmatch(symbol) is None:
        raise Refusal(400, f"symbol: expected one such as INFY or NSE:M&M, was {symbol[:40]!r}")
    return symbol if ":" in symbol else f"NSE:{symbol}"
