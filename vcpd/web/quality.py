"""What was kept apart, and which symbols are left out for it."""

from collections import Counter

from aiohttp import web

from vcpd.web.answers import as_json, whole_parameter
from vcpd.web.sources import Sources


def routes(sources: Sources) -> list[web.RouteDef]:
    async def quality(request: web.Request) -> web.Response:
        """GET /api/quality: flags of symbols, and the latest quarantined rows with their reasons."""
        flags = await sources.quarantine.flags()
        rows = await sources.quarantine.recent(whole_parameter(request, "limit", 200, 1, 2_000))
        by_rule = Counter(flag.rule for flag in flags) + Counter(row.rule for row in rows)
        return as_json({"flags": flags, "quarantined": rows, "by_rule": by_rule})

    return [web.get("/api/quality", quality)]
