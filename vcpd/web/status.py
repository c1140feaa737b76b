"""How the daemon is: everything, alive, useful."""

from aiohttp import web

from vcpd.web.answers import as_json
from vcpd.web.sources import Sources


def routes(sources: Sources) -> list[web.RouteDef]:
    async def status(_: web.Request) -> web.Response:
        """GET /status: the whole picture in one answer."""
        return as_json(sources.daemon.status())

    async def alive(_: web.Request) -> web.Response:
        """GET /healthz: 200 while the loops tick."""
        beating = sources.daemon.alive()
        return as_json({"alive": beating}, status=200 if beating else 503)

    async def ready(_: web.Request) -> web.Response:
        """GET /readyz: 200 while the daemon is useful, else which condition is not met."""
        useful, conditions = sources.daemon.readiness()
        return as_json({"ready": useful, "conditions": conditions}, status=200 if useful else 503)

    return [web.get("/status", status), web.get("/healthz", alive), web.get("/readyz", ready)]
