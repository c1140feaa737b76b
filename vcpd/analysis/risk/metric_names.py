"""Names of the risk metrics in the order of their columns, and the components that scores are made of.

Whoever only shows scores takes the names from here, without what computes them.
"""

from collections.abc import Mapping
from typing import Final

RETURN_METRICS: Final = (
    "annual_return",
    "annual_volatility",
    "downside_deviation",
    "sharpe",
    "sortino",
    "var_95",
    "var_99",
    "cvar_95",
    "skewness",
    "excess_kurtosis",
)
DRAWDOWN_METRICS: Final = ("max_drawdown", "max_drawdown_sessions")
DRAWDOWN_DATES: Final = ("max_drawdown_peak", "max_drawdown_trough", "max_drawdown_recovery")
MARKET_METRICS: Final = ("beta", "alpha", "correlation")
RANGE_METRICS: Final = (
    "atr14_pct",
    "atr50_pct",
    "gap_frequency",
    "gap_mean",
    "gap_worst",
    "overnight_variance_share",
)
VOLUME_METRICS: Final = ("volume_variation", "volume_spikes", "amihud_per_million", "median_traded_value")
TREND_METRICS: Final = ("trend_crossings", "trend_r2")
METRICS: Final = (
    *RETURN_METRICS,
    *DRAWDOWN_METRICS,
    "calmar",
    *MARKET_METRICS,
    *RANGE_METRICS,
    *VOLUME_METRICS,
    *TREND_METRICS,
)
DATE_METRICS: Final = DRAWDOWN_DATES
METRIC_NAMES: Final = METRICS + DATE_METRICS
# metrics of a component, each with +1 where more of it is riskier, -1 where less is
COMPONENTS: Final[Mapping[str, tuple[tuple[str, int], ...]]] = {
    "volatility": (("annual_volatility", 1),),
    "gap": (("gap_frequency", 1), ("gap_mean", 1), ("gap_worst", 1)),
    "atr": (("atr14_pct", 1), ("atr50_pct", 1)),
    "drawdown": (("max_drawdown", -1),),
    "volume": (("volume_variation", 1), ("volume_spikes", 1)),
    "trend": (("trend_crossings", 1), ("trend_r2", -1)),
}
