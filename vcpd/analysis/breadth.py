"""Market breadth: symbols above their averages and at new highs or lows, per session."""

from typing import Final

import msgspec
import numpy as np

from vcpd.domain.bars import BoolArray, FloatArray, IntArray
from vcpd.domain.calendar import SESSIONS_PER_YEAR
from vcpd.domain.panel import Panel

BREADTH_MEASURES: Final = (
    "known50",
    "above50",
    "known200",
    "above200",
    "known_year",
    "new_highs",
    "new_lows",
)


class BreadthWindow(msgspec.Struct, frozen=True):
    """How many of the panel's last sessions are asked for."""

    n_sessions: int = SESSIONS_PER_YEAR


class Breadth(msgspec.Struct, frozen=True):
    """Counts of symbols by session, each (n,); parts of a market add up."""

    counts: dict[str, list[int]]

    @classmethod
    def merged(cls, parts: "list[Breadth]") -> "Breadth":
        return cls(
            {
                name: [sum(of_day) for of_day in zip(*(part.counts[name] for part in parts), strict=True)]
                for name in BREADTH_MEASURES
            }
        )


def breadth(panel: Panel, rows: range, window: BreadthWindow) -> Breadth:
    """Counts of the rows' symbols per session of the window, over their own bars alone.

    A new high is a high that no other of the symbol's last 252 bars exceeds; a new low likewise.
    """
    n = min(window.n_sessions, len(panel.sessions))
    counts: dict[str, IntArray] = {name: np.zeros(n, np.int64) for name in BREADTH_MEASURES}
    for row in rows:
        if panel.symbols[row] not in panel.exclusions:
            _count_row(panel, row, counts, len(panel.sessions) - n)
    return Breadth({name: array.tolist() for name, array in counts.items()})


def _count_row(panel: Panel, row: int, counts: dict[str, IntArray], first: int) -> None:
    close = np.asarray(panel.close[row])
    at = np.flatnonzero(~np.isnan(close)).astype(np.int64)
    close, high, low = close[at], np.asarray(panel.high[row])[at], np.asarray(panel.low[row])[at]
    shown = at >= first
    column = at[shown] - first
    for length in (50, 200):
        average = moving_average(close, length)
        known = ~np.isnan(average)
        _increment(counts[f"known{length}"], column, known[shown])
        _increment(counts[f"above{length}"], column, (known & (close > average))[shown])
    top, bottom = _rolling_max(high, SESSIONS_PER_YEAR), -_rolling_max(-low, SESSIONS_PER_YEAR)
    _increment(counts["known_year"], column, ~np.isnan(top)[shown])
    _increment(counts["new_highs"], column, (high >= top)[shown])
    _increment(counts["new_lows"], column, (low <= bottom)[shown])


def _increment(count: IntArray, column: IntArray, holds: BoolArray) -> None:
    count[column[holds]] += 1


def moving_average(values: FloatArray, length: int) -> FloatArray:
    """Mean of the last `length` values at each, NaN where there are fewer or one is unknown."""
    means = np.full(len(values), np.nan)
    if len(values) >= length:
        means[length - 1 :] = np.lib.stride_tricks.sliding_window_view(values, length).mean(axis=1)
    return means


def _rolling_max(values: FloatArray, length: int) -> FloatArray:
    """Highest of the last `length` values at each, NaN where there are fewer."""
    highest = np.full(len(values), np.nan)
    if len(values) >= length:
        highest[length - 1 :] = np.lib.stride_tricks.sliding_window_view(values, length).max(axis=1)
    return highest
