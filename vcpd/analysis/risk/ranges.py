"""Risk metrics of ranges, gaps, volume and trend steadiness."""

import math
from typing import Final

import numpy as np

from vcpd.analysis.kernels import fastmath_kernel, kernel, total_of
from vcpd.analysis.risk.metric_names import RANGE_METRICS, TREND_METRICS, VOLUME_METRICS
from vcpd.analysis.risk.window import BarWindow
from vcpd.domain.bars import FloatArray, IntArray

SHORT_ATR_SESSIONS: Final = 14
LONG_ATR_SESSIONS: Final = 50
PER_MILLION: Final = 1e6
FAST_SMA: Final = 20
SLOW_SMA: Final = 50
SMA_TIE_TOLERANCE: Final = (
    1e-9  # averages closer than this share of themselves are equal: rounding must not cross them
)
MIN_LOG_VARIANCE: Final = 1e-24  # a variance of log price below this is rounding


def measure_range(window: BarWindow, gap_threshold: float) -> FloatArray:
    """(n, 6) in the order of `NAMES`.

    ATRn % = mean of the last n true ranges over the last close, in percent. A gap is |O_t / C_{t-1} - 1|:
    its frequency beyond `gap_threshold` (a fraction), its mean over all sessions and its worst.
    Overnight share = var(O_t / C_{t-1} - 1) over itself plus var(C_t / O_t - 1).
    """
    out = np.full((len(window.first), len(RANGE_METRICS)), np.nan)
    _measure_ranges(window.bars, window.first, gap_threshold, out)
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


@fastmath_kernel
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


@fastmath_kernel
def _overnight_share(gaps: FloatArray, intraday: FloatArray) -> float:
    gap_mean = total_of(gaps) / len(gaps)
    intraday_mean = total_of(intraday) / len(gaps)
    gap_squares = intraday_squares = 0.0
    for column in range(len(gaps)):
        gap_deviation = gaps[column] - gap_mean
        intraday_deviation = intraday[column] - intraday_mean
        gap_squares += gap_deviation * gap_deviation
        intraday_squares += intraday_deviation * intraday_deviation
    total = gap_squares + intraday_squares
    return gap_squares / total if total > 1e-24 * len(gaps) else np.nan


@kernel
def _measure_ranges(bars: FloatArray, first: IntArray, gap_threshold: float, out: FloatArray) -> None:
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
        out[row, 0] = _atr_pct(high, low, close, SHORT_ATR_SESSIONS)
        out[row, 1] = _atr_pct(high, low, close, LONG_ATR_SESSIONS)
        _measure_gaps(gaps[:count], gap_threshold, out[row])
        out[row, 5] = _overnight_share(gaps[:count], intraday[:count])


def measure_volume(window: BarWindow, returns: FloatArray, spike_ratio: float) -> FloatArray:
    """(n, 4) in the order of `NAMES`, over the sessions of the returns; unknown volume is left out.

    Variation = standard deviation (ddof 1) over mean; spikes = sessions beyond `spike_ratio` x mean;
    Amihud (2002) = mean of |return| / traded value over sessions that traded, per million of currency;
    traded value = close x volume.
    """
    out = np.full((len(window.first), len(VOLUME_METRICS)), np.nan)
    values = np.full(returns.shape, np.nan)
    _measure_volumes(window.bars, returns, window.first, spike_ratio, (out, values))
    out[:, -1] = _row_median(values)
    return out


def _row_median(values: FloatArray) -> FloatArray:
    """Median of the numbers of each row (n,), NaN where there is none; sorting puts NaN last."""
    ordered = np.sort(values, axis=1)
    count = np.isfinite(ordered).sum(axis=1)
    rows = np.arange(len(values))
    median: FloatArray = (ordered[rows, np.maximum(count - 1, 0) // 2] + ordered[rows, count // 2]) / 2
    return median


@fastmath_kernel
def _measure_volume_spread(volumes: FloatArray, spike_ratio: float, out: FloatArray) -> None:
    mean = total_of(volumes) / len(volumes)
    if mean <= 0.0:
        return
    squares = 0.0
    spikes = 0
    for volume in volumes:
        squares += (volume - mean) * (volume - mean)
        spikes += volume > spike_ratio * mean
    out[0] = math.sqrt(squares / (len(volumes) - 1)) / mean
    out[1] = spikes


@fastmath_kernel
def _amihud(returns: FloatArray, values: FloatArray) -> float:
    total = traded = 0.0
    for column in range(len(values)):
        has_traded = values[column] > 0.0
        total += abs(returns[column]) / values[column] if has_traded else 0.0
        traded += 1.0 if has_traded else 0.0
    return total / traded * PER_MILLION if traded else np.nan


@kernel
def _gather_known(close: FloatArray, volume: FloatArray, returns: FloatArray, known: FloatArray) -> int:
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
def _measure_volumes(
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
        count = _gather_known(close, volume, returns[row, start:], known)
        for column in range(count):  # assigning the slice would compile text for an error that cannot be
            values[row, column] = known[2, column]
        if count > 1:
            _measure_volume_spread(known[0, :count], spike_ratio, out[row])
            out[row, 2] = _amihud(known[1, :count], known[2, :count])


def measure_trend_steadiness(window: BarWindow) -> FloatArray:
    """(n, 2) in the order of `NAMES`.

    Crossings = changes of sign of SMA20 - SMA50 among the window's closes, equal averages keep the last
    sign. R^2 = squared correlation of log close with the bar's number; NaN for a flat price.
    """
    out = np.full((len(window.first), len(TREND_METRICS)), np.nan)
    _measure_trends(window.close, np.log(window.close), window.first, out)
    return out


@kernel
def _crossings(close: FloatArray) -> int:
    fast = slow = 0.0
    side = crossings = 0
    for column in range(len(close)):
        fast += close[column] - (close[column - FAST_SMA] if column >= FAST_SMA else 0.0)
        slow += close[column] - (close[column - SLOW_SMA] if column >= SLOW_SMA else 0.0)
        if column < SLOW_SMA - 1:
            continue
        lead = fast * SLOW_SMA - slow * FAST_SMA  # of the averages, times FAST x SLOW
        if abs(lead) <= SMA_TIE_TOLERANCE * slow * FAST_SMA:
            continue
        now = 1 if lead > 0.0 else -1
        crossings += side == -now
        side = now
    return crossings


@fastmath_kernel
def _log_fit_r2(logs: FloatArray) -> float:
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
    if spread <= MIN_LOG_VARIANCE * count:
        return np.nan
    time_spread = count * (count * count - 1.0) / 12.0
    return min(together * together / (time_spread * spread), 1.0)


@kernel
def _measure_trends(close: FloatArray, logs: FloatArray, first: IntArray, out: FloatArray) -> None:
    for row in range(len(first)):
        start = first[row]
        if close.shape[1] - start > SLOW_SMA:
            out[row, 0] = _crossings(close[row, start:])
            out[row, 1] = _log_fit_r2(logs[row, start:])
