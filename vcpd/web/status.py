"""How the daemon is: everything, alive, useful."""

import asyncio
from typing import Final

from aiohttp import web

from vcpd.web.answers import as_json, encoded
from vcpd.web.shelf import Body, packed_body, respond
from vcpd.web.sources import Sources

DRAWN_FOR_S: Final = 0.25


class _Picture:
    """However many ask, the picture is drawn a few times a second."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._body = Body(b"", None, "")
        self._drawn_at_s = float("-inf")

    async def now(self) -> Body:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._drawn_at_s > DRAWN_FOR_S:
            self._body = packed_body(await encoded(self._sources.daemon.status()), level=1)
            self._drawn_at_s = now_s
        return self._body


def routes(sources: Sources) -> list[web.RouteDef]:
    picture = _Picture(sources)

    async def status(request: web.Request) -> web.Response:
        """GET /status: the whole picture in one answer, at most a quarter of a second old."""
        return respond(request, await picture.now())

    async def alive(_: web.Request) -> web.Response:
        """GET /healthz: 200 while the loops tick."""
        beating = sources.daemon.alive()
        return as_json({"alive": beating}, status=200 if beating else 503)

    async def ready(_: web.Request) -> web.Response:
        """GET /readyz: 200 while the daemon is useful, else which condition is not met."""
        useful, conditions = sources.daemon.readiness()
        return as_json({"ready": useful, "conditions": conditions}, status=200 if useful else 503)

    return [web.get("/status", status), web.get("/healthz", alive), web.get("/readyz", ready)]
