"""What the page shows first: the setups in a line each, and the market's breadth."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from vcpd.domain.risk import RiskMark
from vcpd.domain.setups import Setup
from vcpd.web.answers import date_parameter, flag_parameter
from vcpd.web.sources import Sources


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One setup in the table; `spark` are its last closes between their extremes, 0..99."""

    symbol: str
    sector: str | None
    state: str | None
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
    spark: Sequence[int]


def routes(sources: Sources) -> list[web.RouteDef]:
    async def board(request: web.Request) -> web.Response:
        """GET /api/board?all=&as_of=: each listed setup (or every symbol) in a line."""
        return await sources.shelf.answer(request, lambda: _board(sources, request))

    async def breadth(request: web.Request) -> web.Response:
        """GET /api/breadth: shares above averages, new highs and lows, setups by state, by session."""
        return await sources.shelf.answer(request, sources.daemon.breadth)

    return [web.get("/api/board", board), web.get("/api/breadth", breadth)]


async def _board(sources: Sources, request: web.Request) -> Mapping[str, Any]:
    session, everything = date_parameter(request, "as_of"), flag_parameter(request, "all")
    as_of, setups = await sources.judged.setups(session, everything=everything)
    marks = {} if as_of is None else await sources.risk.marks(as_of)
    sparks = await sources.daemon.sparks([setup.symbol for setup in setups if setup.is_listed])
    items = [_line(setup, marks.get(setup.symbol), sparks.get(setup.symbol, ())) for setup in setups]
    return {
        "as_of": as_of,
        "count": len(items),
        "judged": 0 if as_of is None else await sources.setups.count(as_of),
        "passed": sum(setup.passed for setup in setups),
        "items": items,
    }


def _line(setup: Setup, risk: RiskMark | None, spark: Sequence[int]) -> Line:
    return Line(
        symbol=setup.symbol,
        sector=setup.sector,
        state=setup.state,
        passed=setup.passed,
        score=round(setup.score, 1),
        rating=setup.rs_rating,
        footprint=setup.footprint,
        weeks=setup.weeks,
        close=setup.close,
        pivot=setup.pivot,
        to_pivot_pct=_to_pivot_pct(setup),
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
        spark=spark,
    )


def _to_pivot_pct(setup: Setup) -> float | None:
    """How far the close must rise to the pivot; negative above it."""
    if not setup.pivot or not setup.close:
        return None
    return round(100 * (setup.pivot / setup.close - 1), 2)
