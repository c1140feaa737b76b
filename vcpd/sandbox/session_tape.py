"""One session half-minute by half-minute: prices that wander through both extremes, volume in a U.

Everything that is shown of a running session comes from here, so bars, quotes, candles and ticks agree
at any instant, and the session ends as exactly the bars it was made from.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from vcpd.domain.arrays import FloatArray, IntArray, RecordArray
from vcpd.sandbox.intraday import DayBars, Shape

KNOTS_A_MINUTE: Final = 2
BLOCK_NAMES: Final = 256  # few enough to keep the arrays of the making small
ROUGHNESS: Final = 0.3  # of the day's range, over a whole session
OPENING: Final = (1.6, 0.08)  # how much busier than at noon, and for which share of the session
CLOSING: Final = (1.1, 0.10)
NOON: Final = 0.6
HABIT: Final = 0.7  # how far a name's mornings may outweigh its afternoons, every day
WEATHER: Final = 0.5  # deviation of the log of a half-minute's volume
CANDLE_DTYPE: Final = np.dtype(
    [
        ("start", "<M8[s]"),  # wall time of the exchange
        ("open", "<f8"),
        ("high", "<f8"),
        ("low", "<f8"),
        ("close", "<f8"),
        ("volume", "<f8"),
    ]
)


@dataclass(frozen=True, slots=True, eq=False)
class SessionTape:
    """n names through a session of `minutes`; between two knots all goes straight, prices on the tick.

    `price` and `volume` (so far) have shape (n, knots), as have the extremes so far, `high` and `low`.
    """

    minutes: int
    tick: float
    price: FloatArray
    high: FloatArray
    low: FloatArray
    volume: FloatArray

    @classmethod
    def of(cls, whole: DayBars, shape: Shape, minutes: int, tick: float) -> Self:
        """The way to these bars. Names do not depend on each other."""
        size = (len(whole), minutes * KNOTS_A_MINUTE + 1)
        price, high, low, volume = (np.empty(size) for _ in range(4))
        for start in range(0, len(whole), BLOCK_NAMES):
            block = slice(start, min(start + BLOCK_NAMES, len(whole)))
            bars = whole.take(np.arange(block.start, block.stop))
            price[block] = _prices(bars, shape.take(block), size[1], tick)
            volume[block] = _volumes(bars.volume, shape.take(block), size[1])
            np.maximum.accumulate(price[block], axis=1, out=high[block])
            np.minimum.accumulate(price[block], axis=1, out=low[block])
        return cls(minutes, tick, price, high, low, volume)

    def at(self, minute: float, places: IntArray | None = None) -> DayBars:
        """The bars (of some places, default all) when so many minutes of the session are over."""
        rows: IntArray | slice = slice(None) if places is None else places
        knot, share = self._knot(minute)
        last, traded = self._between(rows, knot, share)
        return DayBars(
            open=self.price[rows, 0],
            high=np.maximum(self.high[rows, knot], last),
            low=np.minimum(self.low[rows, knot], last),
            close=last,
            volume=traded,
        )

    def candles(self, place: int, step_minutes: int, minute: float) -> RecordArray:
        """One name's candles of `step_minutes` up to `minute`; `start` counts from the open.

        The last is as far as it has come; a candle opens where the one before closed.
        """
        until = min(minute, float(self.minutes))
        starts = np.arange(0, until, step_minutes)
        records = np.empty(len(starts), CANDLE_DTYPE)
        if not len(starts):
            return records
        price, volume = self._until(place, until)
        first = (starts * KNOTS_A_MINUTE).astype(np.int64)
        last = np.minimum(first + step_minutes * KNOTS_A_MINUTE, len(price) - 1)
        records["start"] = (starts * 60).astype("<M8[s]")
        records["open"], records["close"] = price[first], price[last]
        records["high"] = np.maximum(np.maximum.reduceat(price, first), price[last])
        records["low"] = np.minimum(np.minimum.reduceat(price, first), price[last])
        records["volume"] = volume[last] - volume[first]
        return records

    def _knot(self, minute: float) -> tuple[int, float]:
        """The last knot at or before `minute`, and the share of the way to the next."""
        position = min(max(minute, 0.0), float(self.minutes)) * KNOTS_A_MINUTE
        return int(position), position % 1.0

    def _between(self, rows: IntArray | slice, knot: int, share: float) -> tuple[FloatArray, FloatArray]:
        """Price and volume of the rows on the way from a knot to the next."""
        price, volume = self.price[rows, knot], self.volume[rows, knot]
        if share == 0.0:
            return price, volume
        ahead = self.price[rows, knot + 1]
        way = np.round((price + (ahead - price) * share) / self.tick) * self.tick
        last = np.clip(way, np.minimum(price, ahead), np.maximum(price, ahead))
        return last, np.floor(volume + (self.volume[rows, knot + 1] - volume) * share)

    def _until(self, place: int, minute: float) -> tuple[FloatArray, FloatArray]:
        """One name's knots up to `minute`, with the present as the last."""
        knot, share = self._knot(minute)
        price, volume = self.price[place, : knot + 1], self.volume[place, : knot + 1]
        if share == 0.0:
            return price, volume
        last, traded = self._between(np.array([place]), knot, share)
        return np.concatenate([price, last]), np.concatenate([volume, traded])


