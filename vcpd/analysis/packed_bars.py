"""Bars of a block of symbols moved together, so that averages and extremes run over each symbol's own bars.

A gap in a history is not a session of that symbol. All symbols of a block are computed at once: their known
bars are moved to the right end of the block's rows, and the results are moved back to their sessions.
"""

from typing import Final, NamedTuple

import numpy as np

from vcpd.domain.bars import BoolArray, FloatArray, IntArray
from vcpd.domain.panel import Panel

CELLS_PER_BLOCK: Final = 90_000  # so that a block's arrays stay in the processor's cache


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
            enough = (~np.isnan(panel.close[rows, first:column])).sum(axis=1) >= bars
            enough[~enough] = np.isnan(panel.close[rows[~enough], :first]).all(axis=1)  # listed since
            parts.append((rows[enough], first))
            rows = rows[~enough]
    return [(part, first) for part, first in (*parts, (rows, 0)) if len(part)]


class PackedBars(NamedTuple):
    """The cells of a block (r, m) that have a bar, and the places of the bars once gaps are closed.

    A block that `is_whole` has a bar everywhere: nothing moves, and its values are used as they are.
    """

    known: BoolArray
    places: BoolArray
    is_whole: bool

    @classmethod
    def of(cls, close: FloatArray) -> "PackedBars":
        return cls._at_right_end(~np.isnan(close))

    @classmethod
    def _at_right_end(cls, known: BoolArray) -> "PackedBars":
        if known.all():
            return cls(known, known, is_whole=True)
        n = known.shape[1]
        return cls(known, np.arange(n)[None, :] >= n - known.sum(axis=1)[:, None], is_whole=False)

    def tail(self, n: int) -> "PackedBars":
        """The same of the last n sessions: their bars are among the last n packed columns."""
        return self._at_right_end(self.known[:, self.known.shape[1] - n :])

    def pack(self, values: FloatArray) -> FloatArray:
        """The values (r, m) moved together, NaN before them."""
        if self.is_whole:
            return values
        packed = np.full(values.shape, np.nan)
        packed[self.places] = values[self.known]
        return packed

    def spread(self, packed: FloatArray) -> FloatArray:
        """Packed values back at their sessions, NaN where a symbol has no bar."""
        if self.is_whole:
            return packed
        values = np.full(packed.shape, np.nan)
        values[self.known] = packed[self.places]
        return values

    def symbols_where(self, holds: BoolArray) -> IntArray:
        """Counts by session the symbols where the packed `holds` is true."""
        spread = holds
        if not self.is_whole:
            spread = np.zeros(holds.shape, np.bool_)
            spread[self.known] = holds[self.places]
        counted: IntArray = spread.sum(axis=0)
        return counted

    def total(self, values: FloatArray, holds: BoolArray) -> IntArray:
        """Sums by session the packed `values` where `holds`, each rounded to a whole number."""
        spread = np.zeros(values.shape)
        spread[self.known] = np.where(holds & ~np.isnan(values), np.rint(values), 0.0)[self.places]
        sums: IntArray = spread.sum(axis=0).astype(np.int64)
        return sums


def row_averages(values: FloatArray, length: int, n: int) -> FloatArray:
    """(r, n): mean of the last `length` values at each of the last n columns, NaN where there are fewer.

    Unknown values stand at the beginning of each row alone.
    """
    part = _last_columns(values, n + length - 1)
    if n == 1:
        last: FloatArray = part.mean(axis=1, keepdims=True)
        return last
    unknown = np.isnan(part)
    sums = np.cumsum(np.where(unknown, 0.0, part), axis=1)
    means: FloatArray = sums[:, length - 1 :].copy()
    means[:, 1:] -= sums[:, : n - 1]
    means /= length
    means[unknown[:, :n]] = np.nan
    return means


def row_maxima(values: FloatArray, length: int, n: int) -> FloatArray:
    """(r, n): highest of the last `length` values at each of the last n columns, NaN where there are fewer.

    Spans are doubled until they cover the length: 252 values by eight comparisons.
    """
    highest, span = _last_columns(values, n + length - 1), 1
    if n == 1:
        top: FloatArray = highest.max(axis=1, keepdims=True)
        return top
    while span < length:
        step = min(span, length - span)
        highest, span = np.maximum(highest[:, step:], highest[:, :-step]), span + step
    return highest


def _last_columns(values: FloatArray, count: int) -> FloatArray:
    """The last columns, NaN before the first where there are fewer."""
    lacking = count - values.shape[1]
    if lacking <= 0:
        return values[:, -lacking:]
    return np.pad(values, ((0, 0), (lacking, 0)), constant_values=np.nan)
