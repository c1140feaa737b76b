"""A held lot after a session: its measures, the reading of each sell rule, what is known of its company."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import msgspec

from vcpd.analysis.heat import UNKNOWN_SECTOR
from vcpd.analysis.position_measures import (
    PERCENT,
    PositionMeasures,
    PositionWindow,
    measure_position,
    window_of,
)
from vcpd.analysis.sell_rules import HeldLot, RuleReading, SellRuleSettings, next_rule, read_rules
from vcpd.domain.bars import BarSeries
from vcpd.domain.portfolio import Lot

SELLING_STOPS: Final = frozenset({"initial_stop", "breakeven", "trailing_average", "chandelier"})


class SymbolNotes(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a held company beside its bars; pivots and footprints by the day of the purchase."""

    sector: str = UNKNOWN_SECTOR
    results_in_sessions: int | None = None
    base_state: str | None = None
    footprint: str | None = None
    pivots: Mapping[date, float] = {}
    footprints: Mapping[date, str] = {}
    is_listed: bool = True


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """A lot after a session, with every rule's reading; `stop` is the highest one under the close."""

    measures: PositionMeasures
    rules: tuple[RuleReading, ...]
    next_rule: RuleReading | None
    stop: float | None
    notes: SymbolNotes = SymbolNotes()
    to_stop_pct: float | None = None  # from the close down to `stop`, in percent of the close
    to_averages_pct: Mapping[int, float] = {}  # the same down to each average; below 0 where it lies above
    bought_footprint: str | None = None  # of the base that it was bought from

    @property
    def firing(self) -> tuple[RuleReading, ...]:
        return tuple(rule for rule in self.rules if rule.fires)


def judge_position(
    lot: Lot, series: BarSeries, as_of: date, rules: SellRuleSettings, notes: SymbolNotes | None = None
) -> Position | None:
    """The lot by the bars up to `as_of`; None where there is none since its purchase."""
    window = window_of(lot, series, as_of)
    return None if window is None else judge_window(lot, window, rules, notes)


def judge_window(
    lot: Lot, window: PositionWindow, rules: SellRuleSettings, notes: SymbolNotes | None = None
) -> Position:
    """The lot after the window's last session."""
    known = notes or SymbolNotes()
    held = held_lot(lot, window, known)
    measures, readings = held.measures, read_rules(held, rules)
    stop = stop_of(readings, measures.close)
    return Position(
        measures=measures,
        rules=readings,
        next_rule=next_rule(readings),
        stop=stop,
        notes=known,
        to_stop_pct=None if stop is None else PERCENT * (1 - stop / measures.close),
        to_averages_pct={
            length: PERCENT * (1 - mean / measures.close) for length, mean in measures.averages.items()
        },
        bought_footprint=None if lot.opened is None else known.footprints.get(lot.opened),
    )


def held_lot(lot: Lot, window: PositionWindow, notes: SymbolNotes) -> HeldLot:
    """Collects what the rules evaluate after the window's last session."""
    return HeldLot(
        measures=measure_position(lot, window),
        window=window,
        pivot=None if lot.opened is None else notes.pivots.get(lot.opened),
        results_in_sessions=notes.results_in_sessions,
    )


def stop_of(rules: Sequence[RuleReading], close: float) -> float | None:
    """The highest price under the close at which a stop would sell; None where nothing bounds the loss."""
    levels = [rule.level for rule in rules if rule.name in SELLING_STOPS and rule.level is not None]
    return max((level for level in levels if level < close), default=None)
