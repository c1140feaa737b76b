"""Rules to sell a held lot, each a small function: a value, the threshold, and the price at which it fires.

A rule sees the bars up to a session and nothing later. The initial stop, breakeven and the trailing stops are
prices; the others look at time, at the shape of the run-up, or at the calendar of results. [positions] is the
set of rules of every lot for which no other one was chosen; a named set states only thresholds that differ.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, ClassVar, Final

import msgspec
import numpy as np

from vcpd.analysis.position_measures import (
    ATR_LENGTH,
    PERCENT,
    WEEK_SESSIONS,
    PositionMeasures,
    PositionWindow,
)
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import FloatArray
from vcpd.domain.portfolio import DEFAULT_RULES

FUNCTION_OF: Final = {"squat": "failed_breakout"}  # where a rule's name is not that of its function
CLIMAX_SIGNS: Final = 2  # of four, that fire together
MAX_SET_NAME_LENGTH: Final = 40


class SellRuleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which rules are followed, and their thresholds; 0 switches a rule off."""

    reloadable: ClassVar[bool] = True

    breakeven_r: Annotated[
        float,
        msgspec.Meta(ge=0, description="once it has gained this many R, the stop is the entry; 0: never"),
    ] = 2.0
    trail_sessions: Annotated[
        int,
        msgspec.Meta(
            ge=0, le=200, description="sell at a close under this simple average: 20 or 50; 0: never"
        ),
    ] = 50
    trail_after_r: Annotated[
        float, msgspec.Meta(ge=0, description="the average counts once the lot has gained this many R")
    ] = 1.0
    chandelier_atr: Annotated[
        float,
        msgspec.Meta(
            ge=0,
            description=f"sell at a close this many average true ranges of {ATR_LENGTH} sessions under the "
            "highest price since the purchase; 0: never",
        ),
    ] = 0.0
    time_sessions: Annotated[
        int,
        msgspec.Meta(ge=0, description="sell what has made no progress after this many sessions; 0: never"),
    ] = 25
    time_progress_r: Annotated[
        float, msgspec.Meta(ge=0, description="what counts as progress: the best excursion, in R")
    ] = 1.0
    failed_breakout_sessions: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            description="a close under the pivot within this many sessions of the purchase fires; 0: never",
        ),
    ] = 10
    climax_gain_pct: Annotated[
        float,
        msgspec.Meta(
            ge=0, description="the run-up from which on signs of a climax count, in percent; 0: never"
        ),
    ] = 25.0
    climax_up_days: Annotated[
        int, msgspec.Meta(ge=1, description="this many rising closes of the last `climax_days` are a sign")
    ] = 8
    climax_days: Annotated[int, msgspec.Meta(ge=1, description="see `climax_up_days`")] = 10
    climax_gap_pct: Annotated[
        float, msgspec.Meta(gt=0, description="an opening this many percent above the high before is a sign")
    ] = 2.0
    strength_r: Annotated[
        float, msgspec.Meta(ge=0, description="sell a part once the lot has gained this many R; 0: never")
    ] = 3.0
    strength_share: Annotated[
        float, msgspec.Meta(gt=0, le=1, description="that part, as a share of the lot")
    ] = 0.5
    results_sessions: Annotated[
        int,
        msgspec.Meta(ge=0, description="results due within this many sessions, where known, fire; 0: never"),
    ] = 3


class HeldLot(msgspec.Struct, frozen=True, kw_only=True):
    """The input of the rules: the lot's measures and bars, and what is known of its base and its company.

    `pivot` is the one it was bought at, at today's scale of prices.
    """

    measures: PositionMeasures
    window: PositionWindow
    pivot: float | None = None
    results_in_sessions: int | None = None


class RuleReading(msgspec.Struct, frozen=True, kw_only=True):
    """A rule after a session: does it fire, by which value against which threshold.

    `level` is the price at which it would fire in the next session, None where price alone decides nothing.
    `share` is the part of the lot to sell.
    """

    name: str
    fires: bool
    text: str
    value: float | None = None
    threshold: float | None = None
    level: float | None = None
    share: float = 1.0


Rule = Callable[[HeldLot, SellRuleSettings], RuleReading | None]


def read_rules(held: HeldLot, settings: SellRuleSettings) -> tuple[RuleReading, ...]:
    """Every rule that applies to the lot, those that fire first."""
    readings = [reading for rule in RULES if (reading := rule(held, settings)) is not None]
    return tuple(sorted(readings, key=lambda reading: not reading.fires))


def firing_readings(held: HeldLot, settings: SellRuleSettings, among: Collection[str]) -> list[RuleReading]:
    """The rules that fire, of those which `among` names; only these are read."""
    wanted = {FUNCTION_OF.get(name, name) for name in among}
    readings = [rule(held, settings) for rule in RULES if rule.__name__ in wanted]
    return [reading for reading in readings if reading is not None and reading.fires]


