"""API of the daemon: status, health, metrics, jobs, performance, login, alerts."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest

from vcpd.core.errors import BadInputError, RetryableError, UnavailableError, VcpdError
from vcpd.core.secrets import Secret
from vcpd.domain.alerts import AlertKind, StoredAlert
from vcpd.domain.runs import Run
from vcpd.web.cache import EncodedBody, cached_response, encoded_body
from vcpd.web.context import WebContext
from vcpd.web.metrics import MetricsCollector
from vcpd.web.responses import HttpError, encode_json, json_response
from vcpd.web.routes import (
    ChoiceParameter,
    DateParameter,
    IntParameter,
    Listing,
    StringParameter,
    TextParameter,
    route,
)
from vcpd.web.sign_in import SIGN_IN, LoginTickets

STATUS_CACHE_S: Final = 0.25
PERFORMANCE_REPORTS: Final = ("summary", "system", "scheduler", "database", "tasks")
OPTIMIZE_TIMEOUT_S: Final = 120.0  # new workers and a new panel take their time
JOB: Final = TextParameter("name", "The job's name.", in_path=True)
RUN_SESSION: Final = DateParameter("session", "The trading session to work for.")
ONLY_JOB: Final = TextParameter("job", "Only this job's runs.")
MAX_RUNS: Final = IntParameter("limit", "Number of runs at most.", low=1, high=1_000, default=100)
MAX_ALERTS: Final = IntParameter("limit", "Number of alerts at most.", low=1, high=500, default=50)
ONLY_KIND: Final = ChoiceParameter("kind", "Only this kind.", choices=tuple(AlertKind))
REPORT: Final = ChoiceParameter("picture", "Which report.", in_path=True, choices=PERFORMANCE_REPORTS)
REQUEST_TOKEN: Final = StringParameter("request_token", "The market's one-time token.")
LOGIN_STATE: Final = StringParameter("state", "The value that this daemon sent with the login.")
TICKET: Final = StringParameter("ticket", "The value that an alert's link carries.")
LOGIN_STATUS: Final = StringParameter("status", "`success`, or anything else for a failed login.")


class Liveness(msgspec.Struct, frozen=True):
    """Whether the daemon's loops run on time."""

    alive: bool


class Readiness(msgspec.Struct, frozen=True):
    """Returns whether the daemon is ready, and each condition in words."""

    ready: bool
    conditions: Mapping[str, str]


class _CachedStatus:
    """Encodes the status a few times a second at most, however many clients ask."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._body = EncodedBody(b"", None, "")
        self._encoded_at_s = float("-inf")

    async def current(self) -> EncodedBody:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._encoded_at_s > STATUS_CACHE_S:
            self._body = encoded_body(await encode_json(self._context.daemon.status()), level=1)
            self._encoded_at_s = now_s
        return self._body


def status_routes(context: WebContext) -> list[web.RouteDef]:
    """The routes that monitoring asks."""
    cached = _CachedStatus(context)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(MetricsCollector(context.daemon.metrics))

    @route("GET", "/status", response=Mapping[str, Any])
    async def status(request: web.Request) -> web.Response:
        """The whole state of the daemon, at most a quarter of a second old."""
        return cached_response(request, await cached.current())

    @route("GET", "/healthz", response=Liveness, errors=(503,), public=True)
    async def liveness(_: web.Request) -> web.Response:
        """200 while the daemon's loops run on time."""
        alive = context.daemon.alive()
        return json_response(Liveness(alive), status=200 if alive else 503)

    @route("GET", "/readyz", response=Readiness, errors=(503,))
    async def readiness(_: web.Request) -> web.Response:
        """200 while the daemon is useful, else which condition is not met."""
        ready, conditions = context.daemon.readiness()
        return json_response(Readiness(ready, conditions), status=200 if ready else 503)

    @route("GET", "/metrics", response=str, media="text/plain")
    async def metrics(_: web.Request) -> web.Response:
        """Metrics in Prometheus' text format."""
        body = b"".join(generate_latest(entry) for entry in (REGISTRY, registry))
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [status, liveness, readiness, metrics]


class JobList(msgspec.Struct, frozen=True):
    """Each job with its schedule, next instant, last run and progress."""

    items: Sequence[Any]


class StartedRun(msgspec.Struct, frozen=True):
    """The run that was started."""

    job: str
    run_id: int


class PausedJob(msgspec.Struct, frozen=True):
    """Whether the job is paused now."""

    job: str
    paused: bool


