"""Hours of a watched session, by class of shares: those with futures end later than the others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, Self

from vcpd.analysis.volume_curve import elapsed_fraction
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.instruments import FUTURES_SHARES, OTHER_SHARES, UNKNOWN_SHARES

MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class WatchHours:
    """The session that is watched, aware UTC; `closes` is the latest end of all shares.

    `ends` says for a class of shares when its last price is made, where that differs.
    """

    session: date
    previous_session: date
    opens: datetime
    closes: datetime
    ends: Mapping[str, datetime] = field(default_factory=dict)

    @classmethod
    def of(cls, calendar: TradingCalendar, session: date) -> Self:
        """The hours of `session`. BadInputError when the exchange is closed."""
        opens, closes = calendar.open_close(session)[0], calendar.trading_end(session)
        ends = {shares: calendar.trading_end(session, shares) for shares in (FUTURES_SHARES, OTHER_SHARES)}
        return cls(session, calendar.previous(session), opens, closes, ends)

    @property
    def minutes(self) -> int:
        return max(1, round((self.closes - self.opens) / MINUTE))

    def is_open(self, now: datetime) -> bool:
        return self.opens <= now < self.closes

    def fraction(self, now: datetime, shares: str = UNKNOWN_SHARES) -> float:
        """How much of the session is over at `now` for a class of shares, 0..1."""
        ends = self.ends.get(shares, self.closes)
        return elapsed_fraction(now - self.opens, ends - self.opens)
