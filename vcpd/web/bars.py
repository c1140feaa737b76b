"""One symbol's stored bars, column by column."""

from aiohttp import web

from vcpd.domain.bars import BAR_DTYPE
from vcpd.web.answers import Refusal, as_json
from vcpd.web.setups import symbol_of
from vcpd.web.sources import Sources


def routes(sources: Sources) -> list[web.RouteDef]:
    async def bars(request: web.Request) -> web.Response:
        """GET /api/bars/{symbol}: columns of equal length, oldest first; unknown volume is null."""
        symbol = symbol_of(request)
        try:
            series = await sources.daemon.bars(symbol)
        except KeyError:
            raise Refusal(404, f"{symbol}: not in the store") from None
        columns = {name: series.records[name].tolist() for name in BAR_DTYPE.names or ()}
        return as_json({"symbol": symbol, "count": len(series), **columns})

    return [web.get("/api/bars/{symbol}", bars)]
