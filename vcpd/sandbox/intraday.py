"""Intraday price and volume paths of one session, consistent with its daily bars.

Everything that is shown of a running session comes from here, so bars, quotes, candles and ticks agree
at any instant, and the session ends as exactly the bars it was made from.
"""

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from vcpd.domain.bars import FloatArray, IntArray, RecordArray
from vcpd.sandbox.rng import hash_salt, unit_hash

AUCTION_SHARE: Final = 0.2  # share of names whose official close differs from the last trade
LATE_VOLUME_SHARE: Final = 0.03  # at most this share of the volume is reported overnight
MAX_POINTS_PER_SYMBOL: Final = 8192  # more than any session has
POINTS_PER_MINUTE: Final = 2
BLOCK_SYMBOLS: Final = 64  # few enough to keep the arrays of the making small
STRETCH_KNOTS: Final = 25  # the extremes so far are kept for every so many knots
PRICE_NOISE: Final = 0.3  # of the day's range, over a whole session
OPENING_VOLUME: Final = (1.6, 0.08)  # how much busier than at noon, and for which share of the session
CLOSING_VOLUME: Final = (1.1, 0.10)
MIDDAY_VOLUME: Final = 0.6
VOLUME_TILT: Final = 0.7  # how far a name's mornings may outweigh its afternoons, every day
VOLUME_NOISE: Final = 0.5  # deviation of the log of a half-minute's volume
PathArray = NDArray[np.int32] | FloatArray
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
class DayBars:
    """One session's bars of n instruments; prices and volume of shape (n,), in any one price unit."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray

    @classmethod
    def of(cls, prices: NDArray[np.integer], volume: IntArray) -> Self:
        """From whole numbers; `prices` (4, n) are open, high, low, close."""
        opened, high, low, close = prices.astype(np.float64)
        return cls(opened, high, low, close, volume.astype(np.float64))

    def __len__(self) -> int:
        return len(self.open)

    def in_units(self, unit: float) -> Self:
        """The same with prices in units of `unit`."""
        opened, high, low, close = self.open / unit, self.high / unit, self.low / unit, self.close / unit
        return type(self)(opened, high, low, close, self.volume)

    def take(self, places: IntArray) -> Self:
        """The bars at these places."""
        columns = (self.open, self.high, self.low, self.close, self.volume)
        return type(self)(*(column[places] for column in columns))


@dataclass(frozen=True, slots=True)
class SessionRandom:
    """Random numbers that determine each bar's course through a session: from tokens, day and seed."""

    tokens: IntArray
    day: int
    seed: int

    def uniform(self, purpose: str) -> FloatArray:
        """Returns one number in [0, 1) for each share, another one each day."""
        return unit_hash(self.tokens, hash_salt(self.seed, purpose, self.day))

    def seasonality(self, purpose: str) -> FloatArray:
        """Returns one number in [0, 1) for each share, the same on all days."""
        return unit_hash(self.tokens, hash_salt(self.seed, purpose, 0))

    def noise(self, purpose: str, steps: int) -> FloatArray:
        """Returns `steps` numbers for each share, of mean 0 and deviation 1, shape (n, steps)."""
        keys = self.tokens[:, None] * MAX_POINTS_PER_SYMBOL + np.arange(steps)
        draws = unit_hash(keys, hash_salt(self.seed, purpose, self.day))
        return (draws - 0.5) * float(np.sqrt(12.0))

    def take(self, places: slice) -> Self:
        return replace(self, tokens=self.tokens[places])


def provisional_bars(final: DayBars, shape: SessionRandom, tick: float) -> DayBars:
    """The bars as they stand between the close and the next morning.

    The last trade is not yet the official close for some names, and a little volume is still unreported.
    """
    moved = shape.uniform("auction")
    step = np.where(moved < AUCTION_SHARE, np.where(moved < AUCTION_SHARE / 2, -tick, tick), 0.0)
    close = np.clip(final.close + step, final.low, final.high)
    volume = np.floor(final.volume * (1.0 - LATE_VOLUME_SHARE * shape.uniform("late")))
    return replace(final, close=close, volume=volume)


