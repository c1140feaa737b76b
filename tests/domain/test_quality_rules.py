"""Rows that may not enter: each rule by itself, their order, and the laws of what is accepted."""

from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcpd.domain.bars import BAR_DTYPE, BarSeries, BarTable
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.quality_rules import QualityRule, ValidSessions, check_rows, check_table

GOOD = (10.0, 11.0, 9.0, 10.5, 100.0)
ONE_DAY = np.timedelta64(1, "D")
DAYS = NSE.sessions(date(2025, 1, 1), date(2025, 12, 31))
NAN = float("nan")


def series(*rows: tuple[str, tuple[float, float, float, float, float]]) -> BarSeries:
    return BarSeries("NSE:A", np.array([(day, *values, False) for day, values in rows], BAR_DTYPE))


def around(values: tuple[float, float, float, float, float]) -> BarSeries:
    """A suspect row between two good ones."""
    return series(("2025-06-26", GOOD), ("2025-06-27", values), ("2025-06-30", GOOD))


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ((NAN, 11.0, 9.0, 10.5, 100.0), QualityRule.PRICE_MISSING),
        ((10.0, 11.0, 9.0, float("inf"), 100.0), QualityRule.PRICE_MISSING),
        ((0.0, 11.0, 0.0, 10.5, 100.0), QualityRule.PRICE_NOT_POSITIVE),
        ((10.0, 11.0, -9.0, 10.5, 100.0), QualityRule.PRICE_NOT_POSITIVE),
        ((10.0, 9.0, 11.0, 10.0, 100.0), QualityRule.HIGH_BELOW_LOW),
        ((11.2, 11.0, 9.0, 10.5, 100.0), QualityRule.OUT_OF_RANGE),
        ((10.0, 11.0, 9.0, 8.9, 100.0), QualityRule.OUT_OF_RANGE),
        ((10.0, 11.0, 9.0, 10.5, -1.0), QualityRule.VOLUME_NEGATIVE),
        ((10.0, 11.0, 9.0, 10.5, float("inf")), QualityRule.VOLUME_NEGATIVE),
    ],
)
def test_a_broken_row_is_kept_apart_with_its_rule(
    values: tuple[float, float, float, float, float], rule: QualityRule
) -> None:
    checked = check_rows(around(values))
    assert len(checked.accepted) == 2
    (apart,) = checked.quarantined
    assert (apart.rule, apart.session) == (rule, date(2025, 6, 27))
    assert apart.reason
    assert apart.payload["high"] == (values[1] if np.isfinite(values[1]) else None)


def test_unknown_volume_is_no_fault_of_a_row() -> None:
    checked = check_rows(around((10.0, 11.0, 9.0, 10.5, NAN)))
    assert not checked.quarantined
    assert np.isnan(checked.accepted.volume[1])


@pytest.mark.parametrize("day", ["2025-06-28", "2025-08-15", "2025-10-02"])
def test_a_weekend_or_holiday_is_no_session(day: str) -> None:
    checked = check_rows(series((day, GOOD)), ValidSessions(DAYS))
    assert [bar.rule for bar in checked.quarantined] == [QualityRule.NOT_A_SESSION]


def test_a_special_session_on_a_saturday_is_one() -> None:
    assert not check_rows(series(("2025-02-01", GOOD)), ValidSessions(DAYS)).quarantined


def test_a_date_outside_the_known_sessions_is_not_judged_against_them() -> None:
    assert not check_rows(series(("1999-01-02", GOOD)), ValidSessions(DAYS)).quarantined


def test_a_bar_from_the_future_is_no_session() -> None:
    checked = check_rows(series(("2025-06-30", GOOD)), ValidSessions(DAYS, date(2025, 6, 27)))
    assert [bar.rule for bar in checked.quarantined] == [QualityRule.NOT_A_SESSION]


def test_a_row_without_a_date_is_kept_apart_too() -> None:
    checked = check_rows(series(("NaT", GOOD)))
    assert [bar.session for bar in checked.quarantined] == [None]


