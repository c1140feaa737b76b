"""Measures of a held lot on the bars since its purchase: result in R, excursions, averages, run-up.

Each measure at a session is made of the bars up to it. Excursions begin with the close of the purchase's
session, because a daily bar does not say what came before the purchase and what after.
"""

import math
from collections.abc import Mapping
from datetime import date
from typing import Final

import msgspec
import numpy as np

from vcpd.domain.bars import BarSeries, FloatArray
from vcpd.domain.portfolio import ClosedTrade, Lot

SMA_LENGTHS: Final = (20, 50, 150, 200)
ATR_LENGTH: Final = 22
WEEK_SESSIONS: Final = 5
PERCENT: Final = 100.0


class PositionWindow(msgspec.Struct, frozen=True):
    """The bars up to a session: of the whole history, and since the purchase, its session included."""

    bars: BarSeries
    first: int  # the row of the first bar on or after the purchase

    @property
    def held(self) -> BarSeries:
        return BarSeries(self.bars.symbol, self.bars.records[self.first :])

    @property
    def close(self) -> float:
        return float(self.bars.close[-1])

    @property
    def sessions_held(self) -> int:
        """How many sessions lie between the purchase and the last bar."""
        return len(self.bars) - 1 - self.first

    def closes(self, length: int) -> FloatArray:
        """The last `length` closes, fewer in a shorter history."""
        return self.bars.close[-length:]


class PositionMeasures(msgspec.Struct, frozen=True, kw_only=True):
    """A lot after `session`; prices a share, R in units of the initial risk, None where not known.

    `best_r` and `worst_r` are the most favourable and the most adverse excursion, the latter positive;
    `averages` are simple ones by their length.
    """

    lot: Lot
    session: date
    close: float
    sessions_held: int | None
    highest: float
    lowest: float
    highest_close: float
    atr: float | None
    averages: Mapping[int, float]
    result_r: float | None = None
    best_r: float | None = None
    best_before_r: float | None = None  # up to the session before
    worst_r: float | None = None
    provisional: bool = False

    @property
    def gain_pct(self) -> float:
        return PERCENT * (self.close / self.lot.entry - 1)

    @property
    def value(self) -> float:
        return self.lot.quantity * self.close

    @property
    def to_stop_pct(self) -> float | None:
        """How far the initial stop lies below the close, in percent of the close; negative where above."""
        stop = self.lot.stop
        return None if stop is None else PERCENT * (1 - stop / self.close)


def window_of(lot: Lot, bars: BarSeries, as_of: date) -> PositionWindow | None:
    """The lot's bars up to `as_of`; None where none follows its purchase.

    A lot of unknown age is taken as bought before the first bar.
    """
    known = bars.until(as_of)
    if not len(known):
        return None
    first = 0 if lot.opened is None else known.row_of(lot.opened)
    return PositionWindow(known, first) if first < len(known) else None


def measure_position(lot: Lot, window: PositionWindow) -> PositionMeasures:
    """The lot after the window's last session."""
    closes, highs = window.bars.close[window.first :], window.bars.high[window.first + 1 :]
    close = float(closes[-1])
    highest, lowest = extreme_prices(window, lot.entry)
    highest_before = max(float(closes[0]), lot.entry, highs[:-1].max(initial=0.0))
    worst = in_r(lot, lowest)
    return PositionMeasures(
        lot=lot,
        session=window.bars.sessions[-1].item(),
        close=close,
        sessions_held=None if lot.opened is None else window.sessions_held,
        highest=highest,
        lowest=lowest,
        highest_close=float(closes.max()),
        atr=average_true_range(window.bars),
        averages=averages(window.bars),
        result_r=in_r(lot, close),
        best_r=in_r(lot, highest),
        best_before_r=in_r(lot, float(highest_before)),
        worst_r=None if worst is None else abs(worst),
        provisional=bool(window.bars.provisional[-1]),
    )


def extreme_prices(window: PositionWindow, entry: float) -> tuple[float, float]:
    """The highest and the lowest price since the purchase, of whose session only close and entry count."""
    return extremes_between(window.bars, window.first, len(window.bars), entry)


def extremes_between(bars: BarSeries, first: int, stop: int, entry: float) -> tuple[float, float]:
    """The same of a purchase at bar `first`, up to the bar before `stop`."""
    records, bought_at = bars.records[first + 1 : stop], float(bars.records["close"][first])
    highest = records["high"].max(initial=max(bought_at, entry))
    lowest = records["low"].min(initial=min(bought_at, entry))
    return float(highest), float(lowest)


def in_r(purchase: Lot | ClosedTrade, price: float) -> float | None:
    """How far a price lies above the entry, in units of the initial risk; None without one."""
    risk = purchase.risk_per_share
    return None if risk is None else (price - purchase.entry) / risk


def averages(bars: BarSeries) -> Mapping[int, float]:
    """The mean of the last closes by length, of those lengths that the history has."""
    sums = bars.close[: -SMA_LENGTHS[-1] - 1 : -1].cumsum()
    return {length: float(sums[length - 1]) / length for length in SMA_LENGTHS if length <= len(sums)}


def average_true_range(bars: BarSeries, length: int = ATR_LENGTH) -> float | None:
    """The mean true range of the last `length` bars, each against the close before; None in fewer."""
    if len(bars) < length + 1:
        return None
    previous = bars.close[-length - 1 : -1]
    top = np.maximum(bars.high[-length:], previous)
    bottom = np.minimum(bars.low[-length:], previous)
    mean = float((top - bottom).sum() / length)  # as `mean` gives it, in half the time
    return mean if math.isfinite(mean) else None