def job_routes(context: WebContext) -> list[web.RouteDef]:
    """The routes of jobs and runs."""

    @route("GET", "/api/jobs", response=JobList)
    async def jobs(_: web.Request) -> web.Response:
        """Jobs with their next, last and running runs."""
        return json_response(JobList(context.daemon.jobs()))

    @route("GET", "/api/runs", parameters=(ONLY_JOB, MAX_RUNS), response=Listing[Run], errors=(400, 503))
    async def runs(request: web.Request) -> web.Response:
        """The latest runs."""
        items = await context.runs.recent(MAX_RUNS.read(request), ONLY_JOB.read(request) or None)
        return json_response(Listing(len(items), items))

    @route(
        "POST",
        "/api/jobs/{name}/run",
        parameters=(JOB, RUN_SESSION),
        response=StartedRun,
        status=202,
        errors=(400, 404, 409, 503),
    )
    async def start(request: web.Request) -> web.Response:
        """Start a job now."""
        name = JOB.read(request)
        try:
            run_id = await context.daemon.run_job(name, RUN_SESSION.read(request))
        except KeyError:
            raise _unknown_job(name) from None
        except RetryableError as error:
            raise HttpError(409, str(error)) from None
        except UnavailableError as error:
            raise HttpError(503, str(error)) from None
        except BadInputError as error:
            raise HttpError(400, str(error)) from None
        return json_response(StartedRun(name, run_id), status=202)

    @route("POST", "/api/jobs/{name}/pause", parameters=(JOB,), response=PausedJob, errors=(404, 503))
    async def pause(request: web.Request) -> web.Response:
        """Skip the job's scheduled times until it is resumed."""
        return await _set_paused(context, JOB.read(request), paused=True)

    @route("POST", "/api/jobs/{name}/resume", parameters=(JOB,), response=PausedJob, errors=(404, 503))
    async def resume(request: web.Request) -> web.Response:
        """Let the job run by its schedule again."""
        return await _set_paused(context, JOB.read(request), paused=False)

    return [jobs, runs, start, pause, resume]


async def _set_paused(context: WebContext, name: str, *, paused: bool) -> web.Response:
    try:
        await context.daemon.set_paused(name, paused=paused)
    except KeyError:
        raise _unknown_job(name) from None
    return json_response(PausedJob(name, paused))


def _unknown_job(name: str) -> HttpError:
    return HttpError(404, f"{name}: no such job; GET /api/jobs lists them")


class Optimization(msgspec.Struct, frozen=True):
    """What was done, and the health before and after."""

    done: Mapping[str, Any]
    before: Mapping[str, Any]
    after: Mapping[str, Any]


def performance_routes(context: WebContext) -> list[web.RouteDef]:
    """The routes of performance reports."""

    @route(
        "GET",
        f"/api/performance/{{picture:{'|'.join(PERFORMANCE_REPORTS)}}}",
        parameters=(REPORT,),
        response=Mapping[str, Any],
        errors=(404, 503),
    )
    async def report(request: web.Request) -> web.Response:
        """How the daemon performs: summary, system, scheduler, database or tasks."""
        return json_response(await context.daemon.performance(request.match_info["picture"]))

    @route(
        "POST",
        "/api/performance/optimize",
        response=Optimization,
        errors=(503,),
        timeout_s=OPTIMIZE_TIMEOUT_S,
    )
    async def optimize(_: web.Request) -> web.Response:
        """End stuck runs, replace workers above their memory mark, return memory."""
        return json_response(await context.daemon.optimize())

    return [report, optimize]


def login_routes(context: WebContext) -> list[web.RouteDef]:
    """The routes of the market's login."""
    tickets = LoginTickets(context.token or Secret(secrets.token_urlsafe()))

    @route("GET", "/login", parameters=(TICKET,), status=302, errors=(404, 503), public=True)
    async def redirect_to_login(request: web.Request) -> web.Response:
        """Redirect to the market's login page; from a published page only with a login or a ticket."""
        if context.login is None:
            raise HttpError(404, "this market needs no login")
        sign_in = request.app[SIGN_IN]
        if sign_in.published and not (
            tickets.is_valid(TICKET.text(request) or "") or sign_in.may_read(request)
        ):
            return web.Response(status=302, headers={"Location": "./"})  # where the page asks for its login
        try:
            return web.Response(status=302, headers={"Location": context.login.url()})
        except VcpdError as error:
            raise HttpError(503, f"no login is possible: {error}") from error

    @route(
        "GET",
        "/kite/callback",
        parameters=(REQUEST_TOKEN, LOGIN_STATE, LOGIN_STATUS),
        response=str,
        media="text/plain",
        errors=(400, 404),
        public=True,
    )
    async def login_callback(request: web.Request) -> web.Response:
        """Where the market sends the browser after the login."""
        if context.login is None:
            raise HttpError(404, "this market needs no login")
        token = REQUEST_TOKEN.text(request)
        if (LOGIN_STATUS.text(request) or "success") != "success" or not token:
            raise HttpError(400, "the market reports no successful login; start again at /login")
        try:
            await context.login.complete(Secret(token), LOGIN_STATE.text(request) or "")
        except VcpdError as error:
            raise HttpError(400, f"the login did not complete: {error}") from error
        return web.Response(text="Logged in. You may close this page.\n")

    return [redirect_to_login, login_callback]


def alert_routes(context: WebContext) -> list[web.RouteDef]:
    """The route of /api/alerts."""

    @route(
        "GET",
        "/api/alerts",
        parameters=(ONLY_KIND, MAX_ALERTS),
        response=Listing[StoredAlert],
        errors=(400, 503),
    )
    async def alerts(request: web.Request) -> web.Response:
        """The latest alerts, newest first, with their deliveries on each channel."""
        limit, kind = MAX_ALERTS.read(request), ONLY_KIND.read(request)
        items = await context.alerts.recent(limit, None if kind is None else AlertKind(kind))
        return json_response(Listing(len(items), items))

    return [alerts]
