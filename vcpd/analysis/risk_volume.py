"""How evenly and how much a symbol trades: spread of volume, spikes, price of trading."""

import math
from typing import Final

import numpy as np
from numba import njit

from vcpd.analysis.risk_window import Window
from vcpd.domain.arrays import FloatArray, IntArray

PER_MILLION: Final = 1e6
NAMES: Final = ("volume_variation", "volume_spikes", "amihud_per_million", "median_traded_value")


def measure_volume(window: Window, returns: FloatArray, spike_ratio: float) -> FloatArray:
    """(n, 4) in the order of `NAMES`, over the sessions of the returns; unknown volume is left out.

    Variation = standard deviation (ddof 1) over mean; spikes = sessions beyond `spike_ratio` x mean;
    Amihud (2002) = mean of |return| / traded value over sessions that traded, per million of currency;
    traded value = close x volume.
    """
    out = np.full((len(window.first), len(NAMES)), np.nan)
    _measure(window.close, window.volume, returns, window.first, spike_ratio, out)
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _measure_spread(volumes: FloatArray, spike_ratio: float, out: FloatArray) -> None:
    mean = volumes.sum() / len(volumes)
    if mean <= 0.0:
        return
    squares = 0.0
    spikes = 0
    for volume in volumes:
        squares += (volume - mean) * (volume - mean)
        spikes += volume > spike_ratio * mean
    out[0] = math.sqrt(squares / (len(volumes) - 1)) / mean
    out[1] = spikes


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _measure_value(returns: FloatArray, values: FloatArray, out: FloatArray) -> None:
    total = 0.0
    traded = 0
    for column in range(len(values)):
        if values[column] > 0.0:
            total += abs(returns[column]) / values[column]
            traded += 1
    if traded:
        out[2] = total / traded * PER_MILLION
    out[3] = np.median(values)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _measure(
    close: FloatArray,
    volume: FloatArray,
    returns: FloatArray,
    first: IntArray,
    spike_ratio: float,
    out: FloatArray,
) -> None:
    known = np.empty((3, returns.shape[1]))
    for row in range(len(first)):
        count = 0
        for column in range(first[row], returns.shape[1]):
            shares = volume[row, column + 1]
            if math.isfinite(shares):
                known[0, count] = shares
                known[1, count] = returns[row, column]
                known[2, count] = shares * close[row, column + 1]
                count += 1
        if count > 1:
            _measure_spread(known[0, :count], spike_ratio, out[row])
            _measure_value(known[1, :count], known[2, :count], out[row])
