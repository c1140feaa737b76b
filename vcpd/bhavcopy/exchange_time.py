"""What time it is at the exchange."""

from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from vcpd.domain.arrays import DateArray
from vcpd.domain.sessions import TradingCalendar
from vcpd.ports import Clock


@dataclass(slots=True)
class ExchangeTime:
    """The clock read by the exchange's calendar, which the owner may change while the daemon runs."""

    clock: Clock
    calendar: TradingCalendar

    def monotonic_s(self) -> float:
        return self.clock.monotonic_s()

    def today(self) -> date:
        return self.calendar.local_date(self.clock.now())

    def last_closed(self) -> date:
        """The last session that has closed."""
        return self.calendar.last_session_at(self.clock.now())

    def closed_sessions(self, first: date, last: date) -> DateArray:
        """The sessions in [first, last] that have closed, ascending, (n,)."""
        sessions = self.calendar.sessions(first, max(first, last))
        return sessions[sessions <= np.datetime64(min(last, self.last_closed()), "D")]

    def closing(self, session: date) -> datetime:
        """When `session` closed, in the exchange's local time."""
        return self.calendar.open_close(session)[1].astimezone(self.calendar.zone)
