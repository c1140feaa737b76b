"""Table of all traded prices of the simulated market: few bytes a bar, since it is the largest thing held."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vcpd.domain.bars import PRICE_FIELDS, BoolArray, FloatArray, IntArray
from vcpd.sandbox.intraday import DayBars
from vcpd.sandbox.market_paths import PricePaths
from vcpd.sandbox.settings import SIMULATED_EXCHANGE

PAISE_PER_RUPEE: Final = 100.0
TICK_PAISE: Final = round(SIMULATED_EXCHANGE.tick_size * PAISE_PER_RUPEE)
CLOSE_FIELD: Final = PRICE_FIELDS.index("close")


@dataclass(frozen=True, slots=True, eq=False)
class CompactRows:
    """Rows of whole numbers >= 0: in `small`, or in `large` those with a number that is too large for it.

    A row has any shape, with sessions as the last axis. Rows of `small` that are not used take no memory.
    """

    small: NDArray[np.unsignedinteger]
    large: dict[int, NDArray[np.unsignedinteger]]

    @classmethod
    def blank(cls, shape: tuple[int, ...], dtype: DTypeLike) -> Self:
        """Returns rows of zeros; the first axis counts the rows."""
        return cls(np.zeros(shape, dtype), {})

    def write(self, row: int, values: IntArray) -> None:
        largest = int(values.max(initial=0))
        if largest <= np.iinfo(self.small.dtype).max:
            self.small[row] = values
        else:
            self.large[row] = values.astype(np.min_scalar_type(largest))

    def history(self, row: int, columns: IntArray) -> IntArray:
        """Returns one row in some sessions."""
        found: IntArray = self.large.get(row, self.small[row])[..., columns].astype(np.int64)
        return found

    def at(self, rows: IntArray, columns: IntArray) -> IntArray:
        """Returns each row in the session of its own in `columns`; rows are the first axis."""
        found = self.small[rows, ..., columns].astype(np.int64)
        for place, row in enumerate(rows.tolist()):
            if row in self.large:
                found[place] = self.large[row][..., columns[place]]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class PriceTable:
    """Prices and volumes of shares by sessions, as traded on the day: no split is adjusted for.

    `ticks` has rows of shape (4, sessions), prices in ticks, in the order of PRICE_FIELDS; `volume` rows of
    shape (sessions,), shares; `traded` has shape (names, sessions).
    """

    ticks: CompactRows
    volume: CompactRows
    traded: BoolArray

    @classmethod
    def blank(cls, rows: int, columns: int) -> Self:
        """Returns an empty table that is written block by block."""
        return cls(
            CompactRows.blank((rows, len(PRICE_FIELDS), columns), np.uint16),
            CompactRows.blank((rows, columns), np.uint32),
            np.ones((rows, columns), np.bool_),
        )

    @property
    def session_count(self) -> int:
        return int(self.traded.shape[1])

    def write(self, first_row: int, paths: PricePaths, divided: FloatArray) -> None:
        """Writes the last sessions of `paths` into the rows from `first_row` on.

        `divided` (n, m) is what the never-split prices of `paths` are divided by in each session.
        """
        last = slice(-self.session_count, None)
        divided, close = divided[:, last], paths.close[:, last]
        prices = (paths.open[:, last], paths.high[:, last], paths.low[:, last], close)
        ticks = np.stack([whole_ticks(each * PAISE_PER_RUPEE / divided) for each in prices], axis=1)
        shares = np.round(paths.value[:, last] * divided / close).astype(np.int64)
        for place in range(len(close)):
            self.ticks.write(first_row + place, ticks[place])
            self.volume.write(first_row + place, shares[place])

    def day(self, rows: IntArray, column: int) -> DayBars:
        """Returns one session's bars of some rows, in paise."""
        columns = np.full(len(rows), column)
        return DayBars.of(self.ticks.at(rows, columns).T * TICK_PAISE, self.volume.at(rows, columns))

    def history(self, row: int, columns: IntArray) -> DayBars:
        """Returns one share's bars in some sessions, in paise."""
        return DayBars.of(self.ticks.history(row, columns) * TICK_PAISE, self.volume.history(row, columns))

    def closes(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Returns each row's close in the session of its own in `columns`, in paise."""
        ticks = self.ticks.at(rows, columns)[:, CLOSE_FIELD]
        return (ticks * TICK_PAISE).astype(np.float64)


def whole_ticks(paise: FloatArray) -> IntArray:
    """Converts a price in paise to whole ticks, at least one."""
    return np.maximum(np.round(paise / TICK_PAISE), 1.0).astype(np.int64)


def round_to_tick(paise: FloatArray) -> IntArray:
    """Rounds prices to whole ticks, at least one."""
    return whole_ticks(paise) * TICK_PAISE
