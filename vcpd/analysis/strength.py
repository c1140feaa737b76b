"""Relative strength: each symbol's place among its universe at a session, and its line against the index."""

from typing import Final, NamedTuple

import numpy as np

from vcpd.analysis.kernels import kernel
from vcpd.domain.arrays import BoolArray, FloatArray, IntArray
from vcpd.domain.panel import Panel

SPANS: Final = (63, 126, 189, 252)
WEIGHTS: Final = (0.4, 0.2, 0.2, 0.2)
YEAR: Final = 252


class Universe(NamedTuple):
    """Raw strengths (sessions, symbols) of a market at its sessions `first`.., NaN where a symbol has none.

    raw = 0.4 R63 + 0.2 R126 + 0.2 R189 + 0.2 R252 over the symbol's own bars (the usual public
    reconstruction of the IBD rating); the universe are the symbols that have a bar at the session and
    252 before it, and are not excluded.
    """

    first: int
    raw: FloatArray
    ordered: FloatArray  # the same, each session in ascending order, NaN last
    least: int  # with fewer symbols there is no rating

    def ratings_of(self, row: int, columns: IntArray) -> FloatArray:
        """Percentile 1..99 of the symbol in `row` at the panel's `columns`, ties averaged, NaN unknown."""
        ratings: FloatArray = _ratings(self.raw, self.ordered, row, columns - self.first, self.least)
        return ratings


def universe_of(panel: Panel, first: int, last: int, least: int) -> Universe:
    """The market's strengths at the panel's sessions first..last."""
    eligible = np.array([symbol not in panel.exclusions for symbol in panel.symbols], np.bool_)
    raw = _raw_strengths(panel.close, eligible, first, last)
    return Universe(first, raw, np.sort(raw, axis=1), max(least, 2))


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
def _ratings(raw: FloatArray, ordered: FloatArray, row: int, sessions: IntArray, least: int) -> FloatArray:
    rating = np.full(len(sessions), np.nan)
    for place in range(len(sessions)):
        session = sessions[place]
        own = raw[session, row]
        if np.isnan(own):
            continue
        count = np.searchsorted(ordered[session], np.inf, side="right")
        if count >= least:
            below = np.searchsorted(ordered[session, :count], own, side="left")
            upto = np.searchsorted(ordered[session, :count], own, side="right")
            rank = 0.5 * (below + upto - 1)
            rating[place] = np.floor(1.5 + 98 * rank / (count - 1))
    return rating
