"""OpenAPI 3.1 document of every route, served at /openapi.json."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiohttp import web

from vcpd import __version__
from vcpd.domain.alerts import StoredAlert
from vcpd.domain.health import Health
from vcpd.domain.live import WatchedCandidate, WatchStatus
from vcpd.domain.quality_rules import QualityFlag, QualityRule, QuarantinedBar
from vcpd.domain.risk import RiskScore
from vcpd.domain.runs import Run
from vcpd.domain.setups import Base, BaseState, Setup
from vcpd.web import api_daemon
from vcpd.web.api_bars import MAX_QUARANTINE_ROWS, MAX_SESSIONS
from vcpd.web.api_daemon import ALERT_KINDS, MAX_ALERTS
from vcpd.web.api_screen import MAX_PAGE_SIZE, SORT_KEYS, SYMBOL_PATTERN, SetupRow
from vcpd.web.cache import cached_response, encoded_body
from vcpd.web.context import WebContext
from vcpd.web.responses import MAX_TEXT_LENGTH

Schema = Mapping[str, Any]
COMPONENTS: Final = (
    Base,
    QualityFlag,
    Health,
    SetupRow,
    QuarantinedBar,
    RiskScore,
    Run,
    Setup,
    StoredAlert,
    WatchedCandidate,
    WatchStatus,
)
REFERENCE: Final = "#/components/schemas/{name}"
DATE: Final = {"type": "string", "format": "date"}
TEXT: Final = {"type": "string", "maxLength": MAX_TEXT_LENGTH}
SYMBOL_TEXT: Final = {"type": "string", "pattern": SYMBOL_PATTERN}
OBJECT: Final = {"type": "object"}
JSON: Final = "application/json"


def _integer(low: int, high: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high}


def _positive_number(most: float) -> Schema:
    return {"type": "number", "exclusiveMinimum": 0, "maximum": most}


def _ref(kind: type) -> Schema:
    return {"$ref": REFERENCE.format(name=kind.__name__)}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def _listing(kind: type, **more: Schema) -> Schema:
    return _object(count=_integer(0, 1 << 53), items={"type": "array", "items": _ref(kind)}, **more)


def _query(name: str, schema: Schema, text: str, *, required: bool = False) -> Schema:
    return {"name": name, "in": "query", "required": required, "schema": schema, "description": text}


def _path(name: str, text: str, schema: Schema = TEXT) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": schema, "description": text}


AS_OF: Final = _query("as_of", DATE, "The judged session; absent: the latest.")
ALL_SYMBOLS: Final = _query(
    "all", {"type": "string", "enum": ["0", "1", "false", "true"]}, "Every symbol, not only listed setups."
)


SYMBOL: Final = _path("symbol", "With or without its exchange: `INFY`, `NSE:INFY`.", SYMBOL_TEXT)
JOB: Final = _path("name", "The job's name.", {**TEXT, "minLength": 1})
AS_OF_OR_NONE: Final = {"anyOf": [DATE, {"type": "null"}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path: what it takes, and what it answers by status."""

    summary: str
    parameters: Sequence[Schema] = ()
    response: Schema = field(default_factory=lambda: OBJECT)
    media: str = JSON
    status: int = 200
    errors: Sequence[int] = ()


