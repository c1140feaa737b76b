"""Price paths of leading symbols: advances, bases with contractions, breakouts, declines; and their bars.

A course is drawn as legs between turning points; levels are natural logs of price. Lengths are fixed by
the name's number and the cycle's, never by the present day, so the past stays what it was.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from vcpd.domain.bars import BoolArray, FloatArray, IntArray
from vcpd.sandbox.market import BaseResolution
from vcpd.sandbox.market_paths import (
    PricePaths,
    log_volume_noise,
    session_draws,
    symbol_traits,
    trailing_normal,
)
from vcpd.sandbox.rng import random_stream

CYCLE_SESSIONS: Final = 690
BASES_PER_CYCLE: Final = 3
GOLDEN_RATIO: Final = 0.6180339887498949  # spreads the names' phases evenly however many there are
TREND_NOISE: Final = 0.011
TREND_DRIFT: Final = 0.045
BASE_NOISE: Final = 0.07  # of the contraction's depth, as are the next three
BASE_DRIFT: Final = 0.12
CONSOLIDATION_NOISE: Final = 0.045
CONSOLIDATION_DRIFT: Final = 0.05
TURN_SESSIONS: Final = 3
CONSOLIDATION_VOLUME: Final = 0.45
LIMIT_MARGIN: Final = 0.06  # closes keep this share of a leg's limits away from them, other prices half of it
DRIFT_SESSIONS: Final = 8
SPLIT_THRESHOLD: Final = 2.3  # standard deviations: one session in fifty of those outside of bases
BREAKOUT_OPEN_DEPTH: Final = (
    0.12  # of the last contraction's depth: where a breakout's day opens, under the pivot
)
LEADER: Final = "leader"


class PathPoint(NamedTuple):
    """A point of the way: a session's number, and a log price."""

    session: int
    level: float


class PathNoise(NamedTuple):
    """How a stretch feels; roughness and wander in log units, before the market's noise setting."""

    noise: float  # each session's own chance
    drift: float  # slow leave from the straight way, none at its ends
    volume: float  # times the name's usual
    may_split: bool = False


class PathLeg(NamedTuple):
    """A straight stretch over the sessions [start, end), kept between the log prices `limits`."""

    start: PathPoint
    end: PathPoint
    limits: tuple[float, float]
    noise: PathNoise


class PlannedBreakout(NamedTuple):
    """A session that opens about under a log price and closes above it; `depth` is the last contraction's."""

    session: int
    level: float
    depth: float


@dataclass(frozen=True, slots=True)
class PlannedBase:
    """Session numbers of a base's turning points, and how it ends."""

    highs: tuple[int, ...]
    lows: tuple[int, ...]
    resolved: int
    resolution: BaseResolution


@dataclass(slots=True)
class LeaderPath:
    """Legs in order, pins where a bar's high or low is exact, breakouts, and the bases in it."""

    position: int
    level: float
    legs: list[PathLeg] = field(default_factory=list)
    exact_highs: list[PathPoint] = field(default_factory=list)
    exact_lows: list[PathPoint] = field(default_factory=list)
    breakouts: list[PlannedBreakout] = field(default_factory=list)
    bases: list[PlannedBase] = field(default_factory=list)

    def trend(self, sessions: int, change: float, *, volume: float, ceiling: float = np.inf) -> None:
        """Adds a stretch outside of bases: rough, without limits but `ceiling`, fit for a split."""
        texture = PathNoise(TREND_NOISE, TREND_DRIFT, volume, may_split=True)
        self._leg(sessions, change, (-np.inf, ceiling), texture)

    def advance(self, sessions: int, change: float, limits: tuple[float, float], *, volume: float) -> None:
        """Adds the first sessions after a base, already beyond its limit."""
        self._leg(sessions, change, limits, PathNoise(TREND_NOISE, 0.0, volume))

    def swing(self, sessions: int, change: float, depth: float, volume: float) -> None:
        """Adds a stretch inside a base, between its own two ends; `depth` (log) sets how rough."""
        low, high = sorted((self.level, self.level + change))
        self._leg(sessions, change, (low, high), PathNoise(BASE_NOISE * depth, BASE_DRIFT * depth, volume))

    def consolidate(self, sessions: int, change: float, depth: float, limits: tuple[float, float]) -> None:
        """Adds the quiet stretch under the pivot, between the last low and the last high."""
        self._leg(
            sessions,
            change,
            limits,
            PathNoise(CONSOLIDATION_NOISE * depth, CONSOLIDATION_DRIFT * depth, CONSOLIDATION_VOLUME),
        )

    def _leg(self, sessions: int, change: float, limits: tuple[float, float], texture: PathNoise) -> None:
        start = PathPoint(self.position, self.level)
        end = PathPoint(start.session + sessions, start.level + change)
        self.legs.append(PathLeg(start, end, limits, texture))
        self.position, self.level = end.session, end.level


