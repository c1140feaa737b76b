"""State machine of a base: follows it from session to session and records its events."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from vcpd.analysis.base_search import Chain
from vcpd.analysis.indicators import Bars, volume_ratio
from vcpd.analysis.levels import Levels, levels_of
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.setups import BaseState, EventKind

NO_BAR: Final = -1
ENDED_STATES: Final = frozenset({BaseState.FAILED, BaseState.EXPIRED})


class BaseEvent(NamedTuple):
    """An event at a bar of the symbol's own history."""

    kind: EventKind
    at: int
    price: float
    detail: str


class SymbolContext(NamedTuple):
    """What every life of one symbol stands on."""

    bars: Bars
    tick: float
    thresholds: Thresholds

    def levels(self, chain: Chain, t: int) -> Levels:
        high, low = self.bars.high.item(chain.peak), self.bars.low.item(chain.low_at[-1])
        return levels_of(high, low, self.average_true_range(t), self.tick, self.thresholds)

    def average_true_range(self, t: int) -> float:
        """ATR 20: the kernel's sums, without the cost of a call into it."""
        length = min(20, t + 1)
        return float(self.bars.range_sum[t + 1] - self.bars.range_sum[t + 1 - length]) / length


@dataclass(slots=True, eq=False)
class BaseTracker:
    """One base: its chain and levels as last seen, its state, and what has happened to it.

    Until it breaks out, its levels follow the chain from session to session; from then on they stand.
    """

    symbol_context: SymbolContext
    chain: Chain
    levels: Levels
    anchor: int  # under which it was found: its identity
    found_at: int
    last_passed: int  # last bar at which every gate held
    last_seen: int  # last bar at which its chain was there, gates or not
    state: BaseState = BaseState.FORMING
    breakout_at: int = NO_BAR
    last_breakout_at: int = NO_BAR
    confirmed: bool = False
    below_floor_since: int = NO_BAR
    ended_at: int = NO_BAR
    first_levels: Levels | None = None  # those it first broke out of
    emitted: set[EventKind] = field(default_factory=set)  # since it was last found
    anchors: set[int] = field(default_factory=set)
    events: list[BaseEvent] = field(default_factory=list)

    @classmethod
    def begin(cls, ground: SymbolContext, chain: Chain, t: int, *, listed: bool = True) -> "BaseTracker":
        """A base found at bar t; one that is not listed has no gates behind it and no event for it."""
        life = cls(ground, chain, ground.levels(chain, t), chain.anchor, t, t, t, anchors={chain.anchor})
        if listed:
            life._start_cycle(t)
        life._update_state(t)
        return life

    @property
    def is_over(self) -> bool:
        return self.state in ENDED_STATES

    def is_same_base(self, chain: Chain) -> bool:
        """Whether a session's chain is this base: by its anchor, or by its last contraction."""
        shared = self.chain.peak in chain.high_at or self.chain.low_at[-1] in chain.low_at
        return chain.anchor in self.anchors or shared

    def update(self, t: int, chain: Chain | None, *, holds: bool) -> None:
        """One more session: `chain` is its chain if that is this base, `holds` if all gates hold."""
        if holds:
            self.last_passed = t
        if chain is not None:
            self.last_seen = t
        breaks_out = self.breakout_at == NO_BAR and self.symbol_context.bars.close[t] > self.levels.pivot
        if chain is not None and self.breakout_at == NO_BAR and not breaks_out:
            self._update_chain(chain, t)
            if chain.peak > self.last_breakout_at != NO_BAR:
                self._start_cycle(t)
        if self._expire_if_due(t):
            return
        self._update_state(t)

    def reactivate(self, chain: Chain, t: int) -> None:
        """A base that was given up holds again: the same base, its events go on."""
        self.state, self.breakout_at, self.below_floor_since, self.last_passed = (
            BaseState.FORMING,
            NO_BAR,
            NO_BAR,
            t,
        )
        self.last_seen = t
        self._update_chain(chain, t)
        self._start_cycle(t)
        self._update_state(t)

    def resume(self, state: BaseState, breakout: int, reported: set[EventKind], t: int) -> None:
        """Continue after bar t from a record, whose events have been reported already."""
        self.events, self.emitted = [], reported
        self.state, self.breakout_at, self.last_breakout_at = state, breakout, breakout
        self.confirmed = EventKind.BREAKOUT in reported
        if breakout != NO_BAR:
            self.levels = self.symbol_context.levels(self.chain, max(breakout - 1, self.chain.low_at[-1]))
        self.below_floor_since = NO_BAR
        closes = self.symbol_context.bars.close
        while breakout == NO_BAR and t > self.chain.peak and closes[t] < self.levels.floor:
            self.below_floor_since = t
            t -= 1

    def cancel_provisional(self, t: int) -> None:
        """This base was found only on the bar of a running session, which has changed since."""
        self.events, self.emitted = [], set()
        self.state, self.ended_at = BaseState.EXPIRED, t
        self._record(EventKind.EXPIRED, t, "found while the session ran, not borne out by its later bar")

    def _start_cycle(self, t: int) -> None:
        """Found, or found again at a new pivot: from here on each kind of event may happen once more."""
        self.emitted, self.last_breakout_at = set(), NO_BAR
        self._record(EventKind.FOUND, t, f"pivot {self.levels.pivot:.2f}")

    def _update_chain(self, chain: Chain, t: int) -> None:
        self.chain, self.levels = chain, self.symbol_context.levels(chain, t)
        self.anchors.add(chain.anchor)

    def _expire_if_due(self, t: int) -> bool:
        thresholds = self.symbol_context.thresholds
        old = t - self.chain.anchor > thresholds.base_sessions_most
        lapsed = t - self.last_passed > thresholds.replay_sessions
        if old or lapsed:
            self.state, self.ended_at = BaseState.EXPIRED, t
            weeks = thresholds.base_sessions_most // 5
            detail = (
                f"older than {weeks} weeks"
                if old
                else f"gates have not held for {t - self.last_passed} sessions"
            )
            self._record(EventKind.EXPIRED, t, detail)
        return old or lapsed

    def _update_state(self, t: int) -> None:
        """The state after bar t, with the events that lead there."""
        close = float(self.symbol_context.bars.close[t])
        if self.breakout_at == NO_BAR and close > self.levels.pivot:
            self._break_out(t)
        if self.breakout_at != NO_BAR:
            self._after_breakout(t, close)
        if self.breakout_at == NO_BAR and not self.is_over:
            self._below_pivot(t, close)

    def _break_out(self, t: int) -> None:
        self.breakout_at = self.last_breakout_at = t
        self.below_floor_since = NO_BAR
        self.first_levels = self.first_levels or self.levels
        if self.emitted & {EventKind.BREAKOUT, EventKind.BREAKOUT_UNCONFIRMED}:
            self._record(EventKind.RECLAIMED, t, "back above the pivot")
        self.confirmed = self._has_volume(t)
        kind = EventKind.BREAKOUT if self.confirmed else EventKind.BREAKOUT_UNCONFIRMED
        self._record(kind, t, self._volume_text(t))
        self.state = BaseState.BREAKOUT

    def _after_breakout(self, t: int, close: float) -> None:
        if close < self.levels.stop:
            self._fail(t, f"closed below the stop {self.levels.stop:.2f}")
        elif close <= self.levels.pivot:
            self._drop_below_pivot(t)
        else:
            self._hold_above_pivot(t, close)

    def _drop_below_pivot(self, t: int) -> None:
        if t - self.breakout_at <= self.symbol_context.thresholds.squat_sessions:
            self.state = BaseState.SQUAT
            self._record(EventKind.SQUAT, t, f"closed under the pivot {self.levels.pivot:.2f}")
        else:
            self.breakout_at = NO_BAR

    def _hold_above_pivot(self, t: int, close: float) -> None:
        if self.state is BaseState.SQUAT:
            self._record(EventKind.RECLAIMED, t, "back above the pivot")
        if not self.confirmed and self._has_volume(t):
            self.confirmed = True
            self._record(EventKind.BREAKOUT, t, self._volume_text(t))
        self.state = BaseState.BREAKOUT
        if close > self.levels.zone_end:
            self.state = BaseState.EXTENDED
            if EventKind.EXTENDED not in self.emitted:
                self._record(EventKind.EXTENDED, t, f"above the buy zone's end {self.levels.zone_end:.2f}")

    def _below_pivot(self, t: int, close: float) -> None:
        if self._is_broken(t, close):
            self._fail(t, f"closed below {self.levels.floor:.2f}: the base is broken")
        elif close >= self.levels.pivot * (1 - self.symbol_context.thresholds.near_pivot_pct / 100):
            self.state = BaseState.NEAR_PIVOT
            if EventKind.NEAR_PIVOT not in self.emitted:
                below_pct = 100 * (1 - close / self.levels.pivot)
                self._record(EventKind.NEAR_PIVOT, t, f"{below_pct:.1f} % below it")
        else:
            self.state = BaseState.FORMING

    def _is_broken(self, t: int, close: float) -> bool:
        """Below the floor for longer than a shakeout lasts, or further than one goes."""
        if close >= self.levels.floor:
            self.below_floor_since = NO_BAR
            return False
        if self.below_floor_since == NO_BAR:
            self.below_floor_since = t
        thresholds = self.symbol_context.thresholds
        base_fall = self.chain.base_depth * float(self.symbol_context.bars.high[self.chain.anchor])
        deepest = self.levels.floor - thresholds.undercut_share * base_fall
        return close < deepest or t - self.below_floor_since >= thresholds.reclaim_sessions

    def _fail(self, t: int, detail: str) -> None:
        self.state, self.ended_at = BaseState.FAILED, t
        self._record(EventKind.FAILED, t, detail)

    def _has_volume(self, t: int) -> bool:
        """Missing volume is unknown and confirms nothing: NaN compares false."""
        return bool(
            volume_ratio(self.symbol_context.bars, t) >= self.symbol_context.thresholds.breakout_volume_ratio
        )

    def _volume_text(self, t: int) -> str:
        ratio = float(volume_ratio(self.symbol_context.bars, t))
        return "volume unknown" if ratio != ratio else f"volume {ratio:.1f} x its average"  # noqa: PLR0124 NaN

    def _record(self, kind: EventKind, t: int, detail: str) -> None:
        """Each kind once in a chapter of its life."""
        if kind not in self.emitted:
            self.emitted.add(kind)
            self.events.append(BaseEvent(kind, t, float(self.symbol_context.bars.close[t]), detail))


