"""A held lot after a session: its measures, the reading of each sell rule, what is known of its company."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
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
from vcpd.analysis.sell_rules import (
    HeldLot,
    RuleReading,
    SellRuleSettings,
    firing_readings,
    next_rule,
    read_rules,
)
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


@dataclass(frozen=True, slots=True)
class LotHistory:
    """A lot, its symbol's bars, the rules that it is held by, and what is known after the last bar."""

    lot: Lot
    series: BarSeries
    rules: SellRuleSettings
    notes: SymbolNotes

    @property
    def first(self) -> int:
        """The row of the first bar on or after the purchase; 0 where its day is not known."""
        return 0 if self.lot.opened is None else self.series.row_of(self.lot.opened)

    def position(self, row: int) -> Position | None:
        """The lot after the session of a row; None before its purchase."""
        window = self._window(row)
        return None if window is None else judge_window(self.lot, window, self.rules, self._notes(row))

    def held_lot(self, row: int) -> HeldLot | None:
        """What the rules evaluate after the session of a row; None before the purchase."""
        window = self._window(row)
        return None if window is None else held_lot(self.lot, window, self._notes(row))

    def firing(self, row: int, among: Collection[str]) -> list[RuleReading]:
        """Those of the rules that `among` names which fire after the session of a row."""
        held = self.held_lot(row)
        return [] if held is None else firing_readings(held, self.rules, among)

    def _window(self, row: int) -> PositionWindow | None:
        if self.first > row:
            return None
        return PositionWindow(BarSeries(self.lot.symbol, self.series.records[: row + 1]), self.first)

    def _notes(self, row: int) -> SymbolNotes:
        """The notes as of the session of a row, when the next results were further away."""
        due, sessions = self.notes.results_in_sessions, len(self.series) - 1 - row
        if due is None or not sessions:
            return self.notes
        return msgspec.structs.replace(self.notes, results_in_sessions=due + sessions)
