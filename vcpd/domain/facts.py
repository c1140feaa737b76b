"""Facts that the market states of an instrument beside its bars, by session; None is unknown.

The daily price band is published in a list, or read from the limits that a quote states: the highest and the
lowest price that the exchange accepts today. Both lie the band's width away from a reference price, each
rounded inwards to a whole tick: half their distance over their middle is the width, whatever the reference
price was.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from math import copysign, isfinite
from typing import Final

import msgspec
import numpy as np

from vcpd.domain.bars import BoolArray, FloatArray
from vcpd.domain.instruments import Instrument, Quote

RUPEES_PER_CRORE: Final = 10_000_000
PERCENT: Final = 100.0
NARROW_BAND_PCT: Final = 5.0  # a price band from here down may find no buyer for a day
MIN_TICK: Final = 0.05  # lists of instruments state finer ticks than the limits are rounded to
SHORT_SHARE: Final = 1e-3  # of the close before, which a file may give adjusted and rounded
BEYOND_SHARE: Final = 1e-4  # of the close before
PRICE_ROUNDING: Final = 0.005  # of prices in hundredths
FLOAT_ERROR: Final = 1e-6
ROUNDING_SHARE: Final = 1e-4  # of the band's width, beside the ticks: prices are floating point numbers


@dataclass(frozen=True, slots=True)
class PriceBands:
    """The widths in percent of an exchange's fixed price bands.

    A share with futures has no fixed band: its limits are `dynamic_from_pct` away at first and move on during
    the session when they are reached. Without widths no band is ever known.
    """

    widths_pct: tuple[float, ...] = ()
    dynamic_from_pct: float = 0.0

    def of_quote(self, quote: Quote, instrument: Instrument) -> float | None:
        """The share's fixed band in percent; None where its quote does not say, and where it has none.

        Where it is unknown whether futures trade, only widths below `dynamic_from_pct` are believed.
        """
        if instrument.is_index or instrument.has_futures:
            return None
        width = self.of_limits(quote.lower_limit, quote.upper_limit, instrument.tick_size)
        is_certain = instrument.has_futures is False or (width or 0.0) < self.dynamic_from_pct
        return width if is_certain else None

    def of_limits(self, lower: float | None, upper: float | None, tick_size: float) -> float | None:
        """The width in percent that both limits are apart by; None where no width fits, or more than one.

        Limits fit a width if they are apart by it to a tick on either side.
        """
        if not lower or not upper or not isfinite(lower + upper) or not 0 < lower < upper:
            return None
        middle, half = (upper + lower) / 2, (upper - lower) / 2
        tick = max(tick_size, MIN_TICK)
        fitting = [width for width in self.widths_pct if _fits(half, middle * width / PERCENT, tick)]
        return fitting[0] if len(fitting) == 1 else None


def lie_at_limit(
    prices: FloatArray, previous_closes: FloatArray, width_pct: float, tick_size: float
) -> BoolArray:
    """(n,): whether prices (n,) lie at the limit of a band of `width_pct` percent, negative for lower limits.

    A limit is rounded inwards to a whole tick, and a file's prices may be adjusted and rounded: a price lies
    there if it moved in that direction, exceeds the unrounded limit by no more than rounding, and falls short
    of it by less than a tick, or by a thousandth of the close before where that is more.
    """
    sign = copysign(1.0, width_pct)
    short = sign * (previous_closes * (1 + width_pct / PERCENT) - prices)
    inwards = np.maximum(max(tick_size, MIN_TICK) - FLOAT_ERROR, SHORT_SHARE * previous_closes)
    beyond = np.maximum(PRICE_ROUNDING, BEYOND_SHARE * previous_closes)
    moved = sign * (prices - previous_closes) > FLOAT_ERROR
    at_limit: BoolArray = moved & (short < inwards) & (short >= -beyond)
    return at_limit


NO_PRICE_BANDS: Final = PriceBands()  # of an exchange that has none, or whose bands nobody stated


def _fits(half: float, expected: float, tick: float) -> bool:
    return abs(half - expected) <= tick + expected * ROUNDING_SHARE


def narrow_band_text(width_pct: float | None) -> str:
    """`price band 5 %` for a band in which a share may find no buyer for a day; empty for any other."""
    if width_pct is None or width_pct > NARROW_BAND_PCT:
        return ""
    return f"price band {width_pct:g} %"


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
