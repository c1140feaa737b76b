"""Risk scores of a session, and one symbol's through time."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from vcpd.web.answers import Refusal, as_json, date_parameter
from vcpd.web.setups import symbol_of
from vcpd.web.sources import Sources


def routes(sources: Sources) -> list[web.RouteDef]:
    async def listing(request: web.Request) -> web.Response:
        """GET /api/risk: {as_of, count, items}; symbols without a score carry their reason."""

        async def made() -> Mapping[str, Any]:
            as_of, scores = await sources.risk.as_of(date_parameter(request, "as_of"))
            return {"as_of": as_of, "count": len(scores), "items": scores}

        return await sources.shelf.answer(request, made)

    async def one(request: web.Request) -> web.Response:
        """GET /api/risk/{symbol}: the scores of all judged sessions, latest first."""
        symbol = symbol_of(request)
        scores = await sources.risk.of(symbol)
        if not scores:
            raise Refusal(404, f"{symbol}: no risk score; is the symbol in the universe?")
        return as_json({"symbol": symbol, "count": len(scores), "items": scores})

    return [web.get("/api/risk", listing), web.get("/api/risk/{symbol}", one)]
