"""The screen as a worker task: evaluates rows of the panel at one session, and continues recorded bases.

A replay of the bars decides the state of a base. Its record decides the identity, and what once happened
stays.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

from vcpd.analysis.base_structure import Chain, footprint_of
from vcpd.analysis.base_tracker import NO_BAR, BaseTracker
from vcpd.analysis.base_variants import NAMES
from vcpd.analysis.indicators import Bars, bars_of
from vcpd.analysis.levels import Levels, levels_above, round_to_tick, shown_stop
from vcpd.analysis.session_context import SessionContext, history_window
from vcpd.analysis.tasks import ScreenParams, ScreenResult
from vcpd.analysis.verdicts import SymbolSession, evaluate_base, evaluate_without_base
from vcpd.domain.panel import Panel
from vcpd.domain.setups import CHAPTER_STARTS, ENDED_STATES, Base, BaseState, EventKind, Setup, SetupEvent

__all__ = ["ScreenParams", "ScreenResult", "screen_rows"]

_KIND_ORDER: Final = {kind: number for number, kind in enumerate(EventKind)}


def screen_rows(panel: Panel, rows: range, parameters: ScreenParams) -> ScreenResult:
    """Evaluate `rows` of the panel at a session; all other rows are only the universe of the ratings."""
    if parameters.as_of is not None:
        panel = panel.until(parameters.as_of)
    judged = ScreenResult([], [])
    if not len(panel.sessions):
        return judged
    bench = SessionContext(panel, parameters.thresholds)
    for row in rows:
        setup, bases = _screen_row(bench, row, parameters)
        judged.setups.append(setup)
        judged.bases.extend(bases)
    return judged


def _screen_row(bench: SessionContext, row: int, parameters: ScreenParams) -> tuple[Setup, list[Base]]:
    symbol = bench.panel.symbols[row]
    recorded = parameters.recorded.for_symbol(symbol)
    bars = bars_of(bench.panel, row, parameters.elapsed_share_of(symbol))
    close = float(bars.close[-1]) if len(bars.close) else None
    if symbol in bench.panel.exclusions:
        reason = bench.panel.exclusions[symbol]
        return Setup.unevaluated(symbol, bench.as_of, reason, close=close), []
    if not len(bars.close) or bars.column[-1] != bench.last:
        last = bench.sessions[bars.column[-1]].isoformat() if len(bars.close) else "never"
        reason = f"no bar at this session, last one {last}"
        return Setup.unevaluated(symbol, bench.as_of, reason, close=close), []
    place = SymbolSession(bench, row, history_window(bench, row, bars))
    return _judged(place, parameters, recorded)


def setup_after(bench: SessionContext, row: int, bars: Bars) -> Setup:
    """The verdict after the last of `bars`, the first ones of the symbol in `row`, without any record."""
    place = SymbolSession(bench, row, history_window(bench, row, bars))
    return _judged(place, ScreenParams(), ())[0]


def _judged(
    place: SymbolSession, parameters: ScreenParams, recorded: Sequence[Base]
) -> tuple[Setup, list[Base]]:
    pairs = match_records(place, place.history.trackers.tracked, recorded)
    current = [(tracker, record) for tracker, record in pairs if record or _is_current(place, tracker)]
    followed = [(tracker, *build_base(place, tracker, record)) for tracker, record in current]
    shown = _listed_setup(
        place, [(tracker, setup) for tracker, _, setup in followed], own_chain=parameters.own_chain
    )
    return shown, [base for _, base, _ in followed]


def _is_current(place: SymbolSession, tracker: BaseTracker) -> bool:
    """Alive, or ended at this very session; what ended before and was never recorded is the past."""
    return not tracker.is_over or tracker.ended_at == place.history.last


def _listed_setup(
    place: SymbolSession, followed: list[tuple[BaseTracker, Setup]], *, own_chain: bool
) -> Setup:
    """The verdict a symbol is listed with: the base that is followed, or ended today, else any chain."""
    current = [(tracker, setup) for tracker, setup in followed if _is_current(place, tracker)]
    if current:
        return max(current, key=lambda pair: (not pair[0].is_over, pair[0].last_passed, pair[0].found_at))[1]
    tracker = place.history.unlisted_breakout()
    chain = place.history.chain(place.history.last)
    if tracker is None and chain is not None:
        tracker = BaseTracker.begin(place.history.symbol_context, chain, place.history.last, listed=False)
    if tracker is None:
        return evaluate_without_base(place)
    return evaluate_base(place, tracker, (), own_chain=own_chain)


def match_records(
    place: SymbolSession, lives: Iterable[BaseTracker], recorded: Sequence[Base]
) -> list[tuple[BaseTracker, Base | None]]:
    """Pair each replayed base with its record; a record without one is continued from its own dates.

    Two lives may share a high: the one of the record's own anchor comes first, one that is over last.
    """
    known, waiting = list(lives), list(recorded)
    if not waiting:
        return [(life, None) for life in known]
    records: dict[int, Base] = {}
    for belongs in (_has_same_anchor, _shares_structure):
        for number, life in sorted(enumerate(known), key=lambda pair: pair[1].is_over):
            record = next((base for base in waiting if belongs(place, life, base)), None)
            if record is not None and number not in records:
                waiting.remove(record)
                records[number] = record
    pairs = [(life, records.get(number)) for number, life in enumerate(known)]
    for base in waiting:
        life_again = _resume_tracker(place, base)
        if life_again is not None:
            pairs.append((life_again, base))
    return pairs


def _has_same_anchor(place: SymbolSession, life: BaseTracker, base: Base) -> bool:
    return base.anchor_date == place.date(life.anchor)


def _shares_structure(place: SymbolSession, life: BaseTracker, base: Base) -> bool:
    """Compares dates alone, because prices may have been restated since."""
    if base.anchor_date in {place.date(anchor) for anchor in life.anchors}:
        return True
    pivot_date = base.setup.contractions[-1].high_date if base.setup and base.setup.contractions else None
    return pivot_date in {place.date(high) for high in life.chain.high_at[1:]}


def _resume_tracker(place: SymbolSession, base: Base) -> BaseTracker | None:
    """The recorded base lived on to the last bar, its levels taken anew from the bars of its dates."""
    chain = _recorded_chain(place, base)
    judged = _bar_at_or_before(place, base.last_judged)
    if chain is None or judged is None or base.setup is None or _is_closed(place, base):
        return None
    life = BaseTracker.begin(place.history.symbol_context, chain, judged, listed=False)
    life.last_passed = judged - int(base.setup.measures.get("sessions_since_held") or 0)
    last_intact = judged - int(base.setup.gates["base_intact"].value or 0)
    emitted, state = _emitted_kinds(base), base.state
    if base.setup.provisional and not emitted & CHAPTER_STARTS:
        life.cancel_provisional(place.history.last)
        return life
    if base.setup.provisional:  # what the running bar seemed to do is judged anew
        judged, state = judged - 1, BaseState.FORMING
    life.is_admitted = EventKind.LEFT not in emitted
    levels = _recorded_levels(place, life, base, judged)
    life.resume(state, _recorded_breakout(place, base, judged), emitted, levels, judged)
    life.structure.last_intact = last_intact
    if life.is_over:
        life.ended_at = judged
        return life
    start = min(judged + 1, place.history.last)
    first = max(start, place.history.trend_first)
    for t, session in place.history.sessions_from(first):
        life.update(t, session.without_chain())
    return life


def _recorded_levels(place: SymbolSession, life: BaseTracker, base: Base, judged: int) -> Levels:
    """The levels of the record in today's prices: bars may have been restated since, by one factor.

    The pivot is the high of a bar of the base: the one nearest to the recorded price, which is rounded.
    """
    setup, context, chain = base.setup, place.history.symbol_context, life.chain
    if setup is None or setup.structural_risk_pct is None:
        return life.levels
    factor = place.bars.high.item(chain.peak) / setup.contractions[-1].high
    highs = place.bars.high[chain.anchor : judged + 1]
    pivot = highs[abs(highs - base.pivot * factor).argmin()].item()
    floor = (pivot + place.tick) * (1 - setup.structural_risk_pct / 100)
    return levels_above(pivot, floor, place.tick, context.thresholds)


def _is_closed(place: SymbolSession, base: Base) -> bool:
    """Whether the base ended at an earlier session: it is dropped once no replay finds it any more."""
    running = base.setup is not None and base.setup.provisional
    return base.state in ENDED_STATES and base.last_judged < place.session_context.as_of and not running


def _recorded_breakout(place: SymbolSession, base: Base, judged: int) -> int:
    at = None if base.breakout_on is None else _bar_at_or_before(place, base.breakout_on)
    return NO_BAR if at is None or at > judged else at


def _emitted_kinds(base: Base) -> set[EventKind]:
    """Events recorded since the base was last found; provisional events do not count."""
    seen: set[EventKind] = set()
    for event in base.events:
        if event.provisional:
            continue
        if event.kind in CHAPTER_STARTS:
            seen = set()
        elif event.kind is EventKind.READMITTED:
            seen.discard(EventKind.LEFT)
        seen.add(event.kind)
    return seen


def _recorded_chain(place: SymbolSession, base: Base) -> Chain | None:
    """The recorded contractions as positions in today's bars; None where a bar is missing."""
    contractions = base.setup.contractions if base.setup else ()
    highs = [_bar_of(place, contraction.high_date) for contraction in contractions]
    lows = [_bar_of(place, contraction.low_date) for contraction in contractions]
    if not highs or any(at is None for at in (*highs, *lows)):
        return None
    high_at, low_at = tuple(int(at or 0) for at in highs), tuple(int(at or 0) for at in lows)
    bars = place.bars
    deepest = min(float(bars.low[at]) for at in low_at)
    depth = 1 - deepest / float(bars.high[high_at[0]])
    variant = base.setup.variant if base.setup and base.setup.variant in NAMES.values() else None
    return Chain(
        high_at,
        low_at,
        0.0,
        valid=True,
        confirmed=True,
        base_depth=depth,
        advance=float("nan"),
        variant=variant or "",
    )


