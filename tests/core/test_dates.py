"""Dates as files write them: what is read, what is ambiguous, what an instant is the date of."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcpd.core.dates import (
    AmbiguousDateError,
    DateOrder,
    market_date,
    parse_date,
    read_date_column,
    read_written_date,
)

INDIA = ZoneInfo("Asia/Kolkata")
DAY = date(2025, 6, 30)
FORMS = [
    "2025-06-30", "2025/06/30", "2025.6.30", "20250630", "20250630.0", "30-06-2025", "30/6/2025",
    "30.06.2025", "06/30/2025", "30062025", "30-Jun-2025", "30-JUN-25", "30 June 2025", "Jun 30, 2025",
    "June 30 2025", "30th Jun 2025", "2025-Jun-30", "Mon 30 Jun 2025", "Monday, June 30, 2025",
    "Jun 30 '25", "30-06-25", "45838", "2025-06-30 00:00:00", "2025-06-30T15:30:00.000",
    "2025-06-30T00:00:00+05:30", "2025-06-30 09:15:00+0530", "2025-06-29T18:30:00Z",
    "2025-06-30T03:45:00+00:00", "2025-06-30 16:00:00-04:00", "30-Jun-2025 15:30", "30/06/2025 3:30 PM",
    "20250630153000", "202506301530", "20250630 15:30", "2025-06-30 15:30 IST", "1751255100",
    "1751255100.0", "1751255100000", "1751255100000000", "1751255100000000000",
    "Mon Jun 30 2025 00:00:00 GMT+0530 (India Standard Time)",
]  # fmt: skip


@pytest.mark.parametrize("text", FORMS)
def test_each_usual_way_of_writing_a_date_is_read(text: str) -> None:
    column = read_date_column([text], INDIA, date(2026, 1, 1))
    assert not column.unreadable
    assert {column.dates(order)[text] for order in column.orders} == {DAY}
    assert not column.has_open_order


@pytest.mark.parametrize(
    "text", ["", "-", "soon", "30-Foo-2024", "2024-06", "31-02-2024", "1.5", "2025", "12345678901", "25:70"]
)
def test_what_is_no_date_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="expected a date such as"):
        read_written_date(text, INDIA)
    assert text in read_date_column([text], INDIA).unreadable


def test_a_column_whose_order_stays_open_names_both_readings() -> None:
    column = read_date_column(["06/05/2025", "07/05/2025"], INDIA)
    assert column.has_open_order
    assert column.open_readings() == "'06/05/2025' can be 2025-05-06 (day-first) or 2025-06-05 (month-first)"


def test_one_date_settles_the_order_of_its_column() -> None:
    column = read_date_column(["06/05/2025", "13/05/2025"], INDIA)
    assert column.orders == (DateOrder.DAY_FIRST,)
    assert column.dates(DateOrder.DAY_FIRST)["06/05/2025"] == date(2025, 5, 6)


def test_the_same_date_in_both_orders_is_not_ambiguous() -> None:
    assert not read_date_column(["05/05/2025"], INDIA).has_open_order


def test_a_date_that_lies_ahead_is_no_reading() -> None:
    """No bar is newer than today: 07/06 cannot be 6 July at the end of June."""
    column = read_date_column(["07/06/2025"], INDIA, date(2025, 6, 30))
    assert column.orders == (DateOrder.DAY_FIRST,)


def test_columns_that_contradict_themselves_have_no_order() -> None:
    column = read_date_column(["13/06/2025", "06/13/2025"], INDIA)
    assert column.orders == ()
    assert column.contradiction() == "'13/06/2025' is day-first and '06/13/2025' is month-first"


def test_two_digits_first_are_a_year_only_where_nothing_else_fits() -> None:
    assert read_date_column(["20-05-25"], INDIA).orders == (DateOrder.DAY_FIRST,)
    assert read_date_column(["25-06-30"], INDIA, date(2026, 1, 1)).orders == (DateOrder.YEAR_FIRST,)


@pytest.mark.parametrize(
    ("instant", "session"),
    [
        (datetime(2025, 6, 29, 18, 30, tzinfo=UTC), date(2025, 6, 30)),  # midnight in India
        (datetime(2025, 6, 30, tzinfo=UTC), date(2025, 6, 30)),
        (datetime(2025, 6, 30, 16, tzinfo=timezone(timedelta(hours=-4))), date(2025, 6, 30)),
        (datetime(2025, 6, 30, 15, tzinfo=timezone(timedelta(hours=9))), date(2025, 6, 30)),
        (datetime(2025, 6, 30, 0, tzinfo=timezone(timedelta(hours=9))), date(2025, 6, 30)),
        (datetime(2025, 6, 30, tzinfo=timezone(timedelta(hours=-5))), date(2025, 6, 30)),
    ],
)
def test_a_closing_time_abroad_keeps_its_own_date(instant: datetime, session: date) -> None:
    assert market_date(instant, INDIA) == session


@pytest.mark.parametrize(
    "instant",
    [
        datetime(2025, 6, 30, 20, tzinfo=UTC),  # the close in New York, written in UTC
        datetime(2025, 6, 29, 20, tzinfo=timezone(timedelta(hours=-4))),  # midnight in UTC, seen from there
        datetime(2025, 6, 29, 14, 30, tzinfo=timezone(timedelta(hours=-4))),  # midnight in India likewise
    ],
)
def test_an_instant_between_two_dates_names_both(instant: datetime) -> None:
    with pytest.raises(AmbiguousDateError, match=r"\d{4}-\d\d-\d\d \(as written\) or \d{4}-\d\d-\d\d \(in"):
        market_date(instant, INDIA)


@given(st.dates(date(1970, 1, 1), date(2069, 12, 31)))
def test_the_exchanges_own_forms_are_read_alone(day: date) -> None:
    for form in ("%Y-%m-%d", "%d-%b-%Y", "%d-%B-%Y", "%d-%m-%Y", "%d/%m/%Y", "%d-%b-%y", "%Y%m%d"):
        assert parse_date(day.strftime(form)) == day
