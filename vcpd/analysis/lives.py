"""Lives: bases found once and followed from session to session, each with its events."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from vcpd.analysis.chains import Chain
from vcpd.analysis.indicators import Bars
from vcpd.analysis.levels import Levels, levels_of
from vcpd.analysis.thresholds import Thresholds
from vcpd.analysis.volume import volume_ratio
from vcpd.domain.setups import EventKind, State

NEVER: Final = -1
OVER: Final = frozenset({State.FAILED, State.EXPIRED})


class Happening(NamedTuple):
    """An event at a bar of the symbol's own history."""

    kind: EventKind
    at: int
    price: float
    detail: str


class Ground(NamedTuple):
    """What every life of one symbol stands on."""

    bars: Bars
    tick: float
    thresholds: Thresholds

    def levels(self, chain: Chain, t: int) -> Levels:
        high, low = self.bars.high.item(chain.peak), self.bars.low.item(chain.low_at[-1])
        return levels_of(high, low, self.true_range_mean(t), self.tick, self.thresholds)

    def true_range_mean(self, t: int) -> float:
        """ATR 20: the kernel's sums, without the cost of a call into it."""
        length = min(20, t + 1)
        return float(self.bars.range_sum[t + 1] - self.bars.range_sum[t + 1 - length]) / length


@dataclass(slots=True, eq=False)
class Life:
    """One base: its chain and levels as last seen, its state, and what has happened to it.

    Until it breaks out, its levels follow the chain from session to session; from then on they stand.
    """

    ground: Ground
    chain: Chain
    levels: Levels
    anchor: int  # under which it was found: its identity
    found: int
    held: int  # last bar at which every gate held
    seen: int  # last bar at which its chain was there, gates or not
    state: State = State.FORMING
    breakout: int = NEVER
    last_breakout: int = NEVER
    confirmed: bool = False
    below_since: int = NEVER
    ended: int = NEVER
    first_levels: Levels | None = None  # those it first broke out of
    told: set[EventKind] = field(default_factory=set)  # since it was last found
    anchors: set[int] = field(default_factory=set)
    happenings: list[Happening] = field(default_factory=list)

    @classmethod
    def begin(cls, ground: Ground, chain: Chain, t: int, *, listed: bool = True) -> "Life":
        """A base found at bar t; one that is not listed has no gates behind it and no event for it."""
        life = cls(ground, chain, ground.levels(chain, t), chain.anchor, t, t, t, anchors={chain.anchor})
        if listed:
            life._open_chapter(t)
        life._settle(t)
        return life

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    def is_same_base(self, chain: Chain) -> bool:
        """Whether a session's chain is this base: by its anchor, or by its last contraction."""
        shared = self.chain.peak in chain.high_at or self.chain.low_at[-1] in chain.low_at
        return chain.anchor in self.anchors or shared

    def live(self, t: int, chain: Chain | None, *, holds: bool) -> None:
        """One more session: `chain` is its chain if that is this base, `holds` if all gates hold."""
        if holds:
            self.held = t
        if chain is not None:
            self.seen = t
        breaks_out = self.breakout == NEVER and self.ground.bars.close[t] > self.levels.pivot
        if chain is not None and self.breakout == NEVER and not breaks_out:
            self._follow(chain, t)
            if chain.peak > self.last_breakout != NEVER:
                self._open_chapter(t)
        if self._is_too_old(t):
            return
        self._settle(t)

    def revive(self, chain: Chain, t: int) -> None:
        """A base that was given up holds again: the same base, its events go on."""
        self.state, self.breakout, self.below_since, self.held = State.FORMING, NEVER, NEVER, t
        self.seen = t
        self._follow(chain, t)
        self._open_chapter(t)
        self._settle(t)

    def resume(self, state: State, breakout: int, told: set[EventKind], t: int) -> None:
        """Stand after bar t as a record has it: what happened until then is told already."""
        self.happenings, self.told = [], told
        self.state, self.breakout, self.last_breakout = state, breakout, breakout
        self.confirmed = EventKind.BREAKOUT in told
        if breakout != NEVER:
            self.levels = self.ground.levels(self.chain, max(breakout - 1, self.chain.low_at[-1]))
        self.below_since = NEVER
        closes = self.ground.bars.close
        while breakout == NEVER and t > self.chain.peak and closes[t] < self.levels.floor:
            self.below_since = t
            t -= 1

    def refute(self, t: int) -> None:
        """Only a running session's bar had this base found, and that bar now tells otherwise."""
        self.happenings, self.told = [], set()
        self.state, self.ended = State.EXPIRED, t
        self._record(EventKind.EXPIRED, t, "found while the session ran, not borne out by its later bar")

    def _open_chapter(self, t: int) -> None:
        """Found, or found again at a new pivot: from here on each kind of event may happen once more."""
        self.told, self.last_breakout = set(), NEVER
        self._record(EventKind.FOUND, t, f"pivot {self.levels.pivot:.2f}")

    def _follow(self, chain: Chain, t: int) -> None:
        self.chain, self.levels = chain, self.ground.levels(chain, t)
        self.anchors.add(chain.anchor)

    def _is_too_old(self, t: int) -> bool:
        thresholds = self.ground.thresholds
        old = t - self.chain.anchor > thresholds.base_sessions_most
        lapsed = t - self.held > thresholds.replay_sessions
        if old or lapsed:
            self.state, self.ended = State.EXPIRED, t
            weeks = thresholds.base_sessions_most // 5
            detail = (
                f"older than {weeks} weeks" if old else f"gates have not held for {t - self.held} sessions"
            )
            self._record(EventKind.EXPIRED, t, detail)
        return old or lapsed

    def _settle(self, t: int) -> None:
        """The state after bar t, with the events that lead there."""
        close = float(self.ground.bars.close[t])
        if self.breakout == NEVER and close > self.levels.pivot:
            self._break_out(t)
        if self.breakout != NEVER:
            self._after_breakout(t, close)
        if self.breakout == NEVER and not self.is_over:
            self._below_pivot(t, close)

    def _break_out(self, t: int) -> None:
        self.breakout = self.last_breakout = t
        self.below_since = NEVER
        self.first_levels = self.first_levels or self.levels
        if self.told & {EventKind.BREAKOUT, EventKind.BREAKOUT_UNCONFIRMED}:
            self._record(EventKind.RECLAIMED, t, "back above the pivot")
        self.confirmed = self._has_volume(t)
        kind = EventKind.BREAKOUT if self.confirmed else EventKind.BREAKOUT_UNCONFIRMED
        self._record(kind, t, self._volume_words(t))
        self.state = State.BREAKOUT

    def _after_breakout(self, t: int, close: float) -> None:
        if close < self.levels.stop:
            self._fail(t, f"closed below the stop {self.levels.stop:.2f}")
        elif close <= self.levels.pivot:
            self._fall_back(t)
        else:
            self._stand_above(t, close)

    def _fall_back(self, t: int) -> None:
        if t - self.breakout <= self.ground.thresholds.squat_sessions:
            self.state = State.SQUAT
            self._record(EventKind.SQUAT, t, f"closed under the pivot {self.levels.pivot:.2f}")
        else:
            self.breakout = NEVER

    def _stand_above(self, t: int, close: float) -> None:
        if self.state is State.SQUAT:
            self._record(EventKind.RECLAIMED, t, "back above the pivot")
        if not self.confirmed and self._has_volume(t):
            self.confirmed = True
            self._record(EventKind.BREAKOUT, t, self._volume_words(t))
        self.state = State.BREAKOUT
        if close > self.levels.zone_end:
            self.state = State.EXTENDED
            if EventKind.EXTENDED not in self.told:
                self._record(EventKind.EXTENDED, t, f"above the buy zone's end {self.levels.zone_end:.2f}")

    def _below_pivot(self, t: int, close: float) -> None:
        if self._is_broken(t, close):
            self._fail(t, f"closed below {self.levels.floor:.2f}: the base is broken")
        elif close >= self.levels.pivot * (1 - self.ground.thresholds.near_pivot_pct / 100):
            self.state = State.NEAR_PIVOT
            if EventKind.NEAR_PIVOT not in self.told:
                below_pct = 100 * (1 - close / self.levels.pivot)
                self._record(EventKind.NEAR_PIVOT, t, f"{below_pct:.1f} % below it")
        else:
            self.state = State.FORMING

    def _is_broken(self, t: int, close: float) -> bool:
        """Below the floor for longer than a shakeout lasts, or further than one goes."""
        if close >= self.levels.floor:
            self.below_since = NEVER
            return False
        if self.below_since == NEVER:
            self.below_since = t
        thresholds = self.ground.thresholds
        base_fall = self.chain.base_depth * float(self.ground.bars.high[self.chain.anchor])
        deepest = self.levels.floor - thresholds.undercut_share * base_fall
        return close < deepest or t - self.below_since >= thresholds.reclaim_sessions

    def _fail(self, t: int, detail: str) -> None:
        self.state, self.ended = State.FAILED, t
        self._record(EventKind.FAILED, t, detail)

    def _has_volume(self, t: int) -> bool:
        """Missing volume is unknown and confirms nothing: NaN compares false."""
        return bool(volume_ratio(self.ground.bars, t) >= self.ground.thresholds.breakout_volume_ratio)

    def _volume_words(self, t: int) -> str:
        ratio = float(volume_ratio(self.ground.bars, t))
        return "volume unknown" if ratio != ratio else f"volume {ratio:.1f} x its average"  # noqa: PLR0124 NaN

    def _record(self, kind: EventKind, t: int, detail: str) -> None:
        """Each kind once in a chapter of its life."""
        if kind not in self.told:
            self.told.add(kind)
            self.happenings.append(Happening(kind, t, float(self.ground.bars.close[t]), detail))


