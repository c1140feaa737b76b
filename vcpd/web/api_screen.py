"""API of screen results: setups and what became of them, explanation, sizing, crowding, risk scores."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import msgspec
from aiohttp import web

from vcpd.core.errors import BadInputError
from vcpd.domain.record import RecordReport
from vcpd.domain.risk import RiskScore
from vcpd.domain.setups import SCORE_NOTE, Base, BaseState, Setup, SetupGroup, count_groups, in_group_order
from vcpd.web.context import SizeRequest, WebContext
from vcpd.web.responses import HttpError, json_response
from vcpd.web.routes import (
    AS_OF,
    SYMBOL,
    ChoiceParameter,
    FlagParameter,
    IntParameter,
    NumberParameter,
    SymbolParameter,
    TextParameter,
    route,
)

DEFAULT_PAGE_SIZE: Final = 100
MAX_PAGE_SIZE: Final = 5_000
MAX_AMOUNT: Final = 1e15
ALL_SYMBOLS: Final = FlagParameter("all", "Every symbol, not only listed setups.")
GROUP: Final = ChoiceParameter("group", "Only this group of followed bases.", choices=tuple(SetupGroup))
STATE: Final = ChoiceParameter("state", "Only this state.", choices=tuple(BaseState))
MIN_SCORE: Final = IntParameter("min_score", "Only scores of at least this.", low=0, high=100, default=0)
MIN_RATING: Final = IntParameter(
    "min_rating", "Only relative strength ratings of at least this.", low=0, high=99, default=0
)
SYMBOL_PART: Final = TextParameter("text", "Only symbols that contain this.")
SECTOR: Final = TextParameter("sector", "Only companies of this sector, as the index list names it.")
SORT: Final = ChoiceParameter(
    "sort",
    "What to sort by within each group, the distance to the pivot unless given; the groups keep their order.",
    choices=("score", "rs_rating", "symbol", "risk_pct", "close", "to_pivot_pct"),
)
ORDER: Final = ChoiceParameter("order", "Sort order.", choices=("asc", "desc"))
LIMIT: Final = IntParameter(
    "limit",
    f"Number of items at most; with `all=1` {MAX_PAGE_SIZE} unless given.",
    low=1,
    high=MAX_PAGE_SIZE,
    default=DEFAULT_PAGE_SIZE,
)
OFFSET: Final = IntParameter("offset", "Number of items to skip.", low=0, high=1_000_000, default=0)
LIST_PARAMETERS: Final = (
    AS_OF,
    ALL_SYMBOLS,
    GROUP,
    STATE,
    MIN_SCORE,
    MIN_RATING,
    SYMBOL_PART,
    SECTOR,
    SORT,
    ORDER,
    LIMIT,
    OFFSET,
)
SIZED_SYMBOL: Final = SymbolParameter("symbol", "The setup's symbol.", required=True)
EQUITY: Final = NumberParameter("equity", "Value of the account; default: `[size] equity`.", high=MAX_AMOUNT)
RISK_PCT: Final = NumberParameter("risk_pct", "Percent of equity at risk in one trade.", high=10.0)
ENTRY: Final = NumberParameter("entry", "Entry price; default: the setup's.", high=MAX_AMOUNT)
STOP: Final = NumberParameter("stop", "Stop price; default: the setup's.", high=MAX_AMOUNT)
MAX_OUTCOMES: Final = 5_000
OUTCOMES: Final = IntParameter("limit", "Number of newest outcomes.", low=0, high=MAX_OUTCOMES, default=200)


class SetupList(msgspec.Struct, frozen=True):
    """A page of setups; `count` are all that pass the filters, `groups` all followed bases by group.

    `score_note` says what a score describes and what it has been worth.
    """

    as_of: date | None
    count: int
    groups: Mapping[str, int]
    items: Sequence[Setup]
    score_note: str = SCORE_NOTE


class SymbolDetail(msgspec.Struct, frozen=True):
    """The latest verdict on a symbol, and its bases with all their events."""

    symbol: str
    as_of: date | None
    setup: Setup | None
    bases: Sequence[Base]


class Explanation(msgspec.Struct, frozen=True):
    """The verdict in plain lines: every gate with its numbers, nearest miss first."""

    symbol: str
    as_of: date
    lines: Sequence[str]
    setup: Setup


def setup_routes(context: WebContext) -> list[web.RouteDef]:
    """The routes of setups, of one symbol and of its explanation."""

    @route("GET", "/api/setups", parameters=LIST_PARAMETERS, response=SetupList, errors=(400, 503))
    async def setups(request: web.Request) -> web.Response:
        """Setups and other followed bases after a session: filtered, sorted, paged."""
        return await context.cache.respond(request, lambda: _setup_list(context, request))

    @route(
        "GET",
        "/api/setups/{symbol}",
        parameters=(SYMBOL, AS_OF),
        response=SymbolDetail,
        errors=(400, 404, 503),
    )
    async def symbol_detail(request: web.Request) -> web.Response:
        """One symbol's verdict, and its bases with all their events."""
        symbol = SYMBOL.read(request)
        as_of, verdict = await context.setups.for_symbol(symbol, AS_OF.read(request))
        bases = await context.setups.bases_of(symbol)
        if verdict is None and not bases:
            raise HttpError(
                404, f"{symbol}: no verdict and no base; not a symbol of [universe], or not screened yet"
            )
        return json_response(SymbolDetail(symbol, as_of, verdict, bases))

    @route(
        "GET",
        "/api/explain/{symbol}",
        parameters=(SYMBOL, AS_OF),
        response=Explanation,
        errors=(400, 404, 503),
    )
    async def explanation(request: web.Request) -> web.Response:
        """Why a symbol is, or is not, a setup after any session."""
        symbol = SYMBOL.read(request)
        try:
            setup, lines = await context.daemon.explain(symbol, AS_OF.read(request))
        except KeyError:
            raise HttpError(
                404, f"{symbol}: no bars; not a symbol of [universe], or not collected yet"
            ) from None
        except BadInputError as error:
            raise HttpError(400, str(error)) from None
        return json_response(Explanation(symbol, setup.as_of, lines, setup))

    return [setups, symbol_detail, explanation]


