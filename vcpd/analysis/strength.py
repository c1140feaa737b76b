"""Relative strength: each symbol's place among its universe at a session, and its line against the index."""

from typing import Final

import numpy as np

from vcpd.analysis.kernels import kernel
from vcpd.domain.arrays import BoolArray, FloatArray, IntArray
from vcpd.domain.panel import Panel

SPANS: Final = (63, 126, 189, 252)
WEIGHTS: Final = (0.4, 0.2, 0.2, 0.2)
YEAR: Final = 252


def ratings(panel: Panel, rows: range, first: int, last: int, universe_least: int) -> FloatArray:
    """Ratings 1..99 of `rows` at the panel's sessions first..last, shape (rows, sessions).

    raw = 0.4 R63 + 0.2 R126 + 0.2 R189 + 0.2 R252 over the symbol's own bars (the usual public
    reconstruction of the IBD rating); the rating is its percentile among all symbols that have a bar at
    the session and 252 before it and are not excluded, ties averaged. NaN where a symbol is not one of
    them, or where they are fewer than `universe_least`.
    """
    eligible = np.array([symbol not in panel.exclusions for symbol in panel.symbols], np.bool_)
    raw = _raw_strengths(panel.close, eligible, first, last)
    return _places(raw, np.sort(raw, axis=1), np.array(rows, np.int64), max(universe_least, 2))


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
def _places(raw: FloatArray, ordered: FloatArray, rows: IntArray, universe_least: int) -> FloatArray:
    """1..99 by rank in each session's `ordered` universe (NaN last), equals sharing their mean rank."""
    sessions = raw.shape[0]
    rating = np.full((len(rows), sessions), np.nan)
    for session in range(sessions):
        count = np.searchsorted(ordered[session], np.inf, side="right")
        if count < universe_least:
            continue
        universe = ordered[session, :count]
        for place in range(len(rows)):
            own = raw[session, rows[place]]
            if not np.isnan(own):
                below = np.searchsorted(universe, own, side="left")
                upto = np.searchsorted(universe, own, side="right")
                rank = 0.5 * (below + upto - 1)
                rating[place, session] = np.floor(1.5 + 98 * rank / (count - 1))
    return rating
