"""How symbols traded lately: the change of the last session, the average daily range, turnover, a small line.

The list of setups shows these beside each base; they are of the newest bars, whatever session was judged.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from vcpd.domain.bars import FloatArray
from vcpd.domain.panel import Panel

SPARKLINE_SESSIONS: Final = 60
SPARKLINE_STEPS: Final = 99
RANGE_SESSIONS: Final = 20
TURNOVER_SESSIONS: Final = 50
MIN_SESSIONS: Final = 5  # fewer say nothing about an average


class RecentTrading(msgspec.Struct, frozen=True, kw_only=True):
    """The newest bars of a symbol in figures; None where there are too few.

    `spark` are the last closes as whole numbers 0..99 between their own extremes, `adr_pct` the mean range of
    a day over its low in percent, `turnover` the median traded value of a day in units of the currency.
    """

    spark: Sequence[int] = ()
    change_pct: float | None = None
    adr_pct: float | None = None
    turnover: float | None = None


def recent_trading(panel: Panel, symbols: Sequence[str]) -> Mapping[str, RecentTrading]:
    """The figures of those of `symbols` that the panel holds."""
    row_of = {symbol: row for row, symbol in enumerate(panel.symbols)}
    return {symbol: _of_row(panel, row_of[symbol]) for symbol in symbols if symbol in row_of}


def _of_row(panel: Panel, row: int) -> RecentTrading:
    sessions = slice(-2 * SPARKLINE_SESSIONS, None)
    planes = (panel.high, panel.low, panel.close, panel.volume)
    high, low, close, volume = (np.asarray(plane[row, sessions]) for plane in planes)
    traded = ~np.isnan(close)
    return RecentTrading(
        spark=sparkline(close),
        change_pct=_change_pct(close[traded]),
        adr_pct=_range_pct(high[traded], low[traded]),
        turnover=_turnover(close[traded] * volume[traded]),
    )


def sparkline(closes: FloatArray) -> list[int]:
    """Closes (n,) on a scale of 0..99; empty with fewer than two."""
    known = closes[-SPARKLINE_SESSIONS * 2 :]
    known = known[~np.isnan(known)][-SPARKLINE_SESSIONS:]
    if len(known) < 2:
        return []
    low, high = float(known.min()), float(known.max())
    scaled = np.rint((known - low) / ((high - low) or 1.0) * SPARKLINE_STEPS)
    steps: list[int] = scaled.astype(int).tolist()
    return steps


def _change_pct(close: FloatArray) -> float | None:
    if len(close) < 2:
        return None
    return round(100 * (float(close[-1] / close[-2]) - 1), 2)


def _range_pct(high: FloatArray, low: FloatArray) -> float | None:
    if len(high) < MIN_SESSIONS:
        return None
    ranges = high[-RANGE_SESSIONS:] / low[-RANGE_SESSIONS:] - 1
    return round(100 * float(ranges.mean()), 2)


def _turnover(value: FloatArray) -> float | None:
    known = value[~np.isnan(value)][-TURNOVER_SESSIONS:]
    return float(np.median(known)) if len(known) >= MIN_SESSIONS else None
