"""How evenly and how much a symbol trades: spread of volume, spikes, price of trading."""

import math
from typing import Final

import numpy as np

from vcpd.analysis.risk_kernels import kernel, wide_kernel
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
    values = np.full(returns.shape, np.nan)
    _measure(window.bars, returns, window.first, spike_ratio, (out, values))
    out[:, -1] = _known_median(values)
    return out


def _known_median(values: FloatArray) -> FloatArray:
    """Median of the numbers of each row (n,), NaN where there is none; sorting puts NaN last."""
    ordered = np.sort(values, axis=1)
    count = np.isfinite(ordered).sum(axis=1)
    rows = np.arange(len(values))
    median: FloatArray = (ordered[rows, np.maximum(count - 1, 0) // 2] + ordered[rows, count // 2]) / 2
    return median


@wide_kernel
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


@wide_kernel
def _amihud(returns: FloatArray, values: FloatArray) -> float:
    total = traded = 0.0
    for column in range(len(values)):
        has_traded = values[column] > 0.0
        total += abs(returns[column]) / values[column] if has_traded else 0.0
        traded += 1.0 if has_traded else 0.0
    return total / traded * PER_MILLION if traded else np.nan


@kernel
def _known(close: FloatArray, volume: FloatArray, returns: FloatArray, known: FloatArray) -> int:
    """Write volume, return and traded value of the sessions with a volume to `known`; gives how many."""
    count = 0
    for column in range(len(returns)):
        if math.isfinite(volume[column]):
            known[0, count] = volume[column]
            known[1, count] = returns[column]
            known[2, count] = volume[column] * close[column]
            count += 1
    return count


@kernel
def _measure(
    bars: FloatArray,
    returns: FloatArray,
    first: IntArray,
    spike_ratio: float,
    target: tuple[FloatArray, FloatArray],
) -> None:
    out, values = target
    known = np.empty((3, returns.shape[1]))
    for row in range(len(first)):
        start = first[row]
        close, volume = bars[3, row, start + 1 :], bars[4, row, start + 1 :]
        count = _known(close, volume, returns[row, start:], known)
        values[row, :count] = known[2, :count]
        if count > 1:
            _measure_spread(known[0, :count], spike_ratio, out[row])
            out[row, 2] = _amihud(known[1, :count], known[2, :count])
