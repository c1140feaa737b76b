"""Price paths of ordinary symbols: market and sector factors, volatility regimes, gaps, splits."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from vcpd.domain.bars import BoolArray, FloatArray, IntArray
from vcpd.sandbox.names import SECTORS
from vcpd.sandbox.rng import random_stream

MARKET_DRIFT: Final = 0.0006
CALM_VOLATILITY: Final = 0.007
TURBULENCE_FACTOR: Final = 2.4
TURBULENCE_START_CHANCE: Final = (
    0.012  # chance a calm day is the last of its kind: storms every 80 days or so
)
TURBULENCE_END_CHANCE: Final = 0.05
SECTOR_VOLATILITY: Final = 0.005
DRAWS_PER_SESSION: Final = 7
MAX_LOG_MOVE: Final = 0.18  # log; keeps a day's move inside the exchange's 20 % band
JUMP_THRESHOLD: Final = 2.75  # standard deviations: a bit more than one session in two hundred
SPLIT_THRESHOLD: Final = 3.0  # standard deviations: about one session in seven hundred


@dataclass(frozen=True, slots=True, eq=False)
class MarketFactors:
    """Log returns and turbulence of m sessions from the epoch on; sectors have shape (sectors, m)."""

    market: FloatArray
    sectors: FloatArray
    turbulence: FloatArray

    @property
    def session_count(self) -> int:
        return len(self.market)


def draw_factors(seed: int, session_count: int) -> MarketFactors:
    """Draws the first `session_count` sessions; a longer draw begins with the same ones."""
    market = random_stream(seed, "market")
    draws = market.standard_normal((session_count, 2))
    turbulence = _regimes(random_stream(seed, "regime").random(session_count))
    sectors = np.stack(
        [
            random_stream(seed, "sector", number).standard_normal(session_count)
            for number in range(len(SECTORS))
        ]
    )
    fear = np.where(turbulence > 1.0, -0.0005, 0.0)
    returns = MARKET_DRIFT + fear + CALM_VOLATILITY * turbulence * draws[:, 0]
    return MarketFactors(np.clip(returns, -0.1, 0.1), SECTOR_VOLATILITY * sectors, turbulence)


def _regimes(chances: FloatArray) -> FloatArray:
    """Returns factors of volatility: 1.0 on calm sessions, STORM_FACTOR on turbulent ones, smoothed."""
    stormy = np.empty(len(chances))
    state, eased = 0.0, 0.0
    for session, chance in enumerate(chances.tolist()):
        state = (
            float(chance < TURBULENCE_START_CHANCE)
            if state == 0.0
            else float(chance >= TURBULENCE_END_CHANCE)
        )
        eased += 0.2 * (state - eased)
        stormy[session] = eased
    return 1.0 + (TURBULENCE_FACTOR - 1.0) * stormy


@dataclass(frozen=True, slots=True, eq=False)
class PricePaths:
    """n names x m sessions: prices in rupees as if never split, traded value, days fit for a split."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    value: FloatArray
    may_split: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class SymbolTraits:
    """What a name is like for ever, each of shape (n, 1)."""

    price: FloatArray
    value: FloatArray
    beta: FloatArray
    gamma: FloatArray
    volatility: FloatArray
    drift: FloatArray


def session_draws(seed: int, purpose: str, numbers: IntArray, session_count: int) -> FloatArray:
    """Returns standard normal draws, (shares, sessions, DRAWS_A_SESSION), each share from its own stream."""
    draws = np.empty((len(numbers), session_count, DRAWS_PER_SESSION))
    for row, number in enumerate(numbers.tolist()):
        random_stream(seed, purpose, number).standard_normal(out=draws[row])
    return draws


def symbol_traits(seed: int, purpose: str, numbers: IntArray) -> SymbolTraits:
    """Returns the constant traits of the shares with these numbers."""
    traits = np.stack(
        [random_stream(seed, f"{purpose} traits", number).standard_normal(6) for number in numbers.tolist()]
    )
    price, value, beta, gamma, volatility, drift = (column[:, None] for column in traits.T)
    return SymbolTraits(
        price=700.0 * np.exp(0.6 * np.clip(price, -2, 2)),
        value=1.2e8 * np.exp(1.1 * np.clip(value, -2.5, 2.5)),
        beta=np.clip(0.9 + 0.25 * beta, 0.3, 1.6),
        gamma=np.clip(1.0 + 0.3 * gamma, 0.2, 1.8),
        volatility=0.013 * np.exp(0.3 * np.clip(volatility, -2, 2)),
        drift=0.0002 * drift,
    )


def ordinary_paths(
    seed: int, purpose: str, numbers: IntArray, sectors: IntArray, factors: MarketFactors
) -> PricePaths:
    """Draws shares that follow market and sector, with noise of their own: regimes, gaps, rare jumps."""
    traits = symbol_traits(seed, purpose, numbers)
    draws = session_draws(seed, purpose, numbers, factors.session_count)
    volatility = (
        traits.volatility * np.sqrt(factors.turbulence) * np.exp(0.3 * trailing_normal(draws[..., 5], 60))
    )
    jump = np.where(np.abs(draws[..., 5]) > JUMP_THRESHOLD, 0.02 * draws[..., 5], 0.0)
    own = volatility * draws[..., 0] + jump
    common = traits.drift + traits.beta * factors.market + traits.gamma * factors.sectors[sectors]
    moves = np.clip(common + own, -MAX_LOG_MOVE, MAX_LOG_MOVE)
    close = traits.price * np.exp(np.cumsum(moves, axis=1))
    gap = 0.35 * moves + 0.3 * volatility * draws[..., 1] + 0.5 * jump
    opened = _previous(close, traits.price) * np.exp(np.clip(gap, -MAX_LOG_MOVE, MAX_LOG_MOVE))
    high = np.maximum(opened, close) * np.exp(0.45 * volatility * np.abs(draws[..., 2]))
    low = np.minimum(opened, close) * np.exp(-0.45 * volatility * np.abs(draws[..., 3]))
    excitement = 0.35 * (np.abs(moves) / volatility - 0.8)
    value = traits.value * np.exp(log_volume_noise(draws[..., 4]) + np.minimum(excitement, 1.5))
    return PricePaths(opened, high, low, close, value, np.abs(draws[..., 6]) > SPLIT_THRESHOLD)


def trailing_normal(draws: FloatArray, sessions: int) -> FloatArray:
    """Returns a slow standard normal: the scaled sum of the last `sessions` draws, along the last axis."""
    sums = np.cumsum(draws, axis=-1)
    slow = sums.copy()
    slow[..., sessions:] -= sums[..., :-sessions]
    return slow / float(np.sqrt(sessions))


def log_volume_noise(draws: FloatArray) -> FloatArray:
    """Draws the logarithm of a volume's own noise: a slow component and a daily one."""
    return 0.35 * trailing_normal(draws, 20) + 0.22 * draws


def _previous(close: FloatArray, first: FloatArray) -> FloatArray:
    return np.concatenate([first, close[:, :-1]], axis=1)
