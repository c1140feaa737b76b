"""One symbol's stored bars, column by column."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from vcpd.domain.bars import BAR_DTYPE
from vcpd.web.answers import Refusal, whole_parameter
from vcpd.web.setups import symbol_of
from vcpd.web.sources import Sources

MOST_SESSIONS: Final = 20_000


def routes(sources: Sources) -> list[web.RouteDef]:
    async def bars(request: web.Request) -> web.Response:
        """GET /api/bars/{symbol}?sessions=: columns of equal length, oldest first; unknown volume is null."""
        return await sources.shelf.answer(request, lambda: _columns(sources, request))

    return [web.get("/api/bars/{symbol}", bars)]


async def _columns(sources: Sources, request: web.Request) -> Mapping[str, Any]:
    symbol = symbol_of(request)
    newest = whole_parameter(request, "sessions", MOST_SESSIONS, 1, MOST_SESSIONS)
    try:
        series = await sources.daemon.bars(symbol)
    except KeyError:
        raise Refusal(404, f"{symbol}: not in the store") from None
    records = series.records[-newest:]
    columns = {name: records[name].tolist() for name in BAR_DTYPE.names or ()}
    return {"symbol": symbol, "count": len(records), **columns}
