"""API of market data: stored bars, data quality, the live watch."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from aiohttp import web

from vcpd.domain.bars import BAR_DTYPE
from vcpd.domain.live import WatchedCandidate, WatchStatus
from vcpd.domain.quality_rules import QualityFlag, QualityRule, QuarantinedBar
from vcpd.web.context import WebContext
from vcpd.web.responses import HttpError, json_response
from vcpd.web.routes import SYMBOL, ChoiceParameter, IntParameter, SymbolParameter, route

MAX_SESSIONS: Final = 20_000
MAX_QUARANTINE_ROWS: Final = 2_000
SESSIONS: Final = IntParameter(
    "sessions", "Number of newest sessions.", low=1, high=MAX_SESSIONS, default=MAX_SESSIONS
)
QUARANTINE_ROWS: Final = IntParameter(
    "limit", "Number of rows at most.", low=1, high=MAX_QUARANTINE_ROWS, default=200
)
ONLY_SYMBOL: Final = SymbolParameter("symbol", "Only this symbol, with or without its exchange.")
ONLY_RULE: Final = ChoiceParameter("rule", "Only what this rule found.", choices=tuple(QualityRule))
BarColumns = msgspec.defstruct(
    "BarColumns",
    [("symbol", str), ("count", int), *((name, Sequence[Any]) for name in BAR_DTYPE.names or ())],
    frozen=True,
    namespace={"__doc__": "Columns of equal length, oldest session first; unknown volume is null."},
)


def bar_routes(context: WebContext) -> list[web.RouteDef]:
    """The route of /api/bars."""

    @route(
        "GET",
        "/api/bars/{symbol}",
        parameters=(SYMBOL, SESSIONS),
        response=BarColumns,
        errors=(400, 404, 503),
    )
    async def bars(request: web.Request) -> web.Response:
        """Stored bars, column by column, oldest first."""
        return await context.cache.respond(request, lambda: _bar_columns(context, request))

    return [bars]


async def _bar_columns(context: WebContext, request: web.Request) -> Any:
    symbol = SYMBOL.read(request)
    newest = SESSIONS.read(request)
    try:
        series = await context.daemon.bars(symbol)
    except KeyError:
        raise HttpError(404, f"{symbol}: not in the store") from None
    records = series.records[-newest:]
    columns = {name: records[name].tolist() for name in BAR_DTYPE.names or ()}
    return BarColumns(symbol=symbol, count=len(records), **columns)


class QualityReport(msgspec.Struct, frozen=True):
    """Data quality. `by_rule` counts flags and quarantined rows of all symbols, shown or not."""

    flags: Sequence[QualityFlag]
    quarantined: Sequence[QuarantinedBar]
    by_rule: Mapping[QualityRule, int]


def quality_routes(context: WebContext) -> list[web.RouteDef]:
    """The route of /api/quality."""

    @route(
        "GET",
        "/api/quality",
        parameters=(ONLY_SYMBOL, ONLY_RULE, QUARANTINE_ROWS),
        response=QualityReport,
        errors=(400, 503),
    )
    async def quality(request: web.Request) -> web.Response:
        """Flags of symbols, and the latest quarantined rows with their reasons."""
        limit, rule = QUARANTINE_ROWS.read(request), ONLY_RULE.read(request)
        symbol = ONLY_SYMBOL.read(request) or None
        flags = await context.quarantine.flags()
        by_rule = Counter(flag.rule for flag in flags) + Counter(await context.quarantine.counts())
        flags = [flag for flag in flags if symbol in (None, flag.symbol) and rule in (None, flag.rule)]
        rows = await context.quarantine.recent(limit, symbol, None if rule is None else QualityRule(rule))
        return json_response(QualityReport(flags, rows, by_rule))

    return [quality]


class WatchReport(msgspec.Struct, frozen=True):
    """The running session: state of the watch, and its candidates, the nearest to its pivot first."""

    status: WatchStatus
    items: Sequence[WatchedCandidate]


def watch_routes(context: WebContext) -> list[web.RouteDef]:
    """The route of /api/watch."""

    @route("GET", "/api/watch", response=WatchReport)
    async def watch(_: web.Request) -> web.Response:
        """The live watch of the running session, and each candidate with its last price."""
        return json_response(context.daemon.watch())

    return [watch]
