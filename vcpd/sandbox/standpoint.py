"""A simulated world seen from one moment: what is published of it by then."""

from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from vcpd.domain.arrays import FloatArray, IntArray, RecordArray
from vcpd.domain.bars import PRICE_FIELDS, BarSeries
from vcpd.domain.sessions import TradingCalendar
from vcpd.kite.ticker import TICK_DTYPE
from vcpd.sandbox.book import Hours, SessionBook
from vcpd.sandbox.books import Books
from vcpd.sandbox.intraday import DayBars, Shape
from vcpd.sandbox.market import Candles, CandleSpan, MarketQuote, resting_quote
from vcpd.sandbox.moment import Moment
from vcpd.sandbox.session_tape import CANDLE_DTYPE, SessionTape
from vcpd.sandbox.tape import PAISE, TICK_PAISE, on_tick
from vcpd.sandbox.world import Name, World


@dataclass(frozen=True, slots=True)
class Standpoint:
    """`world` at `moment`. Columns are those of the world's tape, rows are its names."""

    world: World
    moment: Moment
    calendar: TradingCalendar
    seed: int
    books: Books

    @property
    def session_number(self) -> int:
        """The number of today's session, or of the next one if today has none."""
        return self._number_of(self.moment.today)

    @property
    def settled_columns(self) -> int:
        """How many of the tape's sessions are final."""
        return max(0, self._number_of(self.moment.settled_before) - self.world.offset)

    @property
    def moving_column(self) -> int | None:
        """The column of the session whose bar is still provisional."""
        return self.settled_columns if self.moment.moving is not None else None

    def is_listed(self, name: Name) -> bool:
        return name.first <= self.session_number < name.end

    def series(self, row: int) -> BarSeries:
        """The name's settled bars and the moving one, if it trades."""
        traded, moving = self.world.tape.traded[row], self.moving_column
        settled = np.flatnonzero(traded[: self.settled_columns])
        published = self._publish(row, settled, self.world.tape.history(row, settled))
        if moving is None or not traded[moving]:
            return published
        last = self._publish(row, np.array([moving]), self._moving_day(row))
        last.records["provisional"] = True
        return BarSeries(last.symbol, np.concatenate([published.records, last.records]))

    def quotes(self, rows: IntArray, at: datetime) -> dict[int, MarketQuote]:
        """Quotes by row at the instant of the moment; names that have never traded have none."""
        found: dict[int, MarketQuote] = {}
        if self.moment.moving is not None:
            moving = self._book().columns(self.world.tokens[rows], self.moment, at).quotes()
            found = {self.world.row_of_token[quote.token]: quote for quote in moving}
        for row in rows.tolist():
            if row not in found and (quote := self._resting_quote(row)) is not None:
                found[row] = quote
        return found

    def ticks(self, tokens: IntArray, at: datetime) -> RecordArray:
        """What the live feed tells of those that trade in the moving session."""
        if self.moment.moving is None:
            return np.empty(0, TICK_DTYPE)
        return self._book().columns(tokens, self.moment, at).ticks(at)

    def candles(self, row: int, span: CandleSpan) -> Candles:
        """The name's intraday candles within the span."""
        first, last = (self._number_of(each.date()) - self.world.offset for each in (span.first, span.last))
        shown = self.settled_columns + (self.moment.moving is not None)
        days = [
            self._candles_of(row, column, span.step_minutes)
            for column in range(max(first, 0), min(last + 1, shown))
            if self.world.tape.traded[row, column]
        ]
        records = np.concatenate([np.empty(0, CANDLE_DTYPE), *days])
        edges = [np.datetime64(each, "s") for each in (span.first, span.last)]
        within = (records["start"] >= edges[0]) & (records["start"] <= edges[1])
        return Candles(self.world.names[row].listing.symbol, records[within])

    def _number_of(self, day: date) -> int:
        return int(np.searchsorted(self.world.sessions, np.datetime64(day, "D")))

    def _moving_day(self, row: int) -> DayBars:
        """The name's provisional bar of the moving session, in paise."""
        return self._book().bars(np.array([self.world.names[row].listing.token]), self.moment)

    def _book(self) -> SessionBook:
        return self.books.book(self.world, self.settled_columns)

    def _candles_of(self, row: int, column: int, step_minutes: int) -> RecordArray:
        """One session's candles in rupees, with the splits adjusted for that are announced."""
        token = np.array([self.world.names[row].listing.token])
        if column == self.moving_column:
            book = self._book()
            hours, minute = book.hours, book.hours.minute(self.moment)
            records = book.tape.candles(int(book.places(token)[0]), step_minutes, minute)
        else:
            hours = Hours.of(self.calendar, self.world.sessions[self.world.offset + column].item())
            shape = Shape(token, self.world.offset + column, self.seed)
            bars = self.world.tape.day(np.array([row]), column)
            tape = SessionTape.of(bars, shape, hours.minutes, TICK_PAISE)
            records = tape.candles(0, step_minutes, hours.minutes)
        divided = self._divided(row, np.array([column]))
        for name in PRICE_FIELDS:
            records[name] = on_tick(records[name] / divided) / PAISE
        records["volume"] = np.round(records["volume"] * divided)
        records["start"] += hours.wall(self.calendar.zone) - np.datetime64(0, "s")
        return records

    def _publish(self, row: int, columns: IntArray, bars: DayBars) -> BarSeries:
        """The bars in rupees, with the splits adjusted for that are announced."""
        divided = self._divided(row, columns)
        opened, high, low, close = (
            on_tick(paise / divided) / PAISE for paise in (bars.open, bars.high, bars.low, bars.close)
        )
        return BarSeries.from_columns(
            self.world.names[row].listing.symbol,
            self.world.sessions[self.world.offset + columns],
            (opened, high, low, close),
            np.round(bars.volume * divided),
        )

    def _divided(self, row: int, columns: IntArray) -> FloatArray:
        """What each session's price is divided by: the announced splits that came after it."""
        divided = np.ones(len(columns))
        for ex, ratio in self.world.names[row].splits:
            if self.world.sessions[ex] <= np.datetime64(self.moment.adjusted_until, "D"):
                divided[self.world.offset + columns < ex] *= ratio
        return divided

    def _resting_quote(self, row: int) -> MarketQuote | None:
        """The last prices of a name that does not trade now."""
        traded = np.flatnonzero(self.world.tape.traded[row, : self.settled_columns])[-1:]
        if not len(traded):
            return None
        series = self._publish(row, traded, self.world.tape.history(row, traded))
        return resting_quote(self.world.names[row].listing.token, series, self._close_of(int(traded[0])))

    def _close_of(self, column: int) -> datetime:
        session: date = self.world.sessions[self.world.offset + column].item()
        return self.calendar.open_close(session)[1]