def leader_path(seed: int, leader: int, start_level: float, session_count: int) -> LeaderPath:
    """Draws the course of the `leader`-th leading share, whole cycles that cover [0, session_count)."""
    phase = int(((leader * GOLDEN_RATIO) % 1.0) * CYCLE_SESSIONS)
    way = LeaderPath(-phase, start_level)
    cycle = 0
    while way.position < session_count:
        _cycle(way, random_stream(seed, "cycle", leader, cycle), start_level)
        cycle += 1
    return way


def _cycle(way: LeaderPath, random: np.random.Generator, start_level: float) -> None:
    """Draws one cycle of exactly CYCLE_SESSIONS, ending near `start_level`."""
    ends = way.position + CYCLE_SESSIONS
    _advance(way, random, int(random.integers(112, 132)), random.uniform(0.55, 0.72))
    for number in range(BASES_PER_CYCLE):
        last = number == BASES_PER_CYCLE - 1
        failed = last and random.random() < 0.5
        _base(way, random, "failed" if failed else "breakout")
        if not last:
            _advance(way, random, int(random.integers(34, 44)), random.uniform(0.27, 0.34))
    if not failed:
        way.trend(18, random.uniform(0.08, 0.14), volume=1.5)
    _decline(way, random, start_level + 0.15 * float(np.clip(random.standard_normal(), -2, 2)))
    way.trend(ends - way.position, 0.0, volume=0.7)


