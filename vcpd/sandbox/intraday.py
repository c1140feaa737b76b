"""How a session's bar grows from its open to its close, the same way each time one looks."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vcpd.domain.arrays import FloatArray, IntArray
from vcpd.sandbox.streams import salt_of, unit_hash

TICK_PAISE = 5
AUCTION_SHARE = 0.2  # share of names whose official close differs from the last trade
VOLUME_LATE_SHARE = 0.03  # at most this share of the volume is reported overnight


@dataclass(frozen=True, slots=True, eq=False)
class DayBars:
    """One session's bars of n instruments; prices and volume of shape (n,), in any one price unit."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray

    @classmethod
    def of(cls, prices: NDArray[np.int32], volume: IntArray) -> Self:
        """From whole numbers; `prices` (4, n) are open, high, low, close."""
        opened, high, low, close = prices.astype(np.float64)
        return cls(opened, high, low, close, volume.astype(np.float64))


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides the way of each bar through one session: the instruments' tokens, the day, the seed."""

    tokens: IntArray
    day: int
    seed: int

    def draw(self, purpose: str) -> FloatArray:
        return unit_hash(self.tokens, salt_of(self.seed, purpose, self.day))


def evening(final: DayBars, shape: Shape, tick: float) -> DayBars:
    """The bars as they stand between the close and the next morning.

    The last trade is not yet the official close for some names, and a little volume is still unreported.
    """
    moved = shape.draw("auction")
    step = np.where(moved < AUCTION_SHARE, np.where(moved < AUCTION_SHARE / 2, -tick, tick), 0.0)
    close = np.clip(final.close + step, final.low, final.high)
    volume = np.floor(final.volume * (1.0 - VOLUME_LATE_SHARE * shape.draw("late")))
    return replace(final, close=close, volume=volume)


def growing(whole: DayBars, shape: Shape, fraction: float, tick: float) -> DayBars:
    """The bars when `fraction` (0..1) of the session is over: straight ways through both extremes."""
    if fraction >= 1.0:
        return whole
    first_at, second_at = _turns(shape)
    low_first = shape.draw("order") < np.where(whole.close > whole.open, 0.7, 0.3)
    first = np.where(low_first, whole.low, whole.high)
    second = np.where(low_first, whole.high, whole.low)
    last = _on_way(whole, (first_at, first), (second_at, second), fraction)
    last = np.clip(np.round(last / tick) * tick, whole.low, whole.high)
    seen = [whole.open, last, np.where(fraction >= first_at, first, last)]
    seen.append(np.where(fraction >= second_at, second, last))
    stacked = np.stack(seen)
    traded = np.floor(whole.volume * _volume_share(fraction))
    return DayBars(whole.open, stacked.max(axis=0), stacked.min(axis=0), last, traded)


def _turns(shape: Shape) -> tuple[FloatArray, FloatArray]:
    """When the two extremes are reached, as fractions of the session."""
    first = 0.05 + 0.40 * shape.draw("first turn")
    return first, first + 0.10 + 0.35 * shape.draw("second turn")


def _on_way(
    whole: DayBars,
    first: tuple[FloatArray, FloatArray],
    second: tuple[FloatArray, FloatArray],
    fraction: float,
) -> FloatArray:
    """Price at `fraction` on straight lines from the open by the two extremes to the close."""
    to_first = _line((np.zeros_like(whole.open), whole.open), first, fraction)
    to_second = _line(first, second, fraction)
    to_close = _line(second, (np.ones_like(whole.open), whole.close), fraction)
    return np.where(fraction < first[0], to_first, np.where(fraction < second[0], to_second, to_close))


def _line(
    start: tuple[FloatArray, FloatArray], end: tuple[FloatArray, FloatArray], fraction: float
) -> FloatArray:
    share = (fraction - start[0]) / (end[0] - start[0])
    return start[1] + (end[1] - start[1]) * share


def _volume_share(fraction: float) -> float:
    """Share of the day's volume traded by `fraction`: busy at both ends, quiet at noon."""
    return fraction + 0.14 * float(np.sin(2.0 * np.pi * fraction))
