"""API of the page's list of setups, and of market breadth."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import msgspec
from aiohttp import web

from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.group_history import sessions_in_group
from vcpd.domain.risk import RiskSummary
from vcpd.domain.setups import SCORE_NOTE, Setup, count_groups
from vcpd.web.api_market import MarketNote
from vcpd.web.api_screen import ALL_SYMBOLS
from vcpd.web.context import RecentFigures, WebContext
from vcpd.web.routes import AS_OF, route


class SetupRow(msgspec.Struct, frozen=True, kw_only=True):
    """One setup in the table. `change_pct`, `adr_pct`, `turnover` and `spark` are of the newest bars."""

    symbol: str
    sector: str | None
    sector_rank: int | None
    sector_quadrant: str | None
    sector_text: str | None  # sector and industry with their ranks
    marks: tuple[str, ...]  # what makes the share harder to trade, such as `trade for trade`
    results_in_sessions: int | None
    state: str | None
    group: str | None
    group_reason: str | None
    sessions_in_group: int | None  # the first one counted; None where unknown
    tolerances: tuple[str, ...]
    passed: bool
    score: float
    rating: int | None
    footprint: str | None
    weeks: int | None
    close: float | None
    pivot: float | None
    to_pivot_pct: float | None
    stop: float | None
    risk_pct: float | None
    risk: float | None
    band: str | None
    provisional: bool
    young: bool
    news: tuple[str, ...]  # what happened in this session
    why_not: str | None
    delivery_pct: float | None
    change_pct: float | None
    adr_pct: float | None
    turnover: float | None
    spark: Sequence[int]  # last closes between their extremes, 0..99


class SetupTable(msgspec.Struct, frozen=True):
    """The page's table; `judged` symbols in all, `passed` of the shown ones pass every gate.

    `score_note` as in SetupList.
    """

    as_of: date | None
    count: int
    judged: int
    passed: int
    groups: Mapping[str, int]
    score_note: str
    market: MarketNote | None
    benchmark: str | None  # the index behind relative strength, where it has bars
    items: Sequence[SetupRow]


def board_routes(context: WebContext) -> list[web.RouteDef]:
    """The routes of the page's table and of market breadth."""

    @route("GET", "/api/board", parameters=(AS_OF, ALL_SYMBOLS), response=SetupTable, errors=(400, 503))
    async def board(request: web.Request) -> web.Response:
        """The page's table: one row for each listed setup, or for every symbol."""
        return await context.cache.respond(request, lambda: _setup_table(context, request))

    @route("GET", "/api/breadth", response=Mapping[str, Any], errors=(503,))
    async def breadth(request: web.Request) -> web.Response:
        """Shares above averages, new highs and lows, bases by state, session by session."""
        return await context.cache.respond(request, context.daemon.breadth)

    return [board, breadth]


async def _setup_table(context: WebContext, request: web.Request) -> SetupTable:
    session, all_symbols = AS_OF.read(request), ALL_SYMBOLS.read(request)
    as_of, setups = await context.setup_cache.setups(session, all_symbols=all_symbols)
    scores = {} if as_of is None else await context.risk.summaries(as_of)
    figures = await context.daemon.recent_trading([setup.symbol for setup in setups if setup.is_listed])
    regimes = await context.regimes.regimes(as_of, 1)
    calendar = context.exchange.calendar
    items = [
        _setup_row(setup, scores.get(setup.symbol), figures.get(setup.symbol), calendar) for setup in setups
    ]
    return SetupTable(
        as_of=as_of,
        count=len(items),
        judged=0 if as_of is None else await context.setups.count(as_of),
        passed=sum(setup.passed for setup in setups),
        groups=count_groups(setup.group for setup in setups),
        score_note=SCORE_NOTE,
        market=next((MarketNote(regime.term, regime.since) for regime in regimes), None),
        benchmark=next((regime.benchmark for regime in regimes), None),
        items=items,
    )


def _setup_row(
    setup: Setup, risk: RiskSummary | None, recent: RecentFigures | None, calendar: TradingCalendar
) -> SetupRow:
    market = setup.market_context
    return SetupRow(
        symbol=setup.symbol,
        sector=setup.sector,
        sector_rank=None if market is None else market.sector_rank,
        sector_quadrant=None if market is None else market.sector_quadrant,
        sector_text=None if market is None else market.sector_text(setup.sector),
        marks=() if setup.facts is None else setup.facts.marks,
        results_in_sessions=None if setup.facts is None else setup.facts.results_in_sessions,
        state=setup.state,
        group=setup.group,
        group_reason=setup.group_reason,
        sessions_in_group=sessions_in_group(setup, calendar),
        tolerances=setup.tolerances,
        passed=setup.passed,
        score=round(setup.score, 1),
        rating=setup.rs_rating,
        footprint=setup.footprint,
        weeks=setup.weeks,
        close=setup.close,
        pivot=setup.pivot,
        to_pivot_pct=setup.to_pivot_pct,
        stop=setup.stop,
        risk_pct=setup.risk_pct,
        risk=None if risk is None or risk.score is None else round(risk.score, 1),
        band=None if risk is None else risk.band,
        provisional=setup.provisional,
        young=setup.young,
        news=tuple(
            event.kind.value for event in setup.events if event.session == setup.as_of and not event.live
        ),
        why_not=setup.nearest_miss or setup.reason,
        delivery_pct=None if setup.facts is None else setup.facts.delivery_pct,
        change_pct=None if recent is None else recent.change_pct,
        adr_pct=None if recent is None else recent.adr_pct,
        turnover=None if recent is None else recent.turnover,
        spark=() if recent is None else recent.spark,
    )
