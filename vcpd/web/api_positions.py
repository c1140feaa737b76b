"""API of the account: positions, journal and heat as judged last, the broker's report, changes of trades."""

from collections.abc import Awaitable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web

from vcpd.core.errors import BadInputError, RetryableError, UnavailableError, VcpdError
from vcpd.domain.broker import CompanyShares, LeftOutPosition, ShareDifference
from vcpd.domain.portfolio import DEFAULT_RULES, CurvePoint, Fill, Lot, Side
from vcpd.domain.position_notes import AccountChange
from vcpd.web.context import WebContext
from vcpd.web.responses import HttpError, json_response
from vcpd.web.routes import (
    EXCHANGE,
    SYMBOL_PATTERN,
    IntParameter,
    SymbolParameter,
    read_body,
    route,
)

TRADES_LIMIT_KB: Final = 4096  # of an upload: some ten thousand trades
CHANGE_TIMEOUT_S: Final = 60.0
MAX_POINTS: Final = 2_000
POINTS: Final = IntParameter("sessions", "Number of newest sessions.", low=1, high=MAX_POINTS, default=252)
MAX_TRADES: Final = 100_000
ONLY_SYMBOL: Final = SymbolParameter("symbol", "Only trades of this symbol, with or without its exchange.")
TRADES: Final = IntParameter("trades", "Number of newest trades; 0: all.", low=0, high=MAX_TRADES, default=0)
EMPTY_REPORT: Final = (
    b'{"session":null,"positions":[],"lots":[],"unmeasured":{},"heat":null,"notices":[],'
    b'"rule_sets":["default"]}'
)
EMPTY_JOURNAL: Final = b'{"entries":[],"all":null}'
Price = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
CHANGE: Final[Mapping[str, Any]] = {
    "response": AccountChange,
    "errors": (400, 408, 503),
    "timeout_s": CHANGE_TIMEOUT_S,
}
RuleSet = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
Note = Annotated[str, msgspec.Meta(max_length=1000)]
Symbol = Annotated[str, msgspec.Meta(pattern=SYMBOL_PATTERN)]
Quantity = Annotated[float, msgspec.Meta(ge=1, le=1e9, multiple_of=1)]  # 100.0 is a whole number too


class PositionsView(msgspec.Struct, frozen=True):
    """Every lot with its measures and rules, and the heat; `session` is null before the first report.

    `rule_sets` are the names of the sets of sell rules that can be chosen.
    """

    session: date | None
    positions: Sequence[Any]
    lots: Sequence[Any]
    unmeasured: dict[str, str]
    heat: Any
    notices: Sequence[str]
    rule_sets: Sequence[str] = (DEFAULT_RULES,)


class JournalView(msgspec.Struct, frozen=True):
    """Every closed trade, oldest first, and their statistics; null without any report."""

    entries: Sequence[Any]
    all: Any


class HeatView(msgspec.Struct, frozen=True):
    """Open risk after `session` with every cap, and what the account was after earlier sessions."""

    session: date | None
    heat: Any
    curve: Sequence[CurvePoint]


class FillRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A purchase or a sale at the price of its day; `stop` is the initial one of a purchase."""

    symbol: Symbol
    session: date
    quantity: Quantity
    price: Price
    side: Side = Side.BUY
    stop: Price | None = None
    rules: RuleSet = DEFAULT_RULES
    note: Note = ""


class HoldingRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The purchase of a holding that the broker reports without stored trades, at its average price."""

    symbol: Symbol
    session: date
    stop: Price | None = None
    rules: RuleSet = DEFAULT_RULES
    note: Note = ""


