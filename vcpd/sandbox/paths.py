"""Prices before splits and ticks: one continuous way from the epoch on for each name."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from vcpd.domain.arrays import BoolArray, FloatArray, IntArray
from vcpd.sandbox.factors import Factors
from vcpd.sandbox.streams import stream

DRAWS_A_SESSION: Final = 7
LONGEST_MOVE: Final = 0.18  # log; keeps a day's move inside the exchange's 20 % band
RARE: Final = 2.75  # standard deviations: a bit more than one session in two hundred
SPLIT_CHANCE: Final = 3.0  # standard deviations: about one session in seven hundred


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """n names x m sessions: prices in rupees as if never split, traded value, days fit for a split."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    value: FloatArray
    may_split: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class Characters:
    """What a name is like for ever, each of shape (n, 1)."""

    price: FloatArray
    value: FloatArray
    beta: FloatArray
    gamma: FloatArray
    volatility: FloatArray
    drift: FloatArray


def session_draws(seed: int, purpose: str, numbers: IntArray, session_count: int) -> FloatArray:
    """Standard normal draws of shape (names, sessions, DRAWS_A_SESSION), each name from its own stream."""
    draws = np.empty((len(numbers), session_count, DRAWS_A_SESSION))
    for row, number in enumerate(numbers.tolist()):
        stream(seed, purpose, number).standard_normal(out=draws[row])
    return draws


def characters(seed: int, purpose: str, numbers: IntArray) -> Characters:
    """The lasting traits of the names with these numbers."""
    traits = np.stack(
        [stream(seed, f"{purpose} traits", number).standard_normal(6) for number in numbers.tolist()]
    )
    price, value, beta, gamma, volatility, drift = (column[:, None] for column in traits.T)
    return Characters(
        price=700.0 * np.exp(0.6 * np.clip(price, -2, 2)),
        value=1.2e8 * np.exp(1.1 * np.clip(value, -2.5, 2.5)),
        beta=np.clip(0.9 + 0.25 * beta, 0.3, 1.6),
        gamma=np.clip(1.0 + 0.3 * gamma, 0.2, 1.8),
        volatility=0.013 * np.exp(0.3 * np.clip(volatility, -2, 2)),
        drift=0.0002 * drift,
    )


def ordinary_paths(seed: int, purpose: str, numbers: IntArray, sectors: IntArray, factors: Factors) -> Paths:
    """Names that follow market and sector, with weather of their own: regimes, gaps, rare jumps."""
    traits = characters(seed, purpose, numbers)
    draws = session_draws(seed, purpose, numbers, factors.session_count)
    volatility = traits.volatility * np.sqrt(factors.turbulence) * np.exp(0.3 * trailing(draws[..., 5], 60))
    jump = np.where(np.abs(draws[..., 5]) > RARE, 0.02 * draws[..., 5], 0.0)
    own = volatility * draws[..., 0] + jump
    common = traits.drift + traits.beta * factors.market + traits.gamma * factors.sectors[sectors]
    moves = np.clip(common + own, -LONGEST_MOVE, LONGEST_MOVE)
    close = traits.price * np.exp(np.cumsum(moves, axis=1))
    gap = 0.35 * moves + 0.3 * volatility * draws[..., 1] + 0.5 * jump
    opened = _previous(close, traits.price) * np.exp(np.clip(gap, -LONGEST_MOVE, LONGEST_MOVE))
    high = np.maximum(opened, close) * np.exp(0.45 * volatility * np.abs(draws[..., 2]))
    low = np.minimum(opened, close) * np.exp(-0.45 * volatility * np.abs(draws[..., 3]))
    excitement = 0.35 * (np.abs(moves) / volatility - 0.8)
    value = traits.value * np.exp(calm_volume(draws[..., 4]) + np.minimum(excitement, 1.5))
    return Paths(opened, high, low, close, value, np.abs(draws[..., 6]) > SPLIT_CHANCE)


def trailing(draws: FloatArray, sessions: int) -> FloatArray:
    """A slow standard normal: the scaled sum of the last `sessions` draws, along the last axis."""
    sums = np.cumsum(draws, axis=-1)
    slow = sums.copy()
    slow[..., sessions:] -= sums[..., :-sessions]
    return slow / float(np.sqrt(sessions))


def calm_volume(draws: FloatArray) -> FloatArray:
    """The log of a volume's own weather: slow interest and the day's chance."""
    return 0.35 * trailing(draws, 20) + 0.22 * draws


def _previous(close: FloatArray, first: FloatArray) -> FloatArray:
    return np.concatenate([first, close[:, :-1]], axis=1)
