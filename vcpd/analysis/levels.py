"""Price levels of a base, and the state that a price means; the same rules after the close and live."""

from typing import Final, NamedTuple, Protocol

from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.setups import BaseState

MAX_TICK_SHARE: Final = (
    0.01  # of the price: old back-adjusted prices lie on no grid, rounding would move them
)
ABOVE_PIVOT: Final = frozenset({BaseState.BREAKOUT, BaseState.EXTENDED})
AFTER_BREAKOUT: Final = ABOVE_PIVOT | {BaseState.SQUAT, BaseState.FAILED}


class PriceLevels(Protocol):
    """The levels that decide a state."""

    @property
    def pivot(self) -> float: ...
    @property
    def stop(self) -> float: ...
    @property
    def near_pivot(self) -> float: ...
    @property
    def zone_end(self) -> float: ...


class Levels(NamedTuple):
    """Prices of a base. `floor` is the structural stop, under the final low; `stop` is capped."""

    pivot: float
    entry: float
    near_pivot: float
    zone_end: float
    stop: float
    floor: float

    @property
    def risk_pct(self) -> float:
        """From entry to the capped stop."""
        return 100 * (self.entry - self.stop) / self.entry

    @property
    def structural_risk_pct(self) -> float:
        return 100 * (self.entry - self.floor) / self.entry


def levels_of(pivot: float, final_low: float, atr: float, tick: float, thresholds: Thresholds) -> Levels:
    """Levels from the final contraction (`pivot` its high) and the mean true range, unrounded."""
    return levels_above(pivot, final_low - thresholds.stop_atr_share * atr, tick, thresholds)


def levels_above(pivot: float, floor: float, tick: float, thresholds: Thresholds) -> Levels:
    """Levels of a pivot whose structural stop is known."""
    entry = pivot + tick
    return Levels(
        pivot,
        entry,
        pivot * (1 - thresholds.near_pivot_pct / 100),
        pivot * (1 + thresholds.buy_zone_pct / 100),
        max(floor, entry * (1 - thresholds.max_stop_pct / 100)),
        floor,
    )


def state_at(state: BaseState, price: float, levels: PriceLevels, hysteresis: float = 0.0) -> BaseState:
    """The state of a base in `state` at a new price.

    A level counts as passed at once on the way up, and as lost when the price is below it by the
    hysteresis (a fraction); after the close there is none.
    """
    slack = 1 - hysteresis
    if price > levels.pivot or (state in ABOVE_PIVOT and hysteresis and price >= levels.pivot * slack):
        extended = state is BaseState.EXTENDED and hysteresis and price >= levels.zone_end * slack
        return BaseState.EXTENDED if price > levels.zone_end or extended else BaseState.BREAKOUT
    broken = BaseState.FAILED if state in AFTER_BREAKOUT else BaseState.UNDER_STOP
    if price < levels.stop or (state is broken and hysteresis and price <= levels.stop / slack):
        return broken
    if state in AFTER_BREAKOUT:
        return BaseState.SQUAT
    near = price >= levels.near_pivot or (
        state is BaseState.NEAR_PIVOT and price >= levels.near_pivot * slack
    )
    return BaseState.NEAR_PIVOT if near else BaseState.FORMING


def round_to_tick(price: float, tick: float) -> float:
    """The price at its nearest tick; as it is where the tick is coarser than one percent of it."""
    if tick <= 0 or tick > MAX_TICK_SHARE * price:
        return price
    return round(round(price / tick) * tick, 6)
