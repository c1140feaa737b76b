"""Which price levels the prices of a running session reach: by token, without any input or output."""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

import numpy as np

from vcpd.domain.bars import FloatArray, IntArray
from vcpd.domain.instruments import Instrument
from vcpd.domain.live import LivePrices
from vcpd.domain.watchlists import LevelKind, LevelReading
from vcpd.jobs.watch_hours import WatchHours


class ReachedLevel(NamedTuple):
    """A level, and the price of the running session that reached it."""

    reading: LevelReading
    price: float


class LevelTracker:
    """The levels that the session before had not reached, each reported at most once.

    `levels` are readings after the session before; those without an instrument or a value are left out.
    `reached` names levels that were reported already in this session.
    """

    def __init__(
        self,
        levels: Iterable[LevelReading],
        instruments: Mapping[str, Instrument],
        hours: WatchHours,
        max_previous_close_change_pct: float,
        reached: Iterable[int] = (),
    ) -> None:
        self._hours = hours
        self._max_change = max_previous_close_change_pct / 100
        self._day_start = np.datetime64(hours.opens.replace(tzinfo=None), "D").astype("M8[s]")
        self.reached = set(reached)
        self._levels: dict[int, list[LevelReading]] = {}
        for reading in levels:
            instrument = instruments.get(reading.level.symbol)
            if instrument is not None and _is_open(reading) and reading.id not in self.reached:
                self._levels.setdefault(instrument.token, []).append(reading)
        self.tokens: IntArray = np.array(sorted(self._levels), np.int64)
        self._lower: FloatArray = np.full(len(self.tokens), -np.inf)
        self._upper: FloatArray = np.full(len(self.tokens), np.inf)
        for place in range(len(self.tokens)):
            self._set_bounds(place)

    @property
    def symbols(self) -> list[str]:
        """The symbols of the open levels."""
        return sorted({reading.level.symbol for levels in self._levels.values() for reading in levels})

    @property
    def count(self) -> int:
        """How many levels are open."""
        return sum(map(len, self._levels.values()))

    def update(self, prices: LivePrices, now: datetime) -> list[ReachedLevel]:
        """The levels that these prices reach while the session runs, in order of arrival."""
        if not len(self.tokens) or not self._hours.is_open(now):
            return []
        places = np.minimum(np.searchsorted(self.tokens, prices.tokens), len(self.tokens) - 1)
        last = prices.last_price
        matters = (self.tokens[places] == prices.tokens) & (last > 0)
        matters &= ~(prices.traded_at < self._day_start)  # NaT: the source does not say, so it counts
        matters &= (last >= self._upper[places]) | (last <= self._lower[places])
        found: list[ReachedLevel] = []
        for number in np.flatnonzero(matters).tolist():
            previous_close = float(prices.previous_close[number])
            found += self._reached(int(places[number]), float(last[number]), previous_close)
        return found

    def _reached(self, place: int, price: float, previous_close: float) -> list[ReachedLevel]:
        token = int(self.tokens[place])
        levels = [
            reading for reading in self._levels[token] if not self._is_restated(reading, previous_close)
        ]
        found = [reading for reading in levels if _reaches(reading, price)]
        self.reached.update(reading.id for reading in found)
        self._levels[token] = [reading for reading in levels if reading.id not in self.reached]
        self._set_bounds(place)
        return [ReachedLevel(reading, price) for reading in found]

    def _is_restated(self, reading: LevelReading, previous_close: float) -> bool:
        """Whether the market's close of the session before is another than the stored one: after a split."""
        if reading.session != self._hours.previous_session or not previous_close > 0 or not reading.close:
            return False
        return abs(previous_close / reading.close - 1) > self._max_change

    def _set_bounds(self, place: int) -> None:
        """The prices between which no level of the token is reached."""
        levels = self._levels[int(self.tokens[place])]
        self._upper[place] = min((_threshold(level) for level in levels if _goes_up(level)), default=np.inf)
        self._lower[place] = max(
            (_threshold(level) for level in levels if not _goes_up(level)), default=-np.inf
        )


def _is_open(reading: LevelReading) -> bool:
    """An average can be crossed in every session, a price only while it is not reached."""
    if reading.next_value is None or reading.is_above is None:
        return False
    return reading.level.kind is LevelKind.CROSSES or not reading.is_reached


def _goes_up(reading: LevelReading) -> bool:
    """Whether a higher price reaches it."""
    if reading.level.kind is LevelKind.CROSSES:
        return not reading.is_above
    return reading.level.kind is LevelKind.ABOVE


def _threshold(reading: LevelReading) -> float:
    """The first price that reaches it; a price at the average is not above it."""
    value = reading.next_value or 0.0
    is_crossing_up = reading.level.kind is LevelKind.CROSSES and not reading.is_above
    return math.nextafter(value, math.inf) if is_crossing_up else value


def _reaches(reading: LevelReading, price: float) -> bool:
    threshold = _threshold(reading)
    return price >= threshold if _goes_up(reading) else price <= threshold
