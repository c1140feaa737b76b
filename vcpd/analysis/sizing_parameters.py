"""Parameters of position sizing: the budget of risk, and the caps on one position.

They are settings of their own module, because configuration needs them without the arithmetic.
"""

from typing import Annotated, ClassVar, Literal

import msgspec

from vcpd.domain.risk import RiskBand

StopChoice = Literal["capped", "structural"]


class SizingParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits of one position: risk and share of the account, and share of the traded value."""

    reloadable: ClassVar[bool] = True

    equity: Annotated[
        float,
        msgspec.Meta(
            ge=0, description="value of the account for `vcpd size`, page and alerts; 0: given each time"
        ),
    ] = 0.0
    risk_pct: Annotated[
        float, msgspec.Meta(gt=0, le=10, description="equity lost when the stop is hit, in percent")
    ] = 0.5
    position_pct: Annotated[
        float,
        msgspec.Meta(gt=0, le=100, description="largest value of one position, in percent of equity"),
    ] = 20.0
    liquidity_pct: Annotated[
        float,
        msgspec.Meta(
            gt=0,
            le=100,
            description="largest position, in percent of the median traded value of a session",
        ),
    ] = 1.0
    stop_choice: Annotated[
        StopChoice,
        msgspec.Meta(
            description="the stop to size by: `structural`, under the final low, or `capped`, the same but "
            "never further below the entry than `[screen] max_stop_pct`"
        ),
    ] = "capped"
    stop_pct: Annotated[
        float, msgspec.Meta(gt=0, le=50, description="a stop further than this below the entry is rejected")
    ] = 10.0
    low_share: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="share of the risk budget for a `low` risk symbol")
    ] = 1.0
    moderate_share: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="share of the risk budget for a `moderate` risk symbol")
    ] = 1.0
    elevated_share: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="share of the risk budget for an `elevated` risk symbol")
    ] = 0.75
    high_share: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="share of the risk budget for a `high` risk symbol")
    ] = 0.5
    extreme_share: Annotated[
        float,
        msgspec.Meta(
            ge=0,
            le=1,
            description="share of the risk budget for an `extreme` risk symbol, or one without score",
        ),
    ] = 0.25

    locked_sessions: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            le=20,
            description="a share in a daily price band of at most 5 %, as any that settles trade for trade, "
            "is sized as if it is sold this many sessions after its stop, each at the lower limit; "
            "0: no such cap",
        ),
    ] = 2

    def share_of(self, band: RiskBand | None) -> float:
        """The share of the risk budget for a band; an unknown one counts as extreme."""
        shares = {
            RiskBand.LOW: self.low_share,
            RiskBand.MODERATE: self.moderate_share,
            RiskBand.ELEVATED: self.elevated_share,
            RiskBand.HIGH: self.high_share,
            RiskBand.EXTREME: self.extreme_share,
        }
        return shares[band or RiskBand.EXTREME]