def next_rule(readings: Sequence[RuleReading]) -> RuleReading | None:
    """The rule that would fire first if the price fell: the highest level; one that fires now before all."""
    firing = [reading for reading in readings if reading.fires]
    if firing:
        return firing[0]
    priced = [reading for reading in readings if reading.level is not None and reading.name != "strength"]
    return max(priced, key=lambda reading: reading.level or 0.0, default=None)


def initial_stop(held: HeldLot, _: SellRuleSettings) -> RuleReading | None:
    """A price at or under the initial stop since the purchase; it fires until the lot is sold."""
    stop = held.measures.lot.stop
    if stop is None:
        return None
    return _price_stop("initial_stop", held.measures.lowest, stop, "the initial stop")


def breakeven(held: HeldLot, settings: SellRuleSettings) -> RuleReading | None:
    """Fires when the session's low is at or under the entry, after enough R in an earlier session.

    A session that first gains so much and falls back does not fire: its bar does not say what came first.
    """
    best = held.measures.best_r
    if not settings.breakeven_r or best is None or best < settings.breakeven_r:
        return None
    entry = held.measures.lot.entry
    was_armed = (held.measures.best_before_r or 0.0) >= settings.breakeven_r
    low = float(held.window.bars.low[-1]) if was_armed else held.window.close
    return _price_stop("breakeven", low, entry, f"the entry, after {settings.breakeven_r:g} R")


def _price_stop(name: str, low: float, level: float, what: str) -> RuleReading:
    fires = low <= level
    text = f"low {low:,.2f} {'at or under' if fires else 'above'} {what} {level:,.2f}"
    return RuleReading(name=name, fires=fires, text=text, value=low, threshold=level, level=level)


def trailing_average(held: HeldLot, settings: SellRuleSettings) -> RuleReading | None:
    """Fires on a close under the simple average after enough R."""
    length, best = settings.trail_sessions, held.measures.best_r
    if not length or len(held.window.bars) < length or best is None or best < settings.trail_after_r:
        return None
    level = float(held.window.closes(length).sum() / length)
    return _close_stop("trailing_average", held, level, f"the {length}-session average")


def chandelier(held: HeldLot, settings: SellRuleSettings) -> RuleReading | None:
    """A close too many average true ranges under the highest price since the purchase (Le Beau's exit)."""
    measures = held.measures
    if not settings.chandelier_atr or measures.atr is None or not measures.sessions_held:
        return None
    level = measures.highest - settings.chandelier_atr * measures.atr
    return _close_stop("chandelier", held, level, f"{settings.chandelier_atr:g} ATR under the highest price")


def _close_stop(name: str, held: HeldLot, level: float, what: str) -> RuleReading:
    close = held.window.close
    fires = close < level
    text = f"close {close:,.2f} {'under' if fires else 'not under'} {what} {level:,.2f}"
    return RuleReading(name=name, fires=fires, text=text, value=close, threshold=level, level=level)


def time_stop(held: HeldLot, settings: SellRuleSettings) -> RuleReading | None:
    """No progress after enough sessions."""
    measures = held.measures
    if not settings.time_sessions or measures.best_r is None or measures.sessions_held is None:
        return None
    if measures.best_r >= settings.time_progress_r:
        return None
    fires = measures.sessions_held >= settings.time_sessions
    text = (
        f"{measures.sessions_held} of {settings.time_sessions} sessions, best {measures.best_r:.2f} R of "
        f"{settings.time_progress_r:g} R"
    )
    value, threshold = float(measures.sessions_held), float(settings.time_sessions)
    return RuleReading(name="time_stop", fires=fires, text=text, value=value, threshold=threshold)


def failed_breakout(held: HeldLot, settings: SellRuleSettings) -> RuleReading | None:
    """Soon after the purchase, a close under the pivot; on its very session that is a squat."""
    sessions, pivot = held.measures.sessions_held, held.pivot
    if not settings.failed_breakout_sessions or pivot is None or sessions is None:
        return None
    if sessions > settings.failed_breakout_sessions:
        return None
    return _close_stop("failed_breakout" if sessions else "squat", held, pivot, "the pivot")


def climax(held: HeldLot, settings: SellRuleSettings) -> RuleReading | None:
    """Fires on at least two signs of exhaustion together after a long advance."""
    measures = held.measures
    if not settings.climax_gain_pct or not measures.sessions_held:
        return None
    gain = PERCENT * (measures.highest / measures.lot.entry - 1)
    if gain < settings.climax_gain_pct:
        return None
    signs = [name for name, shown in climax_signs(held.window, settings).items() if shown]
    text = f"{len(signs)} of 4 signs after a gain of {gain:.0f} %" + (
        f": {', '.join(signs)}" if signs else ""
    )
    fires = len(signs) >= CLIMAX_SIGNS
    value, threshold = float(len(signs)), float(CLIMAX_SIGNS)
    return RuleReading(name="climax", fires=fires, text=text, value=value, threshold=threshold)


