"""Running session: hours, quotes and candles of all instruments, and a cache of generated sessions."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from vcpd.domain.bars import BoolArray, FloatArray, IntArray, RecordArray
from vcpd.domain.calendar import TradingCalendar
from vcpd.kite.ticker_protocol import INDEX_SEGMENT, MODES, TICK_DTYPE, TickerMode
from vcpd.sandbox.intraday import DayBars, IntradayPaths, SessionRandom, provisional_bars
from vcpd.sandbox.market import ORDER_BOOK, MarketQuote, MarketTime, average_prices, whole_shares
from vcpd.sandbox.price_table import PAISE_PER_RUPEE, TICK_PAISE, round_to_tick
from vcpd.sandbox.universe import SimulatedUniverse

DEFAULT_HOURS: Final = (time(9, 15), time(15, 30))
COPIED_FIELDS: Final = ("open", "high", "low", "volume")
MAX_ABSENCE_SESSIONS: Final = 120  # sessions; more than any suspension lasts
SESSIONS_KEPT: Final = 2


@dataclass(frozen=True, slots=True)
class SessionHours:
    """Open and close of a session, UTC."""

    opens: datetime
    closes: datetime

    @classmethod
    def of(cls, calendar: TradingCalendar, session: date) -> "SessionHours":
        """Returns the calendar's hours, or the usual ones on a day outside its table."""
        if calendar.is_session(session):
            return cls(*calendar.open_close(session))
        opens, closes = (datetime.combine(session, at, calendar.zone) for at in DEFAULT_HOURS)
        return cls(opens.astimezone(UTC), closes.astimezone(UTC))

    @property
    def minutes(self) -> int:
        return int((self.closes - self.opens).total_seconds()) // 60

    def elapsed_minutes(self, market_time: MarketTime) -> float:
        """Returns how many minutes of the session are over at an instant of it."""
        return round(market_time.elapsed_share * self.minutes, 9)

    def local_open(self, zone: ZoneInfo) -> np.datetime64:
        """Returns the opening in the exchange's local time."""
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
        """Converts the columns to one quote for each instrument."""
        bars = self.bars
        columns = (self.tokens, bars.close, bars.open, bars.high, bars.low, self.previous_close, bars.volume)
        rows = zip(self.traded_at.tolist(), *(column.tolist() for column in columns), strict=True)
        return [
            MarketQuote(
                token, traded_at.replace(tzinfo=UTC), last, opened, high, low, before, whole_shares(volume)
            )
            for traded_at, token, last, opened, high, low, before, volume in rows
        ]

    def ticks(self, at: datetime) -> RecordArray:
        """Returns everything that the live feed can send of them at `at`: TICK_DTYPE, mode full."""
        records = np.zeros(len(self.tokens), TICK_DTYPE)
        records["token"], records["mode"] = self.tokens, MODES.index(TickerMode.FULL)
        records["tradable"] = self.tokens & 0xFF != INDEX_SEGMENT
        records["last_price"], records["close"] = self.bars.close, self.previous_close
        for name in COPIED_FIELDS:
            records[name] = getattr(self.bars, name)
        records["average_price"] = average_prices(self.bars.high, self.bars.low, self.bars.close)
        records["last_quantity"] = np.minimum(self.bars.volume, 1)
        records["at"], records["last_trade_at"] = _utc([at]), self.traded_at
        _fill_depth(records)
        return records


def _utc(instants: list[datetime]) -> NDArray[np.datetime64]:
    return np.array([each.astimezone(UTC).replace(tzinfo=None) for each in instants], "<M8[us]")


def _fill_depth(records: RecordArray) -> None:
    """Writes the same orders around the last price of each."""
    away, quantity, orders = (np.array(column) for column in zip(*ORDER_BOOK, strict=True))
    prices = np.stack([records["last_price"][:, None] - away, records["last_price"][:, None] + away], axis=1)
    records["depth_price"] = np.maximum(np.round(prices, 2), 0.0)
    records["depth_quantity"], records["depth_orders"] = quantity, orders
    records["buy_quantity"] = records["sell_quantity"] = quantity.sum()


