"""The complete setup of one symbol after one session: gates, measures, score 0..100."""

import math
from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple

import msgspec

from vcpd.analysis.base_structure import (
    Chain,
    base_weeks,
    contractions_of,
    depths_pct,
    footprint_of,
    footprint_text,
    undercuts_of,
)
from vcpd.analysis.base_tracker import NO_BAR, BaseTracker
from vcpd.analysis.explain import describe_gate, describe_stay, nearest_miss
from vcpd.analysis.gates import (
    YOUNG_SECOND_STAGE,
    all_pass,
    history_gate,
    no_structure_gates,
    structure_gates,
    tolerated,
)
from vcpd.analysis.indicators import (
    Bars,
    StrengthLine,
    TightnessMeasures,
    measure_base,
    measure_strength_line,
    rounded,
)
from vcpd.analysis.levels import round_to_tick, shown_stop
from vcpd.analysis.session_context import HistoryWindow, SessionContext
from vcpd.domain.setups import BaseState, EventKind, Gate, OwnChain, Setup, SetupEvent, SetupGroup

STATE_CAPS: Final = {
    BaseState.SQUAT: 60.0,
    BaseState.UNDER_STOP: 20.0,
    BaseState.EXTENDED: 50.0,
    BaseState.FAILED: 10.0,
    BaseState.EXPIRED: 10.0,
}


class ScoreInputs(NamedTuple):
    """What a score is made of, after a session; NaN is unknown."""

    atr_pct: float  # ATR 20 over the close
    range_pct: float  # of the last ten sessions
    final_depth_pct: float
    above_pivot_pct: float  # the close above the pivot; negative below it
    weeks: float  # from the anchor
    advance_pct: float  # into the anchor


def score_components(inputs: ScoreInputs) -> dict[str, float]:
    """Each component's points, rounded to a hundredth; 100 together at most.

    They describe how quiet a base is, how near its pivot, how long and after how small an advance. What that
    order has been worth is measured by `benchmarks.detector_score`; it is no probability.
    """
    shares = {
        "small_atr": (20, _linear_down(inputs.atr_pct, 1.5, 5)),
        "narrow_range": (20, _linear_down(inputs.range_pct, 4, 12)),
        "shallow_final_contraction": (20, _linear_down(inputs.final_depth_pct, 3, 9)),
        "closeness": (15, _closeness(inputs.above_pivot_pct)),
        "length": (15, _linear_up(inputs.weeks, 3, 30)),
        "small_advance": (10, _linear_down(inputs.advance_pct, 30, 120)),
    }
    return {name: rounded(most * share, 2) for name, (most, share) in shares.items()}


def total_score(components: dict[str, float], state: BaseState) -> float:
    """The sum, capped where the state speaks against buying."""
    return round(min(math.fsum(components.values()), STATE_CAPS.get(state, 100.0)), 2)


def _linear_up(value: float, none: float, full: float) -> float:
    """0 at `none`, 1 at `full`, linear between; unknown earns nothing."""
    if math.isnan(value):
        return 0.0
    return min(max((value - none) / (full - none), 0.0), 1.0)


def _linear_down(value: float, full: float, none: float) -> float:
    return _linear_up(-value, -none, -full)


def _closeness(above_pct: float) -> float:
    """Full at the pivot, none 10 % below it or 5 % above it."""
    return _linear_down(above_pct, 0, 5) if above_pct > 0 else _linear_up(above_pct, -10, 0)


class SymbolSession(NamedTuple):
    """Whose verdict it is: a row of the panel and the recent past of its symbol."""

    session_context: SessionContext
    row: int
    history: HistoryWindow

    @property
    def bars(self) -> Bars:
        return self.history.symbol_context.bars

    @property
    def tick(self) -> float:
        return self.history.symbol_context.tick

    @property
    def provisional(self) -> bool:
        return self.is_provisional(self.history.last)

    def is_provisional(self, t: int) -> bool:
        return bool(self.session_context.provisional[self.row, self.bars.column.item(t)])

    def date(self, t: int) -> date:
        return self.session_context.sessions[self.bars.column.item(t)]


