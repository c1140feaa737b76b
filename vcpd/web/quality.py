"""What was kept apart, and which symbols are left out for it."""

from collections import Counter
from typing import Final

from aiohttp import web

from vcpd.domain.quality import Rule
from vcpd.web.answers import as_json, choice_parameter, text_parameter, whole_parameter
from vcpd.web.sources import Sources

MOST_ROWS: Final = 2_000


def routes(sources: Sources) -> list[web.RouteDef]:
    async def quality(request: web.Request) -> web.Response:
        """GET /api/quality: flags of symbols, and the latest quarantined rows with their reasons.

        `by_rule` counts everything, whatever is shown.
        """
        limit = whole_parameter(request, "limit", 200, 1, MOST_ROWS)
        name = text_parameter(request, "symbol").strip().upper()
        rule = choice_parameter(request, "rule", tuple(Rule))
        symbol = (name if ":" in name else f"NSE:{name}") if name else None
        flags = await sources.quarantine.flags()
        by_rule = Counter(flag.rule for flag in flags) + Counter(await sources.quarantine.counts())
        flags = [one for one in flags if symbol in (None, one.symbol) and rule in (None, one.rule)]
        rows = await sources.quarantine.recent(limit, symbol, None if rule is None else Rule(rule))
        return as_json({"flags": flags, "quarantined": rows, "by_rule": by_rule})

    return [web.get("/api/quality", quality)]
