"""Market breadth: symbols above their averages, at new highs or lows, up and down, per session.

Every symbol is counted over its own bars: a gap in a history is not a session of that symbol.
"""

from typing import Final

import msgspec
import numpy as np

from vcpd.analysis.packed_bars import PackedBars, row_averages, row_maxima, rows_per_block, split_block
from vcpd.analysis.thresholds import TIE_TOLERANCE
from vcpd.domain.bars import FloatArray, IntArray
from vcpd.domain.calendar import SESSIONS_PER_YEAR
from vcpd.domain.panel import Panel

BREADTH_MEASURES: Final = (
    "known50",
    "above50",
    "known150",
    "above150",
    "known200",
    "above200",
    "known_year",
    "new_highs",
    "new_lows",
    "advances",
    "declines",
    "up_value",
    "down_value",
)
AVERAGES: Final = (50, 150, 200)
BARS_NEEDED: Final = SESSIONS_PER_YEAR + 1  # before the first session counted


class BreadthWindow(msgspec.Struct, frozen=True):
    """The number of the panel's last sessions to count."""

    n_sessions: int = SESSIONS_PER_YEAR


class Breadth(msgspec.Struct, frozen=True):
    """Counts of symbols by session, each (n,), and traded value in rupees; parts of a market add up."""

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

    A new high is a high that no other of the symbol's last 252 bars exceeds; a new low likewise. A symbol
    advances where it closes above its bar before; what it traded then is up value.
    """
    n = min(window.n_sessions, len(panel.sessions))
    counts: dict[str, IntArray] = {name: np.zeros(n, np.int64) for name in BREADTH_MEASURES}
    kept = [row for row in rows if panel.symbols[row] not in panel.exclusions]
    size = rows_per_block(n + BARS_NEEDED)
    for start in range(0, len(kept), size):
        block = np.array(kept[start : start + size])
        for part, first in split_block(panel, block, len(panel.sessions) - n, BARS_NEEDED):
            _count_block(panel, part, first, counts)
    return Breadth({name: array.tolist() for name, array in counts.items()})


def _count_block(panel: Panel, rows: IntArray, first: int, counts: dict[str, IntArray]) -> None:
    packed, n = PackedBars.of(np.asarray(panel.close[rows, first:])), len(counts["known50"])
    tail = packed.tail(n)
    close, high, low = (packed.pack(plane[rows, first:]) for plane in (panel.close, panel.high, panel.low))
    last = close[:, -n:]
    for length in AVERAGES:
        average = row_averages(close, length, n)
        known = ~np.isnan(average)
        counts[f"known{length}"] += tail.symbols_where(known)
        counts[f"above{length}"] += tail.symbols_where(known & (last > average * (1 + TIE_TOLERANCE)))
    top, bottom = row_maxima(high, SESSIONS_PER_YEAR, n), -row_maxima(-low, SESSIONS_PER_YEAR, n)
    counts["known_year"] += tail.symbols_where(~np.isnan(top))
    counts["new_highs"] += tail.symbols_where(high[:, -n:] >= top)
    counts["new_lows"] += tail.symbols_where(low[:, -n:] <= bottom)
    step = np.diff(close, axis=1, prepend=np.nan)[:, -n:]
    value = last * tail.pack(panel.volume[rows, len(panel.sessions) - n :])
    counts["advances"] += tail.symbols_where(step > 0)
    counts["declines"] += tail.symbols_where(step < 0)
    counts["up_value"] += tail.total(value, step > 0)
    counts["down_value"] += tail.total(value, step < 0)


def moving_average(values: FloatArray, length: int) -> FloatArray:
    """Mean of the last `length` values at each, NaN where there are fewer or one is unknown."""
    means = np.full(len(values), np.nan)
    if len(values) >= length:
        means[length - 1 :] = np.lib.stride_tricks.sliding_window_view(values, length).mean(axis=1)
    return means