OPERATIONS: Final[Mapping[tuple[str, str], Operation]] = {
    ("get", "/status"): Operation(
        summary="The whole picture, at most a quarter of a second old.",
        response=OBJECT,
    ),
    ("get", "/healthz"): Operation(
        summary="Whether the loops tick.", response=_object(alive={"type": "boolean"}), errors=(503,)
    ),
    ("get", "/readyz"): Operation(
        summary="Whether the daemon is useful, and which condition is not met.",
        response=_object(ready={"type": "boolean"}, conditions=OBJECT),
        errors=(503,),
    ),
    ("get", "/metrics"): Operation(
        summary="Everything for Prometheus.", response={"type": "string"}, media="text/plain"
    ),
    ("get", "/openapi.json"): Operation(summary="This description."),
    ("get", "/"): Operation(summary="The page.", response={"type": "string"}, media="text/html"),
    ("get", "/api/setups"): Operation(
        summary="The setups of a session: filtered, sorted, paged.",
        parameters=(
            AS_OF,
            ALL_SYMBOLS,
            _query("state", {"type": "string", "enum": list(BaseState)}, "Only this state."),
            _query("min_score", _integer(0, 100), "Only scores of at least this."),
            _query("min_rating", _integer(0, 99), "Only relative strength of at least this."),
            _query("text", TEXT, "Only symbols that contain this."),
            _query("sector", TEXT, "Only companies of this sector, in the words of the index list."),
            _query("sort", {"type": "string", "enum": list(SORT_KEYS)}, "What to sort by."),
            _query("order", {"type": "string", "enum": ["asc", "desc"]}, "Which end first."),
            _query("limit", _integer(1, MAX_PAGE_SIZE), "How many at most; absent: 100, or all of `all=1`."),
            _query("offset", _integer(0, 1_000_000), "How many to leave out first."),
        ),
        response=_listing(Setup, as_of=AS_OF_OR_NONE),
        errors=(400, 503),
    ),
    ("get", "/api/setups/{symbol}"): Operation(
        summary="One symbol's verdict, and its bases with all their events.",
        parameters=(SYMBOL, AS_OF),
        response=_object(
            symbol={"type": "string"},
            as_of=AS_OF_OR_NONE,
            setup={"anyOf": [_ref(Setup), {"type": "null"}]},
            bases={"type": "array", "items": _ref(Base)},
        ),
        errors=(400, 404, 503),
    ),
    ("get", "/api/explain/{symbol}"): Operation(
        summary="Why a symbol is, or is not, a setup after any session.",
        parameters=(SYMBOL, AS_OF),
        response=_object(
            symbol={"type": "string"},
            as_of=DATE,
            lines={"type": "array", "items": {"type": "string"}},
            setup=_ref(Setup),
        ),
        errors=(400, 404, 503),
    ),
    ("get", "/api/board"): Operation(
        summary="The page's table: a line for each setup.",
        parameters=(AS_OF, ALL_SYMBOLS),
        response=_listing(
            SetupRow, as_of=AS_OF_OR_NONE, judged=_integer(0, 1 << 53), passed=_integer(0, 1 << 53)
        ),
        errors=(400, 503),
    ),
    ("get", "/api/breadth"): Operation(
        summary="Shares above averages, new highs and lows, bases by state, session by session.",
        errors=(503,),
    ),
    ("get", "/api/risk"): Operation(
        summary="Risk scores of a session.",
        parameters=(AS_OF,),
        response=_listing(RiskScore, as_of=AS_OF_OR_NONE),
        errors=(400, 503),
    ),
    ("get", "/api/risk/{symbol}"): Operation(
        summary="One symbol's risk scores, session by session.",
        parameters=(SYMBOL,),
        response=_listing(RiskScore, symbol={"type": "string"}),
        errors=(400, 404, 503),
    ),
    ("get", "/api/size"): Operation(
        summary="How many shares of a setup, with every step.",
        parameters=(
            _query("symbol", {**TEXT, "minLength": 1, "pattern": r"\S"}, "Which setup.", required=True),
            _query("equity", _positive_number(1e15), "The account, in rupees.", required=True),
            _query("risk_pct", _positive_number(10), "Percent of equity at risk in one trade."),
            _query("entry", _positive_number(1e15), "Entry price, if not the setup's."),
            _query("stop", _positive_number(1e15), "Stop price, if not the setup's."),
        ),
        errors=(400, 404, 503),
    ),
    ("get", "/api/crowding"): Operation(
        summary="The latest setups in clusters that move together.", errors=(503,)
    ),
    ("get", "/api/watch"): Operation(
        summary="The running session: how well it is seen, and each candidate as it stands.",
        response=_object(status=_ref(WatchStatus), items={"type": "array", "items": _ref(WatchedCandidate)}),
    ),
    ("get", "/api/bars/{symbol}"): Operation(
        summary="Stored bars, column by column, oldest first.",
        parameters=(SYMBOL, _query("sessions", _integer(1, MAX_SESSIONS), "The newest so many.")),
        response=_object(symbol={"type": "string"}, count=_integer(0, 1 << 53), session={"type": "array"}),
        errors=(400, 404, 503),
    ),
    ("get", "/api/jobs"): Operation(
        summary="Jobs with their next, last and running runs.", response=_object(items={"type": "array"})
    ),
    ("get", "/api/runs"): Operation(
        summary="The latest runs.",
        parameters=(
            _query("job", TEXT, "Only this job's."),
            _query("limit", _integer(1, 1_000), "How many at most."),
        ),
        response=_listing(Run),
        errors=(400, 503),
    ),
    ("post", "/api/jobs/{name}/run"): Operation(
        summary="Start a job now.",
        parameters=(JOB, _query("session", DATE, "The trading session to work for.")),
        response=_object(job={"type": "string"}, run_id={"type": "integer"}),
        status=202,
        errors=(400, 404, 409, 503),
    ),
    ("post", "/api/jobs/{name}/pause"): Operation(
        summary="Skip the job's times until it is resumed.", parameters=(JOB,), errors=(404, 503)
    ),
    ("post", "/api/jobs/{name}/resume"): Operation(
        summary="Let the job run by itself again.", parameters=(JOB,), errors=(404, 503)
    ),
    ("get", "/api/alerts"): Operation(
        summary="What was told to the owner, and what became of it on each channel; newest first.",
        parameters=(
            _query("kind", {"type": "string", "enum": list(ALERT_KINDS)}, "Only this kind."),
            _query("limit", _integer(1, MAX_ALERTS), "How many at most."),
        ),
        response=_listing(StoredAlert),
        errors=(400, 503),
    ),
    ("get", "/api/quality"): Operation(
        summary="Doubts about symbols, and rows that were kept apart.",
        parameters=(
            _query("symbol", TEXT, "Only this symbol, with or without its exchange."),
            _query("rule", {"type": "string", "enum": list(QualityRule)}, "Only what this rule found."),
            _query("limit", _integer(1, MAX_QUARANTINE_ROWS), "How many rows at most."),
        ),
        response=_object(
            flags={"type": "array", "items": _ref(QualityFlag)},
            quarantined={"type": "array", "items": _ref(QuarantinedBar)},
            by_rule=OBJECT,
        ),
        errors=(400, 503),
    ),
    ("get", "/api/performance/{picture}"): Operation(
        summary="How the daemon performs: summary, system, scheduler, database or tasks.",
        parameters=(
            _path(
                "picture", "Which picture.", {"type": "string", "enum": list(api_daemon.PERFORMANCE_REPORTS)}
            ),
        ),
        errors=(404, 503),
    ),
    ("post", "/api/performance/optimize"): Operation(
        summary="End stuck runs, replace bloated workers, return memory; before and after.",
        response=_object(done=OBJECT, before=OBJECT, after=OBJECT),
        errors=(503,),
    ),
    ("get", "/api/events"): Operation(
        summary="A stream of `pulse` events: state, health, data, login, jobs.",
        response={"type": "string"},
        media="text/event-stream",
        errors=(503,),
    ),
    ("get", "/static/{path}"): Operation(
        summary="What the page is made of.",
        parameters=(_path("path", "Below the static folder.", {"type": "string", "minLength": 1}),),
        response={"type": "string"},
        media="text/*",
        errors=(404,),
    ),
    ("get", "/login"): Operation(summary="On to the market's login.", status=302, errors=(404, 503)),
    ("get", "/kite/callback"): Operation(
        summary="Back from the market's login.",
        parameters=(
            _query("request_token", {"type": "string"}, "What the market hands back."),
            _query("state", {"type": "string"}, "What we handed to it."),
            _query("status", {"type": "string"}, "`success`, or not."),
        ),
        response={"type": "string"},
        media="text/plain",
        errors=(400, 404),
    ),
}