class TradeUpload(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file of trades as CSV, and perhaps one of splits and bonuses."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    trades: str
    actions: str = ""


class RemovalRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Trades to forget: all of a symbol, those of a day, or a single one."""

    symbol: Symbol
    session: date | None = None
    trade_id: str = ""


class StopRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The initial stop of a symbol's purchases, of a day or all, at today's scale of prices."""

    symbol: Symbol
    stop: Price
    session: date | None = None


class RulesRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A set of [positions] rule_sets, or `default`, for a symbol's purchases, of a day or all."""

    symbol: Symbol
    rules: RuleSet
    session: date | None = None


class NoteRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A note on a symbol's sales of a day, or on its purchases; null: the newest day. Empty: none."""

    symbol: Symbol
    note: Note
    side: Side = Side.SELL
    session: date | None = None


def position_routes(context: WebContext) -> list[web.RouteDef]:
    """The routes that show the account."""

    @route("GET", "/api/positions", response=PositionsView, errors=(503,))
    async def positions(_: web.Request) -> web.Response:
        """Open positions, evaluated by the sell rules after the newest session."""
        latest = await context.positions.latest_report()
        return _json(EMPTY_REPORT if latest is None else latest.encode())

    @route("GET", "/api/journal", parameters=(ONLY_SYMBOL, TRADES), response=JournalView, errors=(400, 503))
    async def journal(request: web.Request) -> web.Response:
        """Closed trades with R, excursions and class, and their statistics.

        The statistics are always of all closed trades.
        """
        wanted = ONLY_SYMBOL.read(request), TRADES.read(request) or None
        latest = await context.positions.latest_journal(*wanted)
        return _json(EMPTY_JOURNAL if latest is None else latest.encode())

    @route("GET", "/api/heat", parameters=(POINTS,), response=HeatView, errors=(400, 503))
    async def heat(request: web.Request) -> web.Response:
        """Open risk by sector and in total against its caps, and the account session by session."""
        curve = await context.positions.curve(POINTS.read(request))
        latest = await context.positions.latest_heat()
        if latest is None:
            return json_response(HeatView(None, None, curve))
        return json_response(HeatView(latest.session, msgspec.Raw(latest.heat.encode()), curve))

    return [positions, journal, heat]


def position_change_routes(context: WebContext) -> list[web.RouteDef]:
    """The routes that change what is stored; each needs the login or the token."""
    return [*_trade_routes(context), *_purchase_routes(context), _note_route(context)]


def _trade_routes(context: WebContext) -> list[web.RouteDef]:
    """The routes that add and remove trades."""

    @route("POST", "/api/positions", body=FillRequest, **CHANGE)
    async def add(request: web.Request) -> web.Response:
        """Add a purchase or a sale."""
        given = await read_body(request, FillRequest)
        fill = Fill(
            symbol=_full_symbol(request, given.symbol),
            session=given.session,
            side=given.side,
            quantity=int(given.quantity),
            price=given.price,
            stop=given.stop,
            note=given.note,
            rules=given.rules,
            trade_id="",
        )
        return await _changed(context.portfolio.add(fill))

    @route("POST", "/api/positions/import", body=TradeUpload, body_limit_kb=TRADES_LIMIT_KB, **CHANGE)
    async def import_trades(request: web.Request) -> web.Response:
        """Take the trades of a file; rows that cannot be taken are named."""
        given = await read_body(request, TradeUpload)
        return await _changed(context.portfolio.import_trades(given.name, given.trades, given.actions))

    @route("POST", "/api/positions/remove", body=RemovalRequest, **CHANGE)
    async def remove(request: web.Request) -> web.Response:
        """Forget trades of a symbol."""
        given = await read_body(request, RemovalRequest)
        symbol = _full_symbol(request, given.symbol)
        return await _changed(context.portfolio.remove(symbol, given.session, given.trade_id))

    return [add, import_trades, remove]


def _purchase_routes(context: WebContext) -> list[web.RouteDef]:
    """The routes that give a holding its purchase, and that change stop and rules of purchases."""

    @route("POST", "/api/positions/holding", body=HoldingRequest, **CHANGE)
    async def holding(request: web.Request) -> web.Response:
        """Give a holding without stored trades its day and its stop; shares and price are the broker's."""
        given = await read_body(request, HoldingRequest)
        fill = Fill(
            symbol=_full_symbol(request, given.symbol),
            session=given.session,
            side=Side.BUY,
            quantity=0,
            price=0.0,
            stop=given.stop,
            note=given.note,
            rules=given.rules,
            trade_id="",
        )
        return await _changed(context.portfolio.add_holding(fill))

    @route("POST", "/api/positions/stop", body=StopRequest, **CHANGE)
    async def stop(request: web.Request) -> web.Response:
        """Set the initial stop of purchases that have none, or another one."""
        given = await read_body(request, StopRequest)
        symbol = _full_symbol(request, given.symbol)
        return await _changed(context.portfolio.set_stop(symbol, given.stop, given.session))

    @route("POST", "/api/positions/rules", body=RulesRequest, **CHANGE)
    async def rules(request: web.Request) -> web.Response:
        """Choose the set of sell rules by which purchases are held."""
        given = await read_body(request, RulesRequest)
        symbol = _full_symbol(request, given.symbol)
        return await _changed(context.portfolio.set_rules(symbol, given.rules, given.session))

    return [holding, stop, rules]


def _note_route(context: WebContext) -> web.RouteDef:
    """The route that writes into the journal."""

    @route("POST", "/api/journal/note", body=NoteRequest, **CHANGE)
    async def note(request: web.Request) -> web.Response:
        """Replace the note of a closed trade: on its sale, or on its purchase."""
        given = await read_body(request, NoteRequest)
        symbol = _full_symbol(request, given.symbol)
        return await _changed(context.portfolio.set_note(symbol, given.side, given.note, given.session))

    return note


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json", charset="utf-8")


def _full_symbol(request: web.Request, symbol: str) -> str:
    return request.app[EXCHANGE].full_symbol(symbol.strip().upper())


async def _changed(change: Awaitable[AccountChange]) -> web.Response:
    try:
        return json_response(await change)
    except BadInputError as error:
        raise HttpError(400, str(error)) from None


class BrokerView(msgspec.Struct, frozen=True, kw_only=True):
    """The account at `read_at`, company by company, against the trades that are stored.

    `unknown_lots` are holdings of companies without any stored trade, at the broker's average price. What is
    no purchase of shares for delivery is in `left_out`; `notices` make a count uncertain.
    """

    read_at: datetime
    agrees: bool
    companies: Sequence[CompanyShares]
    differences: Sequence[ShareDifference]
    unknown_lots: Sequence[Lot]
    left_out: Sequence[LeftOutPosition]
    notices: Sequence[str]


def broker_routes(context: WebContext) -> list[web.RouteDef]:
    """The route that compares; it changes nothing, here or at the broker."""

    @route("GET", "/api/broker", response=BrokerView, errors=(409, 503))
    async def broker(_: web.Request) -> web.Response:
        """What the broker's account holds, and where the stored trades differ from it."""
        try:
            reading = await context.broker.compare()
        except (RetryableError, UnavailableError):
            raise
        except VcpdError as error:  # no login, or no account at all
            raise HttpError(409, str(error)) from None
        found = reading.comparison
        return json_response(
            BrokerView(
                read_at=reading.read_at,
                agrees=found.agrees,
                companies=found.companies,
                differences=found.differences,
                unknown_lots=found.unknown_lots,
                left_out=found.left_out,
                notices=found.notices,
            )
        )

    return [broker]
