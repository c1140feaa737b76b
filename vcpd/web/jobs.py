"""Jobs and their runs, and the button that starts one."""

from aiohttp import web

from vcpd.domain.errors import BadInputError, RetryableError, UnavailableError
from vcpd.web.answers import Refusal, as_json, date_parameter, text_parameter, whole_parameter
from vcpd.web.sources import Sources


def routes(sources: Sources) -> list[web.RouteDef]:
    async def jobs(_: web.Request) -> web.Response:
        """GET /api/jobs: each job with its policy's next instant, last run and progress."""
        return as_json({"items": sources.daemon.jobs()})

    async def runs(request: web.Request) -> web.Response:
        """GET /api/runs?job=&limit=: the latest runs."""
        limit = whole_parameter(request, "limit", 100, 1, 1_000)
        items = await sources.runs.recent(limit, text_parameter(request, "job") or None)
        return as_json({"count": len(items), "items": items})

    async def start(request: web.Request) -> web.Response:
        """POST /api/jobs/{name}/run?session=: start the job now."""
        name = request.match_info["name"]
        try:
            run_id = await sources.daemon.run_job(name, date_parameter(request, "session"))
        except KeyError:
            raise _unknown(name) from None
        except RetryableError as error:
            raise Refusal(409, str(error)) from None
        except UnavailableError as error:
            raise Refusal(503, str(error)) from None
        except BadInputError as error:
            raise Refusal(400, str(error)) from None
        return as_json({"job": name, "run_id": run_id}, status=202)

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


async def _set_paused(sources: Sources, name: str, *, paused: bool) -> web.Response:
    try:
        await sources.daemon.set_paused(name, paused=paused)
    except KeyError:
        raise _unknown(name) from None
    return as_json({"job": name, "paused": paused})


def _unknown(name: str) -> Refusal:
    return Refusal(404, f"{name}: no such job; GET /api/jobs lists them")
