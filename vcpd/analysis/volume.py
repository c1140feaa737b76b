"""Volume and tightness of a base at a session: how quiet it has become. NaN is unknown, never a pass."""

from typing import Final, NamedTuple

import numpy as np

from vcpd.analysis.indicators import Bars, true_range_mean, volume_mean
from vcpd.analysis.kernels import kernel
from vcpd.domain.arrays import FloatArray

AVERAGE: Final = 50  # sessions of the usual volume
RANGE_SESSIONS: Final = 10
YEAR: Final = 252


class Quiet(NamedTuple):
    """Ratios are plain, percentages say so; NaN is unknown."""

    dry_up: float  # final leg's mean volume over its 50-session average
    quietest: float  # its quietest day over the base's 10th percentile
    breakout_volume: float  # the session's volume over the average of the 50 before
    range_pct: float  # high to low of ten sessions
    range_atr: float  # the same in ATR 20
    closes_pct: float  # spread of three closes
    atr_ratio: float  # ATR 10 over ATR 50
    atr_pct: float  # ATR 20 over the close
    volume_average: float  # of the last 50 sessions: what the next one's volume is measured against


@kernel
def measure_quiet(bars: Bars, anchor: int, peak: int, stop: int, t: int) -> Quiet:
    """Figures at bar t of a base whose final leg is bars peak+1..stop-1."""
    first = max(t - RANGE_SESSIONS + 1, 0)
    top, bottom = np.max(bars.high[first : t + 1]), np.min(bars.low[first : t + 1])
    closes = bars.close[max(t - 2, 0) : t + 1]
    atr = true_range_mean(bars, t, 20)
    return Quiet(
        volume_mean(bars, peak + 1, stop) / volume_mean(bars, max(t + 1 - AVERAGE, 0), t + 1),
        _quietest_day(bars.volume, anchor, peak + 1, stop),
        volume_ratio(bars, t),
        100 * (top - bottom) / top,
        (top - bottom) / atr,
        100 * (np.max(closes) - np.min(closes)) / np.max(closes),
        true_range_mean(bars, t, 10) / true_range_mean(bars, t, 50),
        100 * atr / bars.close[t],
        volume_mean(bars, max(t + 1 - AVERAGE, 0), t + 1),
    )


@kernel
def volume_ratio(bars: Bars, t: int) -> float:
    """Volume of bar t over the mean of the 50 before it."""
    ratio: float = bars.volume[t] / volume_mean(bars, max(t - AVERAGE, 0), t)
    return ratio


@kernel
def _quietest_day(volume: FloatArray, anchor: int, first: int, stop: int) -> float:
    """The least volume of first..stop-1 over the 10th percentile from the anchor on."""
    base = volume[anchor:stop]
    known = base[~np.isnan(base)]
    leg = volume[first:stop]
    leg = leg[~np.isnan(leg)]
    if len(leg) == 0 or 2 * len(known) < len(base):
        return np.nan
    tenth = np.percentile(known, 10)
    return np.min(leg) / tenth if tenth > 0 else np.nan


class StrengthLine(NamedTuple):
    """The symbol's close over the index's: its value, and whether it leads."""

    ratio: float
    at_high: float  # 1 at its 252-session high, 0 below, NaN unknown
    before_price: float  # 1 where it is at its high and the close is not


@kernel
def measure_line(bars: Bars, index_close: FloatArray, t: int) -> StrengthLine:
    """The relative strength line at bar t; `index_close` stands on the panel's sessions."""
    ratio = bars.close[t] / index_close[bars.column[t]]
    if np.isnan(ratio):
        return StrengthLine(np.nan, np.nan, np.nan)
    at_high = price_high = True
    for k in range(max(t - YEAR + 1, 0), t):
        at_high = at_high and not bars.close[k] / index_close[bars.column[k]] > ratio
        price_high = price_high and bars.close[k] <= bars.close[t]
    return StrengthLine(ratio, 1.0 if at_high else 0.0, 1.0 if at_high and not price_high else 0.0)


@kernel
def measure_base(
    bars: Bars, index_close: FloatArray, anchor: int, peak: int, stop: int
) -> tuple[Quiet, StrengthLine]:
    """Both at the last bar."""
    t = len(bars.close) - 1
    return measure_quiet(bars, anchor, peak, stop, t), measure_line(bars, index_close, t)
