"""What was really traded: prices in paise on their tick and shares, name by name, session by session."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from vcpd.domain.arrays import BoolArray, FloatArray, IntArray
from vcpd.domain.bars import PRICE_FIELDS
from vcpd.sandbox.intraday import DayBars
from vcpd.sandbox.paths import Paths
from vcpd.sandbox.splits import Split, divisor

TICK_PAISE: Final = 5
PAISE: Final = 100.0
CLOSE: Final = PRICE_FIELDS.index("close")


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """Names by sessions, as traded on the day: no split is adjusted for.

    `prices` has shape (4, names, sessions), paise, in the order of PRICE_FIELDS; `volume` (names,
    sessions), shares; `traded` (names, sessions).
    """

    prices: NDArray[np.int32]
    volume: IntArray
    traded: BoolArray

    @classmethod
    def blank(cls, rows: int, columns: int) -> Self:
        """A tape to be written block by block."""
        shape = (rows, columns)
        return cls(np.zeros((4, *shape), np.int32), np.zeros(shape, np.int64), np.ones(shape, np.bool_))

    @property
    def session_count(self) -> int:
        return int(self.volume.shape[1])

    def write(self, first_row: int, paths: Paths, splits: list[tuple[Split, ...]]) -> None:
        """Put the last sessions of `paths` into the rows from `first_row` on."""
        last = slice(-self.session_count, None)
        rows = slice(first_row, first_row + len(splits))
        divided = np.stack([divisor(of_row, paths.close.shape[1]) for of_row in splits])[:, last]
        for place, prices in enumerate((paths.open, paths.high, paths.low, paths.close)):
            self.prices[place, rows] = on_tick(prices[:, last] * PAISE / divided)
        shares = paths.value[:, last] * divided / paths.close[:, last]
        self.volume[rows] = np.round(shares).astype(np.int64)

    def day(self, rows: IntArray, column: int) -> DayBars:
        """One session's bars of some rows, in paise."""
        return DayBars.of(self.prices[:, rows, column], self.volume[rows, column])

    def history(self, row: int, columns: IntArray) -> DayBars:
        """One name's bars in some sessions, in paise."""
        return DayBars.of(self.prices[:, row, columns], self.volume[row, columns])


def on_tick(paise: FloatArray) -> NDArray[np.int32]:
    """Rounded to whole ticks, at least one."""
    return np.maximum(np.round(paise / TICK_PAISE), 1.0).astype(np.int32) * np.int32(TICK_PAISE)
