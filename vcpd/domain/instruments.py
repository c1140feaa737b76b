"""Instruments as the exchange lists them and as the store keeps them; quotes."""

from datetime import date
from typing import Final

import msgspec

EXCHANGE: Final = "NSE"


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


def full_symbol(symbol: str) -> str:
    """`NSE:INFY` for `infy` and for itself."""
    name = symbol.strip().upper()
    return name if ":" in name else f"{EXCHANGE}:{name}"
