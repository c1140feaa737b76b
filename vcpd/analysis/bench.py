"""What judging many symbols at one session shares: the market up to it, settings, work space, ratings."""

from datetime import date

import numpy as np

from vcpd.analysis.contractions import Room, room_for
from vcpd.analysis.indicators import Bars
from vcpd.analysis.strength import Ratings, ratings_of
from vcpd.analysis.thresholds import Rules, Thresholds, TrendRules
from vcpd.domain.arrays import FloatArray
from vcpd.domain.panel import Panel


class Bench:
    """One session of one market, at which rows are judged."""

    def __init__(self, panel: Panel, thresholds: Thresholds) -> None:
        self.panel = panel
        self.thresholds = thresholds
        self.rules: Rules = thresholds.rules
        self.trend_rules: TrendRules = thresholds.trend_rules
        self.sessions: list[date] = panel.sessions.tolist()
        self.index_close: FloatArray = np.array(panel.index_close)
        self.room: Room = room_for(len(self.sessions), self.rules.oldest)
        self._close = np.asarray(panel.close)
        self._ratings: Ratings = ratings_of(panel, thresholds.rs_universe_least)

    @property
    def last(self) -> int:
        """The column of the judged session."""
        return len(self.sessions) - 1

    @property
    def as_of(self) -> date:
        return self.sessions[-1]

    def ratings_of(self, row: int, bars: Bars, first: int) -> FloatArray:
        """The ratings of the symbol in `row` at its bars from `first` on, NaN where unknown."""
        return self._ratings.of(self._close, row, bars.column[first:])
