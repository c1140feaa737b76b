"""Facts that the market publishes of an instrument beside its bars, by session; None is unknown."""

from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from typing import Final

import msgspec

from vcpd.domain.price_bands import narrow_band_text

RUPEES_PER_CRORE: Final = 10_000_000


class BandHit(StrEnum):
    """The price band that a share reached during a session."""

    UPPER = "upper"
    LOWER = "lower"


class SymbolFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The published facts of a symbol after one session."""

    symbol: str
    delivery_pct: float | None = None  # of the traded shares, those that changed hands for good
    market_cap: float | None = None  # rupees
    band_hit: BandHit | None = None
    results_on: date | None = None  # the next meeting of the board about results
    surveillance: tuple[str, ...] = ()  # measures of the exchange, such as `ASM stage 2`
    price_band_pct: float | None = None  # how far the day's price may lie from the close before
    series_change: str | None = None  # a move between series on the session or later, in words


class SetupFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown beside a setup: the latest facts of its symbol up to its session.

    `delivery_average_pct` is that of the sessions before, 20 at most. `marks` name what makes a share harder
    to trade: trade for trade, a narrow price band, a move between series, measures of surveillance.
    """

    session: date
    delivery_pct: float | None = None
    delivery_average_pct: float | None = None
    market_cap: float | None = None
    band_hit: BandHit | None = None
    price_band_pct: float | None = None
    results_on: date | None = None
    results_in_sessions: int | None = None  # counted from `session`
    marks: tuple[str, ...] = ()

    @property
    def results_text(self) -> str:
        """`results in 3 sessions, on 2026-11-30`; empty where no meeting is known."""
        if self.results_on is None:
            return ""
        sessions = self.results_in_sessions
        ahead = "" if sessions is None else f" in {sessions} session{'' if sessions == 1 else 's'},"
        return f"results{ahead} on {self.results_on}"

    def lines(self) -> list[str]:
        """Plain lines of what is known, as of the facts' own session."""
        known = [*self._traded(), self.results_text, *self.marks]
        return [f"{line}, as of {self.session}" for line in known if line]

    def _traded(self) -> Iterator[str]:
        if self.delivery_pct is not None:
            average = self.delivery_average_pct
            usual = "" if average is None else f", {average:.0f} % on average before"
            yield f"delivery {self.delivery_pct:.0f} % of the shares traded{usual}"
        if self.market_cap is not None:
            yield f"market value Rs {self.market_cap / RUPEES_PER_CRORE:,.0f} crore"
        if self.price_band_pct is not None and not narrow_band_text(self.price_band_pct):  # else it is a mark
            yield f"price band {self.price_band_pct:g} %"
        if self.band_hit is not None:
            yield f"reached its {self.band_hit} price band"
