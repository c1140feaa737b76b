"""A base's state while its session runs: the evening's rules on the last price, without its flutter.

A level counts as passed at once on the way up; on the way down only when the price has left it by the
hysteresis. Each kind of event happens once in a chapter of the base's life, as in the evening.
"""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.setups import EventKind, SetupEvent, State

ABOVE: Final = frozenset({State.BREAKOUT, State.EXTENDED})
AFTER_BREAKOUT: Final = ABOVE | {State.SQUAT, State.FAILED}
BREAKOUTS: Final = frozenset({EventKind.BREAKOUT, EventKind.BREAKOUT_UNCONFIRMED})
STATE_AFTER: Final = {
    EventKind.NEAR_PIVOT: State.NEAR_PIVOT,
    EventKind.BREAKOUT: State.BREAKOUT,
    EventKind.BREAKOUT_UNCONFIRMED: State.BREAKOUT,
    EventKind.RECLAIMED: State.BREAKOUT,
    EventKind.EXTENDED: State.EXTENDED,
    EventKind.SQUAT: State.SQUAT,
    EventKind.FAILED: State.FAILED,
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


class Target(NamedTuple):
    """The levels of one base, as the evening before left them."""

    pivot: float
    stop: float
    near: float
    zone_end: float

    @classmethod
    def of(cls, pivot: float, stop: float, rules: LiveRules) -> "Target":
        return cls(pivot, stop, pivot * (1 - rules.near), pivot * (1 + rules.zone))


class Stand(NamedTuple):
    """Where a base stands, whether volume has confirmed it, and what was told of it already."""

    state: State
    confirmed: bool
    told: frozenset[EventKind]

    @property
    def awaits_volume(self) -> bool:
        return self.state in ABOVE and not self.confirmed


class Band(NamedTuple):
    """Prices in [lower, upper] change nothing."""

    lower: float
    upper: float


def first_stand(state: State, events: Iterable[SetupEvent], session: object) -> Stand:
    """The stand of a base before the first price: from its evening's state and its events so far.

    An unconfirmed event of an older session was refuted and counts for nothing; those of the running one
    were seen by us or by a screen.
    """
    told: set[EventKind] = set()
    for event in events:
        if event.kind is EventKind.FOUND:
            told = set()
        elif not event.provisional or event.session == session:
            told.add(event.kind)
            if event.session == session:
                state = STATE_AFTER.get(event.kind, state)
    return Stand(state, EventKind.BREAKOUT in told, frozenset(told))


def step(
    stand: Stand, price: float, volume_ratio: float, target: Target, rules: LiveRules
) -> tuple[Stand, tuple[EventKind, ...]]:
    """The stand after one price, with what it tells. A NaN `volume_ratio` is unknown and confirms nothing."""
    state = _state_at(stand.state, price, target, rules.hysteresis)
    confirmed = stand.confirmed or (state in ABOVE and volume_ratio >= rules.volume_ratio)
    news = [kind for kind in _happened(stand, state, confirmed=confirmed) if kind not in stand.told]
    return Stand(state, confirmed, stand.told | set(news)), tuple(news)


def band_of(stand: Stand, target: Target, rules: LiveRules) -> Band:
    """Where the price may move without a change: ticks inside need not be looked at."""
    slack = 1 - rules.hysteresis
    bands = {
        State.NEAR_PIVOT: Band(target.near * slack, target.pivot),
        State.BREAKOUT: Band(target.pivot * slack, target.zone_end),
        State.EXTENDED: Band(target.zone_end * slack, math.inf),
        State.SQUAT: Band(target.stop, target.pivot),
        State.FAILED: Band(-math.inf, min(target.stop / slack, target.pivot)),
    }
    return bands.get(stand.state, Band(-math.inf, math.nextafter(target.near, 0.0)))


def _state_at(state: State, price: float, target: Target, hysteresis: float) -> State:
    slack = 1 - hysteresis
    if price > target.pivot or (state in ABOVE and price >= target.pivot * slack):
        beyond = price > target.zone_end or (state is State.EXTENDED and price >= target.zone_end * slack)
        return State.EXTENDED if beyond else State.BREAKOUT
    if state in AFTER_BREAKOUT:
        lost = price < target.stop or (state is State.FAILED and price <= target.stop / slack)
        return State.FAILED if lost else State.SQUAT
    near = price >= target.near or (state is State.NEAR_PIVOT and price >= target.near * slack)
    return State.NEAR_PIVOT if near else State.FORMING


def _happened(stand: Stand, state: State, *, confirmed: bool) -> list[EventKind]:
    """Every kind of event on the way from the stand to `state`, told before or not."""
    kinds: list[EventKind] = []
    if state in ABOVE:
        if stand.state not in ABOVE:
            kinds += [EventKind.RECLAIMED] if stand.told & BREAKOUTS else []
            kinds += [] if confirmed else [EventKind.BREAKOUT_UNCONFIRMED]
        kinds += [EventKind.BREAKOUT] if confirmed else []
        kinds += [EventKind.EXTENDED] if state is State.EXTENDED else []
    elif state is not stand.state:
        kinds += [
            kind
            for kind in (EventKind.NEAR_PIVOT, EventKind.SQUAT, EventKind.FAILED)
            if STATE_AFTER[kind] is state
        ]
    return kinds