@dataclass(frozen=True, slots=True, eq=False)
class IntradayPaths:
    """Courses of n shares through a session of `minutes`, linear between knots, with prices on the tick.

    `price` and `volume` (so far) have shape (n, knots), int32 where all are whole numbers. `high` and `low`
    (n, stretches) are the extremes before each stretch of STRETCH_KNOTS knots; in the first, the open.
    """

    minutes: int
    tick: float
    price: PathArray
    volume: PathArray
    high: PathArray
    low: PathArray

    @classmethod
    def of(cls, whole: DayBars, shape: SessionRandom, minutes: int, tick: float) -> Self:
        """Draws the course to these bars. Shares do not depend on each other."""
        knots = minutes * POINTS_PER_MINUTE + 1
        price: PathArray = np.zeros((len(whole), knots), np.int32)
        volume: PathArray = np.zeros((len(whole), knots), np.int32)
        for start in range(0, len(whole), BLOCK_SYMBOLS):
            block = slice(start, min(start + BLOCK_SYMBOLS, len(whole)))
            bars = whole.take(np.arange(block.start, block.stop))
            price = _with_rows(price, block, _prices(bars, shape.take(block), knots, tick))
            volume = _with_rows(volume, block, _volumes(bars.volume, shape.take(block), knots))
        high, low = (_before_stretches(price, extreme) for extreme in (np.maximum, np.minimum))
        return cls(minutes, tick, price, volume, high, low)

    def at(self, minute: float, places: IntArray | None = None) -> DayBars:
        """Returns the bars (of some places, default all) when so many minutes of the session are over."""
        rows: IntArray | slice = slice(None) if places is None else places
        knot, share = self._knot(minute)
        last, traded = self._between(rows, knot, share)
        stretch = knot // STRETCH_KNOTS
        recent = self.price[rows, stretch * STRETCH_KNOTS : knot + 1]
        return DayBars(
            open=self.price[rows, 0].astype(np.float64),
            high=np.maximum(np.maximum(self.high[rows, stretch], recent.max(axis=1)), last),
            low=np.minimum(np.minimum(self.low[rows, stretch], recent.min(axis=1)), last),
            close=last,
            volume=traded,
        )

    def candles(self, place: int, step_minutes: int, minute: float) -> RecordArray:
        """Returns one share's candles of `step_minutes` up to `minute`; `start` counts from the open.

        The last is as far as it has come; a candle opens where the one before closed.
        """
        until = min(minute, float(self.minutes))
        starts = np.arange(0, until, step_minutes)
        records = np.empty(len(starts), CANDLE_DTYPE)
        if not len(starts):
            return records
        price, volume = self._until(place, until)
        first = (starts * POINTS_PER_MINUTE).astype(np.int64)
        last = np.minimum(first + step_minutes * POINTS_PER_MINUTE, len(price) - 1)
        records["start"] = (starts * 60).astype("<M8[s]")
        records["open"], records["close"] = price[first], price[last]
        records["high"] = np.maximum(np.maximum.reduceat(price, first), price[last])
        records["low"] = np.minimum(np.minimum.reduceat(price, first), price[last])
        records["volume"] = volume[last] - volume[first]
        return records

    def _knot(self, minute: float) -> tuple[int, float]:
        """Returns the last knot at or before `minute`, and the fraction of the interval to the next."""
        position = min(max(minute, 0.0), float(self.minutes)) * POINTS_PER_MINUTE
        return int(position), position % 1.0

    def _between(self, rows: IntArray | slice, knot: int, share: float) -> tuple[FloatArray, FloatArray]:
        """Interpolates price and volume of the rows between a knot and the next."""
        price, volume = (each[rows, knot].astype(np.float64) for each in (self.price, self.volume))
        if share == 0.0:
            return price, volume
        ahead = self.price[rows, knot + 1]
        way = np.round((price + (ahead - price) * share) / self.tick) * self.tick
        last = np.clip(way, np.minimum(price, ahead), np.maximum(price, ahead))
        return last, np.floor(volume + (self.volume[rows, knot + 1] - volume) * share)

    def _until(self, place: int, minute: float) -> tuple[FloatArray, FloatArray]:
        """Returns one share's knots up to `minute`, with the present as the last."""
        knot, share = self._knot(minute)
        price, volume = (each[place, : knot + 1].astype(np.float64) for each in (self.price, self.volume))
        if share == 0.0:
            return price, volume
        last, traded = self._between(np.array([place]), knot, share)
        return np.concatenate([price, last]), np.concatenate([volume, traded])


