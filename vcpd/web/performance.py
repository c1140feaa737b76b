"""How the daemon performs, in five pictures, and the button that acts on it."""

from typing import Final

from aiohttp import web

from vcpd.domain.errors import RetryableError
from vcpd.web.answers import Refusal, as_json
from vcpd.web.security import PATIENCE_S
from vcpd.web.sources import Sources

PICTURES: Final = ("summary", "system", "scheduler", "database", "tasks")
OPTIMIZE_TIMEOUT_S: Final = 120.0  # fresh workers and a fresh panel take their time


def routes(sources: Sources) -> list[web.RouteDef]:
    async def picture(request: web.Request) -> web.Response:
        """GET /api/performance/{picture}: summary, system, scheduler, database or tasks."""
        try:
            return as_json(await sources.daemon.performance(request.match_info["picture"]))
        except RetryableError as error:
            raise Refusal(503, str(error)) from None

    async def optimize(_: web.Request) -> web.Response:
        """POST /api/performance/optimize: end stuck runs, renew what is bloated; before and after."""
        try:
            return as_json(await sources.daemon.optimize())
        except RetryableError as error:
            raise Refusal(503, str(error)) from None

    setattr(optimize, PATIENCE_S, OPTIMIZE_TIMEOUT_S)
    return [
        web.get(f"/api/performance/{{picture:{'|'.join(PICTURES)}}}", picture),
        web.post("/api/performance/optimize", optimize),
    ]