def growing(whole: DayBars, shape: Shape, fraction: float, tick: float, minutes: int = 375) -> DayBars:
    """The bars when `fraction` (0..1) of a session of `minutes` is over."""
    if fraction >= 1.0:
        return whole
    return SessionTape.of(whole, shape, minutes, tick).at(fraction * minutes)


def _prices(whole: DayBars, shape: Shape, knots: int, tick: float) -> FloatArray:
    """Ways (n, knots) from the open by both extremes to the close, each met exactly."""
    low_first = shape.draw("order") < np.where(whole.close > whole.open, 0.7, 0.3)
    first, second = np.where(low_first, (whole.low, whole.high), (whole.high, whole.low))
    levels = np.stack([whole.open, first, second, whole.close], axis=1)
    turns = _turns(shape, knots - 1)
    rough = ROUGHNESS * (whole.high - whole.low) / np.sqrt(knots)
    walk = np.cumsum(shape.weather("wander", knots), axis=1) * rough[:, None]
    way = walk + _straight(turns, levels - np.take_along_axis(walk, turns, axis=1), knots)
    price: FloatArray = np.clip(np.round(way / tick) * tick, whole.low[:, None], whole.high[:, None])
    np.put_along_axis(price, turns, levels, axis=1)
    return price


def _turns(shape: Shape, last: int) -> IntArray:
    """Knots (n, 4) of the open, the extreme that comes first, the other one, the close."""
    first = (0.05 + 0.40 * shape.draw("first turn")) * last
    second = first + (0.10 + 0.35 * shape.draw("second turn")) * last
    return np.stack([0 * first, np.ceil(first), np.ceil(second), 0 * first + last], axis=1).astype(np.int64)


def _straight(turns: IntArray, levels: FloatArray, knots: int) -> FloatArray:
    """Straight lines (n, knots) through the levels (n, 4) at the turns (n, 4)."""
    at = np.arange(knots)
    leg = (at >= turns[:, 1, None]).astype(np.int64) + (at >= turns[:, 2, None])
    slopes = np.diff(levels, axis=1) / np.diff(turns, axis=1)
    starts = levels[:, :3] - slopes * turns[:, :3]
    lines: FloatArray = np.take_along_axis(starts, leg, axis=1) + np.take_along_axis(slopes, leg, axis=1) * at
    return lines


def _volumes(total: FloatArray, shape: Shape, knots: int) -> FloatArray:
    """Shares traded (n, knots) by each knot, ending at `total`."""
    share = (np.arange(knots - 1) + 0.5) / (knots - 1)
    tilt = HABIT * (shape.habit("mornings") - 0.5)[:, None] * (1.0 - 2.0 * share)
    pace = bustle(share) * np.exp(tilt + WEATHER * shape.weather("volume", knots - 1))
    so_far = np.cumsum(pace, axis=1)
    traded = np.zeros((len(total), knots))
    traded[:, 1:] = np.floor(total[:, None] * (so_far / so_far[:, -1:]))
    traded[:, -1] = total
    return traded


def bustle(share: FloatArray) -> FloatArray:
    """How busy a usual name is when `share` (0..1) of the session is over: much at both ends."""
    opening = OPENING[0] * np.exp(-share / OPENING[1])
    closing = CLOSING[0] * np.exp((share - 1.0) / CLOSING[1])
    return NOON + opening + closing
