"""Bars of the sandbox's simulated market as a frame: for notebooks and examples, no real prices."""

from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Final

import polars as pl

from vcpd.domain.bars import PRICE_FIELDS, BarSeries
from vcpd.sandbox.market import ZONE
from vcpd.sandbox.settings import SIMULATED_EXCHANGE, SandboxSettings
from vcpd.sandbox.simulated import SimulatedMarket

NEXT_MORNING: Final = time(8, 30)  # bars of the session before are final


def simulated_bars(
    symbols: int = 80, years: int = 3, last: date = date(2026, 7, 15), seed: int = 1
) -> pl.DataFrame:
    """Daily bars of invented companies with advances, bases and breakouts, up to the session `last`.

    Columns symbol, date, open, high, low, close (rupees), volume (shares). The same arguments always give the
    same bars. Unlike a real market's, its bases are drawn: what a study finds in it says nothing about yours.
    """
    calendar = SIMULATED_EXCHANGE.calendar
    market = SimulatedMarket(SandboxSettings(symbols=symbols, years=years, seed=seed), calendar, last)
    after = datetime.combine(calendar.next(last), NEXT_MORNING, ZONE)
    return pl.concat([_frame(series) for series in _equities(market, after)])


def _equities(market: SimulatedMarket, after: datetime) -> Iterator[BarSeries]:
    """The histories of all shares that have traded; the market's other lines are left out."""
    for listing in market.listings(after):
        if listing.segment == SIMULATED_EXCHANGE.name and "-" not in listing.trading_symbol:
            series = market.bars(listing.token, after)
            if series is not None and len(series):
                yield series


def _frame(series: BarSeries) -> pl.DataFrame:
    names = (*PRICE_FIELDS, "volume")
    return pl.DataFrame(
        {
            "symbol": [series.symbol] * len(series),
            "date": series.sessions.astype("M8[D]"),
            **{name: series.records[name] for name in names},
        }
    )