def _with_rows(kept: PathArray, rows: slice, values: FloatArray) -> PathArray:
    """`kept` with `values` in these rows; as floats from the first values on that int32 does not hold."""
    if kept.dtype == np.int32 and not ((np.abs(values) < 2**31) & (values == np.trunc(values))).all():
        kept = kept.astype(np.float64)
    kept[rows] = values
    return kept


def _before_stretches(price: PathArray, extreme: np.ufunc) -> PathArray:
    """Returns each share's extreme before each stretch, (n, stretches); before the first, its open."""
    starts = np.arange(0, price.shape[1], STRETCH_KNOTS)
    so_far = extreme.accumulate(extreme.reduceat(price, starts, axis=1), axis=1)
    before: PathArray = np.concatenate([price[:, :1], so_far[:, :-1]], axis=1)
    return before


def _prices(whole: DayBars, shape: SessionRandom, knots: int, tick: float) -> FloatArray:
    """Draws prices (n, knots) from the open by both extremes to the close, each met exactly."""
    low_first = shape.uniform("order") < np.where(whole.close > whole.open, 0.7, 0.3)
    first, second = np.where(low_first, (whole.low, whole.high), (whole.high, whole.low))
    levels = np.stack([whole.open, first, second, whole.close], axis=1)
    turns = _turning_points(shape, knots - 1)
    rough = PRICE_NOISE * (whole.high - whole.low) / np.sqrt(knots)
    walk = np.cumsum(shape.noise("wander", knots), axis=1) * rough[:, None]
    way = walk + _interpolated(turns, levels - np.take_along_axis(walk, turns, axis=1), knots)
    price: FloatArray = np.clip(np.round(way / tick) * tick, whole.low[:, None], whole.high[:, None])
    np.put_along_axis(price, turns, levels, axis=1)
    return price


def _turning_points(shape: SessionRandom, last: int) -> IntArray:
    """Knots (n, 4) of the open, the extreme that comes first, the other one, the close."""
    first = (0.05 + 0.40 * shape.uniform("first turn")) * last
    second = first + (0.10 + 0.35 * shape.uniform("second turn")) * last
    return np.stack([0 * first, np.ceil(first), np.ceil(second), 0 * first + last], axis=1).astype(np.int64)


def _interpolated(turns: IntArray, levels: FloatArray, knots: int) -> FloatArray:
    """Interpolates linearly, (n, knots), through the levels (n, 4) at the turns (n, 4)."""
    at = np.arange(knots)
    leg = (at >= turns[:, 1, None]).astype(np.int64) + (at >= turns[:, 2, None])
    slopes = np.diff(levels, axis=1) / np.diff(turns, axis=1)
    starts = levels[:, :3] - slopes * turns[:, :3]
    lines: FloatArray = np.take_along_axis(starts, leg, axis=1) + np.take_along_axis(slopes, leg, axis=1) * at
    return lines


def _volumes(total: FloatArray, shape: SessionRandom, knots: int) -> FloatArray:
    """Draws the volume (n, knots) traded by each knot, ending at `total`."""
    share = (np.arange(knots - 1) + 0.5) / (knots - 1)
    tilt = VOLUME_TILT * (shape.seasonality("mornings") - 0.5)[:, None] * (1.0 - 2.0 * share)
    volume_rate = volume_profile(share) * np.exp(tilt + VOLUME_NOISE * shape.noise("volume", knots - 1))
    so_far = np.cumsum(volume_rate, axis=1)
    traded = np.zeros((len(total), knots))
    traded[:, 1:] = np.floor(total[:, None] * (so_far / so_far[:, -1:]))
    traded[:, -1] = total
    return traded


def volume_profile(share: FloatArray) -> FloatArray:
    """Returns how much a usual share trades at `share` (0..1) of the session: most at both ends."""
    opening = OPENING_VOLUME[0] * np.exp(-share / OPENING_VOLUME[1])
    closing = CLOSING_VOLUME[0] * np.exp((share - 1.0) / CLOSING_VOLUME[1])
    return MIDDAY_VOLUME + opening + closing
