"""Anchors: highs from which a base may hang, and what the market did before and since."""

import numpy as np

from vcpd.analysis.indicators import Bars
from vcpd.analysis.kernels import kernel
from vcpd.analysis.thresholds import Rules
from vcpd.domain.arrays import IntArray


@kernel
def find_anchors(bars: Bars, first: int, last: int, rules: Rules) -> IntArray:
    """Bars that may anchor a base at some session of first..last, oldest first.

    A local high, the highest of the bars before it, within reach of a session, and not yet topped by
    more than the cap when the first of these sessions comes.
    """
    oldest = max(first - rules.oldest, rules.anchor_side)
    youngest = last - rules.youngest
    found = np.empty(max(youngest - oldest + 1, 0), np.int64)
    count = 0
    highest_until_first = 0.0
    seen = first + 1
    for a in range(youngest, oldest - 1, -1):
        while seen > a + 1 and seen > 0:
            seen -= 1
            highest_until_first = max(highest_until_first, bars.high[seen])
        capped = highest_until_first <= bars.high[a] * (1 + rules.cap)
        if capped and _is_peak(bars, a, rules):
            found[count] = a
            count += 1
    return found[:count][::-1].copy()


@kernel
def _is_peak(bars: Bars, a: int, rules: Rules) -> bool:
    for k in range(max(a - rules.anchor_lookback, 0), a + rules.anchor_side + 1):
        if bars.high[k] > bars.high[a]:
            return False
    return True


@kernel
def advance_into(bars: Bars, anchor: int, window: int) -> float:
    """Rise from the lowest low of the `window` bars before the anchor to its high, as a fraction."""
    lowest = np.inf
    for k in range(max(anchor - window, 0), anchor):
        lowest = min(lowest, bars.low[k])
    advance: float = bars.high[anchor] / lowest - 1
    return advance
