"""The trading calendar against the days on which the market really traded."""

from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.real_data import real_data
from vcpd.core.errors import BadInputError
from vcpd.domain.calendar import SpecialSession, session_on
from vcpd.domain.nse_calendar import NSE

DAYS = st.dates(date(2015, 6, 1), date(2028, 6, 1))
INSTANTS = st.datetimes(datetime(2016, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


def ist(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+05:30")


def test_equals_the_observed_sessions() -> None:
    """Every date of the table's first years up to mid-2025 is a session exactly when the market traded."""
    observed = pl.read_parquet(real_data("nse_sessions_observed_to_2025-06.parquet"))["session"]
    known = observed.filter(observed >= NSE.valid_from).to_numpy().astype("M8[D]")
    assert np.array_equal(NSE.sessions(NSE.valid_from, date(2025, 6, 30)), known)


def test_equals_another_calendar_on_weekdays_and_knows_the_weekend_sessions_besides() -> None:
    """pandas_market_calendars has no Saturday or Sunday session; on weekdays the two agree to the end."""
    calendars = pytest.importorskip(
        "pandas_market_calendars", reason="pandas_market_calendars of the dev extra is not installed"
    )
    first, last = date(2016, 1, 1), date(2026, 12, 31)
    valid = calendars.get_calendar("XNSE").valid_days(f"{first}", f"{last}")
    theirs, ours = {day.date() for day in valid}, set(NSE.sessions(first, last).tolist())
    assert {day for day in ours ^ theirs if day.weekday() < 5} == set()
    assert {day for day in ours - theirs if day not in NSE.special_sessions} == set()
    assert theirs <= ours


@pytest.mark.parametrize(
    ("day", "trades"),
    [
        ("2024-05-20", False),
        ("2026-01-15", False),
        ("2026-02-01", True),
        ("2025-10-21", True),
        ("2025-10-22", False),
        ("2026-11-08", True),
        ("2026-11-09", True),
        ("2026-11-10", False),
        ("2026-11-24", False),
    ],
)
def test_days_that_published_lists_get_wrong(day: str, trades: bool) -> None:
    """Elections, the Sunday budget session and Muhurat sessions are in the table."""
    assert NSE.is_session(date.fromisoformat(day)) is trades


def test_every_holiday_of_the_table_changes_something() -> None:
    """A holiday on a weekend would be a typing mistake in a date."""
    assert [day for day in NSE.holidays if day.weekday() >= 5] == []


def test_every_special_session_needs_its_entry() -> None:
    """A special session is on a weekend, on a holiday, or has hours of its own."""
    plain = [
        day
        for day, special in NSE.special_sessions.items()
        if day.weekday() < 5 and day not in NSE.holidays and special.closes == time(15, 30)
    ]
    assert plain == []


@pytest.mark.parametrize("year", range(2017, 2027))
def test_a_year_has_a_plausible_number_of_sessions(year: int) -> None:
    """NSE trades 244 to 252 days a year."""
    assert 244 <= len(NSE.sessions(date(year, 1, 1), date(year, 12, 31))) <= 252


def test_the_last_session_changes_at_the_close() -> None:
    """A second before the close the day before is the last session, at the close the day itself."""
    assert NSE.last_session_at(ist("2026-11-20T15:29:59")) == date(2026, 11, 19)
    assert NSE.last_session_at(ist("2026-11-20T15:30:00")) == date(2026, 11, 20)
    assert NSE.last_session_at(ist("2026-11-22T12:00:00")) == date(2026, 11, 20)


def test_the_running_session_is_open_then_closed() -> None:
    """The session runs from its opening until just before its close."""
    assert NSE.open_session_at(ist("2026-11-20T09:14:59")) is None
    assert NSE.open_session_at(ist("2026-11-20T09:15:00")) == date(2026, 11, 20)
    assert NSE.open_session_at(ist("2026-11-20T15:30:00")) is None
    assert NSE.open_session_at(ist("2026-11-21T12:00:00")) is None


def test_a_muhurat_session_has_its_own_hours() -> None:
    """On 2025-10-21 the holiday's session ran from 13:45 to 14:45."""
    opens, closes = NSE.open_close(date(2025, 10, 21))
    assert (opens, closes) == (ist("2025-10-21T13:45"), ist("2025-10-21T14:45"))
    assert opens.tzinfo is UTC


def test_phases_follow_the_date() -> None:
    """The closing auction exists since 2026-08-03; a drill has two parts."""
    assert "closing auction" not in [phase.name for phase in NSE.phases(date(2026, 7, 31))]
    auction = next(phase for phase in NSE.phases(date(2026, 8, 3)) if phase.name == "closing auction")
    assert (auction.opens, auction.closes, auction.shares) == (time(15, 15), time(15, 35), "F&O")
    assert len(NSE.phases(date(2024, 5, 18))) == 2


def test_a_closed_day_says_why() -> None:
    """Asking a closed day for its hours names the reason."""
    assert NSE.closure_reason(date(2026, 12, 25)) == "Christmas"
    assert NSE.closure_reason(date(2026, 12, 27)) == "Sunday"
    assert NSE.closure_reason(date(2026, 12, 28)) is None
    with pytest.raises(BadInputError, match="Christmas"):
        NSE.open_close(date(2026, 12, 25))


def test_the_table_warns_two_months_ahead_and_falls_back_to_weekdays() -> None:
    """Silence in October, a warning in November, weekdays in the next year."""
    assert NSE.warning(date(2026, 10, 31)) is None
    assert "2026-12-31" in str(NSE.warning(date(2026, 11, 1)))
    assert "closed days are learned from the market" in str(NSE.warning(date(2027, 1, 1)))
    assert NSE.is_session(date(2027, 1, 26))
    assert not NSE.covers(date(2027, 1, 26))


def test_the_owner_extends_the_table() -> None:
    """An added holiday closes a day, an added session opens one, and both reach into the next year."""
    muhurat = SpecialSession(date(2027, 10, 30), time(18), time(19), "Muhurat")
    closed = {date(2027, 1, 26): "Republic Day", date(2025, 10, 21): "Diwali"}
    ours = NSE.extended(closed, [muhurat], date(2027, 12, 31))
    assert not ours.is_session(date(2027, 1, 26))
    assert not ours.is_session(date(2025, 10, 21))
    assert ours.open_close(date(2027, 10, 30))[0] == ist("2027-10-30T18:00")
    assert ours.warning(date(2027, 1, 1)) is None
    assert NSE.is_session(date(2027, 1, 26)), "the table itself stays as it is"


def test_contradictory_extensions_are_refused() -> None:
    """A date cannot be both; a session cannot close before it opens; an instant needs a zone."""
    day = date(2027, 10, 30)
    with pytest.raises(BadInputError, match="both as a holiday and as a session"):
        NSE.extended({day: "closed"}, [SpecialSession(day, time(18), time(19), "x")])
    with pytest.raises(BadInputError, match="open before it closes"):
        SpecialSession(day, time(19), time(18), "x")
    with pytest.raises(BadInputError, match="time zone"):
        NSE.last_session_at(datetime(2026, 1, 1))  # noqa: DTZ001 - the point of the test
    with pytest.raises(BadInputError, match="at least one"):
        NSE.previous(day, 0)


@given(DAYS, st.integers(0, 40))
def test_the_array_agrees_with_the_single_answers(first: date, days: int) -> None:
    """`sessions` gives exactly the dates for which `is_session` says yes."""
    span = [first + timedelta(days=offset) for offset in range(days)]
    found = NSE.sessions(first, first + timedelta(days=days - 1)).tolist()
    assert found == [day for day in span if NSE.is_session(day)]


@given(DAYS, st.integers(1, 30))
def test_next_undoes_previous(day: date, n: int) -> None:
    """Going back n sessions and forward n again comes to the first session at or after the day."""
    there = NSE.previous(day, n)
    for _ in range(n):
        there = NSE.next(there)
    assert there == (day if NSE.is_session(day) else NSE.next(day))


@given(INSTANTS)
def test_the_last_session_is_closed_and_the_next_is_not(instant: datetime) -> None:
    """No later session has closed by the instant."""
    last = NSE.last_session_at(instant)
    assert NSE.open_close(last)[1] <= instant < NSE.open_close(NSE.next(last))[1]


@pytest.mark.parametrize(
    ("at", "share"),
    [
        ("2026-11-23T09:00+05:30", 0.0),
        ("2026-11-23T09:15+05:30", 0.0),
        ("2026-11-23T10:50+05:30", 0.25),  # of 380 minutes
        ("2026-11-23T15:35+05:30", 1.0),
        ("2026-11-24T09:00+05:30", 1.0),
    ],
)
def test_a_session_is_over_in_shares_of_its_hours(at: str, share: float) -> None:
    """From nothing at the opening to all of it with the last price of the closing auction."""
    assert NSE.elapsed_share(date(2026, 11, 23), datetime.fromisoformat(at)) == pytest.approx(share)


def test_a_day_without_trading_is_over() -> None:
    """There is nothing of it to wait for."""
    assert NSE.elapsed_share(date(2026, 11, 22), datetime.fromisoformat("2026-11-22T12:00+05:30")) == 1.0


@pytest.mark.parametrize(
    ("day", "session"),
    [
        (date(2025, 6, 27), date(2025, 6, 27)),
        (date(2025, 6, 28), date(2025, 6, 27)),
        (date(2025, 6, 30), date(2025, 6, 30)),
    ],
)
def test_a_day_without_session_names_the_one_before(day: date, session: date) -> None:
    assert session_on(NSE, day, datetime(2025, 6, 30, 3, tzinfo=UTC)) == session


def test_a_day_ahead_names_no_session() -> None:
    """Today is the exchange's: at 20:00 UTC it is the next day there."""
    with pytest.raises(BadInputError, match="2025-07-01 is in the future: today is 2025-06-30"):
        session_on(NSE, date(2025, 7, 1), datetime(2025, 6, 30, 3, tzinfo=UTC))
    assert session_on(NSE, date(2025, 7, 1), datetime(2025, 6, 30, 20, tzinfo=UTC)) == date(2025, 7, 1)


@pytest.mark.parametrize(
    ("day", "shares", "end"),
    [
        ("2026-07-31", "", "15:30"),
        ("2026-08-03", "F&O", "15:35"),  # the closing auction
        ("2026-08-03", "other", "15:30"),
        ("2026-08-03", "", "15:35"),  # not known: the later end
        ("2025-10-21", "F&O", "14:45"),  # Muhurat
        ("2024-03-02", "", "12:30"),  # two stretches
    ],
)
def test_the_last_price_of_a_session_follows_the_phases(day: str, shares: str, end: str) -> None:
    ends = NSE.trading_end(date.fromisoformat(day), shares)
    assert ends == ist(f"{day}T{end}")


def test_a_session_is_over_with_its_last_price() -> None:
    """The close of shares without derivatives is not the end of a session with closing auctions."""
    day = date(2026, 8, 3)
    assert NSE.elapsed_share(day, ist("2026-08-03T15:30")) < 1
    assert NSE.elapsed_share(day, ist("2026-08-03T15:35")) == 1
    assert NSE.elapsed_share(date(2026, 7, 31), ist("2026-07-31T15:30")) == 1


@pytest.mark.parametrize(
    ("at", "futures", "other"), [("09:15", 0, 0), ("12:22:30", 187.5 / 380, 0.5), ("15:30", 375 / 380, 1)]
)
def test_shares_without_futures_are_further_in_their_shorter_session(
    at: str, futures: float, other: float
) -> None:
    day, instant = date(2026, 8, 3), ist(f"2026-08-03T{at}")
    assert NSE.elapsed_share(day, instant, "F&O") == pytest.approx(futures)
    assert NSE.elapsed_share(day, instant) == NSE.elapsed_share(day, instant, "F&O")
    assert NSE.elapsed_share(day, instant, "other") == pytest.approx(other)
