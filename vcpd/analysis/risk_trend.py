"""How steady the trend is: crossings of two averages, fit of log price on time."""

from typing import Final

import numpy as np

from vcpd.analysis.risk_kernels import kernel, wide_kernel
from vcpd.analysis.risk_window import Window
from vcpd.domain.arrays import FloatArray, IntArray

FAST: Final = 20
SLOW: Final = 50
TIE: Final = 1e-9  # averages closer than this share of themselves are equal: rounding must not cross them
FLAT: Final = 1e-24  # a variance of log price below this is rounding
NAMES: Final = ("trend_crossings", "trend_r2")


def measure_trend(window: Window) -> FloatArray:
    """(n, 2) in the order of `NAMES`.

    Crossings = changes of sign of SMA20 - SMA50 among the window's closes, equal averages keep the last
    sign. R^2 = squared correlation of log close with the bar's number; NaN for a flat price.
    """
    out = np.full((len(window.first), len(NAMES)), np.nan)
    _measure(window.close, np.log(window.close), window.first, out)
    return out


@kernel
def _crossings(close: FloatArray) -> int:
    fast = slow = 0.0
    side = crossings = 0
    for column in range(len(close)):
        fast += close[column] - (close[column - FAST] if column >= FAST else 0.0)
        slow += close[column] - (close[column - SLOW] if column >= SLOW else 0.0)
        if column < SLOW - 1:
            continue
        lead = fast * SLOW - slow * FAST  # of the averages, times FAST x SLOW
        if abs(lead) <= TIE * slow * FAST:
            continue
        now = 1 if lead > 0.0 else -1
        crossings += side == -now
        side = now
    return crossings


@wide_kernel
def _log_fit(logs: FloatArray) -> float:
    count = len(logs)
    base = logs[0]
    middle = (count - 1) / 2.0
    total = squares = together = 0.0
    for column in range(count):
        height = logs[column] - base  # a flat price is exactly zero
        total += height
        squares += height * height
        together += height * (column - middle)
    spread = squares - total * total / count
    if spread <= FLAT * count:
        return np.nan
    time_spread = count * (count * count - 1.0) / 12.0
    return min(together * together / (time_spread * spread), 1.0)


@kernel
def _measure(close: FloatArray, logs: FloatArray, first: IntArray, out: FloatArray) -> None:
    for row in range(len(first)):
        start = first[row]
        if close.shape[1] - start > SLOW:
            out[row, 0] = _crossings(close[row, start:])
            out[row, 1] = _log_fit(logs[row, start:])