class BaseTrackers:
    """All bases of one symbol, taken through its sessions one by one; `ended` keeps what is forgotten."""

    def __init__(self, ground: SymbolContext) -> None:
        self.symbol_context = ground
        self.tracked: list[BaseTracker] = []
        self.ended: list[BaseTracker] = []

    def update(self, t: int, chain: Chain | None, *, holds: bool) -> None:
        """One more session with its chain, and whether all gates hold for it."""
        alive = [life for life in self.tracked if not life.is_over]
        if len(alive) < len(self.tracked):
            self._drop_ended(t)
        owner = _matching_tracker(alive, chain)
        for life in alive:
            life.update(t, chain if life is owner else None, holds=holds and life is owner)
        if holds and chain is not None and owner is None:
            self._add_or_reactivate(chain, t)

    def _drop_ended(self, t: int) -> None:
        """A base that is over may be found again as long as it is remembered."""
        memory = self.symbol_context.thresholds.replay_sessions
        forgotten = [life for life in self.tracked if life.is_over and t - life.last_passed > memory]
        self.ended += forgotten
        self.tracked = [life for life in self.tracked if life not in forgotten]

    def _add_or_reactivate(self, chain: Chain, t: int) -> None:
        former = next((life for life in self.tracked if life.is_over and chain.anchor in life.anchors), None)
        if former is None:
            self.tracked.append(BaseTracker.begin(self.symbol_context, chain, t))
        else:
            former.reactivate(chain, t)


def _matching_tracker(alive: Iterable[BaseTracker], chain: Chain | None) -> BaseTracker | None:
    """The life that a session's chain belongs to: the one that held last."""
    owner = None
    if chain is not None:
        for life in alive:
            if life.is_same_base(chain) and (owner is None or life.last_passed > owner.last_passed):
                owner = life
    return owner
