"""Risk metrics of ranges, gaps, volume and trend steadiness.

Compiled; ranges.pxd has the types.
"""

from typing import Final

import cython
import numpy as np

from vcpd.analysis.risk.metric_names import RANGE_METRICS, TREND_METRICS, VOLUME_METRICS
from vcpd.analysis.risk.window import BarWindow
from vcpd.domain.bars import FloatArray, IntArray

if cython.compiled:
    from cython.cimports.libc.math import fabs, sqrt
    from cython.cimports.vcpd.analysis.risk.returns import total_of
else:
    from math import fabs, sqrt

    from vcpd.analysis.risk.returns import total_of

SHORT_ATR_SESSIONS: Final = 14
LONG_ATR_SESSIONS: Final = 50
PER_MILLION: Final = 1e6
FAST_SMA: Final = 20
SLOW_SMA: Final = 50
SMA_TIE_TOLERANCE: Final = (
    1e-9  # averages closer than this share of themselves are equal: rounding must not cross them
)
MIN_LOG_VARIANCE: Final = 1e-24  # a variance of log price below this is rounding
_SHORT: Final = SHORT_ATR_SESSIONS
_LONG: Final = LONG_ATR_SESSIONS
_FAST: Final = FAST_SMA
_SLOW: Final = SLOW_SMA
_TIE: Final = SMA_TIE_TOLERANCE
_FLAT: Final = MIN_LOG_VARIANCE
_MILLION: Final = PER_MILLION
_UNKNOWN: Final = float("nan")
_INFINITY: Final = float("inf")


def measure_range(window: BarWindow, gap_threshold: float) -> FloatArray:
    """(n, 6) in the order of `NAMES`.

    ATRn % = mean of the last n true ranges over the last close, in percent. A gap is |O_t / C_{t-1} - 1|:
    its frequency beyond `gap_threshold` (a fraction), its mean over all sessions and its worst.
    Overnight share = var(O_t / C_{t-1} - 1) over itself plus var(C_t / O_t - 1).
    """
    out = np.full((len(window.first), len(RANGE_METRICS)), np.nan)
    _measure_ranges(window.bars, window.first, gap_threshold, np.empty((2, window.bars.shape[2])), out)
    return out


def _atr_pct(high: FloatArray, low: FloatArray, close: FloatArray, length: int) -> float:
    count = close.shape[0]
    if count <= length:
        return _UNKNOWN
    total = 0.0
    for column in range(count - length, count):
        previous = close[column - 1]
        total += max(high[column], previous) - min(low[column], previous)
    return 100.0 * total / length / close[count - 1]


def _measure_gaps(gaps: FloatArray, threshold: float, out: FloatArray) -> None:
    beyond, count = 0, gaps.shape[0]
    total = worst = 0.0
    for column in range(count):
        size = fabs(gaps[column])
        beyond += 1 if size > threshold else 0
        total += size
        worst = max(worst, size)
    out[2], out[3], out[4] = 1.0 * beyond / count, total / count, worst


def _overnight_share(gaps: FloatArray, intraday: FloatArray, gap_mean: float, intraday_mean: float) -> float:
    gap_squares = intraday_squares = 0.0
    for column in range(gaps.shape[0]):
        gap_deviation = gaps[column] - gap_mean
        intraday_deviation = intraday[column] - intraday_mean
        gap_squares += gap_deviation * gap_deviation
        intraday_squares += intraday_deviation * intraday_deviation
    total = gap_squares + intraday_squares
    return gap_squares / total if total > _FLAT * gaps.shape[0] else _UNKNOWN


def _measure_ranges(
    bars: FloatArray, first: IntArray, gap_threshold: float, workspace: FloatArray, out: FloatArray
) -> None:
    """`workspace` is (2, w)."""
    for row in range(first.shape[0]):
        start = first[row]
        if bars.shape[2] - start > 2:
            opening, high, low = bars[0, row, start:], bars[1, row, start:], bars[2, row, start:]
            close = bars[3, row, start:]
            out[row, 0] = _atr_pct(high, low, close, _SHORT)
            out[row, 1] = _atr_pct(high, low, close, _LONG)
            _measure_session_parts(opening, close, gap_threshold, workspace, out[row])


def _measure_session_parts(
    opening: FloatArray, close: FloatArray, gap_threshold: float, workspace: FloatArray, out: FloatArray
) -> None:
    """Part the returns between closes at the opening, and measure both parts."""
    count = close.shape[0] - 1
    gaps, intraday = workspace[0, :count], workspace[1, :count]
    gap_total = intraday_total = 0.0
    for column in range(count):
        gaps[column] = opening[column + 1] / close[column] - 1.0
        intraday[column] = close[column + 1] / opening[column + 1] - 1.0
        gap_total += gaps[column]
        intraday_total += intraday[column]
    _measure_gaps(gaps, gap_threshold, out)
    out[5] = _overnight_share(gaps, intraday, gap_total / count, intraday_total / count)


def measure_volume(window: BarWindow, returns: FloatArray, spike_ratio: float) -> FloatArray:
    """(n, 4) in the order of `NAMES`, over the sessions of the returns; unknown volume is left out.

    Variation = standard deviation (ddof 1) over mean; spikes = sessions beyond `spike_ratio` x mean;
    Amihud (2002) = mean of |return| / traded value over sessions that traded, per million of currency;
    traded value = close x volume.
    """
    out = np.full((len(window.first), len(VOLUME_METRICS)), np.nan)
    values = np.empty_like(returns)
    _fill_traded_values(window.close, window.volume, window.first, values)
    known, counts = np.empty((3, returns.shape[1])), np.empty_like(window.first)
    _measure_volumes(window.volume, returns, values, window.first, spike_ratio, known, counts, out)
    values.sort(axis=1)
    _fill_medians(values, counts, out)
    return out


