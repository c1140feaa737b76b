"""Sell rules that begin to fire, session by session."""

from dataclasses import dataclass
from datetime import date

import msgspec
import numpy as np

from vcpd.analysis.position_judgement import Position, SymbolNotes, judge_window
from vcpd.analysis.position_measures import PositionWindow
from vcpd.analysis.sell_rules import RuleReading, SellRuleSettings
from vcpd.domain.bars import BarSeries
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
        first = 0 if self.lot.opened is None else self._first
        if first > row:
            return None
        window = PositionWindow(BarSeries(self.lot.symbol, self.series.records[: row + 1]), first)
        notes = self._notes_before(len(self.series) - 1 - row)
        return judge_window(self.lot, window, self.rules, notes)

    @property
    def _first(self) -> int:
        """The row of the first bar on or after the purchase."""
        return int(self.series.sessions.searchsorted(np.datetime64(self.lot.opened or date.min, "D")))

    def _notes_before(self, sessions: int) -> SymbolNotes:
        """The notes as of so many sessions earlier, when the next results were further away."""
        due = self.notes.results_in_sessions
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
    sessions = history.series.sessions
    first = int(np.searchsorted(sessions, np.datetime64(after, "D"), side="right"))
    fired: list[tuple[Position, RuleReading]] = []
    before: frozenset[str] = frozenset()
    for row in range(max(0, first - 1), len(sessions)):
        is_known = latest is not None and row == len(sessions) - 1
        found = latest if is_known else history.position(row)
        firing = () if found is None else found.firing
        if found is not None and row >= first:
            fired += [(found, rule) for rule in firing if rule.name not in before]
        before = frozenset(rule.name for rule in firing)
    return fired
