"""Bars of every symbol as blocks (symbol, bar) that end with the last bar, and the same joined to weeks.

A scan after one session needs a symbol's last bars alone. They are copied out of the panel, without its
holes, so that a window is a slice of columns and every pass runs over contiguous rows.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import numpy as np

from vcpd.analysis.strength import cached_ratings
from vcpd.domain.bars import BoolArray, FloatArray, IntArray
from vcpd.domain.panel import FIELDS, Panel

DAYS_TO_MONDAY: Final = 3  # 1970-01-01 was a Thursday
DAYS_PER_WEEK: Final = 7
SPARE_SESSIONS: Final = 10
UNKNOWN: Final = np.nan


class BarPlanes(Protocol):
    """Blocks of bars: column -1 is each symbol's last bar, unknown values stand before its first."""

    n_bars: int

    def plane(self, name: str) -> FloatArray:
        """(symbols, n_bars): open, high, low, close, volume or index."""
        ...


class _Part(NamedTuple):
    """Symbols whose bars are read from the session `first` on: which ones, and where they go in the block."""

    rows: IntArray
    first: int
    kept: BoolArray  # (symbols, sessions from `first`)
    places: BoolArray  # (symbols, bars of the block)


class BarBlock:
    """The last `n_bars` of the symbols that have a bar at the panel's last session; None: all bars of all.

    `has_last_bar` (symbols) says which of its symbols have one.
    """

    def __init__(self, panel: Panel, n_bars: int | None) -> None:
        self.panel, self.is_whole = panel, n_bars is None
        has_last_bar = ~np.isnan(np.asarray(panel.values)[:4, :, -1].sum(axis=0))
        if n_bars is None:
            self.rows: IntArray = np.arange(len(panel.symbols))
            known = _known(panel, self.rows, 0)
            self.n_bars = int(known.sum(axis=1).max(initial=1))
            self._parts = [_part(self.rows, 0, known, self.n_bars)]
        else:
            self.rows = np.flatnonzero(has_last_bar)
            self.n_bars = min(n_bars, len(panel.sessions))
            self._parts = self._last_bars()
        self.has_last_bar: BoolArray = has_last_bar[self.rows]
        self._planes: dict[str, FloatArray] = {}
        self._sessions: IntArray | None = None

    def _last_bars(self) -> list[_Part]:
        """A second part has the symbols whose last bars reach further back than the others'."""
        first = max(len(self.panel.sessions) - self.n_bars - SPARE_SESSIONS, 0)
        known = _known(self.panel, self.rows, first)
        lacks = known.sum(axis=1) < self.n_bars if first else np.zeros(len(self.rows), np.bool_)
        parts = [_part(np.flatnonzero(~lacks), first, known[~lacks], self.n_bars)]
        if lacks.any():
            older = _known(self.panel, self.rows[lacks], 0)
            parts.append(_part(np.flatnonzero(lacks), 0, older, self.n_bars))
        return parts

    def plane(self, name: str) -> FloatArray:
        if name not in self._planes:
            self._planes[name] = self._fill(self._index if name == "index" else self._field(name))
        return self._planes[name]

    def _index(self, part: _Part) -> FloatArray:
        return np.broadcast_to(np.asarray(self.panel.index_close)[part.first :], part.kept.shape)

    def _field(self, name: str) -> Callable[[_Part], FloatArray]:
        values = np.asarray(self.panel.values[FIELDS.index(name)])
        return lambda part: values[self.rows[part.rows], part.first :]

    def sessions(self) -> IntArray:
        """(symbols, n_bars): the panel's session of each bar; -1 before the first."""
        if self._sessions is None:
            count = len(self.panel.sessions)
            filled = self._fill(
                lambda part: np.broadcast_to(np.arange(part.first, count, dtype=np.float64), part.kept.shape)
            )
            self._sessions = np.nan_to_num(filled, nan=-1).astype(np.int64)
        return self._sessions

    def ratings(self, sessions: IntArray, least: int) -> FloatArray:
        """The rating of each symbol at `sessions` (symbols, bars); `least` is how many must be rated."""
        known = sessions >= 0
        first = int(sessions[known].min(initial=len(self.panel.sessions) - 1))
        rated = cached_ratings(self.panel, least).since(np.asarray(self.panel.close), first)
        found = rated[np.maximum(sessions - first, 0), self.rows[:, None]]
        return np.where(known, found, UNKNOWN)

    def _fill(self, source: Callable[[_Part], FloatArray]) -> FloatArray:
        filled = np.full((len(self.rows), self.n_bars), UNKNOWN)
        for part in self._parts:
            block = np.full(part.places.shape, UNKNOWN)
            block[part.places] = source(part)[part.kept]
            filled[part.rows] = block
        return filled


def _known(panel: Panel, rows: IntArray, first: int) -> BoolArray:
    """Where the symbols have all four prices, in the sessions from `first` on."""
    prices, chosen = np.asarray(panel.values)[:4, :, first:], rows
    if 2 * len(rows) < prices.shape[1]:  # a selection copies; of most rows all are read in less time
        prices, chosen = prices[:, rows], np.arange(len(rows))
    opened, high, low, close = prices
    known: BoolArray = ~np.isnan(opened + high + low + close)[chosen]
    return known


def _part(rows: IntArray, first: int, known: BoolArray, n_bars: int) -> _Part:
    order = np.cumsum(known, axis=1, dtype=np.int32)
    counts = order[:, -1:] if known.shape[1] else np.zeros((len(rows), 1), np.int32)
    kept = known & (order > counts - n_bars)
    return _Part(rows, first, kept, np.arange(n_bars) >= n_bars - counts)


class WeeklyBars:
    """A block's bars joined to weeks from Monday on; `ages`: how many weeks before the last each bar is."""

    def __init__(self, block: BarBlock) -> None:
        self._block = block
        self._held = block.sessions() >= 0
        weeks = (block.panel.sessions.astype(np.int64) + DAYS_TO_MONDAY) // DAYS_PER_WEEK
        week, row = weeks[block.sessions()[self._held]], np.nonzero(self._held)[0]
        begins = (np.diff(week, prepend=-1) != 0) | (np.diff(row, prepend=-1) != 0)
        self._starts = np.flatnonzero(begins)
        self._ends: IntArray = np.append(self._starts[1:], len(row))[: len(self._starts)] - 1
        counts = np.bincount(row[self._starts], minlength=len(block.rows))
        self.n_bars = int(counts.max(initial=1))
        self._places = np.arange(self.n_bars) >= self.n_bars - counts[:, None]
        self.ages: IntArray = np.full(self._held.shape, -1)
        self.ages[self._held] = np.cumsum(counts)[row] - np.cumsum(begins)
        self._planes: dict[str, FloatArray] = {}

    def plane(self, name: str) -> FloatArray:
        if name not in self._planes:
            filled = np.full(self._places.shape, UNKNOWN)
            filled[self._places] = self._joined(name, self._block.plane(name)[self._held])
            self._planes[name] = filled
        return self._planes[name]

    def _joined(self, name: str, values: FloatArray) -> FloatArray:
        """A week's volume is the sum of what is known of it."""
        match name:
            case "open":
                return values[self._starts]
            case "high":
                return np.asarray(np.maximum.reduceat(values, self._starts))
            case "low":
                return np.asarray(np.minimum.reduceat(values, self._starts))
            case "volume":
                return np.asarray(np.add.reduceat(np.nan_to_num(values), self._starts))
            case _:
                return values[self._ends]