async def _setup_list(context: WebContext, request: web.Request) -> SetupList:
    all_symbols = ALL_SYMBOLS.read(request)
    as_of, setups = await context.setup_cache.setups(AS_OF.read(request), all_symbols=all_symbols)
    kept = _sorted(_filtered(setups, request), request)
    first = OFFSET.read(request)
    limit = LIMIT.read_or(request, MAX_PAGE_SIZE if all_symbols else DEFAULT_PAGE_SIZE)
    groups = count_groups(setup.group for setup in setups)
    return SetupList(as_of, len(kept), groups, kept[first : first + limit])


def _filtered(setups: Sequence[Setup], request: web.Request) -> list[Setup]:
    group, state = GROUP.read(request), STATE.read(request)
    score, rating = MIN_SCORE.read(request), MIN_RATING.read(request)
    text, sector = SYMBOL_PART.read(request).upper(), SECTOR.read(request).casefold()
    return [
        setup
        for setup in setups
        if (group is None or setup.group == group)
        and (state is None or setup.state == state)
        and setup.score >= score
        and (rating == 0 or (setup.rs_rating or 0) >= rating)
        and text in setup.symbol.upper()
        and (not sector or (setup.sector or "").casefold() == sector)
    ]


def _sorted(setups: list[Setup], request: web.Request) -> list[Setup]:
    key = SORT.read(request) or "to_pivot_pct"
    order = ORDER.read(request) or ("asc" if key in {"symbol", "to_pivot_pct"} else "desc")
    known = [setup for setup in setups if getattr(setup, key) is not None]
    unknown = [setup for setup in setups if getattr(setup, key) is None]
    by_symbol = sorted(known, key=lambda setup: setup.symbol)
    by_key = sorted(by_symbol, key=lambda setup: _sort_value(setup, key), reverse=order == "desc")
    return in_group_order(by_key + unknown)


def _sort_value(setup: Setup, key: str) -> Any:
    """The key's value; for the distance to the pivot its size, so that what is nearest comes first."""
    value = getattr(setup, key)
    return abs(value) if key == "to_pivot_pct" else value


def sizing_routes(context: WebContext) -> list[web.RouteDef]:
    """The routes of position size and of crowding."""

    @route(
        "GET",
        "/api/size",
        parameters=(SIZED_SYMBOL, EQUITY, RISK_PCT, ENTRY, STOP),
        response=Mapping[str, Any],
        errors=(400, 404, 503),
    )
    async def size(request: web.Request) -> web.Response:
        """How many shares of a setup, with every step."""
        wanted = _size_request(request)
        try:
            return json_response(await context.daemon.size(wanted))
        except KeyError:
            raise HttpError(
                404, f"{wanted.symbol}: no verdict; not a symbol of [universe], or not screened yet"
            ) from None
        except BadInputError as error:
            raise HttpError(400, str(error)) from None

    @route("GET", "/api/crowding", response=Mapping[str, Any], errors=(503,))
    async def crowding(_: web.Request) -> web.Response:
        """The latest setups in clusters that move together."""
        return json_response(await context.daemon.crowding())

    return [size, crowding]


def _size_request(request: web.Request) -> SizeRequest:
    return SizeRequest(
        symbol=SIZED_SYMBOL.read(request),
        equity=EQUITY.read(request),
        risk_pct=RISK_PCT.read(request),
        entry=ENTRY.read(request),
        stop=STOP.read(request),
    )


class RiskList(msgspec.Struct, frozen=True):
    """Risk scores of a session; symbols without a score carry their reason."""

    as_of: date | None
    count: int
    items: Sequence[RiskScore]


class RiskHistory(msgspec.Struct, frozen=True):
    """One symbol's risk scores of all evaluated sessions, latest first."""

    symbol: str
    count: int
    items: Sequence[RiskScore]


def risk_routes(context: WebContext) -> list[web.RouteDef]:
    """The routes of risk scores."""

    async def scores_of_session(session: date | None) -> RiskList:
        as_of, scores = await context.risk.for_session(session)
        return RiskList(as_of, len(scores), scores)

    @route("GET", "/api/risk", parameters=(AS_OF,), response=RiskList, errors=(400, 503))
    async def risk(request: web.Request) -> web.Response:
        """Risk scores of a session."""
        return await context.cache.respond(request, lambda: scores_of_session(AS_OF.read(request)))

    @route("GET", "/api/risk/{symbol}", parameters=(SYMBOL,), response=RiskHistory, errors=(400, 404, 503))
    async def risk_of_symbol(request: web.Request) -> web.Response:
        """One symbol's risk scores, session by session, latest first."""
        symbol = SYMBOL.read(request)
        scores = await context.risk.for_symbol(symbol)
        if not scores:
            raise HttpError(404, f"{symbol}: no risk score; not a symbol of [universe], or not scored yet")
        return json_response(RiskHistory(symbol, len(scores), scores))

    return [risk, risk_of_symbol]


def record_routes(context: WebContext) -> list[web.RouteDef]:
    """The route of the record's outcomes."""

    @route("GET", "/api/record", parameters=(OUTCOMES,), response=RecordReport, errors=(400, 503))
    async def record(request: web.Request) -> web.Response:
        """Outcomes of the reported setups, newest first, with estimates by state, month and market."""
        return json_response(await context.record.report(OUTCOMES.read(request)))

    return [record]
