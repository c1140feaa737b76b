"""Comparing stored bars with what the market says now."""

from datetime import date

import numpy as np

from tests.real_data import real_data
from vcpd.domain.bars import BAR_DTYPE, BarSeries
from vcpd.domain.quality_rules import compare_histories, restated_sessions
from vcpd.store import bar_files


def bars(*rows: tuple[str, float, float]) -> BarSeries:
    """Rows of date, close and volume."""
    records = [(day, close, close + 1.0, close - 1.0, close, volume, False) for day, close, volume in rows]
    return BarSeries("NSE:A", np.array(records, BAR_DTYPE))


OLD = bars(("2025-06-26", 100.0, 10.0), ("2025-06-27", 101.0, 11.0), ("2025-06-30", 102.0, 12.0))


def test_equal_histories_differ_in_nothing() -> None:
    found = compare_histories(OLD, OLD)
    assert not any(map(len, (found.price_changed, found.volume_changed, found.missing, found.added)))


def test_each_kind_of_difference_is_distinguished() -> None:
    new = bars(
        ("2025-06-25", 99.0, 9.0),
        ("2025-06-26", 50.0, 20.0),
        ("2025-06-27", 101.0, 12.0),
        ("2025-07-01", 1.5, 1),
    )
    found = compare_histories(OLD, new)
    assert found.price_changed.tolist() == [date(2025, 6, 26)]
    assert found.volume_changed.tolist() == [date(2025, 6, 27)]
    assert found.missing.tolist() == [date(2025, 6, 30)]
    assert not len(found.added)
    assert compare_histories(new, OLD).added.tolist() == [date(2025, 6, 30)]


def test_rounding_is_no_restatement() -> None:
    new = bars(("2025-06-26", 100.005, 10.0), ("2025-06-27", 101.0, 11.0))
    assert not len(restated_sessions(OLD, new))


def test_a_provisional_bar_may_change_without_a_restatement() -> None:
    old = bars(("2025-06-27", 101.0, 11.0), ("2025-06-30", 105.0, 12.0))
    old.records["provisional"][-1] = True
    assert not len(restated_sessions(old, OLD))
    assert len(compare_histories(old, OLD).price_changed) == 1


def test_every_really_restated_history_is_noticed() -> None:
    """101 symbols as published before and after splits and bonuses; ten days tell all but one.

    SBCL's old bars alone were changed, those before an action seven months earlier.
    """
    before = bar_files.read_bars(real_data("restated_before_2023-05-22.parquet")).series
    after = {
        series.symbol: series for series in bar_files.read_bars(real_data("restated_after.parquet")).series
    }
    ends = [BarSeries(series.symbol, series.records[-10:]) for series in before]
    assert len(before) == 101
    assert all(len(restated_sessions(series, after[series.symbol])) for series in before)
    assert [end.symbol for end in ends if not len(restated_sessions(end, after[end.symbol]))] == ["SBCL"]
    (late,) = (
        restated_sessions(series, after[series.symbol]) for series in before if series.symbol == "SBCL"
    )
    assert late[-1].item() == date(2022, 10, 11)


def test_an_unchanged_history_is_never_called_restated() -> None:
    after = bar_files.read_bars(real_data("restated_after.parquet")).series
    assert not any(len(restated_sessions(series, series)) for series in after)