def evaluate_without_base(place: SymbolSession) -> Setup:
    """No chain and no base that is followed: the gates show how far off the symbol is."""
    gates = _session_gates(place, 0) | no_structure_gates(place.session_context.thresholds)
    line = measure_strength_line(place.bars, place.session_context.index_close, place.history.last)
    symbol, close = place.session_context.panel.symbols[place.row], float(place.bars.close[-1])
    atr_pct = 100 * place.history.symbol_context.average_true_range(place.history.last) / close
    young = len(place.bars.close) < place.session_context.trend_rules.window
    return msgspec.structs.replace(
        Setup.without_base(symbol, place.session_context.as_of, young=young, close=close),
        gates=gates,
        rs_rating=_rating(place),
        provisional=place.provisional,
        measures=_strength_line_measures(line) | {"atr_pct": _finite_or_none(atr_pct)},
        nearest_miss=nearest_miss(gates),
    )


def evaluate_base(
    place: SymbolSession, tracker: BaseTracker, events: tuple[SetupEvent, ...], *, own_chain: bool = False
) -> Setup:
    """The verdict on a base as its tracker has it after the last bar; `events` are empty if not followed."""
    bars, t, chain, levels, tick = place.bars, place.history.last, tracker.chain, tracker.levels, place.tick
    followed, depths, weeks = bool(events), depths_pct(bars, chain), base_weeks(chain, t)
    gates = tracker.structure.gates(t)
    quiet, line = _measure_symbol(place, tracker)
    undercuts = undercuts_of(bars, chain, place.session_context.sessions, t)
    close = bars.close.item(t)
    above_pivot_pct = 100 * (close / levels.pivot - 1)
    advance_pct = _number_or_nan(gates["prior_advance"].value)
    components = score_components(
        ScoreInputs(quiet.atr_pct, quiet.range_pct, depths[-1], above_pivot_pct, weeks, advance_pct)
    )
    return Setup(
        symbol=place.session_context.panel.symbols[place.row],
        as_of=place.session_context.as_of,
        footprint=footprint_text(depths, weeks),
        weeks=weeks,
        contractions=contractions_of(bars, chain, depths, place.session_context.sessions),
        pivot=round_to_tick(levels.pivot, tick),
        stop=shown_stop(levels.stop, tick, close),
        state=tracker.state,
        score=total_score(components, tracker.state),
        components=components,
        gates=gates,
        rs_rating=_rating(place),
        close=close,
        provisional=place.provisional,
        passed=all_pass(gates) and not tracker.is_over,
        young=len(bars.close) < place.session_context.trend_rules.window,
        anchor_date=place.date(chain.anchor),
        buy_zone=(round_to_tick(levels.entry, tick), round_to_tick(levels.zone_end, tick)),
        risk_pct=rounded(levels.risk_pct, 4),
        undercuts=undercuts,
        measures=_measures(place, tracker, quiet, above_pivot_pct) | _strength_line_measures(line),
        nearest_miss=nearest_miss(gates),
        events=events,
        group=tracker.group if followed else None,
        group_reason=_group_reason(tracker, events),
        tolerances=_tolerances(tracker, gates) if followed else (),
        structural_stop=round_to_tick(levels.floor, tick),
        structural_risk_pct=rounded(levels.structural_risk_pct, 4),
        previous_pivot=None
        if tracker.previous_pivot is None
        else round_to_tick(tracker.previous_pivot, tick),
        variant=_variant(place, chain),
        own_chain=_own_chain(place) if followed or own_chain else None,
    )


REASON_EVENTS: Final = {
    SetupGroup.FOLLOWED: frozenset({EventKind.LEFT}),
    SetupGroup.ABOVE_PIVOT: frozenset({EventKind.BREAKOUT, EventKind.BREAKOUT_UNCONFIRMED}),
    SetupGroup.ENDED: frozenset({EventKind.FAILED, EventKind.EXPIRED}),
}


def _group_reason(tracker: BaseTracker, events: Sequence[SetupEvent]) -> str | None:
    """Why a base is not among the setups, and since when."""
    kinds = REASON_EVENTS.get(tracker.group, frozenset())
    if tracker.state is BaseState.UNDER_STOP:
        kinds = frozenset({EventKind.UNDER_STOP})
    event = next((event for event in reversed(events) if event.kind in kinds), None)
    return None if event is None else f"{event.kind.value.replace('_', ' ')} {event.session}: {event.detail}"


