"""How a session's bar grows from its open to its close, the same way each time one looks."""

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from vcpd.domain.arrays import FloatArray, IntArray
from vcpd.sandbox.streams import salt_of, unit_hash

AUCTION_SHARE: Final = 0.2  # share of names whose official close differs from the last trade
VOLUME_LATE_SHARE: Final = 0.03  # at most this share of the volume is reported overnight
KNOTS_A_NAME: Final = 8192  # more than any session has


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

    def __len__(self) -> int:
        return len(self.open)

    def priced(self, unit: float) -> Self:
        """The same with prices in units of `unit`."""
        opened, high, low, close = self.open / unit, self.high / unit, self.low / unit, self.close / unit
        return type(self)(opened, high, low, close, self.volume)

    def take(self, places: IntArray) -> Self:
        """The bars at these places."""
        columns = (self.open, self.high, self.low, self.close, self.volume)
        return type(self)(*(column[places] for column in columns))


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides the way of each bar through one session: the instruments' tokens, the day, the seed."""

    tokens: IntArray
    day: int
    seed: int

    def draw(self, purpose: str) -> FloatArray:
        """One number in [0, 1) a name, another one each day."""
        return unit_hash(self.tokens, salt_of(self.seed, purpose, self.day))

    def habit(self, purpose: str) -> FloatArray:
        """One number in [0, 1) a name, the same on all days."""
        return unit_hash(self.tokens, salt_of(self.seed, purpose, 0))

    def weather(self, purpose: str, steps: int) -> FloatArray:
        """`steps` numbers a name of mean 0 and deviation 1, shape (n, steps)."""
        keys = self.tokens[:, None] * KNOTS_A_NAME + np.arange(steps)
        draws = unit_hash(keys, salt_of(self.seed, purpose, self.day))
        return (draws - 0.5) * float(np.sqrt(12.0))

    def take(self, places: slice) -> Self:
        return replace(self, tokens=self.tokens[places])


def evening(final: DayBars, shape: Shape, tick: float) -> DayBars:
    """The bars as they stand between the close and the next morning.

    The last trade is not yet the official close for some names, and a little volume is still unreported.
    """
    moved = shape.draw("auction")
    step = np.where(moved < AUCTION_SHARE, np.where(moved < AUCTION_SHARE / 2, -tick, tick), 0.0)
    close = np.clip(final.close + step, final.low, final.high)
    volume = np.floor(final.volume * (1.0 - VOLUME_LATE_SHARE * shape.draw("late")))
    return replace(final, close=close, volume=volume)
