"""What a worker sends back about its rows: numbers, dates of the drawdown, and who has no score and why."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from vcpd.analysis import risk_drawdown, risk_market, risk_range, risk_returns, risk_trend, risk_volume
from vcpd.domain.arrays import DateArray, FloatArray

METRICS: Final = (
    *risk_returns.NAMES,
    *risk_drawdown.NAMES,
    "calmar",
    *risk_market.NAMES,
    *risk_range.NAMES,
    *risk_volume.NAMES,
    *risk_trend.NAMES,
)
DATES: Final = risk_drawdown.DATE_NAMES


@dataclass(frozen=True, slots=True, eq=False)
class RiskBlock:
    """n symbols after the session `as_of`.

    `values` (n, len(METRICS)), NaN where a metric is not defined; `dates` (n, len(DATES)), NaT where
    there is none; `reasons` (n,): why a symbol was not measured, None where it was.
    """

    symbols: tuple[str, ...]
    as_of: date
    values: FloatArray
    dates: DateArray
    reasons: tuple[str | None, ...]
