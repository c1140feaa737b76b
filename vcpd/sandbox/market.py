"""Market interface of the exchange: listings, bars, quotes, known bases, and the state of the trading day."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final, Literal, NamedTuple, Protocol

import msgspec
import numpy as np

from vcpd.domain.bars import BarSeries, FloatArray, IntArray, RecordArray
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.setups import Contraction
from vcpd.sandbox.settings import SIMULATED_EXCHANGE

ZONE: Final = SIMULATED_EXCHANGE.zone
FINAL_AT: Final = time(6, 0)  # the evening's day candle becomes final, and access tokens die
ADJUSTED_AT: Final = time(8, 0)  # on an ex-date the history is restated by then
TICK: Final = SIMULATED_EXCHANGE.tick_size
ORDER_BOOK: Final = tuple((round(level * TICK, 2), 100 * level, level) for level in range(1, 6))
"""What waits in the order book on either side: rupees from the last price, shares, orders."""
BaseResolution = Literal["breakout", "failed"]


@dataclass(frozen=True, slots=True)
class MarketTime:
    """An instant as the market sees it.

    Bars of sessions before `settled_before` are final. `moving` is the session whose bar is still
    provisional, if any, and `fraction` how much of it is over, 1.0 from its close on.
    """

    today: date
    final_before: date
    running_session: date | None
    elapsed_share: float
    adjusted_until: date


def market_time_at(calendar: TradingCalendar, at: datetime) -> MarketTime:
    """Returns the market's time at the aware instant `at`."""
    local = at.astimezone(ZONE)
    today = local.date()
    yesterday = today - timedelta(days=1)
    adjusted_until = today if local.time() >= ADJUSTED_AT else yesterday
    if (fraction := _elapsed(calendar, today, at)) > 0:
        return MarketTime(today, today, today, fraction, adjusted_until)
    if local.time() < FINAL_AT and calendar.is_session(yesterday):
        return MarketTime(today, yesterday, yesterday, 1.0, adjusted_until)
    return MarketTime(today, today, None, 0.0, adjusted_until)


def _elapsed(calendar: TradingCalendar, day: date, at: datetime) -> float:
    """Returns the fraction of the day's session that is over at `at`; 0 before it, or where there is none."""
    if not calendar.is_session(day):
        return 0.0
    opens, closes = calendar.open_close(day)
    return min(max((at - opens) / (closes - opens), 0.0), 1.0)


def next_token_expiry(at: datetime) -> datetime:
    """Returns the first 06:00 of the exchange's time zone after `at`: what was valid today ends there."""
    local = at.astimezone(ZONE)
    today = datetime.combine(local.date(), FINAL_AT, ZONE)
    return today if local < today else today + timedelta(days=1)


class MarketListing(msgspec.Struct, frozen=True):
    """One row of the exchange's list, with its columns' values."""

    token: int
    trading_symbol: str
    name: str
    tick_size: float = TICK
    lot_size: int = 1
    segment: str = SIMULATED_EXCHANGE.name

    @property
    def symbol(self) -> str:
        return f"{SIMULATED_EXCHANGE.prefix}{self.trading_symbol}"

    @property
    def exchange_token(self) -> int:
        return self.token >> 8

    @property
    def is_index(self) -> bool:
        return self.segment == SIMULATED_EXCHANGE.index_segment


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


def closed_market_quote(token: int, series: BarSeries, traded_at: datetime) -> MarketQuote:
    """The quote of a closed market: the last bar of `series`, with its own close as the previous one."""
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
        volume=whole_shares(bar["volume"]),
    )


def whole_shares(volume: float) -> int:
    """Returns a volume as the exchange states it, in whole shares; 0 where it knows none."""
    return 0 if math.isnan(volume) else int(volume)


def average_prices(high: FloatArray, low: FloatArray, last: FloatArray) -> FloatArray:
    """Returns the day's average prices as the exchange states them, to the paisa."""
    averages: FloatArray = np.round((high + low + last) / 3, 2)
    return averages


class CandleSpan(NamedTuple):
    """Candles of `step_minutes` that start in [first, last], wall time of the exchange, naive."""

    step_minutes: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True, eq=False)
class IntradayCandles:
    """One symbol's intraday candles; `records` has CANDLE_DTYPE, `start` is wall time of the exchange."""

    symbol: str
    records: RecordArray


class KnownBase(msgspec.Struct, frozen=True, kw_only=True):
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
    resolution: BaseResolution | None


class KnownBreakout(msgspec.Struct, frozen=True, kw_only=True):
    """When in its session a planted base breaks out, in the prices of that day.

    `crossed_at` (UTC) is the first second at which the last price stands above the pivot, at `price`;
    `high`, `close` and `volume` are those of that evening.
    """

    symbol: str
    token: int
    session: date
    pivot: float
    crossed_at: datetime
    price: float
    high: float
    close: float
    volume: int


class SandboxMarket(Protocol):
    """A market with its own time; every method answers as of the instant `at` (aware)."""

    def ready(self, at: datetime, /) -> bool:
        """Whether `at` can be answered at once, without a call of `prepare`."""
        ...

    def prepare(self, at: datetime, /) -> None:
        """Compute what answering `at` needs; may take seconds, safe in another thread."""
        ...

    def last_session(self, until: date, /) -> date:
        """The last session at or before `until` of which there are bars."""
        ...

    def listings(self, at: datetime, /) -> Sequence[MarketListing]: ...
    def bars(self, token: int, at: datetime, /) -> BarSeries | None:
        """Daily bars, the running one last and provisional; None for a token that is not listed."""
        ...

    def quotes(self, symbols: Iterable[str], at: datetime, /) -> Mapping[str, MarketQuote]:
        """Quotes by symbol; unknown symbols are absent."""
        ...

    def ticks(self, tokens: IntArray, at: datetime, /, *, resting: bool) -> RecordArray:
        """The live feed's ticks of these: TICK_DTYPE, mode full; unknown tokens are absent.

        With `resting` also of those that do not trade now.
        """
        ...

    def candles(self, token: int, span: CandleSpan, at: datetime, /) -> IntradayCandles | None:
        """Candles that start within the span, the running one last; None for a token that is not listed."""
        ...

    def known_bases(self, at: datetime, /) -> Sequence[KnownBase]:
        """Planted bases whose last contraction is among the bars at `at`."""
        ...

    def breakouts(self, first: date, last: date, /) -> Sequence[KnownBreakout]:
        """Breakouts of planted bases in the sessions [first, last], also those yet to come."""
        ...
