"""Daily bars as structured arrays, of one symbol or of many; aliases for array types.

Prices are in the instrument's currency, back-adjusted as the market publishes them; volume is in
shares and NaN where the market gave none (unknown is not zero).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
DateArray = NDArray[np.datetime64]  # always of unit D
RecordArray = NDArray[np.void]
RatingArray = NDArray[np.uint8]  # 1..99, 0 where unknown
PRICE_FIELDS: Final = ("open", "high", "low", "close")
EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
ONE_DAY: Final = timedelta(days=1)
ROWS_PER_BLOCK: Final = 4_096  # rows written at once
BAR_DTYPE: Final = np.dtype(
    [
        ("session", "<M8[D]"),
        ("open", "<f8"),
        ("high", "<f8"),
        ("low", "<f8"),
        ("close", "<f8"),
        ("volume", "<f8"),
        ("provisional", "?"),
    ]
)


@dataclass(frozen=True, slots=True, eq=False)
class BarSeries:
    """One symbol's bars, oldest first; `records` has `BAR_DTYPE` and shape (n,)."""

    symbol: str
    records: RecordArray

    @classmethod
    def empty(cls, symbol: str) -> Self:
        return cls(symbol, np.empty(0, BAR_DTYPE))

    @classmethod
    def from_columns(
        cls,
        symbol: str,
        sessions: DateArray,
        prices: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
        volume: FloatArray,
        provisional: BoolArray | bool = False,
    ) -> Self:
        """Bars from arrays of one length n; `prices` are open, high, low, close."""
        records = np.empty(len(sessions), BAR_DTYPE)
        records["session"] = sessions
        for name, column in zip(PRICE_FIELDS, prices, strict=True):
            records[name] = column
        records["volume"] = volume
        records["provisional"] = provisional
        return cls(symbol, records)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def sessions(self) -> DateArray:
        return self.records["session"]

    @property
    def open(self) -> FloatArray:
        return self.records["open"]

    @property
    def high(self) -> FloatArray:
        return self.records["high"]

    @property
    def low(self) -> FloatArray:
        return self.records["low"]

    @property
    def close(self) -> FloatArray:
        return self.records["close"]

    @property
    def volume(self) -> FloatArray:
        return self.records["volume"]

    @property
    def provisional(self) -> BoolArray:
        return self.records["provisional"]

    @property
    def last_session(self) -> date | None:
        return self.records["session"][-1].item() if len(self.records) else None

    def until(self, session: date) -> Self:
        """The bars up to and including `session`; the same object where all of them are."""
        last = self.last_session
        if last is None or last <= session:
            return self
        return type(self)(self.symbol, self.records[: self.row_of(session + ONE_DAY)])

    def row_of(self, session: date) -> int:
        """The row of the first bar on or after `session`, n where there is none."""
        days: IntArray = self.records["session"].view(np.int64)
        return int(days.searchsorted(session.toordinal() - EPOCH_ORDINAL))


def session_array(days: Iterable[date]) -> DateArray:
    """(n,): the days as an array, by their ordinals: NumPy's own conversion takes thirty times as long."""
    ordinals = np.fromiter(map(date.toordinal, days), np.int64)
    found: DateArray = (ordinals - EPOCH_ORDINAL).view("M8[D]")
    return found


def are_among(days: DateArray, sessions: DateArray) -> BoolArray:
    """Of each day whether it is one of `sessions` (m,), which ascend."""
    if not len(sessions):
        return np.zeros(len(days), np.bool_)
    at = np.minimum(np.searchsorted(sessions, days), len(sessions) - 1)
    found: BoolArray = sessions[at] == days
    return found


def interleave_columns(sessions: DateArray, columns: Mapping[str, FloatArray]) -> RecordArray:
    """(n,) bars from sessions (n,) and the columns that are known, NaN in the others.

    Written in blocks: a block's rows stay in the processor's cache while column after column is filled in.
    """
    records: RecordArray = np.empty(len(sessions), BAR_DTYPE)
    for start in range(0, len(records), ROWS_PER_BLOCK):
        rows = slice(start, start + ROWS_PER_BLOCK)
        block = records[rows]
        block["session"] = sessions[rows]
        for name in (*PRICE_FIELDS, "volume"):
            block[name] = columns[name][rows] if name in columns else np.nan
        block["provisional"] = False
    return records


@dataclass(frozen=True, slots=True, eq=False)
class BarTable:
    """Rows of many instruments: `instrument_id` (n,) beside `records` (n,) of `BAR_DTYPE`."""

    instrument_id: IntArray
    records: RecordArray

    @classmethod
    def gather(cls, parts: Iterable[tuple[int, BarSeries]]) -> Self:
        """One table of the given (instrument id, series) pairs, in the given order."""
        kept = [(key, series.records) for key, series in parts if len(series)]
        if not kept:
            return cls(np.empty(0, np.int64), np.empty(0, BAR_DTYPE))
        keys = np.repeat([key for key, _ in kept], [len(records) for _, records in kept])
        return cls(keys.astype(np.int64), np.concatenate([records for _, records in kept]))

    def __len__(self) -> int:
        return len(self.records)


class PricePlanes:
    """Names the planes of a block of bars whose first axis is open, high, low, close, volume."""

    __slots__ = ()

    def _plane(self, number: int) -> FloatArray:
        raise NotImplementedError

    @property
    def open(self) -> FloatArray:
        return self._plane(0)

    @property
    def high(self) -> FloatArray:
        return self._plane(1)

    @property
    def low(self) -> FloatArray:
        return self._plane(2)

    @property
    def close(self) -> FloatArray:
        return self._plane(3)

    @property
    def volume(self) -> FloatArray:
        return self._plane(4)
