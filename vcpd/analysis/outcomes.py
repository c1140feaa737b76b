"""Outcomes: what became of a purchase, in multiples of what it risked, and how often what happened."""

from typing import Final, NamedTuple, Self

import msgspec
import numpy as np

from vcpd.analysis.indicators import Bars
from vcpd.analysis.kernels import kernel
from vcpd.domain.arrays import BoolArray, FloatArray

TARGETS: Final = (1.0, 2.0, 3.0)


class Trade(NamedTuple):
    """A purchase at a session's close, held to its stop or for the horizon; R is entry less stop.

    A session that touches both a target and the stop counts as stopped first; a session that opens
    under the stop is sold at its open.
    """

    best_r: float  # maximum favourable excursion before the exit
    worst_r: float  # maximum adverse excursion, positive
    result_r: float
    sessions: int
    stopped: bool
    finished: bool  # stopped, or held for the whole horizon


@kernel
def follow(bars: Bars, t: int, stop: float, horizon: int) -> Trade:
    """Buy at the close of bar t with a stop below it; looks at the `horizon` bars that follow."""
    entry = bars.close[t]
    risk = entry - stop
    highest = lowest = entry
    end = min(t + horizon, len(bars.close) - 1)
    for k in range(t + 1, end + 1):
        if bars.low[k] <= stop:
            price = min(bars.open[k], stop)
            lowest = min(lowest, price)
            return Trade(
                (highest - entry) / risk, (entry - lowest) / risk, (price - entry) / risk, k - t, True, True
            )
        highest, lowest = max(highest, bars.high[k]), min(lowest, bars.low[k])
    result = (bars.close[end] - entry) / risk
    finished = t + horizon <= len(bars.close) - 1
    return Trade((highest - entry) / risk, (entry - lowest) / risk, result, end - t, False, finished)


class Tally(msgspec.Struct, frozen=True):
    """Counts and sums over finished purchases; two tallies of different symbols can be joined."""

    entries: int = 0
    finished: int = 0
    reached_1r: int = 0
    reached_2r: int = 0
    reached_3r: int = 0
    stopped: int = 0
    sum_result_r: float = 0.0
    sum_best_r: float = 0.0
    sum_worst_r: float = 0.0
    sum_sessions: int = 0

    def joined(self, other: Self) -> Self:
        fields = self.__struct_fields__
        return type(self)(**{name: getattr(self, name) + getattr(other, name) for name in fields})

    @property
    def shares(self) -> dict[str, float | None]:
        """Shares and means of the finished ones, None where there are none."""
        names = (
            "reached_1r",
            "reached_2r",
            "reached_3r",
            "stopped",
            "result_r",
            "best_r",
            "worst_r",
            "sessions",
        )
        sums = msgspec.structs.astuple(self)[2:]
        means = [total / self.finished if self.finished else None for total in sums]
        return dict(zip(names, means, strict=True))


def tally_of(bars: Bars, entered: BoolArray, risk: float, horizon: int) -> Tally:
    """Buy at the close of every bar marked in `entered` (n,), its stop the fraction `risk` below."""
    return _tally(_tally_trades(bars, entered, risk, horizon))


def tally_trades(trades: list[Trade]) -> Tally:
    """The same over trades that are known one by one."""
    sums = np.zeros(10)
    for trade in trades:
        add_trade(sums, trade)
    return _tally(sums)


def _tally(sums: FloatArray) -> Tally:
    kinds = (int, int, int, int, int, int, float, float, float, int)
    values = zip(Tally.__struct_fields__, kinds, sums.tolist(), strict=True)
    return Tally(**{name: kind(value) for name, kind, value in values})


@kernel
def _tally_trades(bars: Bars, entered: BoolArray, risk: float, horizon: int) -> FloatArray:
    sums = np.zeros(10)
    for t in range(len(entered)):
        if entered[t]:
            add_trade(sums, follow(bars, t, bars.close[t] * (1 - risk), horizon))
    return sums


@kernel
def add_trade(sums: FloatArray, trade: Trade) -> None:
    """Add one trade to the sums, in the order of `Tally`; only finished ones count beyond the first."""
    sums[0] += 1
    if trade.finished:
        sums[1] += 1
        for n in range(3):
            sums[2 + n] += 1 if trade.best_r >= TARGETS[n] else 0
        sums[5] += 1 if trade.stopped else 0
        sums[6] += trade.result_r
        sums[7] += trade.best_r
        sums[8] += trade.worst_r
        sums[9] += trade.sessions
