"""The bars of leading names: their course, roughened, with exact extremes where bases turn."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from vcpd.domain.arrays import BoolArray, FloatArray, IntArray
from vcpd.sandbox.courses import Bend, Course, Launch, Leg
from vcpd.sandbox.paths import Paths, calm_volume, characters, session_draws, trailing

MARGIN: Final = 0.06  # closes keep this share of a leg's limits away from them, other prices half of it
WANDER_SESSIONS: Final = 8
SPLIT_CHANCE: Final = 2.3  # standard deviations: one session in fifty of those outside of bases
OPEN_UNDER: Final = 0.12  # of the last contraction's depth: where a breakout's day opens, under the pivot
LEADER: Final = "leader"


@dataclass(frozen=True, slots=True, eq=False)
class _Guide:
    """A course session by session, each of shape (m,)."""

    middle: FloatArray
    roughness: FloatArray
    wander: FloatArray
    floor: FloatArray
    ceiling: FloatArray
    margin: FloatArray
    volume: FloatArray
    may_split: BoolArray


def leader_paths(
    seed: int, numbers: IntArray, courses: list[Course], noise: float, session_count: int
) -> Paths:
    """One row a leader, in the order of `courses`; `noise` scales every roughness."""
    draws = session_draws(seed, LEADER, numbers, session_count)
    usual_value = characters(seed, LEADER, numbers).value
    rows = [_one(course, draws[row], noise, float(usual_value[row, 0])) for row, course in enumerate(courses)]
    return Paths(
        open=np.stack([row.open for row in rows]),
        high=np.stack([row.high for row in rows]),
        low=np.stack([row.low for row in rows]),
        close=np.stack([row.close for row in rows]),
        value=np.stack([row.value for row in rows]),
        may_split=np.stack([row.may_split for row in rows]),
    )


def _one(course: Course, draws: FloatArray, noise: float, usual_value: float) -> Paths:
    """One leader's prices, shape (m,)."""
    guide = _guide(course.legs, len(draws))
    rough = noise * guide.roughness
    inner_floor, inner_ceiling = guide.floor + guide.margin, guide.ceiling - guide.margin
    wander = noise * guide.wander * trailing(draws[:, 5], WANDER_SESSIONS)
    close = np.clip(guide.middle + wander + rough * draws[:, 0], inner_floor, inner_ceiling)
    before = np.concatenate([close[:1], close[:-1]])
    opened = np.clip(before + 0.4 * rough * draws[:, 1], inner_floor, inner_ceiling)
    reach = 0.6 * np.maximum(rough, 0.25 * guide.roughness)
    high = np.maximum(opened, close) + reach * np.abs(draws[:, 2])
    low = np.minimum(opened, close) - reach * np.abs(draws[:, 3])
    high = np.minimum(high, guide.ceiling - guide.margin / 2)
    low = np.maximum(low, guide.floor + guide.margin / 2)
    _launch(course.launches, draws[:, 1], opened, low)
    _pin(high, course.high_pins)
    _pin(low, course.low_pins)
    value = usual_value * guide.volume * np.exp(0.6 * calm_volume(draws[:, 4]))
    may_split = guide.may_split & (np.abs(draws[:, 6]) > SPLIT_CHANCE)
    return Paths(np.exp(opened), np.exp(high), np.exp(low), np.exp(close), value, may_split)


def _launch(launches: list[Launch], draws: FloatArray, opened: FloatArray, low: FloatArray) -> None:
    """Breakouts open a little under the pivot and cross it in the day; one in six gaps over it."""
    for session, level, depth in launches:
        if 0 <= session < len(opened):
            under = np.clip(OPEN_UNDER * (1.0 + draws[session]), -OPEN_UNDER, 3.0 * OPEN_UNDER)
            opened[session] = level - float(under) * depth
            low[session] = min(low[session], opened[session] - 0.2 * OPEN_UNDER * depth)


def _guide(legs: list[Leg], session_count: int) -> _Guide:
    sessions = np.arange(session_count)
    starts = np.array([leg.start.session for leg in legs])
    ends = np.array([leg.end.session for leg in legs])
    at = np.searchsorted(starts, sessions, side="right") - 1
    share = (sessions - starts[at]) / (ends - starts)[at]
    start_levels = np.array([leg.start.level for leg in legs])[at]
    end_levels = np.array([leg.end.level for leg in legs])[at]
    floors = np.array([leg.limits[0] for leg in legs])
    ceilings = np.array([leg.limits[1] for leg in legs])
    roughness = np.array([leg.texture.roughness for leg in legs])
    return _Guide(
        middle=start_levels + (end_levels - start_levels) * share,
        roughness=roughness[at],
        wander=np.array([leg.texture.wander for leg in legs])[at] * 4.0 * share * (1.0 - share),
        floor=floors[at],
        ceiling=ceilings[at],
        margin=np.where(np.isinf(ceilings - floors), 0.3 * roughness, MARGIN * (ceilings - floors))[at],
        volume=np.array([leg.texture.volume for leg in legs])[at],
        may_split=np.array([leg.texture.may_split for leg in legs])[at],
    )


def _pin(prices: FloatArray, pins: list[Bend]) -> None:
    """Put the exact levels at their sessions, where these lie in the array."""
    for session, level in pins:
        if 0 <= session < len(prices):
            prices[session] = level
