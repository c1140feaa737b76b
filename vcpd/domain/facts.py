"""Facts that the market publishes of an instrument beside its bars, by session; None is unknown."""

from datetime import date
from enum import StrEnum

import msgspec


class BandHit(StrEnum):
    """The price band that a share reached during a session."""

    UPPER = "upper"
    LOWER = "lower"


class SymbolFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the files of one session say of a symbol."""

    symbol: str
    delivery_pct: float | None = None  # of the traded shares, those that changed hands for good
    market_cap: float | None = None  # rupees
    band_hit: BandHit | None = None
    results_on: date | None = None  # the next meeting of the board about results
    surveillance: tuple[str, ...] = ()  # measures of the exchange, such as `ASM stage 2`


class SetupFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown beside a setup: the latest facts of its symbol up to its session.

    `delivery_average_pct` is that of the sessions before, 20 at most. `marks` name what makes a share harder
    to trade: trade for trade, measures of surveillance.
    """

    session: date
    delivery_pct: float | None = None
    delivery_average_pct: float | None = None
    market_cap: float | None = None
    band_hit: BandHit | None = None
    results_on: date | None = None
    results_in_sessions: int | None = None  # counted from `session`
    marks: tuple[str, ...] = ()
