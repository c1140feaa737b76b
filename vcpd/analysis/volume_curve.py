"""Intraday volume curve: share of a day's volume traded by each minute, and the projection to the close.

A curve is learned from minute bars, blended with the market's, which is blended with a default. How much
a history weighs against what lies behind it grows with its sessions: n / (n + PRIOR_SESSIONS).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Final, Self

import numpy as np

from vcpd.core.errors import BadInputError
from vcpd.domain.bars import FloatArray
from vcpd.domain.live import MinuteVolumes

PRIOR_SESSIONS: Final = 10.0
REGULAR_MINUTES: Final = 375
MIN_TRADED_MINUTES_SHARE: Final = 0.5  # of a session's minutes with trades, or its shape means nothing
# The default's density at fraction x: calm + opening exp(-x / 0.07) + closing exp((x - 1) / 0.08)
BASE_DENSITY: Final = 0.70
OPENING_DECAY: Final = (1.9, 0.07)
CLOSING_DECAY: Final = (1.6, 0.08)


@dataclass(frozen=True, eq=False)
class VolumeCurve:
    """`shares` (m + 1,) of the day's volume traded after 0..m equal steps: from 0 to 1, never falling.

    `sessions` says how many days it was learned from.
    """

    shares: FloatArray
    sessions: int = 0

    def __post_init__(self) -> None:
        rises = bool((np.diff(self.shares) >= 0).all())
        if len(self.shares) < 2 or self.shares[0] != 0 or self.shares[-1] != 1 or not rises:
            raise BadInputError("a volume curve rises from 0 to 1")

    @classmethod
    def of_cumulative(cls, cumulative: FloatArray, sessions: int) -> Self:
        """Builds the curve from running sums (m,) at the end of each step."""
        shares = np.concatenate([[0.0], np.maximum.accumulate(cumulative) / cumulative.max()])
        shares[-1] = 1.0
        return cls(shares, sessions)

    def share_at(self, fraction: float) -> float:
        """The share traded when `fraction` (0..1) of the session is over."""
        return float(np.interp(fraction, _step_edges(len(self.shares) - 1), self.shares))

    def projected(self, volume: float, fraction: float) -> float:
        """Projects the day's volume along its usual curve; NaN before trading usually begins."""
        share = self.share_at(fraction)
        return volume / share if share > 0 else float("nan")

    def resampled(self, steps: int) -> "VolumeCurve":
        """The same curve on another number of steps: a special session is a short day."""
        if steps == len(self.shares) - 1:
            return self
        shares = np.interp(_step_edges(steps), _step_edges(len(self.shares) - 1), self.shares)
        return VolumeCurve(shares, self.sessions)

    def blended_with(self, behind: "VolumeCurve") -> "VolumeCurve":
        """Returns this curve blended with `behind`, weighted by the number of its sessions."""
        weight = self.sessions / (self.sessions + PRIOR_SESSIONS)
        general = behind.resampled(len(self.shares) - 1).shares
        blended = weight * self.shares + (1 - weight) * general
        blended[-1] = 1.0
        return VolumeCurve(blended, self.sessions)


@lru_cache(maxsize=8)
def _step_edges(steps: int) -> FloatArray:
    """(steps + 1,) from 0 to 1; the same for all curves of one length, so kept once."""
    edges = np.linspace(0.0, 1.0, steps + 1)
    edges.flags.writeable = False
    return edges


def default_curve(steps: int = REGULAR_MINUTES) -> VolumeCurve:
    """A U: about 15 % in the first half hour, 14 % in the last, 51 % by the middle of the day."""
    edges = _step_edges(steps)
    (opening, opening_width), (closing, closing_width) = OPENING_DECAY, CLOSING_DECAY
    cumulative = (
        BASE_DENSITY * edges
        + opening * opening_width * (1 - np.exp(-edges / opening_width))
        + closing * closing_width * (np.exp((edges - 1) / closing_width) - np.exp(-1 / closing_width))
    )
    return VolumeCurve.of_cumulative(cumulative[1:], 0)


def learned_curve(minutes: MinuteVolumes, opens_min: int, steps: int) -> VolumeCurve | None:
    """The mean day of a share: each session's cumulative shares weigh alike.

    `opens_min` is the opening in minutes after midnight, `steps` the session's length. Sessions of other
    hours, and those that hardly traded, are left out; None where none is left.
    """
    days = minutes.minutes.astype("M8[D]")
    offsets = (minutes.minutes - days).astype(np.int64) - opens_min
    inside = (offsets >= 0) & (offsets < steps) & (minutes.volume > 0)
    sessions, rows = np.unique(days[inside], return_inverse=True)
    traded = np.zeros((len(sessions), steps))
    np.add.at(traded, (rows, offsets[inside]), minutes.volume[inside])
    whole = traded[(traded > 0).sum(axis=1) >= MIN_TRADED_MINUTES_SHARE * steps]
    if not len(whole):
        return None
    shares = np.cumsum(whole, axis=1) / whole.sum(axis=1, keepdims=True)
    return VolumeCurve.of_cumulative(shares.mean(axis=0), len(whole))


def market_curve(curves: Sequence[VolumeCurve], steps: int = REGULAR_MINUTES) -> VolumeCurve:
    """The mean of many shares' curves, each as heavy as its sessions, over the default."""
    known = [curve.resampled(steps) for curve in curves if curve.sessions]
    if not known:
        return default_curve(steps)
    weights = np.array([float(curve.sessions) for curve in known])
    mean = np.average(np.stack([curve.shares[1:] for curve in known]), axis=0, weights=weights)
    return VolumeCurve.of_cumulative(mean, int(weights.sum())).blended_with(default_curve(steps))


def elapsed_fraction(elapsed: timedelta, length: timedelta) -> float:
    """How much of a session is over, 0..1."""
    return min(max(elapsed / length, 0.0), 1.0)
