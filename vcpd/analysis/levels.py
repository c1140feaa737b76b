"""Price levels of a base and the state that a price means: the same rules after the close and live.

Live, a level counts as passed at once on the way up; on the way down only when the price has left it by the
hysteresis. Each kind of event happens once in a chapter of the base's life, as in the evening. A price
under the stop before a breakout is a state but no event: only a close there counts.
"""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.setups import CHAPTER_STARTS, BaseState, EventKind, SetupEvent

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
        """The distance from entry to capped stop, in percent of the entry."""
        return 100 * (self.entry - self.stop) / self.entry

    @property
    def structural_risk_pct(self) -> float:
        return 100 * (self.entry - self.floor) / self.entry


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


def shown_stop(stop: float, tick: float, close: float) -> float:
    """A stop at its nearest tick; as it is where that tick lies on the other side of the close.

    Back-adjusted closes lie between ticks: the stop shown must not contradict the state.
    """
    rounded = round_to_tick(stop, tick)
    between = stop <= close < rounded or rounded < close <= stop
    return round(stop, 6) if between else rounded


BREAKOUTS: Final = frozenset({EventKind.BREAKOUT, EventKind.BREAKOUT_UNCONFIRMED})
STATE_AFTER: Final = {
    EventKind.NEAR_PIVOT: BaseState.NEAR_PIVOT,
    EventKind.UNDER_STOP: BaseState.UNDER_STOP,
    EventKind.STOP_RECLAIMED: BaseState.FORMING,
    EventKind.BREAKOUT: BaseState.BREAKOUT,
    EventKind.BREAKOUT_UNCONFIRMED: BaseState.BREAKOUT,
    EventKind.RECLAIMED: BaseState.BREAKOUT,
    EventKind.EXTENDED: BaseState.EXTENDED,
    EventKind.SQUAT: BaseState.SQUAT,
    EventKind.FAILED: BaseState.FAILED,
}


class LiveRules(NamedTuple):
    """The evening's thresholds as far as they matter here, as fractions, and the hysteresis."""

    near: float
    zone: float
    volume_ratio: float
    hysteresis: float

    @classmethod
    def of(cls, thresholds: Thresholds, hysteresis_pct: float) -> "LiveRules":
        return cls(
            thresholds.near_pivot_pct / 100,
            thresholds.buy_zone_pct / 100,
            thresholds.breakout_volume_ratio,
            hysteresis_pct / 100,
        )


class LiveLevels(NamedTuple):
    """The levels of one base, as the evening before left them: `PriceLevels`, as `Levels` is.

    Its own struct, because the live watch knows neither entry nor floor, takes pivot and stop as they were
    stored, rounded to ticks, and measures its distances by the thresholds in force, not by the evening's.
    """

    pivot: float
    stop: float
    near_pivot: float
    zone_end: float

    @classmethod
    def of(cls, pivot: float, stop: float, rules: LiveRules) -> "LiveLevels":
        return cls(pivot, stop, pivot * (1 - rules.near), pivot * (1 + rules.zone))


class LiveState(NamedTuple):
    """State of a base, whether volume has confirmed it, and the events reported so far."""

    state: BaseState
    confirmed: bool
    emitted: frozenset[EventKind]

    @property
    def awaits_volume(self) -> bool:
        return self.state in ABOVE_PIVOT and not self.confirmed


class PriceBand(NamedTuple):
    """Prices in [lower, upper] change nothing."""

    lower: float
    upper: float


def initial_state(state: BaseState, events: Iterable[SetupEvent], session: object) -> LiveState:
    """The live state of a base before the first price, from its evening's state and its events so far.

    An unconfirmed event of an older session was refuted and counts for nothing; those of the running one
    were seen by us or by a screen.
    """
    seen: set[EventKind] = set()
    for event in events:
        if event.kind in CHAPTER_STARTS:
            seen = set()
        elif not event.provisional or event.session == session:
            seen.add(event.kind)
            if event.session == session:
                state = STATE_AFTER.get(event.kind, state)
    return LiveState(state, EventKind.BREAKOUT in seen, frozenset(seen))


def advance_state(
    stand: LiveState, price: float, volume_ratio: float, target: LiveLevels, rules: LiveRules
) -> tuple[LiveState, tuple[EventKind, ...]]:
    """The state after one price, with its events. A NaN `volume_ratio` is unknown and confirms nothing."""
    state = state_at(stand.state, price, target, rules.hysteresis)
    confirmed = stand.confirmed or (state in ABOVE_PIVOT and volume_ratio >= rules.volume_ratio)
    new_kinds = [kind for kind in _events_to(stand, state, confirmed=confirmed) if kind not in stand.emitted]
    return LiveState(state, confirmed, stand.emitted | set(new_kinds)), tuple(new_kinds)


def unchanged_band(stand: LiveState, target: LiveLevels, rules: LiveRules) -> PriceBand:
    """The range in which a price changes nothing: ticks inside it need no evaluation."""
    slack = 1 - rules.hysteresis
    bands = {
        BaseState.FORMING: PriceBand(target.stop, math.nextafter(target.near_pivot, 0.0)),
        BaseState.NEAR_PIVOT: PriceBand(max(target.near_pivot * slack, target.stop), target.pivot),
        BaseState.UNDER_STOP: PriceBand(-math.inf, min(target.stop / slack, target.pivot)),
        BaseState.BREAKOUT: PriceBand(target.pivot * slack, target.zone_end),
        BaseState.EXTENDED: PriceBand(target.zone_end * slack, math.inf),
        BaseState.SQUAT: PriceBand(target.stop, target.pivot),
        BaseState.FAILED: PriceBand(-math.inf, min(target.stop / slack, target.pivot)),
    }
    return bands.get(stand.state, PriceBand(-math.inf, math.inf))


def _events_to(stand: LiveState, state: BaseState, *, confirmed: bool) -> list[EventKind]:
    """Every kind of event between the current state and `state`, reported before or not."""
    kinds: list[EventKind] = []
    if state in ABOVE_PIVOT:
        if stand.state not in ABOVE_PIVOT:
            kinds += [EventKind.RECLAIMED] if stand.emitted & BREAKOUTS else []
            kinds += [] if confirmed else [EventKind.BREAKOUT_UNCONFIRMED]
        kinds += [EventKind.BREAKOUT] if confirmed else []
        kinds += [EventKind.EXTENDED] if state is BaseState.EXTENDED else []
    elif state is not stand.state:
        kinds += [
            kind
            for kind in (EventKind.NEAR_PIVOT, EventKind.SQUAT, EventKind.FAILED)
            if STATE_AFTER[kind] is state
        ]
    return kinds
