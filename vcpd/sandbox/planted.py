"""The truth about planted bases, in the dates and prices that the served bars show."""

from collections.abc import Iterator

from vcpd.domain.bars import BarSeries
from vcpd.domain.setups import Contraction
from vcpd.sandbox.courses import BasePlan
from vcpd.sandbox.market import PlantedBase
from vcpd.sandbox.standpoint import Standpoint


def planted_bases(view: Standpoint) -> Iterator[PlantedBase]:
    """The bases whose last low has been printed, by name and age."""
    shown = view.world.offset + view.settled_columns
    for row, name in enumerate(view.world.names):
        plans = [plan for plan in name.bases if plan.highs[0] >= view.world.offset and plan.lows[-1] < shown]
        if plans:
            series = view.series(row)
            yield from (_told(plan, series, view) for plan in plans)


def _told(plan: BasePlan, series: BarSeries, view: Standpoint) -> PlantedBase:
    """A plan as the series shows it; leaders trade in every session, so numbers are positions."""
    offset, sessions = view.world.offset, view.world.sessions
    legs = tuple(
        _contraction(series, high - offset, low - offset)
        for high, low in zip(plan.highs, plan.lows, strict=True)
    )
    resolved = offset + view.settled_columns > plan.resolved
    return PlantedBase(
        symbol=series.symbol,
        anchor_date=legs[0].high_date,
        contractions=legs,
        pivot=legs[-1].high,
        formed_on=legs[-1].low_date,
        resolved_on=sessions[plan.resolved].item() if resolved else None,
        resolution=plan.resolution if resolved else None,
    )


def _contraction(series: BarSeries, high_at: int, low_at: int) -> Contraction:
    high, low = float(series.high[high_at]), float(series.low[low_at])
    return Contraction(
        high=high,
        high_date=series.sessions[high_at].item(),
        low=low,
        low_date=series.sessions[low_at].item(),
        depth_pct=100.0 * (high - low) / high,
    )
