"""How far a bar reaches and where it opens: average true range, gaps, what happens overnight."""

from typing import Final

import numpy as np

from vcpd.analysis.risk_kernels import kernel, wide_kernel
from vcpd.analysis.risk_window import Window
from vcpd.domain.arrays import FloatArray, IntArray

SHORT_ATR: Final = 14
LONG_ATR: Final = 50
NAMES: Final = (
    "atr14_pct",
    "atr50_pct",
    "gap_frequency",
    "gap_mean",
    "gap_worst",
    "overnight_variance_share",
)


def measure_range(window: Window, gap_threshold: float) -> FloatArray:
    """(n, 6) in the order of `NAMES`.

    ATRn % = mean of the last n true ranges over the last close, in percent. A gap is |O_t / C_{t-1} - 1|:
    its frequency beyond `gap_threshold` (a fraction), its mean over all sessions and its worst.
    Overnight share = var(O_t / C_{t-1} - 1) over itself plus var(C_t / O_t - 1).
    """
    out = np.full((len(window.first), len(NAMES)), np.nan)
    _measure(window.bars, window.first, gap_threshold, out)
    return out


@kernel
def _atr_pct(high: FloatArray, low: FloatArray, close: FloatArray, length: int) -> float:
    if len(close) <= length:
        return np.nan
    total = 0.0
    for column in range(len(close) - length, len(close)):
        previous = close[column - 1]
        total += max(high[column], previous) - min(low[column], previous)
    atr_pct: float = 100.0 * total / length / close[-1]
    return atr_pct


@wide_kernel
def _measure_gaps(gaps: FloatArray, threshold: float, out: FloatArray) -> None:
    beyond = 0
    total = worst = 0.0
    for gap in gaps:
        size = abs(gap)
        beyond += size > threshold
        total += size
        worst = max(worst, size)
    out[2] = beyond / len(gaps)
    out[3] = total / len(gaps)
    out[4] = worst


@wide_kernel
def _overnight_share(gaps: FloatArray, intraday: FloatArray) -> float:
    gap_mean = gaps.sum() / len(gaps)
    intraday_mean = intraday.sum() / len(gaps)
    gap_squares = intraday_squares = 0.0
    for column in range(len(gaps)):
        gap_deviation = gaps[column] - gap_mean
        intraday_deviation = intraday[column] - intraday_mean
        gap_squares += gap_deviation * gap_deviation
        intraday_squares += intraday_deviation * intraday_deviation
    total = gap_squares + intraday_squares
    return gap_squares / total if total > 1e-24 * len(gaps) else np.nan


@kernel
def _measure(bars: FloatArray, first: IntArray, gap_threshold: float, out: FloatArray) -> None:
    gaps = np.empty(bars.shape[2])
    intraday = np.empty(bars.shape[2])
    for row in range(len(first)):
        start = first[row]
        opening, high = bars[0, row, start:], bars[1, row, start:]
        low, close = bars[2, row, start:], bars[3, row, start:]
        count = len(close) - 1
        if count < 2:
            continue
        for bar in range(count):
            gaps[bar] = opening[bar + 1] / close[bar] - 1.0
            intraday[bar] = close[bar + 1] / opening[bar + 1] - 1.0
        out[row, 0] = _atr_pct(high, low, close, SHORT_ATR)
        out[row, 1] = _atr_pct(high, low, close, LONG_ATR)
        _measure_gaps(gaps[:count], gap_threshold, out[row])
        out[row, 5] = _overnight_share(gaps[:count], intraday[:count])
