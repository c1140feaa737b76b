"""API of the daemon: status, health, jobs, performance, login, alerts."""

import asyncio
from typing import Final

from aiohttp import web

from vcpd.core.errors import BadInputError, RetryableError, UnavailableError, VcpdError
from vcpd.core.secrets import Secret
from vcpd.domain.alerts import AlertKind
from vcpd.web.cache import EncodedBody, cached_response, encoded_body
from vcpd.web.context import WebContext
from vcpd.web.responses import (
    HttpError,
    choice_parameter,
    date_parameter,
    encode_json,
    int_parameter,
    json_response,
    text_parameter,
)
from vcpd.web.security import TIMEOUT_ATTRIBUTE

STATUS_CACHE_S: Final = 0.25
PERFORMANCE_REPORTS: Final = ("summary", "system", "scheduler", "database", "tasks")
OPTIMIZE_TIMEOUT_S: Final = 120.0  # fresh workers and a fresh panel take their time
MAX_ALERTS: Final = 500
ALERT_KINDS: Final = tuple(kind.value for kind in AlertKind)


class _CachedStatus:
    """However many ask, the picture is drawn a few times a second."""

    def __init__(self, sources: WebContext) -> None:
        self._sources = sources
        self._body = EncodedBody(b"", None, "")
        self._encoded_at_s = float("-inf")

    async def current(self) -> EncodedBody:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._encoded_at_s > STATUS_CACHE_S:
            self._body = encoded_body(await encode_json(self._sources.daemon.status()), level=1)
            self._encoded_at_s = now_s
        return self._body


def status_routes(sources: WebContext) -> list[web.RouteDef]:
    picture = _CachedStatus(sources)

    async def status(request: web.Request) -> web.Response:
        """GET /status: the whole picture in one answer, at most a quarter of a second old."""
        return cached_response(request, await picture.current())

    async def alive(_: web.Request) -> web.Response:
        """GET /healthz: 200 while the loops tick."""
        beating = sources.daemon.alive()
        return json_response({"alive": beating}, status=200 if beating else 503)

    async def ready(_: web.Request) -> web.Response:
        """GET /readyz: 200 while the daemon is useful, else which condition is not met."""
        useful, conditions = sources.daemon.readiness()
        return json_response({"ready": useful, "conditions": conditions}, status=200 if useful else 503)

    return [web.get("/status", status), web.get("/healthz", alive), web.get("/readyz", ready)]


def job_routes(sources: WebContext) -> list[web.RouteDef]:
    async def jobs(_: web.Request) -> web.Response:
        """GET /api/jobs: each job with its policy's next instant, last run and progress."""
        return json_response({"items": sources.daemon.jobs()})

    async def runs(request: web.Request) -> web.Response:
        """GET /api/runs?job=&limit=: the latest runs."""
        limit = int_parameter(request, "limit", 100, 1, 1_000)
        items = await sources.runs.recent(limit, text_parameter(request, "job") or None)
        return json_response({"count": len(items), "items": items})

    async def start(request: web.Request) -> web.Response:
        """POST /api/jobs/{name}/run?session=: start the job now."""
        name = request.match_info["name"]
        try:
            run_id = await sources.daemon.run_job(name, date_parameter(request, "session"))
        except KeyError:
            raise _unknown_job(name) from None
        except RetryableError as error:
            raise HttpError(409, str(error)) from None
        except UnavailableError as error:
            raise HttpError(503, str(error)) from None
        except BadInputError as error:
            raise HttpError(400, str(error)) from None
        return json_response({"job": name, "run_id": run_id}, status=202)

    async def pause(request: web.Request) -> web.Response:
        """POST /api/jobs/{name}/pause: skip the job's ticks until it is resumed."""
        return await _set_paused(sources, request.match_info["name"], paused=True)

    async def resume(request: web.Request) -> web.Response:
        """POST /api/jobs/{name}/resume: let the job run by itself again."""
        return await _set_paused(sources, request.match_info["name"], paused=False)

    return [
        web.get("/api/jobs", jobs),
        web.get("/api/runs", runs),
        web.post("/api/jobs/{name}/run", start),
        web.post("/api/jobs/{name}/pause", pause),
        web.post("/api/jobs/{name}/resume", resume),
    ]


async def _set_paused(sources: WebContext, name: str, *, paused: bool) -> web.Response:
    try:
        await sources.daemon.set_paused(name, paused=paused)
    except KeyError:
        raise _unknown_job(name) from None
    return json_response({"job": name, "paused": paused})


def _unknown_job(name: str) -> HttpError:
    return HttpError(404, f"{name}: no such job; GET /api/jobs lists them")


def performance_routes(sources: WebContext) -> list[web.RouteDef]:
    async def picture(request: web.Request) -> web.Response:
        """GET /api/performance/{picture}: summary, system, scheduler, database or tasks."""
        try:
            return json_response(await sources.daemon.performance(request.match_info["picture"]))
        except RetryableError as error:
            raise HttpError(503, str(error)) from None

    async def optimize(_: web.Request) -> web.Response:
        """POST /api/performance/optimize: end stuck runs, renew what is bloated; before and after."""
        try:
            return json_response(await sources.daemon.optimize())
        except RetryableError as error:
            raise HttpError(503, str(error)) from None

    setattr(optimize, TIMEOUT_ATTRIBUTE, OPTIMIZE_TIMEOUT_S)
    return [
        web.get(f"/api/performance/{{picture:{'|'.join(PERFORMANCE_REPORTS)}}}", picture),
        web.post("/api/performance/optimize", optimize),
    ]


def login_routes(sources: WebContext) -> list[web.RouteDef]:
    async def depart(_: web.Request) -> web.Response:
        """GET /login: on to the market's login page."""
        if sources.login is None:
            raise HttpError(404, "this market needs no login")
        try:
            return web.Response(status=302, headers={"Location": sources.login.url()})
        except VcpdError as error:
            raise HttpError(503, f"no login is possible: {error}") from error

    async def arrive(request: web.Request) -> web.Response:
        """GET /kite/callback: the market sends the owner back here."""
        if sources.login is None:
            raise HttpError(404, "this market needs no login")
        token = request.query.get("request_token")
        if request.query.get("status", "success") != "success" or not token:
            raise HttpError(400, "the market reports no successful login; start again at /login")
        try:
            await sources.login.complete(Secret(token), request.query.get("state", ""))
        except VcpdError as error:
            raise HttpError(400, f"the login did not complete: {error}") from error
        return web.Response(text="Logged in. You may close this page.\n")

    return [web.get("/login", depart), web.get("/kite/callback", arrive)]


def alert_routes(sources: WebContext) -> list[web.RouteDef]:
    async def alerts(request: web.Request) -> web.Response:
        """GET /api/alerts?kind=&limit=: the latest alerts, newest first, with their deliveries."""
        limit = int_parameter(request, "limit", 50, 1, MAX_ALERTS)
        kind = choice_parameter(request, "kind", ALERT_KINDS)
        items = await sources.alerts.recent(limit, None if kind is None else AlertKind(kind))
        return json_response({"count": len(items), "items": items})

    return [web.get("/api/alerts", alerts)]
