"""Risk score of a symbol within one session's universe."""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Self

import msgspec


class RiskBand(StrEnum):
    """The score in plain words."""

    LOW = "low"
    MODERATE = "moderate"
    ELEVATED = "elevated"
    HIGH = "high"
    EXTREME = "extreme"


class RiskSummary(msgspec.Struct, frozen=True, gc=False):
    """A risk score in short."""

    score: float | None
    band: RiskBand | None


class RiskScore(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol's risk after one session. Without a score, `reason` says why."""

    symbol: str
    as_of: date
    score: float | None
    band: RiskBand | None
    components: Mapping[str, float]
    metrics: Mapping[str, float | str | None]  # dates as ISO text
    reason: str | None = None

    @classmethod
    def unscored(cls, symbol: str, as_of: date, reason: str) -> Self:
        """No score, and why."""
        return cls(
            symbol=symbol, as_of=as_of, score=None, band=None, components={}, metrics={}, reason=reason
        )


class EncodedRiskScore(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An encoded risk score: the fields to search by, and the whole as JSON.

    Its forty values are one text here, which goes from a worker to the database as it is.
    """

    symbol: str
    score: float | None
    band: RiskBand | None
    reason: str | None
    text: str

    @classmethod
    def of(cls, score: RiskScore) -> Self:
        return cls(
            symbol=score.symbol,
            score=score.score,
            band=score.band,
            reason=score.reason,
            text=msgspec.json.encode(score).decode(),
        )