def _fill_traded_values(close: FloatArray, volume: FloatArray, first: IntArray, values: FloatArray) -> None:
    """Column j gets close x volume of bar j + 1: NaN before the second bar and of an unknown volume."""
    for row in range(first.shape[0]):
        values[row, : first[row]] = _UNKNOWN  # sorting puts them last
        for column in range(first[row], values.shape[1]):
            value = close[row, column + 1] * volume[row, column + 1]
            values[row, column] = value if value < _INFINITY else _UNKNOWN


def _count_finite(values: FloatArray) -> int:
    count = 0.0
    for column in range(values.shape[0]):
        count += 1.0 if fabs(values[column]) < _INFINITY else 0.0  # not for NaN
    return int(count)


def _gather_known(volumes: FloatArray, returns: FloatArray, values: FloatArray, known: FloatArray) -> None:
    """Write volume, return and traded value of the sessions with a volume to `known`."""
    count = 0
    for column in range(volumes.shape[0]):
        if fabs(volumes[column]) < _INFINITY:
            known[0, count], known[1, count] = volumes[column], returns[column]
            known[2, count] = values[column]
            count += 1


def _measure_volume_spread(volumes: FloatArray, spike_ratio: float, out: FloatArray) -> None:
    count = volumes.shape[0]
    mean = total_of(volumes) / count
    if mean <= 0.0:
        return
    squares, spikes, spike = 0.0, 0.0, spike_ratio * mean
    for column in range(count):
        squares += (volumes[column] - mean) * (volumes[column] - mean)
        spikes += 1.0 if volumes[column] > spike else 0.0
    out[0] = sqrt(squares / (count - 1)) / mean
    out[1] = spikes


def _amihud(returns: FloatArray, values: FloatArray) -> float:
    total = traded = 0.0
    for column in range(values.shape[0]):
        value = values[column] if values[column] > 0.0 else _INFINITY  # without a trade it adds nothing
        total += fabs(returns[column]) / value
    for column in range(values.shape[0]):
        traded += 1.0 if values[column] > 0.0 else 0.0
    return total / traded * _MILLION if traded > 0.0 else _UNKNOWN


def _measure_volumes(
    volume: FloatArray,
    returns: FloatArray,
    values: FloatArray,
    first: IntArray,
    spike_ratio: float,
    known: FloatArray,
    counts: IntArray,
    out: FloatArray,
) -> None:
    """`values` (n, w - 1) are the traded values, `counts` (n,) gets how many; `known` is work space."""
    for row in range(first.shape[0]):
        start = first[row]
        count = counts[row] = _count_finite(volume[row, start + 1 :])
        if count < 2:
            continue
        if count == returns.shape[1] - start:
            _measure_volume_spread(volume[row, start + 1 :], spike_ratio, out[row])
            out[row, 2] = _amihud(returns[row, start:], values[row, start:])
        else:
            _gather_known(volume[row, start + 1 :], returns[row, start:], values[row, start:], known)
            _measure_volume_spread(known[0, :count], spike_ratio, out[row])
            out[row, 2] = _amihud(known[1, :count], known[2, :count])


def _fill_medians(ordered: FloatArray, counts: IntArray, out: FloatArray) -> None:
    """Write the median of the first `counts` of each row; nothing where there is none."""
    for row in range(ordered.shape[0]):
        count = counts[row]
        if count > 0:
            out[row, 3] = (ordered[row, (count - 1) // 2] + ordered[row, count // 2]) / 2.0


def measure_trend_steadiness(window: BarWindow) -> FloatArray:
    """(n, 2) in the order of `NAMES`.

    Crossings = changes of sign of SMA20 - SMA50 among the window's closes, equal averages keep the last
    sign. R^2 = squared correlation of log close with the bar's number; NaN for a flat price.
    """
    out = np.full((len(window.first), len(TREND_METRICS)), np.nan)
    _measure_trends(window.close, np.log(window.close), window.first, out)
    return out


def _crossings(close: FloatArray) -> int:
    fast = slow = 0.0
    side = crossings = 0
    for column in range(close.shape[0]):
        fast += close[column] - (close[column - _FAST] if column >= _FAST else 0.0)
        slow += close[column] - (close[column - _SLOW] if column >= _SLOW else 0.0)
        if column < _SLOW - 1:
            continue
        lead = fast * _SLOW - slow * _FAST  # of the averages, times FAST x SLOW
        if fabs(lead) <= _TIE * slow * _FAST:
            continue
        now = 1 if lead > 0.0 else -1
        crossings += 1 if side == -now else 0
        side = now
    return crossings


def _log_fit_r2(logs: FloatArray) -> float:
    count = logs.shape[0]
    middle = (count - 1) / 2.0
    total = squares = together = 0.0
    for column in range(count):
        height = logs[column] - logs[0]  # a flat price is exactly zero
        total += height
        squares += height * height
        together += height * (column - middle)
    spread = squares - total * total / count
    if spread <= _FLAT * count:
        return _UNKNOWN
    time_spread = count * (1.0 * count * count - 1.0) / 12.0
    return min(together * together / (time_spread * spread), 1.0)


def _measure_trends(close: FloatArray, logs: FloatArray, first: IntArray, out: FloatArray) -> None:
    for row in range(first.shape[0]):
        start = first[row]
        if close.shape[1] - start > _SLOW:
            out[row, 0] = _crossings(close[row, start:])
            out[row, 1] = _log_fit_r2(logs[row, start:])
