"""Sell rules that begin to fire, session by session."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import msgspec

from vcpd.analysis.position_judgement import Position, SymbolNotes, held_lot, judge_window
from vcpd.analysis.position_measures import PositionWindow
from vcpd.analysis.sell_rules import RuleReading, SellRuleSettings, firing_names
from vcpd.domain.bars import ONE_DAY, BarSeries
from vcpd.domain.portfolio import Lot


@dataclass(frozen=True, slots=True)
class LotHistory:
    """A lot, its symbol's bars, the rules that it is held by, and what is known after the last bar."""

    lot: Lot
    series: BarSeries
    rules: SellRuleSettings
    notes: SymbolNotes

    def position(self, row: int) -> Position | None:
        """The lot after the session of a row; None before its purchase."""
        window = self._window(row)
        return None if window is None else judge_window(self.lot, window, self.rules, self._notes(row))

    def firing_names(self, row: int, among: Collection[str]) -> frozenset[str]:
        """Which of the rules that `among` names fire after the session of a row."""
        window = self._window(row)
        if window is None:
            return frozenset()
        return firing_names(held_lot(self.lot, window, self._notes(row)), self.rules, among)

    def _window(self, row: int) -> PositionWindow | None:
        first = 0 if self.lot.opened is None else self._first
        if first > row:
            return None
        return PositionWindow(BarSeries(self.lot.symbol, self.series.records[: row + 1]), first)

    @property
    def _first(self) -> int:
        """The row of the first bar on or after the purchase."""
        return self.series.row_of(self.lot.opened or date.min)

    def _notes(self, row: int) -> SymbolNotes:
        """The notes as of the session of a row, when the next results were further away."""
        due, sessions = self.notes.results_in_sessions, len(self.series) - 1 - row
        if due is None or not sessions:
            return self.notes
        return msgspec.structs.replace(self.notes, results_in_sessions=due + sessions)


def first_firings(
    history: LotHistory, after: date, latest: Position | None = None
) -> list[tuple[Position, RuleReading]]:
    """Each rule that fires at a session later than `after` and did not at the session before.

    Given with the position as it stood after that session. `latest` is the position after the last one, where
    it is known already.
    """
    sessions = len(history.series)
    first = history.series.row_of(after + ONE_DAY)
    if latest is not None and first >= sessions - 1:
        return _new_firings(history, latest) if first < sessions else []
    fired: list[tuple[Position, RuleReading]] = []
    before: frozenset[str] = frozenset()
    for row in range(max(0, first - 1), sessions):
        is_known = latest is not None and row == sessions - 1
        found = latest if is_known else history.position(row)
        firing = () if found is None else found.firing
        if found is not None and row >= first:
            fired += [(found, rule) for rule in firing if rule.name not in before]
        before = frozenset(rule.name for rule in firing)
    return fired


def _new_firings(history: LotHistory, latest: Position) -> list[tuple[Position, RuleReading]]:
    """The rules that fire after the last session and did not after the one before."""
    firing = latest.firing
    if not firing:
        return []
    before = history.firing_names(len(history.series) - 2, [rule.name for rule in firing])
    return [(latest, rule) for rule in firing if rule.name not in before]
