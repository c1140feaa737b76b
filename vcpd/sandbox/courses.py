"""The course of a leading name: advance, base, advance, base, base, top, decline, rest, and again.

A course is drawn as legs between turning points; levels are natural logs of price. Lengths are fixed by
the name's number and the cycle's, never by the present day, so the past stays what it was.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from vcpd.sandbox.market import Resolution
from vcpd.sandbox.streams import stream

CYCLE_SESSIONS: Final = 690
BASES_A_CYCLE: Final = 3
GOLDEN: Final = 0.6180339887498949  # spreads the names' phases evenly however many there are
TREND_ROUGHNESS: Final = 0.011
TREND_WANDER: Final = 0.045
BASE_ROUGHNESS: Final = 0.07  # of the contraction's depth, as are the next three
BASE_WANDER: Final = 0.12
COIL_ROUGHNESS: Final = 0.045
COIL_WANDER: Final = 0.05
TURN_SESSIONS: Final = 3
COIL_VOLUME: Final = 0.45


class Bend(NamedTuple):
    """A point of the way: a session's number, and a log price."""

    session: int
    level: float


class Texture(NamedTuple):
    """How a stretch feels; roughness and wander in log units, before the market's noise setting."""

    roughness: float  # each session's own chance
    wander: float  # slow leave from the straight way, none at its ends
    volume: float  # times the name's usual
    may_split: bool = False


class Leg(NamedTuple):
    """A straight stretch over the sessions [start, end), kept between the log prices `limits`."""

    start: Bend
    end: Bend
    limits: tuple[float, float]
    texture: Texture


class Launch(NamedTuple):
    """A session that opens about under a log price and closes above it; `depth` is the last contraction's."""

    session: int
    level: float
    depth: float


@dataclass(frozen=True, slots=True)
class BasePlan:
    """Session numbers of a base's turning points, and how it ends."""

    highs: tuple[int, ...]
    lows: tuple[int, ...]
    resolved: int
    resolution: Resolution


@dataclass(slots=True)
class Course:
    """Legs in order, pins where a bar's high or low is exact, breakouts, and the bases in it."""

    position: int
    level: float
    legs: list[Leg] = field(default_factory=list)
    high_pins: list[Bend] = field(default_factory=list)
    low_pins: list[Bend] = field(default_factory=list)
    launches: list[Launch] = field(default_factory=list)
    bases: list[BasePlan] = field(default_factory=list)

    def trend(self, sessions: int, change: float, *, volume: float, ceiling: float = np.inf) -> None:
        """A stretch outside of bases: rough, without limits but `ceiling`, fit for a split."""
        texture = Texture(TREND_ROUGHNESS, TREND_WANDER, volume, may_split=True)
        self._leg(sessions, change, (-np.inf, ceiling), texture)

    def burst(self, sessions: int, change: float, limits: tuple[float, float], *, volume: float) -> None:
        """The first sessions outside of a base, already beyond its limit."""
        self._leg(sessions, change, limits, Texture(TREND_ROUGHNESS, 0.0, volume))

    def swing(self, sessions: int, change: float, depth: float, volume: float) -> None:
        """A stretch inside a base, between its own two ends; `depth` (log) sets how rough."""
        low, high = sorted((self.level, self.level + change))
        self._leg(sessions, change, (low, high), Texture(BASE_ROUGHNESS * depth, BASE_WANDER * depth, volume))

    def coil(self, sessions: int, change: float, depth: float, limits: tuple[float, float]) -> None:
        """The quiet stretch under the pivot, between the last low and the last high."""
        self._leg(sessions, change, limits, Texture(COIL_ROUGHNESS * depth, COIL_WANDER * depth, COIL_VOLUME))

    def _leg(self, sessions: int, change: float, limits: tuple[float, float], texture: Texture) -> None:
        start = Bend(self.position, self.level)
        end = Bend(start.session + sessions, start.level + change)
        self.legs.append(Leg(start, end, limits, texture))
        self.position, self.level = end.session, end.level


def course(seed: int, leader: int, start_level: float, session_count: int) -> Course:
    """The course of the `leader`-th leading name, whole cycles that cover [0, session_count)."""
    phase = int(((leader * GOLDEN) % 1.0) * CYCLE_SESSIONS)
    way = Course(-phase, start_level)
    cycle = 0
    while way.position < session_count:
        _cycle(way, stream(seed, "cycle", leader, cycle), start_level)
        cycle += 1
    return way


