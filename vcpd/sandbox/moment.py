"""Where in its day a market is: which bars are settled, which one still moves."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from vcpd.domain.sessions import TradingCalendar

IST: Final = ZoneInfo("Asia/Kolkata")
SETTLED_AT: Final = time(6, 0)  # the evening's day candle becomes final, and access tokens die
ADJUSTED_AT: Final = time(8, 0)  # on an ex-date the history is restated by then


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant as the market sees it.

    Bars of sessions before `settled_before` are final. `moving` is the session whose bar is still
    provisional, if any, and `fraction` how much of it is over, 1.0 from its close on.
    """

    today: date
    settled_before: date
    moving: date | None
    fraction: float
    adjusted_until: date


def moment_at(calendar: TradingCalendar, at: datetime) -> Moment:
    """The market's view of the aware instant `at`."""
    local = at.astimezone(IST)
    today = local.date()
    yesterday = today - timedelta(days=1)
    adjusted_until = today if local.time() >= ADJUSTED_AT else yesterday
    if (fraction := _elapsed(calendar, today, at)) > 0:
        return Moment(today, today, today, fraction, adjusted_until)
    if local.time() < SETTLED_AT and calendar.is_session(yesterday):
        return Moment(today, yesterday, yesterday, 1.0, adjusted_until)
    return Moment(today, today, None, 0.0, adjusted_until)


def _elapsed(calendar: TradingCalendar, day: date, at: datetime) -> float:
    """The share of the day's session that is over at `at`; 0 before it, or where there is none."""
    if not calendar.is_session(day):
        return 0.0
    opens, closes = calendar.open_close(day)
    return min(max((at - opens) / (closes - opens), 0.0), 1.0)


def next_settling(at: datetime) -> datetime:
    """The first 06:00 of the exchange's time zone after `at`: what was valid today ends there."""
    local = at.astimezone(IST)
    today = datetime.combine(local.date(), SETTLED_AT, IST)
    return today if local < today else today + timedelta(days=1)
