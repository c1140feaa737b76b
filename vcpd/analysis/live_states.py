"""State of a base during the running session: the level rules on the last price, with hysteresis.

A level counts as passed at once on the way up; on the way down only when the price has left it by the
hysteresis. Each kind of event happens once in a chapter of the base's life, as in the evening. A price
under the stop before a breakout is a state but no event: only a close there counts.
"""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

from vcpd.analysis.levels import ABOVE_PIVOT, state_at
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.setups import CHAPTER_STARTS, BaseState, EventKind, SetupEvent

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
    """The levels of one base, as the evening before left them."""

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
    """The stand of a base before the first price: from its evening's state and its events so far.

    An unconfirmed event of an older session was refuted and counts for nothing; those of the running one
    were seen by us or by a screen.
    """
    told: set[EventKind] = set()
    for event in events:
        if event.kind in CHAPTER_STARTS:
            told = set()
        elif not event.provisional or event.session == session:
            told.add(event.kind)
            if event.session == session:
                state = STATE_AFTER.get(event.kind, state)
    return LiveState(state, EventKind.BREAKOUT in told, frozenset(told))


def advance_state(
    stand: LiveState, price: float, volume_ratio: float, target: LiveLevels, rules: LiveRules
) -> tuple[LiveState, tuple[EventKind, ...]]:
    """The state after one price, with its events. A NaN `volume_ratio` is unknown and confirms nothing."""
    state = state_at(stand.state, price, target, rules.hysteresis)
    confirmed = stand.confirmed or (state in ABOVE_PIVOT and volume_ratio >= rules.volume_ratio)
    news = [kind for kind in _events_to(stand, state, confirmed=confirmed) if kind not in stand.emitted]
    return LiveState(state, confirmed, stand.emitted | set(news)), tuple(news)


def unchanged_band(stand: LiveState, target: LiveLevels, rules: LiveRules) -> PriceBand:
    """Where the price may move without a change: ticks inside need not be looked at."""
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
