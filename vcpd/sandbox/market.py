"""What the exchange asks of a market: its list, its bars, its prices now, and what was planted in it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Final, Literal, Protocol

import msgspec

from vcpd.domain.bars import BarSeries
from vcpd.domain.setups import Contraction

TICK: Final = 0.05
NSE: Final = "NSE"
INDICES: Final = "INDICES"

Resolution = Literal["breakout", "failed"]


class Listing(msgspec.Struct, frozen=True):
    """One row of the exchange's list, with its columns' values."""

    token: int
    trading_symbol: str
    name: str
    tick_size: float = TICK
    lot_size: int = 1
    segment: str = NSE

    @property
    def symbol(self) -> str:
        return f"{NSE}:{self.trading_symbol}"

    @property
    def exchange_token(self) -> int:
        return self.token >> 8

    @property
    def is_index(self) -> bool:
        return self.segment == INDICES


class MarketQuote(msgspec.Struct, frozen=True):
    """Prices of the running or the last session; `traded_at` is the last trade's instant, UTC."""

    token: int
    traded_at: datetime
    last: float
    open: float
    high: float
    low: float
    previous_close: float
    volume: int


def resting_quote(token: int, series: BarSeries, traded_at: datetime) -> MarketQuote:
    """What a closed market says: the last bar of `series`, with its own close as the previous one."""
    bar = series.records[-1]
    close = float(bar["close"])
    return MarketQuote(
        token=token,
        traded_at=traded_at,
        last=close,
        open=float(bar["open"]),
        high=float(bar["high"]),
        low=float(bar["low"]),
        previous_close=close,
        volume=shares(bar["volume"]),
    )


def shares(volume: float) -> int:
    """A volume as the exchange prints it, in whole shares; it prints 0 where it knows none."""
    return 0 if math.isnan(volume) else int(volume)


class PlantedBase(msgspec.Struct, frozen=True, kw_only=True):
    """A base that was put into the simulated market on purpose, as its bars show it.

    From `formed_on`, the session of the last contraction's low, until the session before `resolved_on`
    a detector should see it. `resolved_on` and `resolution` are None while it is open.
    """

    symbol: str
    anchor_date: date
    contractions: tuple[Contraction, ...]
    pivot: float
    formed_on: date
    resolved_on: date | None
    resolution: Resolution | None


class Market(Protocol):
    """A market with its own time; every method answers as of the instant `at` (aware)."""

    def ready(self, at: datetime, /) -> bool:
        """Whether `at` can be answered at once, without a call of `prepare`."""
        ...

    def prepare(self, at: datetime, /) -> None:
        """Compute what answering `at` needs; may take seconds, safe in another thread."""
        ...

    def listings(self, at: datetime, /) -> Sequence[Listing]: ...
    def bars(self, token: int, at: datetime, /) -> BarSeries | None:
        """Daily bars, the running one last and provisional; None for a token that is not listed."""
        ...

    def quotes(self, symbols: Iterable[str], at: datetime, /) -> Mapping[str, MarketQuote]:
        """Quotes by symbol; unknown symbols are absent."""
        ...

    def planted(self, at: datetime, /) -> Sequence[PlantedBase]:
        """Planted bases whose last contraction has been printed by `at`."""
        ...
