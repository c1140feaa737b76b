"""Market breadth: symbols above their averages, at new highs or lows, up and down, per session.

Every symbol is counted over its own bars: a gap in a history is no session of that symbol. All symbols of a
block are counted at once, their bars moved together to the right end of the block's rows.
"""

from typing import Final, NamedTuple

import msgspec
import numpy as np

from vcpd.analysis.thresholds import TIE_TOLERANCE
from vcpd.domain.bars import BoolArray, FloatArray, IntArray
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
CELLS_PER_BLOCK: Final = 90_000  # so that a block's arrays stay in the processor's cache
BARS_NEEDED: Final = SESSIONS_PER_YEAR + 1  # before the first session counted


class BreadthWindow(msgspec.Struct, frozen=True):
    """How many of the panel's last sessions are asked for."""

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


def rows_per_block(n_sessions: int) -> int:
    """How many symbols are counted at once over so many sessions."""
    return max(CELLS_PER_BLOCK // n_sessions, 1)


def split_block(panel: Panel, rows: IntArray, column: int, bars: int) -> list[tuple[IntArray, int]]:
    """The rows with the first column that decides what holds from `column` on, by so many bars before it.

    For most these are `bars` columns; a symbol that did not trade on each of them takes more.
    """
    parts: list[tuple[IntArray, int]] = []
    for first in (column - bars, column - 2 * bars):
        if first > 0 and len(rows):
            known = ~np.isnan(panel.close[rows, :column])
            enough = (known[:, first:].sum(axis=1) >= bars) | ~known[:, :first].any(axis=1)
            parts.append((rows[enough], first))
            rows = rows[~enough]
    return [(part, first) for part, first in (*parts, (rows, 0)) if len(part)]


class PackedBars(NamedTuple):
    """A block whose known bars stand together at the right end of each row (r, m), NaN before them."""

    known: BoolArray  # where the block has bars
    places: BoolArray  # where they stand here

    @classmethod
    def of(cls, close: FloatArray) -> "PackedBars":
        known = ~np.isnan(close)
        n = close.shape[1]
        return cls(known, np.arange(n)[None, :] >= n - known.sum(axis=1)[:, None])

    def pack(self, values: FloatArray) -> FloatArray:
        packed = np.full(values.shape, np.nan)
        packed[self.places] = values[self.known]
        return packed

    def spread(self, packed: FloatArray) -> FloatArray:
        """Packed values back at their sessions, NaN where a symbol has no bar."""
        values = np.full(packed.shape, np.nan)
        values[self.known] = packed[self.places]
        return values

    def symbols_where(self, holds: BoolArray, n: int) -> IntArray:
        """By session of the last n, the symbols where the packed `holds` is true."""
        spread = np.zeros(holds.shape, np.bool_)
        spread[self.known] = holds[self.places]
        counted: IntArray = spread[:, holds.shape[1] - n :].sum(axis=0)
        return counted

    def total(self, values: FloatArray, holds: BoolArray, n: int) -> IntArray:
        """By session of the last n, the sum of packed `values` where `holds`, each rounded to one."""
        spread = np.zeros(values.shape)
        spread[self.known] = np.where(holds, np.rint(np.nan_to_num(values)), 0.0)[self.places]
        sums: IntArray = spread[:, values.shape[1] - n :].sum(axis=0).astype(np.int64)
        return sums


def _count_block(panel: Panel, rows: IntArray, first: int, counts: dict[str, IntArray]) -> None:
    raw = np.asarray(panel.close[rows, first:])
    packed, n = PackedBars.of(raw), len(counts["known50"])
    close, high, low, volume = (
        packed.pack(plane[rows, first:]) for plane in (panel.close, panel.high, panel.low, panel.volume)
    )
    for length in AVERAGES:
        average = row_averages(close, length)
        known = ~np.isnan(average)
        counts[f"known{length}"] += packed.symbols_where(known, n)
        counts[f"above{length}"] += packed.symbols_where(known & (close > average * (1 + TIE_TOLERANCE)), n)
    top, bottom = _row_maxima(high, SESSIONS_PER_YEAR), -_row_maxima(-low, SESSIONS_PER_YEAR)
    counts["known_year"] += packed.symbols_where(~np.isnan(top), n)
    counts["new_highs"] += packed.symbols_where(high >= top, n)
    counts["new_lows"] += packed.symbols_where(low <= bottom, n)
    step = np.diff(close, axis=1, prepend=np.nan)
    counts["advances"] += packed.symbols_where(step > 0, n)
    counts["declines"] += packed.symbols_where(step < 0, n)
    counts["up_value"] += packed.total(close * volume, step > 0, n)
    counts["down_value"] += packed.total(close * volume, step < 0, n)


def row_averages(values: FloatArray, length: int) -> FloatArray:
    """Mean of the last `length` values of each row at each column, NaN where there are fewer."""
    means = np.full(values.shape, np.nan)
    if values.shape[1] >= length:
        sums = np.cumsum(np.nan_to_num(values), axis=1)
        means[:, length - 1] = sums[:, length - 1]
        means[:, length:] = sums[:, length:] - sums[:, :-length]
        means /= length
        means[:, length - 1 :][np.isnan(values[:, : values.shape[1] - length + 1])] = np.nan
    return means


def _row_maxima(values: FloatArray, length: int) -> FloatArray:
    """Highest of the last `length` values of each row at each column, NaN where there are fewer.

    Spans are doubled until they cover the length: 252 values by nine comparisons.
    """
    highest, span = values, 1
    while span < length:
        step = min(span, length - span)
        later = np.full(values.shape, np.nan)
        later[:, step:] = np.maximum(highest[:, step:], highest[:, :-step])
        highest, span = later, span + step
    return highest


def moving_average(values: FloatArray, length: int) -> FloatArray:
    """Mean of the last `length` values at each, NaN where there are fewer or one is unknown."""
    means = np.full(len(values), np.nan)
    if len(values) >= length:
        means[length - 1 :] = np.lib.stride_tricks.sliding_window_view(values, length).mean(axis=1)
    return means
