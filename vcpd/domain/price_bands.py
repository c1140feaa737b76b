"""Daily price bands of shares, read from the limits that a quote states.

A market that publishes no list of bands still states the highest and the lowest price that it accepts today.
Both lie the band's width away from a reference price, each rounded inwards to a whole tick: half their
distance over their middle is the width, whatever the reference price was.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Final

from vcpd.domain.instruments import Instrument, Quote

PERCENT: Final = 100.0
NARROW_BAND_PCT: Final = 5.0  # a price band from here down may find no buyer for a day
MIN_TICK: Final = 0.05  # lists of instruments state finer ticks than the limits are rounded to
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


NO_PRICE_BANDS: Final = PriceBands()  # of an exchange that has none, or whose bands nobody stated


def _fits(half: float, expected: float, tick: float) -> bool:
    return abs(half - expected) <= tick + expected * ROUNDING_SHARE


def narrow_band_text(width_pct: float | None) -> str:
    """`price band 5 %` for a band in which a share may find no buyer for a day; empty for any other."""
    if width_pct is None or width_pct > NARROW_BAND_PCT:
        return ""
    return f"price band {width_pct:g} %"