def _advance(way: LeaderPath, random: np.random.Generator, sessions: int, gain: float) -> None:
    """Adds an advance to the next anchor in steps, each but the last with a pullback of 4 to 6 %."""
    anchor = way.level + gain
    steps = max(1, sessions // 38)
    for left in range(steps, 1, -1):
        rise = (anchor - way.level) / left + 0.04
        way.trend(sessions // steps - 6, rise, volume=1.15, ceiling=anchor - 0.03)
        way.trend(6, -random.uniform(0.04, 0.06), volume=0.8, ceiling=anchor - 0.03)
    way.trend(sessions // steps, anchor - way.level, volume=1.2, ceiling=anchor)


def _decline(way: LeaderPath, random: np.random.Generator, level: float) -> None:
    """Adds a decline to `level` in four steps with weak rallies between."""
    for left in (4, 3, 2, 1):
        way.trend(int(random.integers(24, 31)), (level - way.level) / left - 0.04, volume=1.2)
        way.trend(5, 0.04, volume=0.9)


def _base(way: LeaderPath, random: np.random.Generator, resolution: BaseResolution) -> None:
    """Adds contractions, each about half as deep and long as the one before, the quiet part, and its end."""
    depths = _depths(random)
    highs, lows = [], []
    down, up = (int(sessions) for sessions in random.integers(8, 13, 2))
    for number, depth in enumerate(depths):
        fall = float(-np.log1p(-depth))
        volume = 0.95 - 0.4 * number / (len(depths) - 1)
        highs.append(_add_pin(way.exact_highs, way))
        peak = way.level
        way.swing(max(3, round(down * 0.7**number)), -fall, fall, volume)
        lows.append(_add_pin(way.exact_lows, way))
        if number < len(depths) - 1:
            lower = random.uniform(0.002, 0.015)
            way.swing(max(5, round(up * 0.7**number)), peak - lower - way.level, fall, volume)
    _consolidation(way, random, peak, fall)
    way.bases.append(PlannedBase(tuple(highs), tuple(lows), way.position + 1, resolution))
    _resolve(way, peak, fall, resolution)


def _consolidation(way: LeaderPath, random: np.random.Generator, peak: float, fall: float) -> None:
    limits = (peak - fall, peak)
    way.consolidate(TURN_SESSIONS, 0.65 * fall, fall, limits)
    way.consolidate(int(random.integers(12, 21)), 0.2 * fall, fall, limits)


def _resolve(way: LeaderPath, peak: float, fall: float, resolution: BaseResolution) -> None:
    """Adds the end of a base: over the pivot on three times the volume, or down through the last low."""
    if resolution == "breakout":
        way.consolidate(1, peak + 0.02 - way.level, fall, (peak - fall, peak))
        way.breakouts.append(PlannedBreakout(way.position, peak, fall))
        way.advance(2, 0.02, (peak + 0.012, np.inf), volume=3.0)
        return
    bottom = peak - fall
    way.consolidate(1, bottom - 0.02 - way.level, fall, (bottom, peak))
    way.advance(6, -0.08, (-np.inf, bottom - 0.012), volume=1.8)


def _depths(random: np.random.Generator) -> tuple[float, ...]:
    """Draws 2..4 depths as fractions: the first 12 to 33 %, each next about half, the last 2.8 to 8 %."""
    count = int(random.choice([2, 3, 4], p=[0.3, 0.45, 0.25]))
    low, high = {2: (0.12, 0.17), 3: (0.17, 0.26), 4: (0.24, 0.33)}[count]
    shares = {2: (0.38, 0.48), 3: (0.42, 0.58), 4: (0.45, 0.57)}[count]
    depths = [random.uniform(low, high)]
    for _ in range(count - 1):
        depths.append(depths[-1] * random.uniform(*shares))
    depths[-1] = min(max(depths[-1], 0.028), 0.08)
    return tuple(depths)


def _add_pin(pins: list[PathPoint], way: LeaderPath) -> int:
    pins.append(PathPoint(way.position, way.level))
    return way.position


@dataclass(frozen=True, slots=True, eq=False)
class _SessionLimits:
    """A course session by session, each of shape (m,)."""

    middle: FloatArray
    noise: FloatArray
    drift: FloatArray
    floor: FloatArray
    ceiling: FloatArray
    margin: FloatArray
    volume: FloatArray
    may_split: BoolArray


def leader_price_paths(
    seed: int, numbers: IntArray, courses: list[LeaderPath], noise: float, session_count: int
) -> PricePaths:
    """Draws a row for each leader, in the order of `courses`; `noise` scales every roughness."""
    draws = session_draws(seed, LEADER, numbers, session_count)
    usual_value = symbol_traits(seed, LEADER, numbers).value
    rows = [
        _leader_prices(course, draws[row], noise, float(usual_value[row, 0]))
        for row, course in enumerate(courses)
    ]
    return PricePaths(
        open=np.stack([row.open for row in rows]),
        high=np.stack([row.high for row in rows]),
        low=np.stack([row.low for row in rows]),
        close=np.stack([row.close for row in rows]),
        value=np.stack([row.value for row in rows]),
        may_split=np.stack([row.may_split for row in rows]),
    )


def _leader_prices(course: LeaderPath, draws: FloatArray, noise: float, usual_value: float) -> PricePaths:
    """Draws one leader's prices, shape (m,)."""
    guide = _session_limits(course.legs, len(draws))
    rough = noise * guide.noise
    inner_floor, inner_ceiling = guide.floor + guide.margin, guide.ceiling - guide.margin
    wander = noise * guide.drift * trailing_normal(draws[:, 5], DRIFT_SESSIONS)
    close = np.clip(guide.middle + wander + rough * draws[:, 0], inner_floor, inner_ceiling)
    before = np.concatenate([close[:1], close[:-1]])
    opened = np.clip(before + 0.4 * rough * draws[:, 1], inner_floor, inner_ceiling)
    reach = 0.6 * np.maximum(rough, 0.25 * guide.noise)
    high = np.maximum(opened, close) + reach * np.abs(draws[:, 2])
    low = np.minimum(opened, close) - reach * np.abs(draws[:, 3])
    high = np.minimum(high, guide.ceiling - guide.margin / 2)
    low = np.maximum(low, guide.floor + guide.margin / 2)
    _apply_breakouts(course.breakouts, draws[:, 1], opened, low)
    _apply_pins(high, course.exact_highs)
    _apply_pins(low, course.exact_lows)
    value = usual_value * guide.volume * np.exp(0.6 * log_volume_noise(draws[:, 4]))
    may_split = guide.may_split & (np.abs(draws[:, 6]) > SPLIT_THRESHOLD)
    return PricePaths(np.exp(opened), np.exp(high), np.exp(low), np.exp(close), value, may_split)


def _apply_breakouts(
    launches: list[PlannedBreakout], draws: FloatArray, opened: FloatArray, low: FloatArray
) -> None:
    """Lets breakouts open a little under the pivot and cross it in the session; one in six opens above it."""
    for session, level, depth in launches:
        if 0 <= session < len(opened):
            under = np.clip(
                BREAKOUT_OPEN_DEPTH * (1.0 + draws[session]), -BREAKOUT_OPEN_DEPTH, 3.0 * BREAKOUT_OPEN_DEPTH
            )
            opened[session] = level - float(under) * depth
            low[session] = min(low[session], opened[session] - 0.2 * BREAKOUT_OPEN_DEPTH * depth)


def _session_limits(legs: list[PathLeg], session_count: int) -> _SessionLimits:
    sessions = np.arange(session_count)
    starts = np.array([leg.start.session for leg in legs])
    ends = np.array([leg.end.session for leg in legs])
    at = np.searchsorted(starts, sessions, side="right") - 1
    share = (sessions - starts[at]) / (ends - starts)[at]
    start_levels = np.array([leg.start.level for leg in legs])[at]
    end_levels = np.array([leg.end.level for leg in legs])[at]
    floors = np.array([leg.limits[0] for leg in legs])
    ceilings = np.array([leg.limits[1] for leg in legs])
    roughness = np.array([leg.noise.noise for leg in legs])
    return _SessionLimits(
        middle=start_levels + (end_levels - start_levels) * share,
        noise=roughness[at],
        drift=np.array([leg.noise.drift for leg in legs])[at] * 4.0 * share * (1.0 - share),
        floor=floors[at],
        ceiling=ceilings[at],
        margin=np.where(np.isinf(ceilings - floors), 0.3 * roughness, LIMIT_MARGIN * (ceilings - floors))[at],
        volume=np.array([leg.noise.volume for leg in legs])[at],
        may_split=np.array([leg.noise.may_split for leg in legs])[at],
    )


def _apply_pins(prices: FloatArray, pins: list[PathPoint]) -> None:
    """Writes the exact levels at their sessions, where these lie in the array."""
    for session, level in pins:
        if 0 <= session < len(prices):
            prices[session] = level