@dataclass(frozen=True, slots=True, eq=False)
class IntradaySession:
    """The generated course of one session. Shares follow `tokens`, ascending; `unit` makes prices rupees."""

    hours: SessionHours
    tokens: IntArray
    paths: IntradayPaths
    previous_close: FloatArray  # rupees, NaN where there is none
    unit: float

    def is_trading(self, tokens: IntArray) -> BoolArray:
        """Returns which of them trade in this session."""
        return np.isin(tokens, self.tokens)

    def positions(self, tokens: IntArray) -> IntArray:
        """Returns the index of each of these tokens; all must be known."""
        return np.searchsorted(self.tokens, tokens).astype(np.int64)

    def bars(self, tokens: IntArray, market_time: MarketTime) -> DayBars:
        """Returns the running bars at that time, in the unit of the generated prices."""
        return self.paths.at(self.hours.elapsed_minutes(market_time), self.positions(tokens))

    def columns(self, tokens: IntArray, market_time: MarketTime, at: datetime) -> QuoteColumns:
        """Returns the quotes of the known ones among `tokens`."""
        tokens = tokens[self.is_trading(tokens)]
        bars = self.bars(tokens, market_time).in_units(self.unit)
        before = self.previous_close[self.positions(tokens)]
        before = np.where(np.isnan(before), bars.close, before)
        return QuoteColumns(tokens, bars, before, np.repeat(_utc([min(at, self.hours.closes)]), len(tokens)))


class SessionCache:
    """Keeps the sessions that were asked for last; generating one takes about 0.2 ms for each share."""

    def __init__(self, calendar: TradingCalendar, seed: int) -> None:
        self._calendar = calendar
        self._seed = seed
        self._cached: list[tuple[SimulatedUniverse, int, IntradaySession]] = []

    def has(self, universe: SimulatedUniverse, column: int) -> bool:
        return self._find(universe, column) is not None

    def session(self, universe: SimulatedUniverse, column: int) -> IntradaySession:
        """Returns the generated session of a column of the universe's prices."""
        if (found := self._find(universe, column)) is not None:
            return found
        made = self._make(universe, column)
        self._cached = [(universe, column, made), *self._cached[: SESSIONS_KEPT - 1]]
        return made

    def make_session(self, universe: SimulatedUniverse, column: int, rows: IntArray) -> IntradaySession:
        """Generates the session of some shares only, which trade in it; it is not kept."""
        rows = rows[np.argsort(universe.tokens[rows])]
        hours = SessionHours.of(self._calendar, universe.sessions[universe.offset + column].item())
        paths = IntradayPaths.of(
            self._provisional_bars(universe, column, rows),
            self._session_random(universe, column, rows),
            hours.minutes,
            TICK_PAISE,
        )
        return IntradaySession(
            hours, universe.tokens[rows], paths, previous_closes(universe, column, rows), PAISE_PER_RUPEE
        )

    def _find(self, universe: SimulatedUniverse, column: int) -> IntradaySession | None:
        same = (intraday for of, at, intraday in self._cached if of is universe and at == column)
        return next(same, None)

    def _make(self, universe: SimulatedUniverse, column: int) -> IntradaySession:
        return self.make_session(universe, column, np.flatnonzero(universe.price_table.traded[:, column]))

    def _session_random(self, universe: SimulatedUniverse, column: int, rows: IntArray) -> SessionRandom:
        return SessionRandom(universe.tokens[rows], universe.offset + column, self._seed)

    def _provisional_bars(self, universe: SimulatedUniverse, column: int, rows: IntArray) -> DayBars:
        """Returns the provisional bars that the session ends with on its own day."""
        return provisional_bars(
            universe.price_table.day(rows, column), self._session_random(universe, column, rows), TICK_PAISE
        )


def previous_closes(universe: SimulatedUniverse, column: int, rows: IntArray) -> FloatArray:
    """Returns the last close before a column in rupees, as adjusted on that day; NaN after a long absence."""
    start = max(0, column - MAX_ABSENCE_SESSIONS)
    traded = universe.price_table.traded[rows, start:column]
    if not traded.shape[1]:
        return np.full(len(rows), np.nan)
    at = column - 1 - traded[:, ::-1].argmax(axis=1)
    paise = universe.price_table.closes(rows, at)
    for place, row in enumerate(rows.tolist()):
        for ex, ratio in universe.symbols[row].splits:
            if at[place] < ex - universe.offset <= column:
                paise[place] /= ratio
    return np.where(traded.any(axis=1), round_to_tick(paise) / PAISE_PER_RUPEE, np.nan)
