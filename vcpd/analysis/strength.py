"""Relative strength: each symbol's place among its universe at each session."""

from typing import Final

import numpy as np

from vcpd.analysis.kernels import kernel
from vcpd.domain.arrays import BoolArray, FloatArray, IntArray
from vcpd.domain.panel import Panel

SPANS: Final = (63, 126, 189, 252)
WEIGHTS: Final = (0.4, 0.2, 0.2, 0.2)
YEAR: Final = 252
BLOCK: Final = 64  # sessions rated at once


class Ratings:
    """Ratings 1..99 of some rows of a panel, worked out from its last session backwards as they are asked.

    raw = 0.4 R63 + 0.2 R126 + 0.2 R189 + 0.2 R252 over the symbol's own bars (the usual public
    reconstruction of the IBD rating); the rating is its percentile among all symbols that have a bar at
    the session and 252 before it and are not excluded, ties averaged. NaN where a symbol is not one of
    them, or where they are fewer than `least`.
    """

    def __init__(self, panel: Panel, rows: range, least: int) -> None:
        self._close = panel.close
        self._eligible = np.array([symbol not in panel.exclusions for symbol in panel.symbols], np.bool_)
        self._rows = rows
        self._least = max(least, 2)
        self._known_from = len(panel.sessions)
        self._ratings = np.empty((len(rows), len(panel.sessions)), np.float32)

    def of(self, row: int, columns: IntArray) -> FloatArray:
        """The ratings of the symbol in `row` at the panel's `columns` (ascending)."""
        while len(columns) and columns[0] < self._known_from:
            self._rate_block()
        own: FloatArray = self._ratings[self._rows.index(row), columns].astype(np.float64)
        return own

    def _rate_block(self) -> None:
        first, last = max(self._known_from - BLOCK, 0), self._known_from - 1
        raw = _raw_strengths(self._close, self._eligible, first, last)
        own = np.ascontiguousarray(raw[:, np.array(self._rows, np.int64)])
        self._ratings[:, first : last + 1] = _places(own, np.sort(raw, axis=1), self._least)
        self._known_from = first


@kernel
def _raw_strengths(close: FloatArray, eligible: BoolArray, first: int, last: int) -> FloatArray:
    """Raw strength (sessions, symbols) of the whole universe."""
    raw = np.full((last - first + 1, close.shape[0]), np.nan)
    for symbol in range(close.shape[0]):
        if eligible[symbol]:
            _raw_strength(close[symbol], first, last, raw[:, symbol])
    return raw


@kernel
def _raw_strength(close: FloatArray, first: int, last: int, raw: FloatArray) -> None:
    """Weighted returns at sessions first..last over the symbol's own bars; untouched where too young."""
    kept = np.empty(last - first + 1 + YEAR)
    places = np.empty(last - first + 1 + YEAR, np.int64)
    count = 0
    needed = YEAR
    for session in range(last, -1, -1):
        if np.isnan(close[session]):
            continue
        needed -= session < first
        kept[count], places[count] = close[session], session
        count += 1
        if needed == 0:
            break
    for k in range(count - YEAR):
        if places[k] < first:
            break
        strength = 0.0
        for n in range(4):
            strength += WEIGHTS[n] * (kept[k] / kept[k + SPANS[n]] - 1)
        raw[places[k] - first] = strength


@kernel
def _places(raw: FloatArray, ordered: FloatArray, least: int) -> FloatArray:
    """Percentiles (rows, sessions) of `raw` (sessions, rows) among each session's `ordered` universe."""
    sessions, rows = raw.shape
    rating = np.full((rows, sessions), np.nan)
    for session in range(sessions):
        universe = ordered[session]
        count = np.searchsorted(universe, np.inf, side="right")
        if count < least:
            continue
        for row in range(rows):
            own = raw[session, row]
            if not np.isnan(own):
                below = np.searchsorted(universe, own)
                equal = below + 1
                while equal < count and universe[equal] == own:
                    equal += 1
                rank = 0.5 * (below + equal - 1)
                rating[row, session] = np.floor(1.5 + 98 * rank / (count - 1))
    return rating
