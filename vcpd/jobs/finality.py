"""What a bar fetched at an instant is worth: running, provisional, settled or final."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

import numpy as np

from vcpd.domain.bars import BarSeries
from vcpd.domain.sessions import TradingCalendar
from vcpd.jobs.settings import CollectSettings

ONE_DAY: Final = timedelta(days=1)
QUOTES_CLEARED: Final = timedelta(minutes=30)  # before the opening: the exchange prepares its next session
YEAR_DAYS: Final = 365.25


@dataclass(frozen=True, slots=True)
class Finality:
    """Questions about sessions at an instant `now` (aware UTC)."""

    calendar: TradingCalendar
    settings: CollectSettings

    def closed(self, session: date, now: datetime) -> date:
        """`session`, or the last session that has closed where it has not."""
        return min(session, self.calendar.last_session_at(now))

    def is_final(self, session: date, now: datetime) -> bool:
        """Whether the exchange no longer changes the session's candle, restatements apart."""
        morning = datetime.combine(session + ONE_DAY, time(self.settings.final_hour), self.calendar.zone)
        return now >= morning

    def last_final(self, now: datetime) -> date:
        session = self.calendar.last_session_at(now)
        while not self.is_final(session, now):
            session = self.calendar.previous(session)
        return session

    def is_settled(self, session: date, now: datetime) -> bool:
        """Whether quotes carry the session's official close."""
        _, closes = self.calendar.open_close(session)
        return now >= closes + timedelta(minutes=self.settings.settled_after_min)

    def quotes_speak_of(self, session: date, now: datetime) -> bool:
        """Whether a quote taken at `now` may tell the bar of `session`, running or closed."""
        opens, _ = self.calendar.open_close(session)
        next_opens, _ = self.calendar.open_close(self.calendar.next(session))
        return opens <= now < next_opens - QUOTES_CLEARED

    def history_start(self, session: date) -> date:
        return session - timedelta(days=round(self.settings.history_years * YEAR_DAYS))

    def marked(self, series: BarSeries, now: datetime) -> BarSeries:
        """The candles with those marked provisional that were fetched before they were final."""
        records = series.records.copy()
        records["provisional"] = series.sessions > np.datetime64(self.last_final(now), "D")
        return BarSeries(series.symbol, records)