def _bar_at_or_before(place: SymbolSession, day: date) -> int | None:
    known = [t for t in range(place.history.last, -1, -1) if place.date(t) <= day][:1]
    return known[0] if known else None


def _bar_of(place: SymbolSession, day: date) -> int | None:
    t = _bar_at_or_before(place, day)
    return t if t is not None and place.date(t) == day else None


def merge_events(place: SymbolSession, life: BaseTracker, record: Base | None) -> tuple[SetupEvent, ...]:
    """What has happened: the record stays, a provisional event is confirmed, new kinds are added."""
    fresh = [
        SetupEvent(
            happening.kind,
            place.date(happening.at),
            round(happening.price, 6),
            place.is_provisional(happening.at),
            happening.detail,
        )
        for happening in life.events
    ]
    if record is None:
        return _sorted_events(fresh)
    kept = [_finalized(event, fresh) for event in record.events]
    seen = {(event.kind, event.session) for event in kept}
    kinds = {event.kind for event in kept if not event.provisional}
    for event in fresh:
        is_new = event.session >= record.last_judged or event.kind not in kinds
        if is_new and (event.kind, event.session) not in seen:
            kept.append(event)
    return _sorted_events(kept)


def _sorted_events(events: list[SetupEvent]) -> tuple[SetupEvent, ...]:
    """Sort events so that the order is the same however often a session is evaluated."""
    return tuple(sorted(events, key=lambda event: (event.session, _KIND_ORDER[event.kind])))


def _finalized(event: SetupEvent, fresh: list[SetupEvent]) -> SetupEvent:
    """The final form of a provisional event once its session's final bar gives the same."""
    if not event.provisional:
        return event
    same = (entry for entry in fresh if (entry.kind, entry.session) == (event.kind, event.session))
    return next(same, event)


def build_base(place: SymbolSession, life: BaseTracker, record: Base | None) -> tuple[Base, Setup]:
    """Build the stored form of a base, with its verdict."""
    setup = evaluate_base(place, life, merge_events(place, life, record))
    close = place.bars.close.item(place.history.last)
    base = Base(
        symbol=setup.symbol,
        anchor_date=record.anchor_date if record else place.date(life.anchor),
        found_on=record.found_on if record else place.date(life.found_at),
        last_judged=place.session_context.as_of,
        pivot=round_to_tick(life.levels.pivot, place.tick),
        stop=shown_stop(life.levels.stop, place.tick, close),
        footprint=footprint_of(place.bars, life.chain, place.history.last),
        state=life.state,
        breakout_on=None if life.breakout_at == NO_BAR else place.date(life.breakout_at),
        setup=setup,
        events=setup.events,
    )
    return base, setup
