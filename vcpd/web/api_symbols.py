"""API of symbols: the companies behind them, and what a user keeps of them: stars, notes, looks."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Final

import msgspec
from aiohttp import web

from vcpd.domain.instruments import SymbolMark
from vcpd.web.context import WebContext
from vcpd.web.responses import HttpError, json_response
from vcpd.web.routes import SYMBOL, Listing, route
from vcpd.web.security import FORBIDDEN_CHARACTERS

MAX_NOTE_CHARACTERS: Final = 2_000
NOTE_SCHEMA: Final = msgspec.Meta(  # described only: what breaks it is refused below, with its reason
    extra_json_schema={
        "maxLength": MAX_NOTE_CHARACTERS,
        "pattern": "^[^\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f]*$",
    }
)
MAX_MARKS: Final = 10_000  # of one store: beyond it somebody fills the disk
EXPECTED_CHANGE: Final = 'expected a body such as {"starred": true} or {"note": "wait for volume"}'


class Company(msgspec.Struct, frozen=True):
    """A listed symbol with its company's name and, where an index list gives it, its sector."""

    symbol: str
    name: str
    sector: str | None


class MarkChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a symbol's mark; null leaves it, an empty note removes the note.

    `seen` is the session of the symbol's setup that was looked at; the newest one is kept.
    """

    starred: bool | None = None
    note: Annotated[str, NOTE_SCHEMA] | None = None
    seen: date | None = None


def symbol_routes(context: WebContext) -> list[web.RouteDef]:
    """The routes of companies, stars and notes."""

    @route("GET", "/api/symbols", response=Listing[Company], errors=(503,))
    async def symbols(request: web.Request) -> web.Response:
        """Every listed symbol with its company's name."""
        return await context.cache.respond(request, lambda: _companies(context))

    @route("GET", "/api/marks", response=Listing[SymbolMark], errors=(503,))
    async def marks(_: web.Request) -> web.Response:
        """Symbols with a star or a note, or whose setup was looked at."""
        items = await context.marks.marks()
        return json_response(Listing(len(items), items))

    @route(
        "PUT",
        "/api/marks/{symbol}",
        parameters=(SYMBOL,),
        body=MarkChange,
        response=SymbolMark,
        errors=(400, 401, 403, 409, 503),
    )
    async def change_mark(request: web.Request) -> web.Response:
        """Give a symbol a star or a note, take them away, or keep that its setup was looked at."""
        symbol, change = SYMBOL.read(request), _read_change(await request.read())
        if len(await context.marks.marks()) >= MAX_MARKS:
            raise HttpError(409, f"{MAX_MARKS} symbols have a star, a note or a look: remove some first")
        mark = await context.marks.change(symbol, starred=change.starred, note=change.note, seen=change.seen)
        return json_response(mark)

    return [symbols, marks, change_mark]


async def _companies(context: WebContext) -> Listing[Company]:
    items: Sequence[Company] = [
        Company(stored.symbol, stored.instrument.name, stored.sector)
        for stored in await context.instruments.all()
        if stored.listed
    ]
    return Listing(len(items), items)


def _read_change(body: bytes) -> MarkChange:
    try:
        change = msgspec.json.decode(body, type=MarkChange)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise HttpError(400, EXPECTED_CHANGE) from None
    if len(change.note or "") > MAX_NOTE_CHARACTERS:
        raise HttpError(400, f"note: expected at most {MAX_NOTE_CHARACTERS} characters")
    if FORBIDDEN_CHARACTERS.search((change.note or "").replace("\n", " ")):
        raise HttpError(400, "note: expected no control characters")
    return change
