"""API of watch lists: what they show, and the changes of lists, price levels and snoozes."""

from collections.abc import Awaitable, Sequence
from datetime import date
from typing import Annotated, Any, Final, TypeVar

import msgspec
from aiohttp import web

from vcpd.core.errors import BadInputError
from vcpd.domain.watchlist_files import ListFormat
from vcpd.domain.watchlists import (
    MAX_AVERAGE_SESSIONS,
    MAX_LEVEL_NOTE_CHARACTERS,
    LevelKind,
    ListName,
    PriceLevel,
    WatchlistChange,
    WatchlistFile,
    WatchlistView,
)
from vcpd.web.context import WebContext
from vcpd.web.responses import HttpError, encode_json, json_response
from vcpd.web.routes import (
    EXCHANGE,
    SYMBOL_PATTERN,
    TEXT_PATTERN,
    ChoiceParameter,
    TextParameter,
    read_body,
    route,
)

T = TypeVar("T")
FILE_LIMIT_KB: Final = 1024  # of an upload: some fifty thousand symbols
MAX_SYMBOLS: Final = 5_000  # of one change
NAME: Final = TextParameter("name", "Only the symbols of this list.")
EXPORTED: Final = TextParameter("name", "The list to export.", required=True)
FORMAT: Final = ChoiceParameter(
    "format",
    "A TradingView list, or an order basket as CSV or JSON.",
    tuple(form.value for form in ListFormat),
)
Symbol = Annotated[str, msgspec.Meta(pattern=SYMBOL_PATTERN)]
Symbols = Annotated[tuple[Symbol, ...], msgspec.Meta(max_length=MAX_SYMBOLS)]
LevelPrice = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
LevelNote = Annotated[str, msgspec.Meta(max_length=MAX_LEVEL_NOTE_CHARACTERS, pattern=TEXT_PATTERN)]


class ListChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Symbols to add to a list and to take out of it; the list begins with its first symbol."""

    name: ListName
    add: Symbols = ()
    remove: Symbols = ()


class ListRenaming(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A list and its new name."""

    name: ListName
    new_name: ListName


class ListDeletion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A list to delete; levels of its symbols stay."""

    name: ListName


class LevelRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A level to set: above or below a price, or the crossing of a moving average of so many sessions."""

    symbol: Symbol
    above: LevelPrice | None = None
    below: LevelPrice | None = None
    average: Annotated[float, msgspec.Meta(ge=2, le=MAX_AVERAGE_SESSIONS, multiple_of=1)] | None = None
    note: LevelNote = ""

    def level(self, symbol: str) -> PriceLevel:
        """The level, of the symbol by its full name. HttpError 400 unless exactly one is given."""
        given = {
            LevelKind.ABOVE: self.above,
            LevelKind.BELOW: self.below,
            LevelKind.CROSSES: self.average,
        }
        kinds = [kind for kind, value in given.items() if value is not None]
        if len(kinds) != 1:
            raise HttpError(400, "expected exactly one of above, below and average")
        price = self.above if self.below is None else self.below
        average = None if self.average is None else int(self.average)
        return PriceLevel(symbol=symbol, kind=kinds[0], price=price, average=average, note=self.note.strip())


class LevelRemoval(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The id of a level to remove."""

    id: Annotated[float, msgspec.Meta(ge=1, le=1e12, multiple_of=1)]  # 7.0 is a whole number too


class SnoozeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A symbol whose levels are silent before the session `until`; null ends that."""

    symbol: Symbol
    until: date | None = None


class ListUpload(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file of symbols, and the list that they are added to."""

    name: ListName
    file_name: Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=TEXT_PATTERN)]
    text: str


def watchlist_routes(context: WebContext) -> list[web.RouteDef]:
    """The routes that read watch lists."""

    @route("GET", "/api/watchlists", parameters=(NAME,), response=WatchlistView, errors=(400, 503))
    async def watchlists(request: web.Request) -> web.Response:
        """Lists, and every watched symbol with its close, its price levels and its snooze."""
        view = await _refused_as_400(context.watchlists.view(NAME.read(request)))
        body = await encode_json(view)
        return web.Response(body=body, content_type="application/json", charset="utf-8")

    @route(
        "GET",
        "/api/watchlists/export",
        parameters=(EXPORTED, FORMAT),
        response=WatchlistFile,
        errors=(400, 503),
    )
    async def export(request: web.Request) -> web.Response:
        """A list as a file of TradingView, or as an order basket."""
        form = ListFormat(FORMAT.read(request) or ListFormat.TRADINGVIEW)
        return json_response(await _refused_as_400(context.watchlists.export(EXPORTED.read(request), form)))

    return [watchlists, export]


def watchlist_change_routes(context: WebContext) -> list[web.RouteDef]:
    """The routes that change what is stored; each needs the login or the token."""
    declared: dict[str, Any] = {"response": WatchlistChange, "errors": (400, 408, 503)}
    service = context.watchlists

    @route("POST", "/api/watchlists", body=ListChange, **declared)
    async def change(request: web.Request) -> web.Response:
        """Add symbols to a list, and take others out of it."""
        given = await read_body(request, ListChange)
        add, remove = _full_symbols(request, given.add), _full_symbols(request, given.remove)
        return await _changed(service.change(given.name, add, remove))

    @route("POST", "/api/watchlists/rename", body=ListRenaming, **declared)
    async def rename(request: web.Request) -> web.Response:
        """Give a list another name."""
        given = await read_body(request, ListRenaming)
        return await _changed(service.rename(given.name, given.new_name))

    @route("POST", "/api/watchlists/delete", body=ListDeletion, **declared)
    async def delete(request: web.Request) -> web.Response:
        """Delete a list; price levels of its symbols stay."""
        return await _changed(service.delete((await read_body(request, ListDeletion)).name))

    @route("POST", "/api/watchlists/levels", body=LevelRequest, **declared)
    async def set_level(request: web.Request) -> web.Response:
        """Set a price level of a symbol: exactly one of above, below and average."""
        given = await read_body(request, LevelRequest)
        (symbol,) = _full_symbols(request, (given.symbol,))
        return await _changed(service.set_level(given.level(symbol)))

    @route("POST", "/api/watchlists/levels/remove", body=LevelRemoval, **declared)
    async def remove_level(request: web.Request) -> web.Response:
        """Remove a price level by its id."""
        return await _changed(service.remove_level(int((await read_body(request, LevelRemoval)).id)))

    @route("POST", "/api/watchlists/snooze", body=SnoozeRequest, **declared)
    async def snooze(request: web.Request) -> web.Response:
        """Silence the price levels of a symbol until a session, or end that."""
        given = await read_body(request, SnoozeRequest)
        (symbol,) = _full_symbols(request, (given.symbol,))
        return await _changed(service.snooze(symbol, given.until))

    @route("POST", "/api/watchlists/import", body=ListUpload, body_limit_kb=FILE_LIMIT_KB, **declared)
    async def import_file(request: web.Request) -> web.Response:
        """Add the symbols of a file to a list; what names no listed symbol is refused by its place."""
        given = await read_body(request, ListUpload)
        return await _changed(service.import_file(given.file_name, given.text, given.name))

    return [change, rename, delete, set_level, remove_level, snooze, import_file]


def _full_symbols(request: web.Request, symbols: Sequence[str]) -> list[str]:
    return [request.app[EXCHANGE].full_symbol(symbol.strip().upper()) for symbol in symbols]


async def _changed(change: Awaitable[WatchlistChange]) -> web.Response:
    return json_response(await _refused_as_400(change))


async def _refused_as_400(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except BadInputError as error:
        raise HttpError(400, str(error)) from None
