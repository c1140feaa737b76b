"""Days learned from the market: what proves a closed day, what undoes it, and what proves nothing."""

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Final

import numpy as np
import polars as pl
import pytest

from tests.real_data import real_data
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.market_days import DayEvidence, MarketDays, MarketLook, with_learned_days
from vcpd.domain.nse_calendar import NSE

TRADED, CLOSED, UNCLEAR = DayEvidence.TRADED, DayEvidence.CLOSED, DayEvidence.UNCLEAR
MONDAY: Final = date(2027, 3, 22)  # Holi, which the table does not reach
SATURDAY: Final = date(2027, 3, 27)
WEEKDAYS: Final = replace(NSE, holidays={}, special_sessions={}, valid_until=NSE.valid_from)


def look(
    day: date, evidence: DayEvidence, at: str = "09:40", traded_at: datetime | None = None
) -> MarketLook:
    instant = datetime.combine(day, time.fromisoformat(at), NSE.zone)
    return MarketLook(day, instant, evidence, f"seen at {at}", traded_at)


def after(*looks: MarketLook, calendar: TradingCalendar = NSE) -> MarketDays:
    """What is known after the looks, the calendar following what was learned."""
    days = MarketDays()
    for each in looks:
        days = days.with_look(each, with_learned_days(calendar, days.learned))
    return days


def in_force(days: MarketDays, calendar: TradingCalendar = NSE) -> TradingCalendar:
    return with_learned_days(calendar, days.learned)


def test_one_look_proves_nothing_and_a_second_an_hour_later_does() -> None:
    once = after(look(MONDAY, CLOSED))
    assert (once.is_suspected(MONDAY), in_force(once).is_session(MONDAY)) == (True, True)
    soon = after(look(MONDAY, CLOSED), look(MONDAY, CLOSED, "10:39"))
    assert in_force(soon).is_session(MONDAY)
    twice = after(look(MONDAY, CLOSED), look(MONDAY, CLOSED, "10:40"))
    assert in_force(twice).closure_reason(MONDAY) == "closed: seen at 10:40"
    assert "is not a session, which the calendar did not contain" in twice.learned[0].summary


@pytest.mark.parametrize("between", [UNCLEAR, TRADED])
def test_a_trade_between_two_looks_proves_the_opposite(between: DayEvidence) -> None:
    days = after(look(MONDAY, CLOSED), look(MONDAY, between, "10:00"), look(MONDAY, CLOSED, "11:00"))
    assert in_force(days).is_session(MONDAY) is (between is TRADED)


def test_a_bar_undoes_a_closed_day_as_long_as_it_is_provisional() -> None:
    days = after(look(MONDAY, CLOSED), look(MONDAY, CLOSED, "11:00"))
    fifth = NSE.next(NSE.next(NSE.next(NSE.next(NSE.next(MONDAY)))))
    assert [known.day for known in days.provisional(in_force(days), fifth)] == [MONDAY]
    assert days.provisional(in_force(days), NSE.next(fifth)) == []
    again = days.with_look(replace_day(look(fifth, TRADED), MONDAY), in_force(days))
    assert (again.learned, in_force(again).is_session(MONDAY)) == ((), True)


def replace_day(found: MarketLook, day: date) -> MarketLook:
    return MarketLook(day, found.at, found.evidence, found.text)


def test_a_saturday_with_trades_is_a_session_and_a_quiet_one_is_not() -> None:
    seen = look(SATURDAY, TRADED, "10:45", datetime.combine(SATURDAY, time(10, 44), NSE.zone))
    days = after(seen)
    assert in_force(days).is_session(SATURDAY)
    assert in_force(days).open_close(SATURDAY)[1].astimezone(NSE.zone).hour == 15
    quiet = after(look(SATURDAY, CLOSED), look(SATURDAY, CLOSED, "11:00"))
    assert quiet.learned == ()


def test_an_evening_session_lasts_an_hour_beyond_its_last_trade() -> None:
    at = datetime(2027, 3, 27, 18, 20, tzinfo=NSE.zone)
    days = after(look(SATURDAY, TRADED, "18:40", at))
    closes = in_force(days).open_close(SATURDAY)[1].astimezone(NSE.zone)
    assert f"{closes:%H:%M}" == "19:20"


def test_a_source_that_stands_still_teaches_three_closed_days_and_no_more() -> None:
    """However long it stands still, and however many days in between stay sessions."""
    looks = [look(date(2027, 3, 19), TRADED)]
    day = date(2027, 3, 19)
    for _ in range(12):
        day = NSE.next(day)
        looks += [look(day, CLOSED), look(day, CLOSED, "11:00")]
    days = after(*looks)
    assert [known.day.day for known in days.learned] == [22, 23, 24]
    recovered = days.with_look(look(NSE.next(day), TRADED), in_force(days))
    assert not recovered.has_stopped(NSE.next(NSE.next(day)))


def test_the_real_sessions_are_learned_from_an_empty_table() -> None:
    """Ten years of the days on which the market really traded, with weekdays as the only knowledge.

    What is learned in the morning equals what was observed, on every date.
    """
    observed = pl.read_parquet(real_data("nse_sessions_observed_to_2025-06.parquet"))["session"]
    traded = set(observed.filter(observed >= NSE.valid_from).to_list())
    days, calendar, day = MarketDays(), WEEKDAYS, NSE.valid_from
    while day <= date(2025, 6, 30):
        for at in ("09:40", "10:45"):
            days = days.with_look(look(day, TRADED if day in traded else CLOSED, at), calendar)
        if days.of(day) is not None:
            calendar = in_force(days, WEEKDAYS)
        day += timedelta(days=1)
    learned = calendar.sessions(NSE.valid_from, date(2025, 6, 30))
    assert np.array_equal(learned, np.array(sorted(traded), "M8[D]"))
    assert sum(known.trades for known in days.learned) >= 10
