"""Parameters and results of the risk report; free of kernels."""

import math
from dataclasses import dataclass
from datetime import date
from typing import Annotated, ClassVar, Final

import msgspec

from vcpd.domain.bars import DateArray, FloatArray
from vcpd.domain.risk import RiskBand

WEIGHT_TOLERANCE: Final = 1e-9


class RiskParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Weights and bands of the risk score. Raises ValueError unless weights sum to 1 and limits rise."""

    reloadable: ClassVar[bool] = True

    weight_volatility: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="share of annualised volatility in the score")
    ] = 0.30
    weight_gap: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="share of opening gaps in the score")
    ] = 0.25
    weight_atr: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="share of the average true range in the score")
    ] = 0.20
    weight_drawdown: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="share of the maximum drawdown in the score")
    ] = 0.10
    weight_volume: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="share of uneven volume in the score")
    ] = 0.10
    weight_trend: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="share of an unsteady trend in the score")
    ] = 0.05
    moderate_from: Annotated[
        float, msgspec.Meta(gt=0, lt=100, description="scores from here are `moderate`, below `low`")
    ] = 20.0
    elevated_from: Annotated[
        float, msgspec.Meta(gt=0, lt=100, description="scores from here are `elevated`")
    ] = 40.0
    high_from: Annotated[float, msgspec.Meta(gt=0, lt=100, description="scores from here are `high`")] = 60.0
    extreme_from: Annotated[
        float, msgspec.Meta(gt=0, lt=100, description="scores from here are `extreme`")
    ] = 80.0
    window_returns: Annotated[
        int, msgspec.Meta(ge=60, le=2000, description="daily returns that the metrics look at, at most")
    ] = 252
    minimum_returns: Annotated[
        int, msgspec.Meta(ge=60, le=2000, description="with fewer usable returns a symbol has no score")
    ] = 126
    minimum_universe: Annotated[
        int, msgspec.Meta(ge=1, le=1000, description="with fewer measured symbols there is no score")
    ] = 5
    stale_after_sessions: Annotated[
        int, msgspec.Meta(ge=0, le=250, description="a last final bar older than this gives no score")
    ] = 10
    gap_threshold_pct: Annotated[
        float, msgspec.Meta(gt=0, le=50, description="an opening counts as a gap beyond this, either way")
    ] = 3.0
    volume_spike_ratio: Annotated[
        float, msgspec.Meta(gt=1, le=100, description="volume beyond this multiple of its mean is a spike")
    ] = 2.0

    def __post_init__(self) -> None:
        total = math.fsum(self.weights.values())
        if abs(total - 1) > WEIGHT_TOLERANCE:
            raise ValueError(f"risk weights must sum to 1, was {total:g}")
        limits = [limit for limit, _ in self.bands]
        if limits != sorted(set(limits)):
            raise ValueError(f"risk band limits must rise, was {limits[1:]}")
        if self.minimum_returns > self.window_returns:
            raise ValueError(
                f"minimum_returns must be at most window_returns {self.window_returns}, "
                f"was {self.minimum_returns}"
            )

    @property
    def weights(self) -> dict[str, float]:
        """The share of each component in the score, by the component's name."""
        return {
            "volatility": self.weight_volatility,
            "gap": self.weight_gap,
            "atr": self.weight_atr,
            "drawdown": self.weight_drawdown,
            "volume": self.weight_volume,
            "trend": self.weight_trend,
        }

    @property
    def bands(self) -> tuple[tuple[float, RiskBand], ...]:
        """Where each band begins, lowest first; a score on a limit belongs to the higher band."""
        return (
            (0.0, RiskBand.LOW),
            (self.moderate_from, RiskBand.MODERATE),
            (self.elevated_from, RiskBand.ELEVATED),
            (self.high_from, RiskBand.HIGH),
            (self.extreme_from, RiskBand.EXTREME),
        )


class RiskTaskParams(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of a risk task: the session to measure at (None: the panel's last) and the settings."""

    as_of: date | None = None
    parameters: RiskParameters = RiskParameters()


@dataclass(frozen=True, slots=True, eq=False)
class RiskResult:
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