class Lives:
    """All bases of one symbol, taken through its sessions one by one; `ended` keeps what is forgotten."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.known: list[Life] = []
        self.ended: list[Life] = []

    def live(self, t: int, chain: Chain | None, *, holds: bool) -> None:
        """One more session with its chain, and whether all gates hold for it."""
        alive = [life for life in self.known if not life.is_over]
        if len(alive) < len(self.known):
            self._forget(t)
        owner = _owner(alive, chain)
        for life in alive:
            life.live(t, chain if life is owner else None, holds=holds and life is owner)
        if holds and chain is not None and owner is None:
            self._find(chain, t)

    def _forget(self, t: int) -> None:
        """A base that is over may be found again as long as it is remembered."""
        memory = self.ground.thresholds.replay_sessions
        forgotten = [life for life in self.known if life.is_over and t - life.held > memory]
        self.ended += forgotten
        self.known = [life for life in self.known if life not in forgotten]

    def _find(self, chain: Chain, t: int) -> None:
        former = next((life for life in self.known if life.is_over and chain.anchor in life.anchors), None)
        if former is None:
            self.known.append(Life.begin(self.ground, chain, t))
        else:
            former.revive(chain, t)


def _owner(alive: Iterable[Life], chain: Chain | None) -> Life | None:
    """The life that a session's chain belongs to: the one that held last."""
    owner = None
    if chain is not None:
        for life in alive:
            if life.is_same_base(chain) and (owner is None or life.held > owner.held):
                owner = life
    return owner
