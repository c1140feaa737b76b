"""Steps between two bars that no trading made: unadjusted corporate actions and breaks of scale.

A stock's price band limits how far a session may lie from the close before. Stocks with derivatives have
no band during the session, but their opening call auction has: a real move beyond it is made while the
market is open. So the sign of an unadjusted split, bonus or demerger is a gap over night beyond the band
that the day's close still keeps. After a long hole (suspension, relisting) the price is discovered
without a band, and only a step of several times is suspected.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from vcpd.domain.arrays import BoolArray, FloatArray, IntArray

KEPT_SHARE: Final = 0.5  # of the gap that the close must keep; a mistaken first trade gives it back
TICK_SLACK: Final = 0.11  # two ticks of 0.05: below a rupee one tick alone is beyond the band
LONG_HOLE: Final = 5  # sessions without a bar after which the price is discovered anew
HOLE_FACTOR: Final = 3.0  # a step after a long hole that even price discovery does not make
SCALE_FACTOR: Final = 20.0  # no split does this: rupees against paise, or another instrument
RETURN_WITHIN: Final = 20  # bars after which a step that is undone counts as a break of scale
RATIO_TOLERANCE: Final = 0.07
ACTION_RATIOS: Final = {
    0.8: "bonus 1:4",
    0.75: "bonus 1:3",
    0.6667: "bonus 1:2",
    0.6: "bonus 2:3",
    0.5: "split 1:2 or bonus 1:1",
    0.4: "split 2:5 or bonus 3:2",
    0.3333: "bonus 2:1",
    0.25: "split 1:4 or bonus 3:1",
    0.2: "split 1:5 or bonus 4:1",
    0.1667: "bonus 5:1",
    0.1: "split 1:10",
    0.0667: "split 1:5 with bonus 2:1",
    0.05: "split 1:10 with bonus 1:1",
}


class Cause(StrEnum):
    """What a step beyond the band is taken for."""

    UNADJUSTED = "unadjusted"
    SCALE = "scale"
    DISCOVERY = "discovery"  # after a long hole
    TRADED = "traded"  # made while the market was open


@dataclass(frozen=True, slots=True)
class Jump:
    """A step beyond the band: the bar it leads to, the price before and after, sessions between."""

    row: int
    before: float
    after: float
    hole: int
    cause: Cause

    @property
    def ratio(self) -> float:
        return self.after / self.before


def find_jumps(opened: FloatArray, closed: FloatArray, at: IntArray, band_pct: float) -> list[Jump]:
    """The steps of one symbol, oldest first; `at` (n,) counts the exchange's sessions at each bar."""
    before = closed[:-1]
    gap, move = opened[1:] - before, closed[1:] - before
    limit = band_pct / 100.0 * before + TICK_SLACK
    over_night = (np.abs(gap) > limit) & (gap * move > 0) & (np.abs(move) >= KEPT_SHARE * np.abs(gap))
    rows = np.flatnonzero(over_night | (np.abs(move) > limit))
    if not len(rows):
        return []
    reached = np.where(over_night, opened[1:], closed[1:])
    ratios = reached[rows] / before[rows]
    holes = at[rows + 1] - at[rows] - 1
    causes = _causes(rows, ratios, holes, over_night[rows])
    return [
        Jump(int(row) + 1, float(before[row]), float(reached[row]), int(hole), cause)
        for row, hole, cause in zip(rows, holes, causes, strict=True)
    ]


def explain_ratio(ratio: float) -> str:
    """What corporate action a step of `ratio` (after / before) may be."""
    step = min(ratio, 1.0 / ratio)
    nearest = min(ACTION_RATIOS, key=lambda one: abs(one - step))
    if abs(nearest / step - 1.0) > RATIO_TOLERANCE:
        return "no usual split or bonus ratio: a demerger, a special dividend or an error"
    if ratio > 1.0:
        return (
            f"as if older bars had been divided once too often ({ACTION_RATIOS[nearest]}), or a consolidation"
        )
    return f"near {nearest:.3g}: {ACTION_RATIOS[nearest]}"


def _causes(rows: IntArray, ratios: FloatArray, holes: IntArray, over_night: BoolArray) -> list[Cause]:
    factors = np.maximum(ratios, 1.0 / ratios)
    off_scale = (factors >= SCALE_FACTOR) | _undone(rows, ratios, over_night)
    discovered = (holes > LONG_HOLE) & (factors < HOLE_FACTOR)
    chosen = np.select(
        [off_scale, discovered, over_night], [Cause.SCALE, Cause.DISCOVERY, Cause.UNADJUSTED], Cause.TRADED
    )
    return [Cause(cause) for cause in chosen]


def _undone(rows: IntArray, ratios: FloatArray, over_night: BoolArray) -> BoolArray:
    """(k,): which steps over night are one half of a pair, there and soon back again."""
    undone = np.zeros(len(rows), np.bool_)
    near = np.diff(rows) <= RETURN_WITHIN
    back = np.abs(ratios[1:] * ratios[:-1] - 1.0) < RATIO_TOLERANCE
    pairs = near & back & over_night[1:] & over_night[:-1]
    undone[1:] |= pairs
    undone[:-1] |= pairs
    return undone