def climax_signs(window: PositionWindow, settings: SellRuleSettings) -> Mapping[str, bool]:
    """Returns each sign of a climax at the window's last session by its description."""
    held = window.held
    changes = np.diff(window.closes(settings.climax_days + 1))
    gap_pct = PERCENT * (held.open[-1] / held.high[-2] - 1) if len(held) > 1 else 0.0
    return {
        "the largest daily range since the purchase": _is_largest(held.high - held.low),
        "the largest rise in a week since the purchase": _is_largest(_weekly_gains(held.close)),
        f"{settings.climax_up_days} rising closes of {settings.climax_days}": bool(
            (changes > 0).sum() >= settings.climax_up_days
        ),
        f"a gap of {settings.climax_gap_pct:g} %": bool(gap_pct >= settings.climax_gap_pct),
    }


def _weekly_gains(close: FloatArray) -> FloatArray:
    if len(close) <= WEEK_SESSIONS:
        return np.empty(0)
    return close[WEEK_SESSIONS:] / close[:-WEEK_SESSIONS] - 1


def _is_largest(values: FloatArray) -> bool:
    """Whether the last value is above 0 and above all before it, of which there must be a few."""
    return len(values) > WEEK_SESSIONS and bool(values[-1] > max(0.0, values[:-1].max()))


def strength(held: HeldLot, settings: SellRuleSettings) -> RuleReading | None:
    """A gain of enough R, to sell a part into; it fires from the session that reaches it on."""
    lot, risk = held.measures.lot, held.measures.lot.risk_per_share
    if not settings.strength_r or risk is None:
        return None
    level, high = lot.entry + settings.strength_r * risk, held.measures.highest
    fires = high >= level
    text = f"high {high:,.2f} {'reaches' if fires else 'below'} {settings.strength_r:g} R at {level:,.2f}"
    return RuleReading(
        name="strength",
        fires=fires,
        text=text,
        value=high,
        threshold=level,
        level=level,
        share=settings.strength_share,
    )


def results_due(held: HeldLot, settings: SellRuleSettings) -> RuleReading | None:
    """Results within a few sessions."""
    due = held.results_in_sessions
    if not settings.results_sessions or due is None:
        return None
    fires = 0 <= due <= settings.results_sessions
    text = f"results in {due} sessions, at most {settings.results_sessions}"
    threshold = float(settings.results_sessions)
    return RuleReading(name="results_due", fires=fires, text=text, value=float(due), threshold=threshold)


RULES: Final[tuple[Rule, ...]] = (
    *(initial_stop, breakeven, trailing_average, chandelier, time_stop),
    *(failed_breakout, climax, strength, results_due),
)


class PositionRuleSettings(SellRuleSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which sell rules are followed, their thresholds, 0 switches a rule off, and further sets of rules."""

    reloadable: ClassVar[bool] = True

    rule_sets: Annotated[
        Mapping[str, Mapping[str, float]],
        msgspec.Meta(
            description="further sets of rules by name, chosen for a purchase with `vcpd positions rules`; "
            "each gives the thresholds that differ from those above"
        ),
    ] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.rule_sets:
            if not name.strip() or len(name) > MAX_SET_NAME_LENGTH or name == DEFAULT_RULES:
                raise ValueError(
                    f"rule_sets.{name}: expected a name of 1 to {MAX_SET_NAME_LENGTH} characters, "
                    f"not `{DEFAULT_RULES}`"
                )
            self._changed(name)

    @property
    def default(self) -> SellRuleSettings:
        """The set of every lot for which no other one was chosen."""
        return self._with({})

    @property
    def names(self) -> tuple[str, ...]:
        """All sets that can be chosen, that of [positions] first."""
        return (DEFAULT_RULES, *self.rule_sets)

    def by_name(self) -> Mapping[str, SellRuleSettings]:
        """Every named set with all of its thresholds."""
        return {name: self._changed(name) for name in self.rule_sets}

    def check_name(self, name: str) -> str:
        """The name as it is stored. BadInputError for one that no set has."""
        if name not in self.names:
            raise BadInputError(f"rules: expected one of {', '.join(self.names)}, was {name!r}")
        return name

    def _changed(self, name: str) -> SellRuleSettings:
        """The set of this name. ValueError that names a threshold which is unknown or out of its bounds."""
        try:
            return self._with(self.rule_sets[name])
        except msgspec.ValidationError as error:
            raise ValueError(f"rule_sets.{name}: {error}") from None

    def _with(self, changes: Mapping[str, float]) -> SellRuleSettings:
        own = {field: getattr(self, field) for field in SellRuleSettings.__struct_fields__}
        whole = {name: int(value) if value == int(value) else value for name, value in changes.items()}
        return msgspec.convert({**own, **whole}, SellRuleSettings)
