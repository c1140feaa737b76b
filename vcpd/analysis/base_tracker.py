"""State machine of a followed base: takes it from session to session and records its events.

Its levels stand still: they change only by an event (a new contraction, a new chapter), except that the stop
follows the final low down while every gate holds.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from vcpd.analysis.base_structure import Chain, FollowedStructure, SymbolContext, reason_to_leave
from vcpd.analysis.levels import Levels, levels_above, state_at
from vcpd.analysis.thresholds import TIE_TOLERANCE
from vcpd.domain.setups import ENDED_STATES, BaseState, EventKind, SetupGroup

NO_BAR: Final = -1


class BaseEvent(NamedTuple):
    """An event at a bar of the symbol's own history."""

    kind: EventKind
    at: int
    price: float
    detail: str


class Breakout(NamedTuple):
    """The first close above the pivot of one chapter, and whether the base was among the setups."""

    at: int
    found_at: int  # where the chapter began
    chain: Chain
    levels: Levels
    admitted: bool


class SessionInput(NamedTuple):
    """One session of a symbol: its own chain, and what its trend allows to enter and to stay.

    The two for a long base differ only where `Thresholds.young_second_stage` applies.
    """

    chain: Chain | None = None
    holds: bool = False  # every gate, for the own chain
    enters: bool = False
    stays: bool = False
    enters_long: bool = False
    stays_long: bool = False

    def without_chain(self) -> "SessionInput":
        """The trend alone."""
        return self._replace(chain=None, holds=False)


