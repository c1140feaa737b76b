"""The session that runs, as one table: who trades in it, how far each has come, the closes before."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from vcpd.domain.arrays import BoolArray, FloatArray, IntArray, RecordArray
from vcpd.domain.sessions import TradingCalendar
from vcpd.kite.ticker import INDEX_SEGMENT, MODES, TICK_DTYPE, Mode
from vcpd.sandbox.intraday import DayBars
from vcpd.sandbox.market import DEPTH, MarketQuote, average_prices, shares
from vcpd.sandbox.moment import Moment
from vcpd.sandbox.session_tape import SessionTape

USUAL_HOURS: Final = (time(9, 15), time(15, 30))
TOLD_AS_THEY_ARE: Final = ("open", "high", "low", "volume")


@dataclass(frozen=True, slots=True)
class Hours:
    """When a session opens and closes, UTC."""

    opens: datetime
    closes: datetime

    @classmethod
    def of(cls, calendar: TradingCalendar, session: date) -> "Hours":
        """The calendar's, or the usual ones on a day that it does not know."""
        if calendar.is_session(session):
            return cls(*calendar.open_close(session))
        opens, closes = (datetime.combine(session, at, calendar.zone) for at in USUAL_HOURS)
        return cls(opens.astimezone(UTC), closes.astimezone(UTC))

    @property
    def minutes(self) -> int:
        return int((self.closes - self.opens).total_seconds()) // 60

    def minute(self, moment: Moment) -> float:
        """How many minutes of the session are over at a moment of it."""
        return round(moment.fraction * self.minutes, 9)

    def wall(self, zone: ZoneInfo) -> np.datetime64:
        """The opening on the exchange's wall."""
        return np.datetime64(self.opens.astimezone(zone).replace(tzinfo=None), "s")


@dataclass(frozen=True, slots=True, eq=False)
class QuoteColumns:
    """Quotes of n instruments as columns (n,): prices in rupees, `traded_at` in UTC."""

    tokens: IntArray
    bars: DayBars
    previous_close: FloatArray
    traded_at: NDArray[np.datetime64]

    @classmethod
    def of(cls, quotes: list[MarketQuote]) -> "QuoteColumns":
        def column(name: str) -> FloatArray:
            return np.array([getattr(quote, name) for quote in quotes], np.float64)

        bars = DayBars(*(column(name) for name in ("open", "high", "low", "last", "volume")))
        tokens = np.array([quote.token for quote in quotes], np.int64)
        return cls(tokens, bars, column("previous_close"), _utc([quote.traded_at for quote in quotes]))

    def quotes(self) -> list[MarketQuote]:
        """The same, one by one."""
        bars = self.bars
        columns = (self.tokens, bars.close, bars.open, bars.high, bars.low, self.previous_close, bars.volume)
        rows = zip(self.traded_at.tolist(), *(column.tolist() for column in columns), strict=True)
        return [
            MarketQuote(token, traded_at.replace(tzinfo=UTC), last, opened, high, low, before, shares(volume))
            for traded_at, token, last, opened, high, low, before, volume in rows
        ]

    def ticks(self, at: datetime) -> RecordArray:
        """Everything that the live feed can tell of them at `at`: TICK_DTYPE, mode full."""
        records = np.zeros(len(self.tokens), TICK_DTYPE)
        records["token"], records["mode"] = self.tokens, MODES.index(Mode.FULL)
        records["tradable"] = self.tokens & 0xFF != INDEX_SEGMENT
        records["last_price"], records["close"] = self.bars.close, self.previous_close
        for name in TOLD_AS_THEY_ARE:
            records[name] = getattr(self.bars, name)
        records["average_price"] = average_prices(self.bars.high, self.bars.low, self.bars.close)
        records["last_quantity"] = np.minimum(self.bars.volume, 1)
        records["at"], records["last_trade_at"] = _utc([at]), self.traded_at
        _lay_orders(records)
        return records


def _utc(instants: list[datetime]) -> NDArray[np.datetime64]:
    return np.array([each.astimezone(UTC).replace(tzinfo=None) for each in instants], "<M8[us]")


def _lay_orders(records: RecordArray) -> None:
    """The same orders around the last price of each."""
    away, quantity, orders = (np.array(column) for column in zip(*DEPTH, strict=True))
    prices = np.stack([records["last_price"][:, None] - away, records["last_price"][:, None] + away], axis=1)
    records["depth_price"] = np.maximum(np.round(prices, 2), 0.0)
    records["depth_quantity"], records["depth_orders"] = quantity, orders
    records["buy_quantity"] = records["sell_quantity"] = quantity.sum()


@dataclass(frozen=True, slots=True, eq=False)
class SessionBook:
    """One session on its tape. Names are in the order of `tokens`, ascending; `unit` makes prices rupees."""

    hours: Hours
    tokens: IntArray
    tape: SessionTape
    previous_close: FloatArray  # rupees, NaN where there is none
    unit: float

    def known(self, tokens: IntArray) -> BoolArray:
        """Which of them trade in this session."""
        return np.isin(tokens, self.tokens)

    def places(self, tokens: IntArray) -> IntArray:
        """Where these tokens stand; all must be known."""
        return np.searchsorted(self.tokens, tokens).astype(np.int64)

    def bars(self, tokens: IntArray, moment: Moment) -> DayBars:
        """The growing bars, in the tape's own unit."""
        return self.tape.at(self.hours.minute(moment), self.places(tokens))

    def columns(self, tokens: IntArray, moment: Moment, at: datetime) -> QuoteColumns:
        """Quotes of the known ones among `tokens`."""
        tokens = tokens[self.known(tokens)]
        bars = self.bars(tokens, moment).priced(self.unit)
        before = self.previous_close[self.places(tokens)]
        before = np.where(np.isnan(before), bars.close, before)
        return QuoteColumns(tokens, bars, before, np.repeat(_utc([min(at, self.hours.closes)]), len(tokens)))