def _cycle(way: Course, random: np.random.Generator, start_level: float) -> None:
    """One cycle of exactly CYCLE_SESSIONS, ending near `start_level`; the rest takes what is left."""
    ends = way.position + CYCLE_SESSIONS
    _advance(way, random, int(random.integers(112, 132)), random.uniform(0.55, 0.72))
    for number in range(BASES_A_CYCLE):
        last = number == BASES_A_CYCLE - 1
        failed = last and random.random() < 0.5
        _base(way, random, "failed" if failed else "breakout")
        if not last:
            _advance(way, random, int(random.integers(34, 44)), random.uniform(0.27, 0.34))
    if not failed:
        way.trend(18, random.uniform(0.08, 0.14), volume=1.5)
    _decline(way, random, start_level + 0.15 * float(np.clip(random.standard_normal(), -2, 2)))
    way.trend(ends - way.position, 0.0, volume=0.7)


def _advance(way: Course, random: np.random.Generator, sessions: int, gain: float) -> None:
    """Up to the next anchor in steps, each but the last followed by a pullback of 4 to 6 %."""
    anchor = way.level + gain
    steps = max(1, sessions // 38)
    for left in range(steps, 1, -1):
        rise = (anchor - way.level) / left + 0.04
        way.trend(sessions // steps - 6, rise, volume=1.15, ceiling=anchor - 0.03)
        way.trend(6, -random.uniform(0.04, 0.06), volume=0.8, ceiling=anchor - 0.03)
    way.trend(sessions // steps, anchor - way.level, volume=1.2, ceiling=anchor)


def _decline(way: Course, random: np.random.Generator, level: float) -> None:
    """Down to `level` in four steps with weak rallies between."""
    for left in (4, 3, 2, 1):
        way.trend(int(random.integers(24, 31)), (level - way.level) / left - 0.04, volume=1.2)
        way.trend(5, 0.04, volume=0.9)


def _base(way: Course, random: np.random.Generator, resolution: Resolution) -> None:
    """Contractions, each about half as deep and long as the one before, the coil, and the end of it."""
    depths = _depths(random)
    highs, lows = [], []
    down, up = (int(sessions) for sessions in random.integers(8, 13, 2))
    for number, depth in enumerate(depths):
        fall = float(-np.log1p(-depth))
        volume = 0.95 - 0.4 * number / (len(depths) - 1)
        highs.append(_pin(way.high_pins, way))
        peak = way.level
        way.swing(max(3, round(down * 0.7**number)), -fall, fall, volume)
        lows.append(_pin(way.low_pins, way))
        if number < len(depths) - 1:
            lower = random.uniform(0.002, 0.015)
            way.swing(max(5, round(up * 0.7**number)), peak - lower - way.level, fall, volume)
    _coil(way, random, peak, fall)
    way.bases.append(BasePlan(tuple(highs), tuple(lows), way.position + 1, resolution))
    _resolve(way, peak, fall, resolution)


def _coil(way: Course, random: np.random.Generator, peak: float, fall: float) -> None:
    limits = (peak - fall, peak)
    way.coil(TURN_SESSIONS, 0.65 * fall, fall, limits)
    way.coil(int(random.integers(12, 21)), 0.2 * fall, fall, limits)


def _resolve(way: Course, peak: float, fall: float, resolution: Resolution) -> None:
    """Over the pivot on three times the volume, or down through the last low."""
    if resolution == "breakout":
        way.coil(1, peak + 0.02 - way.level, fall, (peak - fall, peak))
        way.launches.append(Launch(way.position, peak, fall))
        way.burst(2, 0.02, (peak + 0.012, np.inf), volume=3.0)
        return
    bottom = peak - fall
    way.coil(1, bottom - 0.02 - way.level, fall, (bottom, peak))
    way.burst(6, -0.08, (-np.inf, bottom - 0.012), volume=1.8)


def _depths(random: np.random.Generator) -> tuple[float, ...]:
    """2..4 depths as fractions: the first 12 to 33 %, each next about half, the last 2.8 to 8 %."""
    count = int(random.choice([2, 3, 4], p=[0.3, 0.45, 0.25]))
    low, high = {2: (0.12, 0.17), 3: (0.17, 0.26), 4: (0.24, 0.33)}[count]
    shares = {2: (0.38, 0.48), 3: (0.42, 0.58), 4: (0.45, 0.57)}[count]
    depths = [random.uniform(low, high)]
    for _ in range(count - 1):
        depths.append(depths[-1] * random.uniform(*shares))
    depths[-1] = min(max(depths[-1], 0.028), 0.08)
    return tuple(depths)


def _pin(pins: list[Bend], way: Course) -> int:
    pins.append(Bend(way.position, way.level))
    return way.position
