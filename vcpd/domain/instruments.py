"""Instruments as the exchange lists them and as the store keeps them; quotes."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Final

import msgspec

EXCHANGE: Final = "NSE"
EQUITY_SERIES: Final = ("EQ", "BE", "BZ", "SM", "ST", "SZ")  # of shares; the most ordinary first
VENDOR_INDEX_NAMES: Final[Mapping[str, str]] = {
    "^NSEI": "NIFTY 50",
    "^CRSLDX": "NIFTY 500",
    "^NSEBANK": "NIFTY BANK",
}
_VENDOR_SUFFIX: Final = re.compile(r"(?:\.NSE?|-EQ|[ _]EQ)$")


class Instrument(msgspec.Struct, frozen=True):
    """One line of the exchange's list. `symbol` is the identity, `NSE:INFY`; the token may change."""

    symbol: str
    token: int
    name: str = ""
    tick_size: float = 0.05
    lot_size: int = 1
    segment: str = "NSE"  # INDICES marks an index
    series: str = "EQ"

    @property
    def exchange(self) -> str:
        return self.symbol.partition(":")[0]

    @property
    def trading_symbol(self) -> str:
        return self.symbol.partition(":")[2]

    @property
    def is_index(self) -> bool:
        return self.segment == "INDICES"


class StoredInstrument(msgspec.Struct, frozen=True):
    """An instrument with the key under which its history is kept, through renames and new tokens."""

    id: int
    instrument: Instrument
    listed: bool = True  # false once the exchange's list no longer names it
    first_seen: date | None = None
    last_seen: date | None = None
    sector: str | None = None  # as an index list tells it

    @property
    def symbol(self) -> str:
        return self.instrument.symbol


class InstrumentChanges(msgspec.Struct, frozen=True):
    """What a day's list changed, by symbol."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()  # (old symbol, new symbol)
    token_changed: tuple[str, ...] = ()


class Quote(msgspec.Struct, frozen=True):
    """The market's word on one instrument right now; prices of the running or last session."""

    symbol: str
    token: int
    at: str  # the exchange's own timestamp text, its time zone
    last_price: float
    open: float
    high: float
    low: float
    previous_close: float
    volume: float  # shares so far this session; NaN where unknown


def plain_symbol(text: str) -> str:
    """`INFY` for `infy`, `INFY.NS` and `INFY-EQ`; an exchange before a colon stays."""
    name = " ".join(text.split()).upper()
    exchange, colon, symbol = name.rpartition(":")
    symbol = VENDOR_INDEX_NAMES.get(symbol, _VENDOR_SUFFIX.sub("", symbol) or symbol)
    return f"{exchange}{colon}{symbol}"


def full_symbol(symbol: str) -> str:
    """`NSE:INFY` for `infy`, `INFY.NS` and for itself."""
    name = plain_symbol(symbol)
    return name if ":" in name else f"{EXCHANGE}:{name}"
