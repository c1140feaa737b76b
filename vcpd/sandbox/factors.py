"""What moves all names together: the market, its sectors, and how turbulent the times are."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from vcpd.domain.arrays import FloatArray
from vcpd.sandbox.names import SECTORS
from vcpd.sandbox.streams import stream

MARKET_DRIFT: Final = 0.0006
CALM_VOLATILITY: Final = 0.007
STORM_FACTOR: Final = 2.4
STORM_BEGINS: Final = 0.012  # chance a calm day is the last of its kind: storms every 80 days or so
STORM_ENDS: Final = 0.05
SECTOR_VOLATILITY: Final = 0.005


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """Log returns and turbulence of m sessions from the epoch on; sectors have shape (sectors, m)."""

    market: FloatArray
    sectors: FloatArray
    turbulence: FloatArray

    @property
    def session_count(self) -> int:
        return len(self.market)


def draw_factors(seed: int, session_count: int) -> Factors:
    """The first `session_count` sessions; more of them begin with the very same ones."""
    market = stream(seed, "market")
    draws = market.standard_normal((session_count, 2))
    turbulence = _regimes(stream(seed, "regime").random(session_count))
    sectors = np.stack(
        [stream(seed, "sector", number).standard_normal(session_count) for number in range(len(SECTORS))]
    )
    fear = np.where(turbulence > 1.0, -0.0005, 0.0)
    returns = MARKET_DRIFT + fear + CALM_VOLATILITY * turbulence * draws[:, 0]
    return Factors(np.clip(returns, -0.1, 0.1), SECTOR_VOLATILITY * sectors, turbulence)


def _regimes(chances: FloatArray) -> FloatArray:
    """1.0 on calm sessions, STORM_FACTOR on stormy ones, eased by a ten-session memory."""
    stormy = np.empty(len(chances))
    state, eased = 0.0, 0.0
    for session, chance in enumerate(chances.tolist()):
        state = float(chance < STORM_BEGINS) if state == 0.0 else float(chance >= STORM_ENDS)
        eased += 0.2 * (state - eased)
        stormy[session] = eased
    return 1.0 + (STORM_FACTOR - 1.0) * stormy