def _tolerances(tracker: BaseTracker, gates: dict[str, Gate]) -> tuple[str, ...]:
    """The gates of a setup that pass by their threshold to stay alone, or miss it for a few sessions."""
    if tracker.group is not SetupGroup.SETUP:
        return ()
    return tuple(
        f"holding by tolerance: {describe_gate(name, gates[name])}; {_stay_text(name, gates[name])}"
        for name in tolerated(gates)
    )


def _stay_text(name: str, gate: Gate) -> str:
    return describe_stay(name, gate).rsplit(", ", 1)[-1]


def _variant(place: SymbolSession, chain: Chain) -> str | None:
    t = place.history.last
    if chain.variant:
        return chain.variant
    return YOUNG_SECOND_STAGE if place.history.symbol_context.is_second_stage(t, t - chain.anchor) else None


def _own_chain(place: SymbolSession) -> OwnChain | None:
    """The session's own chain, evaluated without regard to a followed base."""
    t = place.history.last
    chain = place.history.chain(t)
    if chain is None:
        return None
    context = place.history.symbol_context
    pivot, floor = place.bars.high.item(chain.peak), context.floor(chain, t)
    structure = context.structure(chain, pivot, floor, 0)
    gates = _session_gates(place, t - chain.anchor) | structure_gates(structure, context.thresholds)
    return OwnChain(
        round_to_tick(pivot, place.tick),
        round_to_tick(floor, place.tick),
        footprint_of(place.bars, chain, t),
        place.date(chain.anchor),
        all_pass(gates),
        gates,
    )


def _session_gates(place: SymbolSession, base_sessions: int) -> dict[str, Gate]:
    """The gates that no structure decides, for a base of so many sessions."""
    history = history_gate(len(place.bars.close), place.session_context.thresholds)
    return history | place.history.symbol_context.trend_gates(place.history.last, base_sessions)


def _rating(place: SymbolSession) -> int | None:
    rating = float(place.history.trend.value[-1, 7])
    return None if math.isnan(rating) else int(rating)


def _measure_symbol(place: SymbolSession, life: BaseTracker) -> tuple[TightnessMeasures, StrengthLine]:
    """The final leg ends before a breakout bar, whose volume is no dry-up."""
    stop = life.breakout_at if life.breakout_at != NO_BAR else place.history.last + 1
    anchor, peak = life.chain.anchor, life.chain.peak
    both: tuple[TightnessMeasures, StrengthLine] = measure_base(
        place.bars, place.session_context.index_close, anchor, peak, stop
    )
    return both


def _measures(
    place: SymbolSession, life: BaseTracker, quiet: TightnessMeasures, above_pivot_pct: float
) -> dict[str, float | None]:
    thresholds = place.session_context.thresholds
    measures: dict[str, float | None] = dict(
        zip(TightnessMeasures._fields, map(_finite_or_none, quiet), strict=True)
    )
    tight = quiet.range_pct <= thresholds.tight_range_pct and quiet.range_atr <= thresholds.tight_range_atr
    measures |= {
        "dry": _flag_or_none(quiet.dry_up, quiet.dry_up < thresholds.dry_ratio),
        "very_dry": _flag_or_none(quiet.dry_up, quiet.dry_up <= thresholds.very_dry_ratio),
        "tight": float(tight),
        "tight_closes": float(quiet.closes_pct <= thresholds.tight_closes_pct),
        "chain_value": _finite_or_none(life.chain.value),
        "final_peak_confirmed": float(life.chain.confirmed),
        "base_depth_pct": _finite_or_none(100 * life.chain.base_depth),
        "above_pivot_pct": _finite_or_none(above_pivot_pct),
        "sessions_since_held": float(place.history.last - life.last_passed),
    }
    return measures


def _strength_line_measures(line: StrengthLine) -> dict[str, float | None]:
    return {
        "rs_line": _finite_or_none(line.ratio, 6),
        "rs_line_at_high": _finite_or_none(line.at_high),
        "rs_line_high_before_price": _finite_or_none(line.before_price),
    }


def _number_or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _finite_or_none(value: float, digits: int = 4) -> float | None:
    return rounded(value, digits) if math.isfinite(value) else None


def _flag_or_none(value: float, holds: bool) -> float | None:
    return None if math.isnan(value) else float(holds)
