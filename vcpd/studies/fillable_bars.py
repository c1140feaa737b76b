"""Bars that fill an order: with volume, and not locked at the limit of the day's price.

A daily bar does not name its limit. A session of one price far from the close before was locked from its
open: nothing could be bought at the upper limit, nothing sold at the lower. A session that traded and then
closed at its extreme, just where a limit lies, ended locked: orders of that close were not filled.
"""

from typing import Final

import numpy as np

from vcpd.analysis.indicators import Bars
from vcpd.domain.bars import BoolArray, FloatArray
from vcpd.studies.rules import PERCENT, EntryKind, FillRules

BELOW_LIMIT_PCT: Final = 0.1  # a limit is rounded to the tick towards the close before
ABOVE_LIMIT_PCT: Final = 0.01  # prices of a file are rounded
UP: Final = 1.0
DOWN: Final = -1.0


def buyable_bars(bars: Bars, kind: EntryKind, fills: FillRules) -> BoolArray:
    """(n,): bars that fill a purchase of this kind."""
    filled = _traded(bars, fills) & ~_locked(bars, fills, UP)
    return filled & ~_closed_locked(bars, fills, UP) if kind is EntryKind.CLOSE else filled


def sellable_bars(bars: Bars, fills: FillRules) -> BoolArray:
    """(n,): bars that fill a sale inside the session."""
    return _traded(bars, fills) & ~_locked(bars, fills, DOWN)


def sellable_closes(bars: Bars, fills: FillRules) -> BoolArray:
    """(n,): bars that fill a sale at their close."""
    return sellable_bars(bars, fills) & ~_closed_locked(bars, fills, DOWN)


def _traded(bars: Bars, fills: FillRules) -> BoolArray:
    traded: BoolArray = bars.volume > 0
    return traded if fills.needs_volume else np.ones_like(traded)


def _moves_pct(bars: Bars, sign: float) -> FloatArray:
    """(n,): close over the close before in percent, counted in the direction of `sign`; 0 for the first."""
    before = np.concatenate([bars.close[:1], bars.close[:-1]])
    moves: FloatArray = sign * PERCENT * (bars.close / before - 1)
    return moves


def _locked(bars: Bars, fills: FillRules, sign: float) -> BoolArray:
    """One price all session, as far from the close before as `locked_pct`, in the direction of `sign`."""
    locked: BoolArray = (bars.high == bars.low) & (_moves_pct(bars, sign) >= fills.locked_pct)
    return locked if fills.locked_pct else np.zeros_like(locked)


def _closed_locked(bars: Bars, fills: FillRules, sign: float) -> BoolArray:
    """The close is the session's extreme and lies where one of the limits does."""
    extreme = bars.high if sign == UP else bars.low
    moves, at_limit = _moves_pct(bars, sign), np.zeros(len(bars.close), np.bool_)
    for limit in fills.limits_pct:
        at_limit |= (moves >= limit - BELOW_LIMIT_PCT) & (moves <= limit + ABOVE_LIMIT_PCT)
    closed: BoolArray = at_limit & (bars.close == extreme)
    return closed
