"""API of the market as a whole: its regime by session, and the ranks of its sectors."""

from collections.abc import Sequence
from datetime import date
from typing import Final

import msgspec
from aiohttp import web

from vcpd.domain.market_regime import MarketRegime, SectorLevel, SectorRank
from vcpd.web.context import WebContext
from vcpd.web.routes import AS_OF, ChoiceParameter, IntParameter, route

MAX_REGIMES: Final = 2_000
REGIMES: Final = IntParameter("sessions", "Number of newest sessions.", low=1, high=MAX_REGIMES, default=252)
HISTORY: Final = IntParameter(
    "history", "Number of newest sessions whose ranks are given.", low=1, high=MAX_REGIMES, default=60
)


LEVEL: Final = ChoiceParameter("level", "Sectors (default) or industries.", choices=tuple(SectorLevel))


class RegimeHistory(msgspec.Struct, frozen=True):
    """Regimes of the newest sessions, oldest first; the last one is the market's now."""

    as_of: date | None
    count: int
    items: Sequence[MarketRegime]


class MarketNote(msgspec.Struct, frozen=True):
    """What the market does, beside setups; see /api/regime."""

    term: str
    since: date | None


class SectorHistory(msgspec.Struct, frozen=True):
    """The rank of a sector or industry after each session asked for, oldest first; null without one."""

    sector: str
    ranks: Sequence[int | None]


class SectorTable(msgspec.Struct, frozen=True):
    """Ranked sectors or industries, the strongest first, and where each stood before."""

    as_of: date | None
    count: int
    items: Sequence[SectorRank]
    sessions: Sequence[date]
    history: Sequence[SectorHistory]


def market_routes(context: WebContext) -> list[web.RouteDef]:
    """The routes of regime and sectors."""

    @route("GET", "/api/regime", parameters=(AS_OF, REGIMES), response=RegimeHistory, errors=(400, 503))
    async def regime(request: web.Request) -> web.Response:
        """What the market did: its term, distribution days, breadth, session by session."""
        return await context.cache.respond(request, lambda: _regimes(context, request))

    @route("GET", "/api/sectors", parameters=(AS_OF, LEVEL, HISTORY), response=SectorTable, errors=(400, 503))
    async def sectors(request: web.Request) -> web.Response:
        """Sectors or industries ranked by relative strength and breadth: quadrant, leaders, earlier ranks."""
        return await context.cache.respond(request, lambda: _sectors(context, request))

    return [regime, sectors]


async def _regimes(context: WebContext, request: web.Request) -> RegimeHistory:
    items = await context.regimes.regimes(AS_OF.read(request), REGIMES.read(request))
    return RegimeHistory(as_of=items[-1].session if items else None, count=len(items), items=items)


async def _sectors(context: WebContext, request: web.Request) -> SectorTable:
    until, sessions = AS_OF.read(request), HISTORY.read(request)
    level = SectorLevel(LEVEL.read(request) or SectorLevel.SECTOR)
    as_of, items = await context.regimes.sectors(until, level)
    ranks = {} if as_of is None else await context.regimes.sector_history(as_of, sessions, level)
    days = sorted({day for by_day in ranks.values() for day in by_day})
    return SectorTable(
        as_of=as_of,
        count=len(items),
        items=items,
        sessions=days,
        history=[
            SectorHistory(sector=sector, ranks=[by_day.get(day) for day in days])
            for sector, by_day in sorted(ranks.items())
        ],
    )
