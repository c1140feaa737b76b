"""What judging many symbols at one session shares: the market up to it, settings, work space, ratings."""

from datetime import date
from typing import Final

import numpy as np

from vcpd.analysis.contractions import Room, room_for
from vcpd.analysis.indicators import Bars
from vcpd.analysis.strength import Universe, universe_of
from vcpd.analysis.thresholds import Rules, Thresholds, TrendRules
from vcpd.domain.arrays import FloatArray
from vcpd.domain.panel import Panel

_REACHES: Final = (60, 180, 540)  # sessions back that ratings are computed for at once


class Bench:
    """One session of one market, judged; strengths reach as far back as they were asked for."""

    def __init__(self, panel: Panel, thresholds: Thresholds) -> None:
        self.panel = panel
        self.thresholds = thresholds
        self.rules: Rules = thresholds.rules
        self.trend_rules: TrendRules = thresholds.trend_rules
        self.sessions: list[date] = panel.sessions.tolist()
        self.index_close: FloatArray = np.array(panel.index_close)
        self.room: Room = room_for(len(self.sessions), self.rules.oldest)
        self._universe: Universe | None = None

    @property
    def last(self) -> int:
        """The column of the judged session."""
        return len(self.sessions) - 1

    @property
    def as_of(self) -> date:
        return self.sessions[-1]

    def ratings_of(self, row: int, bars: Bars, first: int) -> FloatArray:
        """The ratings of the symbol in `row` at its bars from `first` on, NaN where unknown."""
        columns = bars.column[first:]
        if self._universe is None or columns[0] < self._universe.first:
            self._universe = self._universe_since(int(columns[0]))
        return self._universe.ratings_of(row, columns)

    def _universe_since(self, column: int) -> Universe:
        reach = self.last - column + 1
        enough = next((step for step in _REACHES if step >= reach), self.last + 1)
        first = max(self.last + 1 - enough, 0)
        return universe_of(self.panel, first, self.last, self.thresholds.rs_universe_least)
