"""Pivot, entry, buy zone and stop of a base, on the instrument's tick."""

from typing import NamedTuple

from vcpd.analysis.thresholds import Thresholds

MAX_TICK_SHARE = 0.01  # of the price: old back-adjusted prices lie on no grid, rounding would move them


class Levels(NamedTuple):
    """Prices of a base. `floor` is the final low less its margin: below it the structure is broken."""

    pivot: float
    entry: float
    zone_end: float
    stop: float
    floor: float

    @property
    def risk_pct(self) -> float:
        return 100 * (self.entry - self.stop) / self.entry


def levels_of(pivot: float, final_low: float, atr: float, tick: float, thresholds: Thresholds) -> Levels:
    """Levels from the final contraction (`pivot` its high) and the mean true range, unrounded."""
    entry = pivot + tick
    floor = final_low - thresholds.stop_atr_share * atr
    stop = max(floor, entry * (1 - thresholds.stop_most_pct / 100))
    return Levels(pivot, entry, pivot * (1 + thresholds.buy_zone_pct / 100), stop, floor)


def round_to_tick(price: float, tick: float) -> float:
    """The price at its nearest tick; as it is where the tick is coarser than one percent of it."""
    if tick <= 0 or tick > MAX_TICK_SHARE * price:
        return price
    return round(round(price / tick) * tick, 6)
