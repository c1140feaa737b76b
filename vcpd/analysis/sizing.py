"""How many shares: from the risk budget, then capped, every step shown."""

from typing import Annotated

import msgspec


class SizingParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much of the account one position may risk and hold."""

    risk_pct: Annotated[
        float, msgspec.Meta(gt=0, le=10, description="share of equity lost when the stop is hit, in percent")
    ] = 0.5
