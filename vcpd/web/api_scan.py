"""API of scans: one after any session, and the list of saved scans and presets."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web

from vcpd.core.errors import BadInputError
from vcpd.domain.scans import MAX_SCAN_CHARACTERS, SavedScan, ScanName, ScanResult
from vcpd.web.context import WebContext
from vcpd.web.responses import HttpError, json_response
from vcpd.web.routes import AS_OF, StringParameter, SymbolParameter, TextParameter, read_body, route

EXPRESSION: Final = StringParameter("expression", "A scan such as `rs >= 85 and close > sma(50)`.")
NAME: Final = TextParameter("name", "Instead of an expression: a saved scan or a preset.")
EXPLAINED: Final = SymbolParameter(
    "symbol", "A symbol whose clauses are evaluated even if it does not match."
)
SAVED_NAME: Final = TextParameter("name", "The name of a saved scan.", in_path=True)
PARAMETERS: Final = (EXPRESSION, NAME, EXPLAINED, AS_OF)


class ScanRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A scan to evaluate, by its expression or its name; None as_of is the latest session."""

    expression: str = ""
    name: str = ""
    symbol: str | None = None
    as_of: date | None = None


class ScanToSave(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A scan with its name; changes of a followed one are alerted."""

    name: ScanName
    expression: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_SCAN_CHARACTERS)]
    followed: bool = False


class ScanList(msgspec.Struct, frozen=True):
    """The scans that can be asked for by name."""

    items: Sequence[Any]


def scan_routes(context: WebContext) -> list[web.RouteDef]:
    """The routes of scans."""

    @route("GET", "/api/scan", parameters=PARAMETERS, response=ScanResult, errors=(400, 503))
    async def scan(request: web.Request) -> web.Response:
        """Symbols that match a scan after a session, with the values of its clauses."""
        wanted = ScanRequest(
            expression=EXPRESSION.text(request) or "",
            name=NAME.read(request),
            symbol=EXPLAINED.read(request) or None,
            as_of=AS_OF.read(request),
        )
        if bool(wanted.expression) == bool(wanted.name):
            raise HttpError(400, "expected an expression or the name of a scan, and not both")
        try:
            return json_response(await context.daemon.scan(**msgspec.structs.asdict(wanted)))
        except BadInputError as error:
            raise HttpError(400, str(error)) from None

    @route("GET", "/api/scans", response=ScanList, errors=(503,))
    async def scans(_: web.Request) -> web.Response:
        """Saved scans and presets, with their sources."""
        return json_response(ScanList(await context.daemon.scans()))

    return [scan, scans]


def scan_change_routes(context: WebContext) -> list[web.RouteDef]:
    """The routes that save and remove scans; each needs the login or the token."""

    @route("POST", "/api/scans", body=ScanToSave, response=ScanList, errors=(400, 408, 503))
    async def save(request: web.Request) -> web.Response:
        """Save a scan, or another text under its name; gives the list."""
        given = await read_body(request, ScanToSave)
        try:
            await context.daemon.save_scan(SavedScan(given.name, given.expression, given.followed))
        except BadInputError as error:
            raise HttpError(400, str(error)) from None
        return json_response(ScanList(await context.daemon.scans()))

    @route("DELETE", "/api/scans/{name}", parameters=(SAVED_NAME,), response=ScanList, errors=(404, 503))
    async def remove(request: web.Request) -> web.Response:
        """Remove a scan that was saved; gives the list."""
        name = SAVED_NAME.read(request)
        try:
            await context.daemon.remove_scan(name)
        except KeyError:
            raise HttpError(404, f"{name}: no such saved scan; GET /api/scans lists them") from None
        return json_response(ScanList(await context.daemon.scans()))

    return [save, remove]
