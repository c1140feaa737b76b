"""The universe of each date: which symbols could be bought on which evening, by what was known of them then.

Bars of a file are usually adjusted: a share of today stands for a fraction of a share of then. Filters of
price compare what was paid on the date, so later splits and bonuses are undone. A share's series (EQ, or BE
where purchases settle trade for trade) is the one that it had on the date.
"""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Final

import msgspec
import numpy as np

from vcpd.analysis.indicators import VOLUME_SESSIONS, Bars
from vcpd.domain.instruments import EQUITY_SERIES, base_symbol
from vcpd.domain.panel import Panel

ORDINARY_SERIES: Final = EQUITY_SERIES[0]


class UniverseFilter(msgspec.Struct, frozen=True, kw_only=True):
    """`[universe]`: what a symbol must show on the evening before the purchase; 0 and () ask nothing."""

    min_price: Annotated[float, msgspec.Meta(ge=0)] = 0.0  # as traded on that date
    min_traded_value: Annotated[float, msgspec.Meta(ge=0)] = 0.0  # median of 50 sessions
    series: tuple[str, ...] = ()  # such as EQ: the series of that date


class RatioStep(msgspec.Struct, frozen=True, array_like=True):
    """From `session` on, prices of the file are those of `ratio` shares for each one before."""

    session: date
    ratio: float


class SeriesStep(msgspec.Struct, frozen=True, array_like=True):
    """From `session` on, the share trades in `series`, before in `before`."""

    session: date
    series: str
    before: str


class UniverseFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of symbols by date, besides their bars; steps of a symbol in the order of their sessions.

    None where nothing of the kind was given at all.
    """

    ratios: Mapping[str, tuple[RatioStep, ...]] | None = None
    series: Mapping[str, tuple[SeriesStep, ...]] | None = None
    sectors_are_todays: bool = False  # lists of sectors bear no dates

    def shares_for_each(self, symbol: str, day: date) -> float:
        """How many shares of the file's last date one share of `day` became: 1 where that is unknown."""
        product = 1.0
        for step in (self.ratios or {}).get(symbol, ()):
            product *= step.ratio if step.session > day else 1.0
        return product

    def series_of(self, symbol: str, day: date) -> str:
        """The series on `day`; of a symbol without moves the one that its name bears, else EQ."""
        moves = (self.series or {}).get(symbol, ())
        if not moves:
            suffix = symbol.removeprefix(base_symbol(symbol)).removeprefix("-")
            return suffix or ORDINARY_SERIES
        past = [move for move in moves if move.session <= day]
        return past[-1].series if past else moves[0].before


class DatedUniverse(msgspec.Struct, frozen=True):
    """Which purchases the universe allows, each by the evening before it."""

    asked: UniverseFilter = UniverseFilter()
    facts: UniverseFacts = UniverseFacts()

    def admits(self, panel: Panel, row: int, bars: Bars, bar: int) -> bool:
        """Whether the symbol in `row` was in the universe on the evening before its bar number `bar`."""
        if bar < 1:
            return False
        asked, symbol = self.asked, panel.symbols[row]
        evening: date = panel.sessions[bars.column[bar - 1]].item()
        if asked.series and self.facts.series_of(symbol, evening) not in asked.series:
            return False
        price = bars.close.item(bar - 1) * self.facts.shares_for_each(symbol, evening)
        if price < asked.min_price:
            return False
        return not asked.min_traded_value or _median_value(bars, bar) >= asked.min_traded_value


def _median_value(bars: Bars, bar: int) -> float:
    """The median of price times volume before a bar; a split changes neither, as it changes both."""
    known = slice(max(bar - VOLUME_SESSIONS, 0), bar)
    values = bars.close[known] * bars.volume[known]
    values = values[~np.isnan(values)]
    return float(np.median(values)) if len(values) else 0.0
