"""Back-adjustment: what it must leave alone, what it must change, and whom it must not believe."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcpd.bhavcopy.corporate_actions import CorporateAction, action_factor, adjust, merge_actions
from vcpd.domain.bars import PRICE_FIELDS, BarSeries

START = date(2024, 1, 1)
TODAY = date(2030, 1, 1)
DAYS = 30


def calm_series(ex_dates: dict[int, float], seed: int = 1) -> tuple[BarSeries, BarSeries]:
    """A true history and the raw one that was published, with the factor at each ex-day's number."""
    dice = np.random.default_rng(seed)
    sessions = np.datetime64(START, "D") + np.arange(DAYS)
    close = 100 * np.exp(np.cumsum(dice.normal(0, 0.01, DAYS)))
    volume = dice.uniform(1e3, 1e5, DAYS)
    true = BarSeries.from_columns(
        "NSE:A", sessions, (close * 0.999, close * 1.01, close * 0.99, close), volume
    )
    scale = np.ones(DAYS)
    for day, factor in ex_dates.items():
        scale[:day] *= factor
    raw = true.records.copy()
    for name in PRICE_FIELDS:
        raw[name] /= scale
    raw["volume"] *= scale
    return true, BarSeries("NSE:A", raw)


def actions(ex_dates: dict[int, float]) -> list[CorporateAction]:
    return [
        CorporateAction("A", START + timedelta(days=day), factor, f"factor {factor}")
        for day, factor in ex_dates.items()
    ]


factors = st.sampled_from([0.02, 0.1, 0.2, 0.25, 1 / 3, 0.5, 2 / 3, 0.75, 0.8, 10 / 11, 2.0, 10.0])
happenings = st.dictionaries(st.integers(0, DAYS + 5), factors, max_size=4)


@settings(max_examples=80, deadline=None)
@given(happenings)
def test_the_true_history_comes_back(ex_dates: dict[int, float]) -> None:
    true, raw = calm_series(ex_dates)
    adjusted = adjust(raw, actions(ex_dates), TODAY)
    assert adjusted.contradicted == ()
    for name in (*PRICE_FIELDS, "volume"):
        np.testing.assert_allclose(adjusted.series.records[name], true.records[name])


@settings(max_examples=80, deadline=None)
@given(happenings, happenings)
def test_traded_value_and_order_survive_any_list(
    happened: dict[int, float], listed: dict[int, float]
) -> None:
    """Whatever a list claims: price times volume stays, high stays above low, the last bar stays as it is."""
    _, raw = calm_series(happened)
    series = adjust(raw, actions(listed), START + timedelta(days=DAYS - 1)).series
    np.testing.assert_allclose(series.close * series.volume, raw.close * raw.volume)
    assert (series.high >= series.low).all()
    assert series.records[-1] == raw.records[-1]
    np.testing.assert_array_equal(series.sessions, raw.sessions)


@given(happenings)
def test_the_published_bars_are_never_touched(ex_dates: dict[int, float]) -> None:
    _, raw = calm_series(ex_dates)
    before = raw.records.copy()
    adjust(raw, actions(ex_dates), TODAY)
    np.testing.assert_array_equal(raw.records, before)


def test_an_action_counts_from_the_morning_of_its_ex_date() -> None:
    true, raw = calm_series({10: 0.5})
    eve, ex_date = START + timedelta(days=9), START + timedelta(days=10)
    known = raw.until(eve)
    np.testing.assert_array_equal(adjust(known, actions({10: 0.5}), eve).series.close, known.close)
    np.testing.assert_allclose(adjust(known, actions({10: 0.5}), ex_date).series.close, true.until(eve).close)


def test_a_wrong_list_is_not_believed_against_the_price() -> None:
    """A bonus entered for the wrong company would halve a history that never was halved."""
    _, raw = calm_series({})
    adjusted = adjust(raw, actions({10: 0.5}), TODAY)
    assert [action.factor for action in adjusted.contradicted] == [0.5]
    np.testing.assert_array_equal(adjusted.series.close, raw.close)


def test_a_small_bonus_is_taken_on_trust() -> None:
    """One share for ten moves a price no more than an ordinary day does: the price cannot contradict it."""
    _, raw = calm_series({})
    adjusted = adjust(raw, actions({10: 10 / 11}), TODAY)
    assert adjusted.contradicted == ()
    np.testing.assert_allclose(adjusted.series.close[:10], raw.close[:10] * 10 / 11)


def test_two_actions_of_a_day_are_judged_together() -> None:
    """Split and bonus together made the step; neither alone fits it."""
    true, raw = calm_series({10: 0.1})
    both = [*actions({10: 0.2}), *actions({10: 0.5})]
    adjusted = adjust(raw, both, TODAY)
    assert adjusted.contradicted == ()
    np.testing.assert_allclose(adjusted.series.close, true.close)


def test_a_price_that_says_nothing_contradicts_nothing() -> None:
    true, raw = calm_series({10: 0.5})
    raw.records["open"][10] = np.nan
    np.testing.assert_allclose(adjust(raw, actions({10: 0.5}), TODAY).series.close, true.close)


@pytest.mark.parametrize("series", [BarSeries.empty("NSE:A"), calm_series({})[1].until(START)])
def test_a_short_history_is_no_problem(series: BarSeries) -> None:
    assert len(adjust(series, actions({5: 0.5}), TODAY).series) == len(series)


def priced(subject: str, close: float, opened: float, face_value: float = 10.0) -> float:
    (action,) = merge_actions([("A", "2024-08-05", subject)], {"A": face_value}).actions
    return action_factor(action, close, opened)


@pytest.mark.parametrize(
    ("subject", "close", "opened", "factor"),
    [
        ("RIGHTS 3:8@ PRM RS 14/-", 100.0, 90.0, (100 + 3 / 8 * 24) / (100 + 3 / 8 * 100)),
        ("Rights 1:4 @ Rs 60/-", 100.0, 90.0, (100 + 15) / 125),
        ("RIGHTS 3:8@ PRM RS 140/-", 100.0, 90.0, 1.0),  # nobody buys above the market
        ("INTDIV - RS 2 PER SH", 100.0, 98.0, 0.98),
        ("INTDIV - RS 1.90 PER SH", 100.0, 98.0, 1.0),
        ("INT DIV RS 1 + SPL DIV RS 4", 100.0, 98.0, 0.95),
        ("DEMERGER", 100.0, 69.0, 0.69),
        ("DEMERGER", 100.0, 99.0, 1.0),  # no more than an ordinary step
        ("BONUS 1:1/INTDIV RS 10 PER SH", 100.0, 45.0, 0.45),
    ],
)
def test_what_a_priced_action_does_to_older_prices(
    subject: str, close: float, opened: float, factor: float
) -> None:
    assert priced(subject, close, opened) == pytest.approx(factor)


def test_a_premium_over_an_unknown_face_value_is_unclear() -> None:
    listed = merge_actions([("A", "2024-08-05", "RIGHTS 3:8@ PRM RS 14/-")])
    assert listed.actions == ()
    assert [action.reason for action in listed.unclear] == ["the face value is unknown"]


@given(st.floats(1, 1000), st.floats(0.01, 1000), st.integers(1, 9), st.integers(1, 9))
def test_a_rights_issue_never_raises_old_prices_nor_makes_them_nothing(
    close: float, price: float, new: int, held: int
) -> None:
    factor = priced(f"RIGHTS {new}:{held} @ RS {price:.2f}", close, close)
    assert 0 < factor <= 1
