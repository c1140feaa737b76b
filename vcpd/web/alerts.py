"""What was told to the owner, and what became of it on each channel."""

from typing import Final

from aiohttp import web

from vcpd.domain.alerts import AlertKind
from vcpd.web.answers import as_json, choice_parameter, whole_parameter
from vcpd.web.sources import Sources

MOST_ALERTS: Final = 500
KINDS: Final = tuple(kind.value for kind in AlertKind)


def routes(sources: Sources) -> list[web.RouteDef]:
    async def alerts(request: web.Request) -> web.Response:
        """GET /api/alerts?kind=&limit=: the latest alerts, newest first, with their deliveries."""
        limit = whole_parameter(request, "limit", 50, 1, MOST_ALERTS)
        kind = choice_parameter(request, "kind", KINDS)
        items = await sources.alerts.recent(limit, None if kind is None else AlertKind(kind))
        return as_json({"count": len(items), "items": items})

    return [web.get("/api/alerts", alerts)]
