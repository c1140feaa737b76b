"""Bars that fill an order: with volume, and not locked at the limit of the day's price.

A daily bar does not name its limit. A session of one price far from the close before, or just where a limit
lies, was locked from its open: nothing could be bought at the upper limit, nothing sold at the lower. A
session that traded and then closed at its extreme, just where a limit lies, ended locked: orders of that
close were not filled.
"""

from typing import Final

import numpy as np

from vcpd.analysis.indicators import Bars
from vcpd.domain.bars import BoolArray, FloatArray
from vcpd.domain.facts import lie_at_limit
from vcpd.studies.rules import PERCENT, EntryKind, FillRules

UP: Final = 1.0
DOWN: Final = -1.0


def buyable_bars(bars: Bars, kind: EntryKind, fills: FillRules, tick_size: float) -> BoolArray:
    """(n,): bars that fill a purchase of this kind."""
    at_limit = _at_limit(bars, fills, UP, tick_size)
    filled = _traded(bars, fills) & ~_locked(bars, fills, UP, at_limit)
    return filled & ~(at_limit & (bars.close == bars.high)) if kind is EntryKind.CLOSE else filled


def sellable_bars(bars: Bars, fills: FillRules, tick_size: float) -> BoolArray:
    """(n,): bars that fill a sale inside the session."""
    return _traded(bars, fills) & ~_locked(bars, fills, DOWN, _at_limit(bars, fills, DOWN, tick_size))


def sellable_closes(bars: Bars, fills: FillRules, tick_size: float) -> BoolArray:
    """(n,): bars that fill a sale at their close."""
    closed_locked = _at_limit(bars, fills, DOWN, tick_size) & (bars.close == bars.low)
    closes: BoolArray = sellable_bars(bars, fills, tick_size) & ~closed_locked
    return closes


def _traded(bars: Bars, fills: FillRules) -> BoolArray:
    traded: BoolArray = bars.volume > 0
    return traded if fills.needs_volume else np.ones_like(traded)


def _closes_before(bars: Bars) -> FloatArray:
    """(n,): the close before each bar; of the first its own."""
    before: FloatArray = np.concatenate([bars.close[:1], bars.close[:-1]])
    return before


def _at_limit(bars: Bars, fills: FillRules, sign: float, tick_size: float) -> BoolArray:
    """(n,): bars whose close lies at one of the limits in the direction of `sign`."""
    before, found = _closes_before(bars), np.zeros(len(bars.close), np.bool_)
    for width in fills.limits_pct:
        found |= lie_at_limit(bars.close, before, sign * width, tick_size)
    return found


def _locked(bars: Bars, fills: FillRules, sign: float, at_limit: BoolArray) -> BoolArray:
    """One price all session, `locked_pct` or more from the close before or at a limit."""
    if not fills.locked_pct:
        return np.zeros_like(at_limit)
    moves = sign * PERCENT * (bars.close / _closes_before(bars) - 1)
    locked: BoolArray = (bars.high == bars.low) & (at_limit | (moves >= fills.locked_pct))
    return locked
