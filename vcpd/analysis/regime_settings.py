"""Settings of the market's regime: distribution days, corrections, follow-through days, sectors.

The defaults are the numbers that William O'Neil and Investor's Business Daily publish; `docs/regime.md` names
where each comes from.
"""

from typing import Annotated, ClassVar

import msgspec


class RegimeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The numbers of the market's regime. Raises ValueError where two of them contradict each other."""

    reloadable: ClassVar[bool] = True

    distribution_fall_pct: Annotated[
        float,
        msgspec.Meta(gt=0, le=5, description="a distribution day closes at least this many percent down"),
    ] = 0.2
    distribution_sessions: Annotated[
        int, msgspec.Meta(ge=5, le=100, description="a distribution day expires after this many sessions")
    ] = 25
    distribution_rise_pct: Annotated[
        float,
        msgspec.Meta(
            gt=0, le=50, description="... or once the index closed this many percent above its close"
        ),
    ] = 5.0
    pressure_days: Annotated[
        int, msgspec.Meta(ge=1, le=25, description="distribution days that put an uptrend under pressure")
    ] = 4
    correction_days: Annotated[
        int, msgspec.Meta(ge=2, le=25, description="distribution days that end an uptrend")
    ] = 6
    correction_fall_pct: Annotated[
        float,
        msgspec.Meta(
            gt=0, le=50, description="a close this many percent below the uptrend's highest ends it too"
        ),
    ] = 10.0
    follow_through_day: Annotated[
        int, msgspec.Meta(ge=2, le=25, description="first day of a rally attempt that can confirm it")
    ] = 4
    follow_through_rise_pct: Annotated[
        float,
        msgspec.Meta(gt=0, le=10, description="a follow-through day closes at least this many percent up"),
    ] = 1.25
    max_unmeasured_sessions: Annotated[
        int,
        msgspec.Meta(
            ge=0, le=100, description="with more sessions of unknown volume in the window the term is unknown"
        ),
    ] = 5
    setup_sessions: Annotated[
        int, msgspec.Meta(ge=1, le=250, description="sessions over which failed and working setups count")
    ] = 20
    min_sector_symbols: Annotated[
        int, msgspec.Meta(ge=1, le=1000, description="a sector with fewer symbols has no rank")
    ] = 3

    def __post_init__(self) -> None:
        if self.pressure_days > self.correction_days:
            raise ValueError(
                f"pressure_days ({self.pressure_days}) must be at most "
                f"correction_days ({self.correction_days})"
            )
