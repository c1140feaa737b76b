"""Whose history is whose, through new names, new ISINs, and old names that come back."""

from datetime import date
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vcpd.bhavcopy.listings import ListingIndex, ListingPeriod, SymbolPeriod, instrument_token, merge_periods

A1, A2, B1 = "INE000A01011", "INE000A01029", "INE000B01011"


def period(symbol: str, isin: str, first: str, last: str, series: str = "EQ") -> ListingPeriod:
    return ListingPeriod(symbol, isin, date.fromisoformat(first), date.fromisoformat(last), series)


def reported(periods: list[ListingPeriod], symbol: str) -> list[tuple[str, str, str]]:
    return [
        (period.symbol, str(period.first), str(period.last))
        for period in ListingIndex(periods).symbol_periods(symbol)
    ]


def test_a_split_changes_the_isin_and_nothing_else() -> None:
    periods = [period("A", A1, "2020-01-01", "2022-03-31"), period("A", A2, "2022-04-01", "2024-06-28")]
    assert reported(periods, "A") == [("A", "2020-01-01", "2024-06-28")]


def test_a_rename_is_followed_back_through_its_isin_and_again() -> None:
    periods = [
        period("OLD", A1, "2020-01-01", "2021-12-31"),
        period("MID", A1, "2022-01-03", "2022-12-30"),
        period("MID", A2, "2023-01-02", "2023-06-30"),
        period("NEW", A2, "2023-07-03", "2024-06-28"),
    ]
    assert reported(periods, "NEW") == [
        ("OLD", "2020-01-01", "2021-12-31"),
        ("MID", "2022-01-03", "2023-06-30"),
        ("NEW", "2023-07-03", "2024-06-28"),
    ]


def test_an_old_name_that_another_company_took_brings_no_foreign_past() -> None:
    periods = [period("A", A1, "2020-01-01", "2021-12-31"), period("A", B1, "2023-01-02", "2024-06-28")]
    assert reported(periods, "A") == [("A", "2023-01-02", "2024-06-28")]


def test_a_long_suspension_is_no_other_company() -> None:
    periods = [period("A", A1, "2020-01-01", "2021-12-31"), period("A", A2, "2023-01-02", "2024-06-28")]
    assert reported(periods, "A") == [("A", "2020-01-01", "2024-06-28")]


def test_a_layout_without_isins_breaks_no_history() -> None:
    periods = [period("A", A1, "2020-01-01", "2021-12-31"), period("A", "", "2021-06-01", "2024-06-28")]
    assert reported(periods, "A") == [("A", "2020-01-01", "2024-06-28")]
    assert ListingIndex(periods).isin_of("A") == A1


def test_a_name_given_away_is_reported_only_as_long_as_it_was_ours() -> None:
    """A was renamed to NEW; later another company listed as A."""
    periods = [
        period("A", A1, "2020-01-01", "2021-12-31"),
        period("NEW", A1, "2022-01-03", "2024-06-28"),
        period("A", B1, "2023-01-02", "2024-06-28"),
    ]
    assert reported(periods, "NEW") == [
        ("A", "2020-01-01", "2021-12-31"),
        ("NEW", "2022-01-03", "2024-06-28"),
    ]
    assert reported(periods, "A") == [("A", "2023-01-02", "2024-06-28")]


def test_who_was_renamed_is_not_listed_beside_the_successor() -> None:
    periods = [
        period("OLD", A1, "2024-06-03", "2024-06-20"),
        period("NEW", A1, "2024-06-21", "2024-06-28"),
        period("B", B1, "2024-06-03", "2024-06-19", "BE"),
        period("GONE", "INE000Z01011", "2023-06-03", "2024-01-19"),
    ]
    listed = ListingIndex(periods).listed(date(2024, 6, 17))
    assert sorted((period.symbol, period.series) for period in listed) == [("B", "BE"), ("NEW", "EQ")]


def test_an_unknown_symbol_has_no_history() -> None:
    assert ListingIndex([]).symbol_periods("A") == []


days = st.dates(date(2020, 1, 1), date(2020, 3, 1))
periods_of_few = st.builds(
    lambda symbol, isin, ends: ListingPeriod(symbol, isin, min(ends), max(ends), "EQ"),
    st.sampled_from(["A", "B", "C"]),
    st.sampled_from([A1, A2, B1, ""]),
    st.tuples(days, days),
)


@given(st.lists(periods_of_few, max_size=8))
def test_whatever_the_lives_stretches_follow_each_other(periods: list[ListingPeriod]) -> None:
    """No endless search, no session told twice, the own name last."""
    for symbol in ("A", "B", "C"):
        found: list[SymbolPeriod] = ListingIndex(merge_periods(periods)).symbol_periods(symbol)
        assert len({period.symbol for period in found}) == len(found)
        assert all(period.first <= period.last for period in found)
        assert all(period.last < after.first for period, after in pairwise(found))
        if found:
            assert found[-1].symbol == symbol


@given(st.lists(periods_of_few, max_size=8), st.integers(0, 8))
def test_lives_merge_the_same_in_any_parts(periods: list[ListingPeriod], cut: int) -> None:
    ordered = sorted(periods, key=lambda live: (live.last, live.first))
    whole = merge_periods(ordered)
    parts = merge_periods([*merge_periods(ordered[:cut]), *ordered[cut:]])
    assert {(period.symbol, period.isin, period.first, period.last) for period in whole} == {
        (part.symbol, part.isin, part.first, part.last) for part in parts
    }


def test_tokens_stay_with_the_isin_and_differ_otherwise() -> None:
    assert instrument_token(A1, "OLD") == instrument_token(A1, "NEW") != instrument_token(A2, "NEW")
    assert instrument_token("", "A") != instrument_token("", "B")
    assert 0 < instrument_token(A1, "A") < 2**63
