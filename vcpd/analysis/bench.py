"""What judging many symbols at one session shares: the market up to it, settings, work space, ratings."""

from datetime import date
from typing import Final

import numpy as np

from vcpd.analysis.contractions import Table, room_for_table
from vcpd.analysis.indicators import Bars
from vcpd.analysis.strength import ratings
from vcpd.analysis.thresholds import Rules, Thresholds, TrendRules
from vcpd.domain.arrays import FloatArray
from vcpd.domain.panel import Panel

_REACHES: Final = (60, 240, 720)  # sessions back that ratings are computed for at once


class Bench:
    """One session of one market, judged for `rows`; ratings reach as far back as they were asked for."""

    def __init__(self, panel: Panel, rows: range, thresholds: Thresholds) -> None:
        self.panel = panel
        self.rows = rows
        self.thresholds = thresholds
        self.rules: Rules = thresholds.rules
        self.trend_rules: TrendRules = thresholds.trend_rules
        self.sessions: list[date] = panel.sessions.tolist()
        self.index_close: FloatArray = np.array(panel.index_close)
        self.table: Table = room_for_table(len(self.sessions), self.rules.oldest)
        self._ratings: FloatArray = np.empty((len(rows), 0))

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
        reach = self.last - int(columns[0]) + 1
        if reach > self._ratings.shape[1]:
            self._reach_back(reach)
        start = self.last + 1 - self._ratings.shape[1]
        own: FloatArray = self._ratings[row - self.rows.start, columns - start]
        return own

    def _reach_back(self, reach: int) -> None:
        enough = next((step for step in _REACHES if step >= reach), self.last + 1)
        first = max(self.last + 1 - enough, 0)
        least = self.thresholds.rs_universe_least
        self._ratings = ratings(self.panel, self.rows, first, self.last, least)
