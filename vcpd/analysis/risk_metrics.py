"""The names of all risk metrics, in the order in which their columns stand."""

from typing import Final

from vcpd.analysis import risk_drawdown, risk_market, risk_range, risk_returns, risk_trend, risk_volume

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
