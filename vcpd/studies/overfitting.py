"""How much of the best cell may be luck: deflated Sharpe ratio and the probability of backtest overfitting.

Both look at the monthly returns of every cell that was tried. The deflated Sharpe ratio (Bailey and Lopez de
Prado, 2014) is the probability that the best cell's true ratio exceeds the one that the best of so many
worthless cells would show. The probability of overfitting (Bailey, Borwein, Lopez de Prado and Zhu, 2017) is
how often the cell that is best on one half of the months is below the median on the other half.
"""

import math
from itertools import combinations
from statistics import NormalDist
from typing import Final

import numpy as np

from vcpd.domain.bars import FloatArray
from vcpd.studies.figures import sharpe_ratio

EULER_MASCHERONI: Final = 0.5772156649015329
MOST_BLOCKS: Final = 12
LEAST_MONTHS_PER_BLOCK: Final = 2
LEAST_BLOCKS: Final = 4


def expected_best_sharpe(spread: float, trials: int) -> float:
    """Returns the Sharpe ratio of the best of `trials` worthless cells, whose ratios deviate by `spread`."""
    if trials < 2:
        return 0.0
    normal = NormalDist()
    quantiles = normal.inv_cdf(1 - 1 / trials), normal.inv_cdf(1 - 1 / (trials * math.e))
    return spread * ((1 - EULER_MASCHERONI) * quantiles[0] + EULER_MASCHERONI * quantiles[1])


def deflated_sharpe(returns: FloatArray, spread: float, trials: int) -> float | None:
    """Returns the probability from the best cell's returns (months,); None where they do not vary."""
    months, ratio = len(returns), sharpe_ratio(returns)
    if months < LEAST_MONTHS_PER_BLOCK * LEAST_BLOCKS or not returns.std():
        return None
    standardised = (returns - returns.mean()) / returns.std()
    skew, kurtosis = float((standardised**3).mean()), float((standardised**4).mean())
    return probability_above(expected_best_sharpe(spread, trials), ratio, months, (skew, kurtosis))


def probability_above(benchmark: float, ratio: float, count: int, shape: tuple[float, float]) -> float:
    """Returns the probability that the true Sharpe ratio exceeds `benchmark`, from `count` returns.

    `shape` is their skewness and kurtosis (3 for normal ones).
    """
    skew, kurtosis = shape
    variance = 1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2
    return NormalDist().cdf((ratio - benchmark) * math.sqrt(count - 1) / math.sqrt(max(variance, 1e-12)))


def sharpe_spread(returns: FloatArray) -> float:
    """Returns the standard deviation of the cells' Sharpe ratios, from returns (months, n)."""
    ratios = _ratios(returns.sum(axis=0), (returns**2).sum(axis=0), len(returns))
    return float(ratios.std(ddof=1)) if len(ratios) > 1 else 0.0


def overfitting_probability(returns: FloatArray) -> float | None:
    """Combinatorially symmetric cross-validation over returns (months, n); None for too few of either."""
    months, n = returns.shape
    blocks = min(MOST_BLOCKS, months // LEAST_MONTHS_PER_BLOCK // 2 * 2)
    if n < 2 or blocks < LEAST_BLOCKS:
        return None
    bounds = np.linspace(0, months, blocks + 1).astype(np.int64)
    sums = np.add.reduceat(returns, bounds[:-1], axis=0)
    squares = np.add.reduceat(returns**2, bounds[:-1], axis=0)
    lengths = np.diff(bounds)
    chosen = _halves(blocks)
    inside = _ratios(chosen @ sums, chosen @ squares, (chosen @ lengths)[:, None])
    outside = _ratios((1 - chosen) @ sums, (1 - chosen) @ squares, ((1 - chosen) @ lengths)[:, None])
    rows = np.arange(len(chosen))
    best = outside[rows, inside.argmax(axis=1)][:, None]
    ranks = (outside < best).sum(axis=1) + ((outside == best).sum(axis=1) + 1) / 2
    return float((ranks / (n + 1) <= 0.5).mean())


def _halves(blocks: int) -> FloatArray:
    """(combinations, blocks): 1 where a block belongs to the half on which the best cell is chosen."""
    picked = list(combinations(range(blocks), blocks // 2))
    chosen = np.zeros((len(picked), blocks))
    chosen[np.arange(len(picked))[:, None], np.array(picked)] = 1.0
    return chosen


def _ratios(sums: FloatArray, squares: FloatArray, counts: FloatArray | int) -> FloatArray:
    """Computes Sharpe ratios from sums of returns and of their squares; 0 where returns do not vary."""
    means = sums / counts
    variance = np.maximum(squares / counts - means**2, 0.0) * counts / (counts - 1)
    varies = variance > 1e-18
    ratios: FloatArray = np.where(varies, means / np.sqrt(np.where(varies, variance, 1.0)), 0.0)
    return ratios