STATUS_DESCRIPTIONS: Final = {
    400: "A parameter is not what it should be; the sentence names it.",
    401: "The web token is missing or wrong.",
    403: "A page of another origin, or a POST without our header.",
    404: "There is no such thing here.",
    405: "The path knows no such method.",
    409: "Not now: it is on its way already.",
    411: "A body without Content-Length.",
    413: "A body larger than `[web] body_limit_kb`.",
    421: "Asked under a name that is not ours.",
    503: "Not now; the sentence says what is away.",
}


COMMON_ERROR_STATUSES: Final = (403, 405, 411, 413, 421)
ERROR: Final = _object(error={"type": "string"}, status={"type": "integer"})


def openapi_document() -> Mapping[str, Any]:
    """The whole document, OpenAPI 3.1."""
    _, components = msgspec.json.schema_components(
        COMPONENTS, ref_template=REFERENCE, schema_hook=_schema_hook
    )
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), operation in OPERATIONS.items():
        paths.setdefault(path, {})[method] = _operation_object(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "vcpd", "version": __version__, "license": {"name": "MIT", "identifier": "MIT"}},
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schema_hook(kind: type) -> dict[str, Any]:
    """A row is kept as it came: anything may stand in it."""
    if kind is object:
        return {"description": "as it came"}
    raise NotImplementedError(kind)


def _operation_object(operation: Operation) -> Mapping[str, Any]:
    answers: dict[str, Any] = {str(operation.status): _success_response(operation)}
    for status in sorted({*operation.errors, *COMMON_ERROR_STATUSES}):
        answers[str(status)] = {
            "description": STATUS_DESCRIPTIONS[status],
            "content": {
                JSON: {"schema": OBJECT if status == 503 else {"$ref": REFERENCE.format(name="Error")}}
            },
        }
    return {
        "summary": operation.summary,
        "parameters": list(operation.parameters),
        "responses": answers,
    }


def _success_response(operation: Operation) -> Mapping[str, Any]:
    if operation.status == 302:
        return {"description": operation.summary}
    return {"description": operation.summary, "content": {operation.media: {"schema": operation.response}}}


def openapi_routes(_: WebContext) -> list[web.RouteDef]:
    body = encoded_body(msgspec.json.encode(openapi_document()))

    async def document(request: web.Request) -> web.Response:
        """GET /openapi.json: the description of this port."""
        return cached_response(request, body)

    return [web.get("/openapi.json", document)]
