"""What a worker sends back about its rows: numbers, dates of the drawdown, and who has no score and why."""

from dataclasses import dataclass
from datetime import date

from vcpd.domain.arrays import DateArray, FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class RiskBlock:
    """n symbols after the session `as_of`.

    `values` (n, len(risk_metrics.METRICS)), NaN where a metric is not defined; `dates`
    (n, len(risk_metrics.DATES)), NaT where there is none; `reasons` (n,): why a symbol was not measured,
    None where it was.
    """

    symbols: tuple[str, ...]
    as_of: date
    values: FloatArray
    dates: DateArray
    reasons: tuple[str | None, ...]
