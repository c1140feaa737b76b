"""How a symbol moves with the index: beta, alpha, correlation."""

import math
from typing import Final

import numpy as np

from vcpd.analysis.risk_kernels import kernel, wide_kernel
from vcpd.analysis.risk_window import Window
from vcpd.domain.arrays import FloatArray, IntArray

SESSIONS_A_YEAR: Final = 252
NO_VARIANCE: Final = 1e-30  # empyrical's own limit
NAMES: Final = ("beta", "alpha", "correlation")


def measure_market(window: Window, returns: FloatArray, minimum_pairs: int) -> FloatArray:
    """(n, 3) in the order of `NAMES`, as empyrical defines beta and (annualised) alpha.

    The index return runs between the same two dates as the symbol's own; a pair without an index
    close at either date is left out. NaN with fewer than `minimum_pairs`.
    """
    out = np.full((len(window.first), len(NAMES)), np.nan)
    _measure(window.index, returns, window.first, max(minimum_pairs, 2), out)
    return out


@kernel
def _paired(index: FloatArray, returns: FloatArray, own: FloatArray, market: FloatArray) -> int:
    """Write the returns that both have to `own` and `market`; gives how many."""
    count = 0
    for column in range(len(returns)):
        change = index[column + 1] / index[column] - 1.0
        if math.isfinite(change):
            own[count] = returns[column]
            market[count] = change
            count += 1
    return count


@wide_kernel
def _measure_pairs(own: FloatArray, market: FloatArray, out: FloatArray) -> None:
    count = len(own)
    own_mean = own.sum() / count
    market_mean = market.sum() / count
    together = own_squares = market_squares = 0.0
    for column in range(count):
        own_deviation = own[column] - own_mean
        market_deviation = market[column] - market_mean
        together += own_deviation * market_deviation
        own_squares += own_deviation * own_deviation
        market_squares += market_deviation * market_deviation
    if market_squares / count < NO_VARIANCE:
        return
    out[0] = together / market_squares
    out[1] = (1.0 + own_mean - out[0] * market_mean) ** SESSIONS_A_YEAR - 1.0
    if own_squares / count >= NO_VARIANCE:
        correlation = together / math.sqrt(own_squares * market_squares)
        out[2] = min(max(correlation, -1.0), 1.0)


@kernel
def _measure(
    index: FloatArray, returns: FloatArray, first: IntArray, minimum_pairs: int, out: FloatArray
) -> None:
    own = np.empty(returns.shape[1])
    market = np.empty(returns.shape[1])
    for row in range(len(first)):
        start = first[row]
        count = _paired(index[row, start:], returns[row, start:], own, market)
        if count >= minimum_pairs:
            _measure_pairs(own[:count], market[:count], out[row])
