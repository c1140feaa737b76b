"""The market's login, one click a day: away to the market, and back with a request token."""

from aiohttp import web

from vcpd.domain.errors import VcpdError
from vcpd.domain.secrets import Secret
from vcpd.web.answers import Refusal
from vcpd.web.sources import Sources


def routes(sources: Sources) -> list[web.RouteDef]:
    async def depart(_: web.Request) -> web.Response:
        """GET /login: on to the market's login page."""
        if sources.login is None:
            raise Refusal(404, "this market needs no login")
        try:
            return web.Response(status=302, headers={"Location": sources.login.url()})
        except VcpdError as error:
            raise Refusal(503, f"no login is possible: {error}") from error

    async def arrive(request: web.Request) -> web.Response:
        """GET /kite/callback: the market sends the owner back here."""
        if sources.login is None:
            raise Refusal(404, "this market needs no login")
        token = request.query.get("request_token")
        if request.query.get("status", "success") != "success" or not token:
            raise Refusal(400, "the market reports no successful login; start again at /login")
        try:
            await sources.login.complete(Secret(token), request.query.get("state", ""))
        except VcpdError as error:
            raise Refusal(400, f"the login did not complete: {error}") from error
        return web.Response(text="Logged in. You may close this page.\n")

    return [web.get("/login", depart), web.get("/kite/callback", arrive)]
