"""Regimes and sector ranks that a test of the port or the page shows."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final

import msgspec

from vcpd.domain.market_regime import (
    IndexDirection,
    MarketBreadth,
    MarketContext,
    MarketRegime,
    MarketTerm,
    Quadrant,
    SectorLevel,
    SectorRank,
    VolumeSource,
)

LAST: Final = date(2025, 6, 30)
BENCHMARK: Final = "NSE:NIFTY 500"
BREADTH: Final = MarketBreadth(
    symbols=1_000,
    above_sma50_pct=61.5,
    above_sma150_pct=55.0,
    above_sma200_pct=None,
    new_highs=20,
    new_lows=4,
    advances=600,
    declines=400,
    up_value=7e9,
    down_value=5e9,
    mcclellan=23.4,
)


def regime_of(
    session: date, term: MarketTerm = MarketTerm.UNDER_PRESSURE, close: float = 100.0
) -> MarketRegime:
    """A regime whose benchmark gives the term by four distribution days."""
    direction = IndexDirection(
        session=session,
        close=close,
        term=term,
        since=LAST - timedelta(3),
        distribution_days=4,
        volume_sources=(VolumeSource.INDEX,),
        follow_through=date(2025, 3, 18),
    )
    return MarketRegime.of(session, BENCHMARK, {BENCHMARK: direction}, BREADTH)


def rank_of(sector: str, rank: int | None, quadrant: Quadrant | None, session: date = LAST) -> SectorRank:
    """A sector with three leaders."""
    return SectorRank(
        session=session,
        sector=sector,
        rank=rank,
        n_symbols=12,
        rs_rating=70.5,
        above_sma50_pct=64.0,
        relative_strength=102.0 if quadrant else None,
        momentum=99.0 if quadrant else None,
        quadrant=quadrant,
        leaders=("NSE:ALPHA", "NSE:BETA", "NSE:GAMMA"),
    )


def context_of(rank: int | None) -> MarketContext:
    """What stands beside a setup whose sector has this rank among two."""
    return MarketContext(
        session=LAST,
        term=MarketTerm.UNDER_PRESSURE,
        since=LAST - timedelta(3),
        sector_rank=rank,
        sectors_ranked=2,
    )


class FakeRegimes:
    """`RegimeReader` over two sessions and three sectors."""

    def __init__(self, *, is_empty: bool = False) -> None:
        self._regimes = (
            []
            if is_empty
            else [
                regime_of(LAST - timedelta(3), MarketTerm.CONFIRMED_UPTREND, 98.0),
                regime_of(LAST),
            ]
        )
        self._ranks = (
            []
            if is_empty
            else [
                rank_of("Banks", 1, Quadrant.LEADING),
                rank_of("Steel", 2, Quadrant.LAGGING),
                rank_of("Unrated", None, None),
                msgspec.structs.replace(
                    rank_of("Private Banks", 1, Quadrant.LEADING), level=SectorLevel.INDUSTRY, parent="Banks"
                ),
            ]
        )

    async def regimes(self, until: date | None, limit: int) -> Sequence[MarketRegime]:
        return [regime for regime in self._regimes if until is None or regime.session <= until][-limit:]

    async def sectors(
        self, until: date | None, level: SectorLevel = SectorLevel.SECTOR
    ) -> tuple[date | None, Sequence[SectorRank]]:
        if not self._ranks or (until is not None and until < LAST):
            return None, ()
        return LAST, [rank for rank in self._ranks if rank.level is level]

    async def sector_history(
        self, until: date | None, limit: int, level: SectorLevel = SectorLevel.SECTOR
    ) -> Mapping[str, Mapping[date, int | None]]:
        return {rank.sector: {LAST: rank.rank} for rank in self._ranks if rank.level is level}
