"""API of market data: stored bars, data quality, the live watch."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from vcpd.domain.bars import BAR_DTYPE
from vcpd.domain.quality_rules import QualityRule
from vcpd.web.api_screen import symbol_from_path
from vcpd.web.context import WebContext
from vcpd.web.responses import HttpError, choice_parameter, int_parameter, json_response, text_parameter

MAX_SESSIONS: Final = 20_000
MAX_QUARANTINE_ROWS: Final = 2_000


def bar_routes(sources: WebContext) -> list[web.RouteDef]:
    async def bars(request: web.Request) -> web.Response:
        """GET /api/bars/{symbol}?sessions=: columns of equal length, oldest first; unknown volume is null."""
        return await sources.cache.answer(request, lambda: _bar_columns(sources, request))

    return [web.get("/api/bars/{symbol}", bars)]


async def _bar_columns(sources: WebContext, request: web.Request) -> Mapping[str, Any]:
    symbol = symbol_from_path(request)
    newest = int_parameter(request, "sessions", MAX_SESSIONS, 1, MAX_SESSIONS)
    try:
        series = await sources.daemon.bars(symbol)
    except KeyError:
        raise HttpError(404, f"{symbol}: not in the store") from None
    records = series.records[-newest:]
    columns = {name: records[name].tolist() for name in BAR_DTYPE.names or ()}
    return {"symbol": symbol, "count": len(records), **columns}


def quality_routes(sources: WebContext) -> list[web.RouteDef]:
    async def quality(request: web.Request) -> web.Response:
        """GET /api/quality: flags of symbols, and the latest quarantined rows with their reasons.

        `by_rule` counts everything, whatever is shown.
        """
        limit = int_parameter(request, "limit", 200, 1, MAX_QUARANTINE_ROWS)
        name = text_parameter(request, "symbol").strip().upper()
        rule = choice_parameter(request, "rule", tuple(QualityRule))
        symbol = (name if ":" in name else f"NSE:{name}") if name else None
        flags = await sources.quarantine.flags()
        by_rule = Counter(flag.rule for flag in flags) + Counter(await sources.quarantine.counts())
        flags = [one for one in flags if symbol in (None, one.symbol) and rule in (None, one.rule)]
        rows = await sources.quarantine.recent(limit, symbol, None if rule is None else QualityRule(rule))
        return json_response({"flags": flags, "quarantined": rows, "by_rule": by_rule})

    return [web.get("/api/quality", quality)]


def watch_routes(sources: WebContext) -> list[web.RouteDef]:
    async def watch(_: web.Request) -> web.Response:
        """GET /api/watch: `status`, and `items`, the nearest to its pivot first."""
        return json_response(sources.daemon.watch())

    return [web.get("/api/watch", watch)]