@dataclass(slots=True, eq=False)
class BaseTracker:
    """One base: its structure, its levels since their last event, its state and its events."""

    structure: FollowedStructure
    levels: Levels  # since their last event
    anchor: int  # under which it was found: its identity
    found_at: int
    last_passed: int  # last bar at which every gate held for the symbol's own chain
    state: BaseState = BaseState.FORMING
    pivot_peak: int = NO_BAR  # high of the final contraction when the levels were set
    chapter_at: int = NO_BAR
    breakout_at: int = NO_BAR
    confirmed: bool = False
    under_stop_since: int = NO_BAR
    ended_at: int = NO_BAR
    is_admitted: bool = True
    awaits_low: bool = False  # readmitted only once the final low has held
    holds: bool = True  # every gate, for the followed structure
    sessions_missed: int = 0  # in a row, without every gate
    previous_pivot: float | None = None
    emitted: set[EventKind] = field(default_factory=set)  # since this chapter began
    anchors: set[int] = field(default_factory=set)
    events: list[BaseEvent] = field(default_factory=list)
    breakouts: list[Breakout] = field(default_factory=list)

    @classmethod
    def begin(cls, context: SymbolContext, chain: Chain, t: int, *, listed: bool = True) -> "BaseTracker":
        """A base found at bar t; one that is not listed has no gates behind it and no event for it."""
        levels = context.levels(chain, t)
        structure = FollowedStructure.adopt(context, chain, t, levels.pivot)
        tracker = cls(structure, levels, chain.anchor, t, t)
        tracker.anchors, tracker.pivot_peak = {chain.anchor}, chain.peak
        if listed:
            tracker._start_cycle(t, EventKind.FOUND, f"pivot {tracker.levels.pivot:.2f}")
        tracker._update_state(t)
        return tracker

    @property
    def symbol_context(self) -> SymbolContext:
        return self.structure.context

    @property
    def chain(self) -> Chain:
        """The chain as drawn now."""
        return self.structure.chain

    @property
    def is_over(self) -> bool:
        return self.state in ENDED_STATES

    @property
    def is_open(self) -> bool:
        """Whether the base has neither ended nor broken out."""
        return self.breakout_at == NO_BAR and not self.is_over

    @property
    def group(self) -> SetupGroup:
        """The one list that shows it."""
        if self.is_over:
            return SetupGroup.ENDED
        if not self.is_open:
            return SetupGroup.ABOVE_PIVOT
        admitted = self.is_admitted and self.state is not BaseState.UNDER_STOP
        return SetupGroup.SETUP if admitted else SetupGroup.FOLLOWED

    def update(self, t: int, session: SessionInput) -> None:
        """One more session."""
        if session.holds:
            self.last_passed = t
        if session.chain is not None and session.holds and self._adopt(session.chain, t):
            self._update_state(t)
            self._follow_low()
            return
        if self._expire_if_due(t):
            return
        if self.is_open and self.structure.draw(t, session.chain):
            reason = self.structure.excess_depth(t)
            if reason is not None:
                self._end(BaseState.FAILED, t, reason)
        if not self.is_over:
            self._update_state(t)
        if self.is_open:
            self._draw_anew(t, session)
            self._judge_gates(t, session)

    def reactivate(self, chain: Chain, t: int) -> None:
        """A base that ended holds again: the same base, its events go on."""
        self.last_passed = t
        self._start_chapter(chain, t, EventKind.FOUND)
        self._update_state(t)

    def await_low(self, t: int) -> None:
        """Its final contraction ended a base before: it is no setup until the low has held."""
        self.is_admitted, self.awaits_low = False, True
        sessions = self.symbol_context.thresholds.final_leg_sessions
        detail = f"its final contraction ended this base before: the low has to hold for {sessions} sessions"
        self._record_again(EventKind.LEFT, t, detail)

    def resume(
        self, state: BaseState, breakout: int, emitted: set[EventKind], levels: Levels, t: int
    ) -> None:
        """Take the recorded state after bar t: earlier events are not recorded again."""
        self.structure = FollowedStructure.adopt(self.symbol_context, self.chain, t, levels.pivot)
        self.events, self.emitted = [], emitted
        self.state, self.breakout_at, self.levels, self.ended_at = state, breakout, levels, NO_BAR
        self.confirmed = EventKind.BREAKOUT in emitted
        self.under_stop_since = NO_BAR
        closes = self.symbol_context.bars.close
        while state is BaseState.UNDER_STOP and t > self.chain.peak and closes[t] < levels.stop:
            self.under_stop_since = t
            t -= 1

    def cancel_provisional(self, t: int) -> None:
        """Ends a base that was found only on the bar of a running session, which has changed since."""
        self.events, self.emitted = [], set()
        self._end(BaseState.EXPIRED, t, "found while the session ran, not confirmed by its later bar")

    def _start_cycle(self, t: int, kind: EventKind, detail: str) -> None:
        """Starts a cycle, in which each kind of event may happen once more."""
        self.emitted, self.chapter_at = set(), t
        self._record(kind, t, detail)

    def _adopt(self, chain: Chain, t: int) -> bool:
        """Take over the session's own chain, for which every gate holds; whether levels changed with it."""
        self.anchors.add(chain.anchor)
        close = float(self.symbol_context.bars.close[t])
        pivot, own_pivot = self.levels.pivot, float(self.symbol_context.bars.high[chain.peak])
        if own_pivot < close:
            return False
        higher = own_pivot > pivot * (1 + TIE_TOLERANCE)
        if higher or self._is_past_breakout(chain, t) or self._is_lost(chain):
            self._start_chapter(chain, t, EventKind.NEW_CHAPTER)
            return True
        if self.is_open and self.state is not BaseState.UNDER_STOP:
            if self._is_next_contraction(chain, t):
                self._add_contraction(chain, t)
                return True
            if self.structure.is_same_leg(chain):
                self.structure.redraw(chain)
        return False

    def _draw_anew(self, t: int, session: SessionInput) -> None:
        """Where the drawing broke and the own chain holds under the same pivot, draw that; levels stay."""
        chain, pivot = session.chain, self.levels.pivot
        if chain is None or not session.holds or self.structure.last_intact == t:
            return
        within = self.symbol_context.pivot(chain, t) <= pivot * (1 + TIE_TOLERANCE)
        if within and self.state is not BaseState.UNDER_STOP:
            self.structure = FollowedStructure.adopt(self.symbol_context, chain, t, pivot)

    def _is_past_breakout(self, chain: Chain, t: int) -> bool:
        """Whether the breakout is history to the own chain: its peak came later, or too long has passed."""
        old = t - self.breakout_at > self.symbol_context.thresholds.squat_sessions
        return not self.is_open and (chain.peak > self.breakout_at or old)

    def _is_lost(self, chain: Chain) -> bool:
        """Whether it left, and the own chain is another structure that holds."""
        return (
            self.is_open
            and not self.is_admitted
            and self.state is not BaseState.UNDER_STOP
            and not self.structure.is_same_leg(chain)
        )

    def _is_next_contraction(self, chain: Chain, t: int) -> bool:
        """Whether the own chain has a later final contraction, higher than the one whose pivot this is."""
        context = self.symbol_context
        return (
            chain.confirmed
            and chain.peak > self.pivot_peak
            and t - chain.peak >= context.thresholds.new_contraction_sessions
            and context.pivot(chain, t) <= self.levels.pivot * (1 + TIE_TOLERANCE)
            and context.bars.low.item(chain.low_at[-1])
            > context.bars.low[self.pivot_peak : chain.peak].min().item()
        )

    def _start_chapter(self, chain: Chain, t: int, kind: EventKind) -> None:
        """Go on at another pivot, as if found there; the old pivot is remembered."""
        before = self.levels.pivot
        self._replace_structure(chain, t)
        self.previous_pivot = before
        self.state, self.breakout_at, self.ended_at = BaseState.FORMING, NO_BAR, NO_BAR
        self.confirmed, self.is_admitted, self.sessions_missed = False, True, 0
        self.awaits_low, self.under_stop_since = False, NO_BAR
        self._start_cycle(t, kind, f"pivot {self.levels.pivot:.2f}, was {before:.2f}")

    def _add_contraction(self, chain: Chain, t: int) -> None:
        pivot, stop = self.levels.pivot, self.levels.stop
        self._replace_structure(chain, t)
        if not self.is_admitted:
            self._admit(t)
        self.emitted.discard(EventKind.NEW_CONTRACTION)
        detail = (
            f"pivot {self.levels.pivot:.2f}, was {pivot:.2f}; stop {self.levels.stop:.2f}, was {stop:.2f}"
        )
        self._record(EventKind.NEW_CONTRACTION, t, detail)

    def _replace_structure(self, chain: Chain, t: int) -> None:
        self.levels = self.symbol_context.levels(chain, t)
        self.structure = FollowedStructure.adopt(self.symbol_context, chain, t, self.levels.pivot)
        self.pivot_peak, self.holds = chain.peak, True

    def _judge_gates(self, t: int, session: SessionInput) -> None:
        """Whether every gate holds, and whether the base may stay among the setups."""
        thresholds = self.symbol_context.thresholds
        is_long = t - self.chain.anchor >= thresholds.second_stage_sessions
        broken = t - self.structure.last_intact
        enters = self.structure.enters and (session.enters or (is_long and session.enters_long))
        stays = self.structure.stays and (session.stays or (is_long and session.stays_long))
        self.holds = enters and broken == 0
        self.sessions_missed = 0 if self.holds else self.sessions_missed + 1
        stays = stays and self.sessions_missed <= thresholds.stay_sessions
        if self.is_admitted and not stays:
            self.is_admitted = False
            reason = reason_to_leave(self.structure.gates(t), self.sessions_missed)
            self._record_again(EventKind.LEFT, t, reason)
        elif not self.is_admitted and self._may_return(t):
            self._admit(t)
        self._follow_low()

    def _may_return(self, t: int) -> bool:
        has_turned = not self.awaits_low or self.symbol_context.low_has_held(self.chain, t)
        return self.holds and has_turned and self.state is not BaseState.UNDER_STOP

    def _admit(self, t: int) -> None:
        self.is_admitted, self.awaits_low, self.sessions_missed = True, False, 0
        self._record_again(EventKind.READMITTED, t, "every gate holds again")

    def _follow_low(self) -> None:
        """Move the stop down with the final low while every gate passes; otherwise leave it."""
        if self.is_open and self.holds and self.state is not BaseState.UNDER_STOP:
            floor = self.structure.floor
            if floor < self.levels.floor:
                context = self.symbol_context
                self.levels = levels_above(self.levels.pivot, floor, context.tick, context.thresholds)

    def _expire_if_due(self, t: int) -> bool:
        thresholds = self.symbol_context.thresholds
        weeks = thresholds.max_base_sessions // 5
        if t - self.last_passed > thresholds.replay_sessions:
            self._end(BaseState.EXPIRED, t, f"gates have not held for {t - self.last_passed} sessions")
        elif self.is_open and t - self.chain.anchor > thresholds.max_base_sessions:
            self._end(BaseState.EXPIRED, t, f"older than {weeks} weeks")
        elif self.breakout_at != NO_BAR and t - self.breakout_at > thresholds.squat_sessions:
            self._end(BaseState.EXPIRED, t, f"broke out more than {thresholds.squat_sessions} sessions ago")
        return self.is_over

    def _update_state(self, t: int) -> None:
        """The state after bar t, with the events that lead there."""
        close = float(self.symbol_context.bars.close[t])
        state = state_at(self.state, close, self.levels)
        if state in {BaseState.BREAKOUT, BaseState.EXTENDED}:
            self._hold_above_pivot(t, state)
        elif state is BaseState.FAILED:
            self._end(state, t, f"closed below the stop {self.levels.stop:.2f}")
        elif state is BaseState.SQUAT:
            self.state = state
            self._record(EventKind.SQUAT, t, f"closed under the pivot {self.levels.pivot:.2f}")
        elif state is BaseState.UNDER_STOP:
            self._stay_under_stop(t, close)
        else:
            self._wait_below_pivot(t, close, state)

    def _hold_above_pivot(self, t: int, state: BaseState) -> None:
        has_volume = self._has_volume(t)
        if self.breakout_at == NO_BAR:
            self.breakout_at, self.confirmed = t, has_volume
            admitted = self.is_admitted and self.under_stop_since == NO_BAR
            self.breakouts.append(Breakout(t, self.chapter_at, self.chain, self.levels, admitted))
            self.under_stop_since = NO_BAR
            kind = EventKind.BREAKOUT if has_volume else EventKind.BREAKOUT_UNCONFIRMED
            self._record(kind, t, self._volume_text(t))
        elif self.state is BaseState.SQUAT:
            self._record(EventKind.RECLAIMED, t, "back above the pivot")
        if not self.confirmed and has_volume:
            self.confirmed = True
            self._record(EventKind.BREAKOUT, t, self._volume_text(t))
        self.state = state
        if state is BaseState.EXTENDED:
            self._record(EventKind.EXTENDED, t, f"above the buy zone's end {self.levels.zone_end:.2f}")

    def _stay_under_stop(self, t: int, close: float) -> None:
        """Fail the base when its stop is not reclaimed in time, or when the close is too far below it."""
        if self.under_stop_since == NO_BAR:
            self.under_stop_since = t
        self.state = BaseState.UNDER_STOP
        thresholds, stop = self.symbol_context.thresholds, self.levels.stop
        base_fall = self.chain.base_depth * float(self.symbol_context.bars.high[self.chain.anchor])
        sessions = t - self.under_stop_since
        if close < stop - thresholds.undercut_share * base_fall:
            self._end(BaseState.FAILED, t, f"closed too far below the stop {stop:.2f}")
        elif sessions >= thresholds.reclaim_sessions:
            self._end(
                BaseState.FAILED, t, f"closed below the stop {stop:.2f}, not reclaimed in {sessions} sessions"
            )
        elif sessions == 0:
            self._record_again(EventKind.UNDER_STOP, t, f"closed below the stop {stop:.2f}")

    def _wait_below_pivot(self, t: int, close: float, state: BaseState) -> None:
        if self.under_stop_since != NO_BAR:
            self.under_stop_since = NO_BAR
            self._record_again(EventKind.STOP_RECLAIMED, t, f"closed above the stop {self.levels.stop:.2f}")
        self.state = state
        if state is BaseState.NEAR_PIVOT:
            below_pct = 100 * (1 - close / self.levels.pivot)
            self._record(EventKind.NEAR_PIVOT, t, f"{below_pct:.1f} % below it")

    def _end(self, state: BaseState, t: int, detail: str) -> None:
        self.state, self.ended_at = state, t
        self._record(EventKind.FAILED if state is BaseState.FAILED else EventKind.EXPIRED, t, detail)

    def _has_volume(self, t: int) -> bool:
        """Missing volume is unknown and confirms nothing: NaN compares false."""
        context = self.symbol_context
        return context.volume_ratio(t) >= context.thresholds.breakout_volume_ratio

    def _volume_text(self, t: int) -> str:
        ratio = self.symbol_context.volume_ratio(t)
        return "volume unknown" if ratio != ratio else f"volume {ratio:.1f} x its average"  # noqa: PLR0124 NaN

    def _record(self, kind: EventKind, t: int, detail: str) -> None:
        """Each kind once in a chapter."""
        if kind not in self.emitted:
            self.emitted.add(kind)
            self.events.append(BaseEvent(kind, t, float(self.symbol_context.bars.close[t]), detail))

    def _record_again(self, kind: EventKind, t: int, detail: str) -> None:
        """A kind that may happen several times in a chapter."""
        self.emitted.discard(kind)
        self._record(kind, t, detail)
