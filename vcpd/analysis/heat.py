"""Heat of an account: what it loses if every stop is hit, by sector and in total, and what gaps would cost.

A stop is the highest price at which a rule would sell; a lot without a stop counts with its whole value,
because nothing bounds its loss.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, ClassVar, Final

import msgspec
import numpy as np

from vcpd.analysis.position_measures import PERCENT, PositionMeasures
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import BarSeries, FloatArray

GAP_PERCENTILE: Final = 1.0  # of the overnight changes: the gap that one night in a hundred exceeds
LEAST_GAPS: Final = 100  # fewer nights say nothing about the worst in a hundred
UNKNOWN_SECTOR: Final = "unknown"


class HeatSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The most that may be at risk at once, in percent of the account's value."""

    reloadable: ClassVar[bool] = True

    total_pct: Annotated[
        float, msgspec.Meta(gt=0, le=100, description="risk of all positions together down to their stops")
    ] = 6.0
    sector_pct: Annotated[
        float, msgspec.Meta(gt=0, le=100, description="the same of the positions of one sector")
    ] = 3.0
    positions: Annotated[int, msgspec.Meta(ge=1, description="number of symbols held at once")] = 12


class LotAtRisk(msgspec.Struct, frozen=True, kw_only=True):
    """A lot's place in the heat: its stop of now, what is lost there, and what a bad night would cost."""

    symbol: str
    sector: str
    value: float
    stop: float | None
    at_risk: float  # down to the stop, never below 0; the whole value without a stop
    gap_pct: float | None  # the fall that one night in a hundred exceeds, positive
    gap_loss: float | None


class Cap(msgspec.Struct, frozen=True, kw_only=True):
    """A limit, what is used of it, both in the unit that `unit` names."""

    name: str
    used: float
    limit: float
    unit: str = "% of equity"

    @property
    def is_broken(self) -> bool:
        return self.used > self.limit * (1 + 1e-9)


class Heat(msgspec.Struct, frozen=True, kw_only=True):
    """Open risk of an account worth `equity`; sums in the currency of the prices.

    `gap_loss` adds the bad nights of all lots up as if they came together. `without_stop` names symbols
    whose loss nothing bounds.
    """

    equity: float
    value: float
    at_risk: float
    gap_loss: float
    lots: tuple[LotAtRisk, ...]
    caps: tuple[Cap, ...]
    without_stop: tuple[str, ...] = ()
    effective_bets: float | None = None  # as many independent bets the symbols are, see analysis.crowding

    @property
    def at_risk_pct(self) -> float:
        return PERCENT * self.at_risk / self.equity


def lot_at_risk(
    measures: PositionMeasures, stop: float | None, bars: BarSeries, sector: str = UNKNOWN_SECTOR
) -> LotAtRisk:
    """A measured lot with its stop of now; `bars` (n,) are the symbol's history up to now."""
    lot, gap = measures.lot, gap_pct(bars)
    per_share = measures.close if stop is None else max(0.0, measures.close - stop)
    return LotAtRisk(
        symbol=lot.symbol,
        sector=sector,
        value=measures.value,
        stop=stop,
        at_risk=lot.quantity * per_share,
        gap_pct=gap,
        gap_loss=None if gap is None else measures.value * gap / PERCENT,
    )


def gap_pct(bars: BarSeries) -> float | None:
    """The fall from a close to the next open that one night in a hundred exceeds, in percent, at least 0."""
    if len(bars) <= LEAST_GAPS:
        return None
    changes = bars.open[1:] / bars.close[:-1] - 1
    return max(0.0, -PERCENT * _low_percentile(changes, GAP_PERCENTILE))


def _low_percentile(values: FloatArray, percent: float) -> float:
    """The same as `numpy.percentile` gives, which takes ten times as long for a few hundred values."""
    place = percent / PERCENT * (len(values) - 1)
    below = int(place)
    low, high = np.partition(values, (below, below + 1))[below : below + 2]
    return float(low + (high - low) * (place - below))


def measure_heat(lots: Sequence[LotAtRisk], equity: float, settings: HeatSettings) -> Heat:
    """The account's heat. Raises BadInputError for an equity that is not above 0."""
    if not equity > 0:
        raise BadInputError(f"equity: expected a value above 0, was {equity:g}; set [size] equity")
    at_risk = sum(lot.at_risk for lot in lots)
    return Heat(
        equity=equity,
        value=sum(lot.value for lot in lots),
        at_risk=at_risk,
        gap_loss=sum(lot.gap_loss or 0.0 for lot in lots),
        lots=tuple(lots),
        caps=tuple(_caps(lots, equity, settings)),
        without_stop=tuple(dict.fromkeys(lot.symbol for lot in lots if lot.stop is None)),
    )


def _caps(lots: Sequence[LotAtRisk], equity: float, settings: HeatSettings) -> Iterable[Cap]:
    yield Cap(
        name="total", used=PERCENT * sum(lot.at_risk for lot in lots) / equity, limit=settings.total_pct
    )
    for sector, at_risk in sorted(risk_by_sector(lots).items()):
        yield Cap(name=f"sector {sector}", used=PERCENT * at_risk / equity, limit=settings.sector_pct)
    held = len({lot.symbol for lot in lots})
    yield Cap(name="positions", used=held, limit=settings.positions, unit="symbols")


def risk_by_sector(lots: Iterable[LotAtRisk]) -> Mapping[str, float]:
    """What is at risk in each sector."""
    sums: dict[str, float] = defaultdict(float)
    for lot in lots:
        sums[lot.sector] += lot.at_risk
    return sums


def risk_available(heat: Heat, symbol: str, sector: str, settings: HeatSettings) -> tuple[float, str]:
    """The further risk that a symbol of this sector may add, and the name of the limit that applies."""
    held = {lot.symbol for lot in heat.lots}
    if symbol not in held and len(held) >= settings.positions:
        return 0.0, "positions"
    total = settings.total_pct * heat.equity / PERCENT - heat.at_risk
    own = settings.sector_pct * heat.equity / PERCENT - risk_by_sector(heat.lots).get(sector, 0.0)
    available, name = min((total, "total"), (own, f"sector {sector}"))
    return max(0.0, available), name
