"""A simulated world seen from one moment: what is published of it by then."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

import numpy as np

from vcpd.domain.arrays import FloatArray, IntArray
from vcpd.domain.bars import BarSeries
from vcpd.domain.sessions import TradingCalendar
from vcpd.sandbox.intraday import DayBars, Shape, evening, growing
from vcpd.sandbox.market import MarketQuote, resting_quote
from vcpd.sandbox.moment import Moment
from vcpd.sandbox.tape import CLOSE, PAISE, TICK_PAISE, on_tick
from vcpd.sandbox.world import Name, World

LONGEST_ABSENCE: Final = 120  # sessions; more than any suspension lasts


@dataclass(frozen=True, slots=True)
class Standpoint:
    """`world` at `moment`. Columns are those of the world's tape, rows are its names."""

    world: World
    moment: Moment
    calendar: TradingCalendar
    seed: int

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
        last = self._publish(row, np.array([moving]), self._moving_day(np.array([row]), moving))
        last.records["provisional"] = True
        return BarSeries(last.symbol, np.concatenate([published.records, last.records]))

    def quotes(self, rows: IntArray, at: datetime) -> dict[int, MarketQuote]:
        """Quotes by row at the instant of the moment; names that have never traded have none."""
        found: dict[int, MarketQuote] = {}
        if (column := self.moving_column) is not None:
            trading = rows[self.world.tape.traded[rows, column]]
            found = dict(self._moving_quotes(trading, column, at))
        for row in rows.tolist():
            if row not in found and (quote := self._resting_quote(row)) is not None:
                found[row] = quote
        return found

    def _number_of(self, day: date) -> int:
        return int(np.searchsorted(self.world.sessions, np.datetime64(day, "D")))

    def _moving_day(self, rows: IntArray, column: int) -> DayBars:
        """The provisional bars of the moving session, in paise."""
        tokens = np.array([self.world.names[row].listing.token for row in rows.tolist()])
        shape = Shape(tokens, self.world.offset + column, self.seed)
        by_evening = evening(self.world.tape.day(rows, column), shape, TICK_PAISE)
        return growing(by_evening, shape, self.moment.fraction, TICK_PAISE)

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

    def _moving_quotes(self, rows: IntArray, column: int, at: datetime) -> Iterator[tuple[int, MarketQuote]]:
        """Quotes of names that trade in the moving session."""
        bars = self._moving_day(rows, column)
        traded_at = min(at.astimezone(UTC), self._close_of(column))
        for place, row in enumerate(rows.tolist()):
            last = float(bars.close[place]) / PAISE
            before = self._close_before(row, column)
            quote = MarketQuote(
                token=self.world.names[row].listing.token,
                traded_at=traded_at,
                last=last,
                open=float(bars.open[place]) / PAISE,
                high=float(bars.high[place]) / PAISE,
                low=float(bars.low[place]) / PAISE,
                previous_close=last if before is None else before,
                volume=int(bars.volume[place]),
            )
            yield row, quote

    def _resting_quote(self, row: int) -> MarketQuote | None:
        """The last prices of a name that does not trade now."""
        traded = np.flatnonzero(self.world.tape.traded[row, : self.settled_columns])[-1:]
        if not len(traded):
            return None
        series = self._publish(row, traded, self.world.tape.history(row, traded))
        return resting_quote(self.world.names[row].listing.token, series, self._close_of(int(traded[0])))

    def _close_before(self, row: int, column: int) -> float | None:
        """The last close before a column, adjusted; None if there is none within the longest absence."""
        start = max(0, column - LONGEST_ABSENCE)
        columns = start + np.flatnonzero(self.world.tape.traded[row, start:column])[-1:]
        if not len(columns):
            return None
        paise = self.world.tape.prices[CLOSE, row, columns] / self._divided(row, columns)
        return float(on_tick(paise)[0]) / PAISE

    def _close_of(self, column: int) -> datetime:
        session: date = self.world.sessions[self.world.offset + column].item()
        return self.calendar.open_close(session)[1]
