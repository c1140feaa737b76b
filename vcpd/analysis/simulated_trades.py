"""Simulated purchases: bought at a session's close, held to the stop or for the horizon.

Compiled; simulated_trades.pxd has the types.
"""

from typing import Final, NamedTuple

import numpy as np

from vcpd.analysis.indicators import Bars
from vcpd.domain.bars import BoolArray, FloatArray, IntArray, RatingArray

_SUMS: Final = 10  # entries, counted, the three targets, stopped, sums of result, best, worst and sessions


class Trade(NamedTuple):
    """A purchase at a session's close, held to its stop or for the horizon.

    A session that touches both a target and the stop counts as stopped first; a session that opens
    under the stop is sold at its open.
    """

    best_r: float  # maximum favourable excursion before the exit
    worst_r: float  # maximum adverse excursion, positive
    result_r: float
    sessions: int
    stopped: bool
    finished: bool  # stopped, or held for the whole horizon


class EntryRules(NamedTuple):
    """How purchases are simulated: sessions held at most, round-trip costs in percent of the entry."""

    horizon: int
    cost_pct: float
    last_column: int  # of the panel: where its bars end


class TradeSimulator:
    """Purchases over one symbol's bars; the last one simulated stands in its attributes."""

    def __init__(self, bars: Bars, horizon: int, cost_share: float = 0.0) -> None:
        """Each trade looks at up to `horizon` bars after its purchase and costs a share of its entry."""
        self._open, self._high, self._low, self._close = bars.open, bars.high, bars.low, bars.close
        self._horizon, self.cost_share = horizon, cost_share
        self.sums: FloatArray = np.zeros(_SUMS)  # in the order of the fields of `OutcomeCounts`
        self.best_r = self.worst_r = self.result_r = 0.0
        self.sessions = 0
        self.stopped = self.finished = False

    def simulate(self, t: int, stop: float) -> None:
        """Buy at the close of bar t with a stop below it."""
        entry = self._close[t]
        risk, price = entry - stop, entry
        highest = lowest = entry
        end = min(t + self._horizon, self._close.shape[0] - 1)
        self.stopped, self.sessions = False, end - t
        for k in range(t + 1, end + 1):
            if self._low[k] <= stop:
                price = min(self._open[k], stop)
                lowest = min(lowest, price)
                self.stopped, self.sessions = True, k - t
                break
            highest, lowest = max(highest, self._high[k]), min(lowest, self._low[k])
        if not self.stopped:
            price = self._close[end]
        self.best_r, self.worst_r, self.result_r = (
            (highest - entry) / risk,
            (entry - lowest) / risk,
            (price - entry) / risk,
        )
        self.finished = self.stopped or t + self._horizon <= self._close.shape[0] - 1

    def simulate_all(self, entered: RatingArray, stops: FloatArray, at: IntArray, results: FloatArray) -> int:
        """Simulate every marked purchase; its bar in `at`, its R after costs in `results`; gives how many."""
        count = 0
        for t in range(entered.shape[0]):
            if entered[t]:
                self.simulate(t, stops[t])
                cost = self.cost_share * self._close[t] / (self._close[t] - stops[t])
                at[count], results[count] = t, self.result_r - cost
                count += 1
                self._add()
        return count

    def _add(self) -> None:
        """Add the last trade to the sums."""
        self.sums[1] += 1
        for n in range(3):
            self.sums[2 + n] += 1 if self.best_r >= n + 1 else 0
        self.sums[5] += 1 if self.stopped else 0
        self.sums[6] += self.result_r
        self.sums[7] += self.best_r
        self.sums[8] += self.worst_r
        self.sums[9] += self.sessions


def simulate_trade(bars: Bars, t: int, stop: float, horizon: int) -> Trade:
    """Buy at the close of bar t with a stop below it; looks at the `horizon` bars that follow."""
    trade = TradeSimulator(bars, horizon)
    trade.simulate(t, stop)
    return Trade(trade.best_r, trade.worst_r, trade.result_r, trade.sessions, trade.stopped, trade.finished)


def simulate_entries(
    bars: Bars, entered: BoolArray, stops: FloatArray, rules: EntryRules
) -> tuple[FloatArray, IntArray, FloatArray]:
    """Buy at every bar marked in `entered` (n,) with the stop of `stops` (n,).

    Gives the sums in the order of `OutcomeCounts`, the bars of the counted entries and their results in R
    after costs.
    """
    at, results = np.empty(len(entered), np.int64), np.empty(len(entered))
    simulator = TradeSimulator(bars, rules.horizon, rules.cost_pct / 100)
    covered = entered & (bars.column + rules.horizon <= rules.last_column)
    count = simulator.simulate_all(covered.view(np.uint8), stops, at, results)
    sums: FloatArray = np.asarray(simulator.sums)
    sums[0] = np.count_nonzero(entered)
    return sums, at[:count], results[:count]
