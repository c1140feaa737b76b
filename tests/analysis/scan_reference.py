"""A slow reference of scans: one symbol's bars up to one session, in plain NumPy."""

from collections.abc import Callable
from typing import Final

import numpy as np

from vcpd.domain.bars import FloatArray
from vcpd.domain.panel import Panel

NEAR: Final = 1e-9


class Unknown(Exception):  # noqa: N818 - it is no error: too few bars, or a value that is missing
    """The value cannot be known."""


def above(x: float, y: float) -> bool:
    return x - y > NEAR * abs(y)


def at_least(x: float, y: float) -> bool:
    return x - y >= -NEAR * abs(y)


class SymbolBars:
    """The bars of one symbol up to a session; every method looks at the last one, `k` bars before it."""

    def __init__(self, block: FloatArray, index: FloatArray, days: FloatArray) -> None:
        kept = ~np.isnan(block[:4].sum(axis=0))
        self.o, self.h, self.l, self.c, self.v = block[:, kept]
        self.index, self.days = index[kept], days[kept]

    def last(self, x: FloatArray, n: int, k: int = 0) -> FloatArray:
        """The n values up to the bar k before the last."""
        if len(x) < n + k or np.isnan(x[len(x) - k - n : len(x) - k]).any():
            raise Unknown
        return x[len(x) - k - n : len(x) - k]

    def at(self, x: FloatArray, k: int = 0) -> float:
        return float(self.last(x, 1, k)[0])

    def sma(self, n: int, k: int = 0, x: FloatArray | None = None) -> float:
        return float(np.mean(self.last(self.c if x is None else x, n, k)))

    def highest(self, x: FloatArray, n: int, k: int = 0) -> float:
        return float(np.max(self.last(x, n, k)))

    def lowest(self, x: FloatArray, n: int, k: int = 0) -> float:
        return float(np.min(self.last(x, n, k)))

    def stdev(self, n: int, k: int = 0) -> float:
        return float(np.std(self.last(self.c, n, k), ddof=1))

    def roc(self, n: int, k: int = 0) -> float:
        return 100 * (self.at(self.c, k) / self.at(self.c, k + n) - 1)

    def ema(self, n: int, k: int = 0) -> float:
        if len(self.c) - k < n:
            raise Unknown
        value = float(self.c[0])
        for close in self.c[1 : len(self.c) - k]:
            value += (float(close) - value) * 2 / (n + 1)
        return value

    def rsi(self, n: int) -> float:
        moves = np.diff(self.c)
        if len(moves) < n:
            raise Unknown
        gain, loss = max(moves[0], 0.0), max(-moves[0], 0.0)
        for move in moves[1:]:
            gain += (max(move, 0.0) - gain) / n
            loss += (max(-move, 0.0) - loss) / n
        return float(100 * gain / (gain + loss)) if gain + loss > NEAR * self.at(self.c) else 50.0

    def true_ranges(self) -> FloatArray:
        before = np.concatenate([self.c[:1], self.c[:-1]])
        ranges: FloatArray = np.maximum(self.h, before) - np.minimum(self.l, before)
        ranges[0] = self.h[0] - self.l[0]
        return ranges

    def weekly_closes(self) -> FloatArray:
        """The last close of each week before the last bar's."""
        weeks = np.floor((self.days + 3) / 7)
        ends = np.flatnonzero(np.diff(weeks, append=-1))
        closes: FloatArray = self.c[ends[weeks[ends] < weeks[-1]]]
        return closes

    def up(self, n: int) -> int:
        return int((np.diff(self.last(self.c, n + 1)) > 0).sum())


Scan = Callable[[SymbolBars], bool]


def symbol_bars(panel: Panel, row: int, column: int) -> SymbolBars | None:
    """Bars up to the panel's column; None where the symbol has none there."""
    block = np.asarray(panel.values)[:, row, : column + 1]
    if np.isnan(block[:4, -1]).any():
        return None
    days = panel.sessions[: column + 1].astype(np.float64)
    return SymbolBars(block, np.asarray(panel.index_close)[: column + 1], days)


def holds(scan: Scan, bars: SymbolBars | None) -> bool:
    """Whether the reference matches; unknown is no match."""
    if bars is None:
        return False
    try:
        return bool(scan(bars))
    except Unknown:
        return False