def test_equal_copies_are_one_bar_and_counted() -> None:
    checked = check_rows(series(("2025-06-27", GOOD), ("2025-06-27", GOOD), ("2025-06-30", GOOD)))
    assert (len(checked.accepted), checked.duplicates, checked.quarantined) == (2, 1, ())


def test_differing_rows_of_one_session_are_all_kept_apart() -> None:
    other = (10.0, 11.0, 9.0, 10.6, 100.0)
    checked = check_rows(
        series(("2025-06-27", GOOD), ("2025-06-27", other), ("2025-06-27", GOOD), ("2025-06-30", GOOD))
    )
    assert checked.accepted.sessions.tolist() == [date(2025, 6, 30)]
    assert [bar.rule for bar in checked.quarantined] == [QualityRule.DUPLICATE_SESSION] * 3


def test_a_broken_row_does_not_make_its_sound_twin_a_duplicate() -> None:
    checked = check_rows(series(("2025-06-27", GOOD), ("2025-06-27", (NAN, NAN, NAN, NAN, 5.0))))
    assert len(checked.accepted) == 1
    assert [bar.rule for bar in checked.quarantined] == [QualityRule.PRICE_MISSING]


def test_rounding_widens_the_range_instead_of_losing_the_bar() -> None:
    checked = check_rows(series(("2025-06-27", (10.0, 10.49, 9.0, 10.5, 1.0))))
    assert checked.accepted.high.tolist() == [10.5]


def test_the_place_of_a_broken_row_is_the_one_it_came_from() -> None:
    rows = series(("2025-06-30", GOOD), ("2025-06-26", (NAN, 11.0, 9.0, 10.5, 1.0)), ("2025-06-27", GOOD))
    checked = check_table(BarTable(np.array([7, 3, 3]), rows.records), {7: "NSE:A", 3: "NSE:B"})
    assert checked.rows == (1,)
    assert checked.quarantined[0].symbol == "NSE:B"
    assert checked.accepted.instrument_id.tolist() == [3, 7]


prices = st.floats(-5.0, 200.0) | st.just(NAN) | st.just(0.0)
rows = st.tuples(
    st.integers(0, 12), prices, prices, prices, prices, st.floats(-2.0, 1e9) | st.just(NAN), st.booleans()
)


@settings(max_examples=150, deadline=None)
@given(st.lists(rows, max_size=25))
def test_whatever_comes_every_row_is_accounted_for_and_the_accepted_keep_the_laws(
    drawn: list[tuple[Any, ...]],
) -> None:
    """Accepted + kept apart + copies = given; accepted sessions ascend; low <= open, close <= high."""
    start = np.datetime64("2025-06-20")
    given_rows = BarSeries(
        "NSE:A", np.array([(start + day * ONE_DAY, *rest) for day, *rest in drawn], BAR_DTYPE)
    )
    checked = check_rows(given_rows, ValidSessions(DAYS))
    kept = checked.accepted
    assert len(kept) + len(checked.quarantined) + checked.duplicates == len(drawn)
    assert (np.diff(kept.sessions) > np.timedelta64(0, "D")).all()
    for column in (kept.open, kept.close):
        assert ((kept.low <= column) & (column <= kept.high)).all()
    assert (kept.low > 0).all()
    assert not (kept.volume < 0).any()
    assert np.isin(kept.sessions, DAYS).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(rows, max_size=15), st.randoms(use_true_random=False))
def test_the_order_of_rows_decides_nothing(drawn: list[tuple[Any, ...]], random: Any) -> None:
    start = np.datetime64("2025-06-20")
    shuffled = random.sample(drawn, len(drawn))
    given_rows, others = (
        BarSeries(
            "NSE:A", np.array([(start + day * ONE_DAY, *rest[:-1], False) for day, *rest in some], BAR_DTYPE)
        )
        for some in (drawn, shuffled)
    )
    first, second = check_rows(given_rows), check_rows(others)
    assert first.accepted.records.tobytes() == second.accepted.records.tobytes()
    assert len(first.quarantined) == len(second.quarantined)


def test_checking_what_was_accepted_changes_nothing() -> None:
    once = check_rows(around((11.2, 11.0, 9.0, 10.5, 100.0))).accepted
    assert check_rows(once).accepted.records.tobytes() == once.records.tobytes()
