"""API of the record: what became of every setup that was reported."""

from typing import Final

from aiohttp import web

from vcpd.domain.record_outcome import RecordReport
from vcpd.web.context import WebContext
from vcpd.web.responses import json_response
from vcpd.web.routes import IntParameter, route

MAX_OUTCOMES: Final = 5_000
OUTCOMES: Final = IntParameter("limit", "Number of newest outcomes.", low=0, high=MAX_OUTCOMES, default=200)


def record_routes(context: WebContext) -> list[web.RouteDef]:
    """The route of the record's outcomes."""

    @route("GET", "/api/record", parameters=(OUTCOMES,), response=RecordReport, errors=(400, 503))
    async def record(request: web.Request) -> web.Response:
        """Outcomes of the reported setups, newest first, with estimates by state, month and market."""
        return json_response(await context.record.report(OUTCOMES.read(request)))

    return [record]
