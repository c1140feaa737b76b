"""How many shares of a setup, and which setups are one and the same bet."""

import math

from aiohttp import web

from vcpd.domain.errors import BadInputError, RetryableError
from vcpd.web.answers import Refusal, as_json
from vcpd.web.sources import SizeRequest, Sources


def routes(sources: Sources) -> list[web.RouteDef]:
    async def size(request: web.Request) -> web.Response:
        """GET /api/size?symbol=&equity=&risk_pct=&entry=&stop=: the quantity with every step."""
        wanted = _size_request(request)
        try:
            return as_json(await sources.daemon.size(wanted))
        except KeyError:
            raise Refusal(404, f"{wanted.symbol}: no verdict; is the symbol in the universe?") from None
        except BadInputError as error:
            raise Refusal(400, str(error)) from None

    async def crowding(_: web.Request) -> web.Response:
        """GET /api/crowding: the latest setups in clusters that move together."""
        try:
            return as_json(await sources.daemon.crowding())
        except RetryableError as error:
            raise Refusal(503, str(error)) from None

    return [web.get("/api/size", size), web.get("/api/crowding", crowding)]


def _size_request(request: web.Request) -> SizeRequest:
    symbol = request.query.get("symbol", "").strip().upper()
    equity = _positive(request, "equity")
    if not symbol or equity is None:
        raise Refusal(400, "expected symbol and equity, such as ?symbol=INFY&equity=1000000")
    return SizeRequest(
        symbol=symbol if ":" in symbol else f"NSE:{symbol}",
        equity=equity,
        risk_pct=_positive(request, "risk_pct", most=10.0),
        entry=_positive(request, "entry"),
        stop=_positive(request, "stop"),
    )


def _positive(request: web.Request, name: str, most: float = 1e15) -> float | None:
    """The query parameter `name` as a number in (0, most]."""
    text = request.query.get(name)
    if text is None or text == "":
        return None
    try:
        number = float(text[:40])
    except ValueError:
        number = math.nan
    if not 0 < number <= most:
        raise Refusal(400, f"{name}: expected a number above 0, at most {most:g}, was {text[:40]!r}")
    return number
