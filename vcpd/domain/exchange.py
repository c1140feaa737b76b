"""Exchange as a value: name, calendar, currency, symbol prefix, and the rules of its prices.

Everything that differs from one exchange to another is said here; the rest of the program is handed the
value and names no exchange itself.
"""

from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.facts import NO_PRICE_BANDS, PriceBands
from vcpd.domain.instruments import plain_symbol
from vcpd.domain.nse_calendar import NSE


class CurrencyUnit(msgspec.Struct, frozen=True):
    """A named multiple in which large amounts are written: 100,000 rupees are 1 `lakh`."""

    size: float
    name: str


class Currency(msgspec.Struct, frozen=True):
    """How amounts of money are written: code of ISO 4217, sign, digit grouping, large units.

    `locale` is a BCP 47 tag whose digit grouping is the currency's: `en-IN` writes 12,34,567. `units` go
    from the largest to the smallest.
    """

    code: str
    sign: str
    plural: str
    locale: str
    units: tuple[CurrencyUnit, ...] = ()


class CompanyLink(msgspec.Struct, frozen=True):
    """A page about a company: in `url`, `{symbol}` is its symbol, `{plain}` has `_` for `&` and `-`."""

    name: str
    url: str


@dataclass(frozen=True)
class Exchange:
    """An exchange. `tick_size` is in units of the currency, `price_band_pct` the widest daily price band.

    `price_bands` are those that a quote's limits may state; without them bands of quotes stay unknown.
    """

    name: str
    calendar: TradingCalendar
    zone_name: str  # as people write it behind a time: IST
    currency: Currency
    tick_size: float
    price_band_pct: float
    index_segment: str
    share_series: str  # ordinary shares; other series stand behind a dash in the symbol
    links: tuple[CompanyLink, ...] = ()
    price_bands: PriceBands = NO_PRICE_BANDS

    @property
    def zone(self) -> ZoneInfo:
        return self.calendar.zone

    @property
    def prefix(self) -> str:
        """The prefix of each of its symbols: `NSE:`."""
        return f"{self.name}:"

    def full_symbol(self, symbol: str) -> str:
        """`NSE:INFY` for `infy`, `INFY.NS` and for itself; a symbol of another exchange keeps its prefix."""
        name = plain_symbol(symbol)
        return name if ":" in name else f"{self.prefix}{name}"

    def price_limits(self, previous_close: float) -> tuple[float, float]:
        """The lowest and the highest price of a session in the widest band, to the hundredth."""
        band = self.price_band_pct / 100
        return round(previous_close * (1 - band), 2), round(previous_close * (1 + band), 2)


class ExchangeDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What a page needs to write symbols, times and amounts; part of /status."""

    name: str
    symbol_prefix: str
    time_zone: str
    zone_name: str
    currency: Currency
    links: tuple[CompanyLink, ...] = ()

    @classmethod
    def of(cls, exchange: Exchange) -> "ExchangeDescription":
        return cls(
            name=exchange.name,
            symbol_prefix=exchange.prefix,
            time_zone=exchange.calendar.time_zone,
            zone_name=exchange.zone_name,
            currency=exchange.currency,
            links=exchange.links,
        )


INDIAN_RUPEE: Final = Currency(
    code="INR",
    sign="₹",
    plural="rupees",
    locale="en-IN",
    units=(CurrencyUnit(1e7, "crore"), CurrencyUnit(1e5, "lakh")),
)
NSE_EXCHANGE: Final = Exchange(
    name=NSE.name,
    calendar=NSE,
    zone_name="IST",
    currency=INDIAN_RUPEE,
    tick_size=0.05,
    price_band_pct=20.0,
    index_segment="INDICES",
    share_series="EQ",
    links=(
        CompanyLink("TradingView", "https://www.tradingview.com/chart/?symbol=NSE:{plain}"),
        CompanyLink("Screener.in", "https://www.screener.in/company/{symbol}/"),
        CompanyLink("NSE", "https://www.nseindia.com/get-quotes/equity?symbol={symbol}"),
    ),
    price_bands=PriceBands(widths_pct=(2.0, 5.0, 10.0, 20.0), dynamic_from_pct=10.0),
)
