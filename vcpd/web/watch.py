"""The live watch: how well it sees, and every candidate as it stands right now."""

from aiohttp import web

from vcpd.web.answers import as_json
from vcpd.web.sources import Sources


def routes(sources: Sources) -> list[web.RouteDef]:
    async def watch(_: web.Request) -> web.Response:
        """GET /api/watch: `status`, and `items`, the nearest to its pivot first."""
        return as_json(sources.daemon.watch())

    return [web.get("/api/watch", watch)]
