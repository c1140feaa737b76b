"""Simulated universe as of one instant: what is published of it by then."""

from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from vcpd.domain.bars import PRICE_FIELDS, BarSeries, FloatArray, IntArray, RecordArray
from vcpd.domain.calendar import TradingCalendar
from vcpd.kite.ticker_protocol import TICK_DTYPE
from vcpd.sandbox.intraday import CANDLE_DTYPE, DayBars, IntradayPaths, SessionRandom
from vcpd.sandbox.market import CandleSpan, IntradayCandles, MarketQuote, MarketTime, closed_market_quote
from vcpd.sandbox.price_table import PAISE_PER_RUPEE, TICK_PAISE, round_to_tick
from vcpd.sandbox.session import IntradaySession, SessionCache, SessionHours
from vcpd.sandbox.universe import SimulatedSymbol, SimulatedUniverse


@dataclass(frozen=True, slots=True)
class MarketView:
    """`world` at `moment`. Columns are those of the world's tape, rows are its names."""

    universe: SimulatedUniverse
    time: MarketTime
    calendar: TradingCalendar
    seed: int
    session_cache: SessionCache

    @property
    def session_number(self) -> int:
        """Returns the number of today's session, or of the next one if today has none."""
        return self._number_of(self.time.today)

    @property
    def final_columns(self) -> int:
        """Returns how many of the generated sessions are final."""
        return max(0, self._number_of(self.time.final_before) - self.universe.offset)

    @property
    def running_column(self) -> int | None:
        """Returns the column of the session whose bar is still provisional."""
        return self.final_columns if self.time.running_session is not None else None

    def is_listed(self, name: SimulatedSymbol) -> bool:
        return name.first <= self.session_number < name.end

    def series(self, row: int) -> BarSeries:
        """Returns the share's final bars and the running one, if it trades."""
        traded, moving = self.universe.price_table.traded[row], self.running_column
        settled = np.flatnonzero(traded[: self.final_columns])
        published = self._publish(row, settled, self.universe.price_table.history(row, settled))
        if moving is None or not traded[moving]:
            return published
        last = self._publish(row, np.array([moving]), self._running_bar(row))
        last.records["provisional"] = True
        return BarSeries(last.symbol, np.concatenate([published.records, last.records]))

    def quotes(self, rows: IntArray, at: datetime) -> dict[int, MarketQuote]:
        """Returns quotes by row at the view's instant; shares that have never traded have none."""
        found: dict[int, MarketQuote] = {}
        if self.time.running_session is not None:
            moving = self._session().columns(self.universe.tokens[rows], self.time, at).quotes()
            found = {self.universe.row_of_token[quote.token]: quote for quote in moving}
        for row in rows.tolist():
            if row not in found and (quote := self._closed_quote(row)) is not None:
                found[row] = quote
        return found

    def ticks(self, tokens: IntArray, at: datetime) -> RecordArray:
        """Returns the live feed's ticks of the instruments that trade in the running session."""
        if self.time.running_session is None:
            return np.empty(0, TICK_DTYPE)
        return self._session().columns(tokens, self.time, at).ticks(at)

    def candles(self, row: int, span: CandleSpan) -> IntradayCandles:
        """Returns the share's intraday candles within the span."""
        first, last = (
            self._number_of(each.date()) - self.universe.offset for each in (span.first, span.last)
        )
        shown = self.final_columns + (self.time.running_session is not None)
        days = [
            self._candles_of(row, column, span.step_minutes)
            for column in range(max(first, 0), min(last + 1, shown))
            if self.universe.price_table.traded[row, column]
        ]
        records = np.concatenate([np.empty(0, CANDLE_DTYPE), *days])
        edges = [np.datetime64(each, "s") for each in (span.first, span.last)]
        within = (records["start"] >= edges[0]) & (records["start"] <= edges[1])
        return IntradayCandles(self.universe.symbols[row].listing.symbol, records[within])

    def _number_of(self, day: date) -> int:
        return int(np.searchsorted(self.universe.sessions, np.datetime64(day, "D")))

    def _running_bar(self, row: int) -> DayBars:
        """Returns the share's provisional bar of the running session, in paise."""
        return self._session().bars(np.array([self.universe.symbols[row].listing.token]), self.time)

    def _session(self) -> IntradaySession:
        return self.session_cache.session(self.universe, self.final_columns)

    def _candles_of(self, row: int, column: int, step_minutes: int) -> RecordArray:
        """Returns one session's candles in rupees, adjusted for the splits that are announced."""
        token = np.array([self.universe.symbols[row].listing.token])
        if column == self.running_column:
            intraday = self._session()
            hours, minute = intraday.hours, intraday.hours.elapsed_minutes(self.time)
            records = intraday.paths.candles(int(intraday.positions(token)[0]), step_minutes, minute)
        else:
            hours = SessionHours.of(
                self.calendar, self.universe.sessions[self.universe.offset + column].item()
            )
            shape = SessionRandom(token, self.universe.offset + column, self.seed)
            bars = self.universe.price_table.day(np.array([row]), column)
            paths = IntradayPaths.of(bars, shape, hours.minutes, TICK_PAISE)
            records = paths.candles(0, step_minutes, hours.minutes)
        divided = self._divided(row, np.array([column]))
        for name in PRICE_FIELDS:
            records[name] = round_to_tick(records[name] / divided) / PAISE_PER_RUPEE
        records["volume"] = np.round(records["volume"] * divided)
        records["start"] += hours.local_open(self.calendar.zone) - np.datetime64(0, "s")
        return records

    def _publish(self, row: int, columns: IntArray, bars: DayBars) -> BarSeries:
        """Returns the bars in rupees, adjusted for the splits that are announced."""
        divided = self._divided(row, columns)
        opened, high, low, close = (
            round_to_tick(paise / divided) / PAISE_PER_RUPEE
            for paise in (bars.open, bars.high, bars.low, bars.close)
        )
        return BarSeries.from_columns(
            self.universe.symbols[row].listing.symbol,
            self.universe.sessions[self.universe.offset + columns],
            (opened, high, low, close),
            np.round(bars.volume * divided),
        )

    def _divided(self, row: int, columns: IntArray) -> FloatArray:
        """Returns the divisor of each session's price: the announced splits that came after it."""
        divided = np.ones(len(columns))
        for ex, ratio in self.universe.symbols[row].splits:
            if self.universe.sessions[ex] <= np.datetime64(self.time.adjusted_until, "D"):
                divided[self.universe.offset + columns < ex] *= ratio
        return divided

    def _closed_quote(self, row: int) -> MarketQuote | None:
        """Returns the last prices of a share that does not trade now."""
        traded = np.flatnonzero(self.universe.price_table.traded[row, : self.final_columns])[-1:]
        if not len(traded):
            return None
        series = self._publish(row, traded, self.universe.price_table.history(row, traded))
        return closed_market_quote(
            self.universe.symbols[row].listing.token, series, self._close_of(int(traded[0]))
        )

    def _close_of(self, column: int) -> datetime:
        session: date = self.universe.sessions[self.universe.offset + column].item()
        return self.calendar.open_close(session)[1]
