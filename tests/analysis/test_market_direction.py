"""Directions of an index: the counts written down before, the same rules counted anew, and their laws."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.market_direction_oracle import IndexRow, expected_directions
from tests.real_data import real_data
from vcpd.analysis.market_direction import index_directions, volume_changes
from vcpd.analysis.regime_settings import RegimeSettings
from vcpd.domain.bars import BarSeries
from vcpd.domain.market_regime import IndexDirection, MarketTerm, VolumeSource
from vcpd.store import bar_files

WRITTEN_DOWN: Final = Path(__file__).parents[1] / "fixtures" / "market_direction_counts.json"
DEFAULTS: Final = RegimeSettings()


def _directions(series: BarSeries, rules: RegimeSettings = DEFAULTS) -> list[IndexDirection]:
    return index_directions(series, volume_changes([(VolumeSource.INDEX, series.volume)]), rules)


def _numbers(direction: IndexDirection) -> dict[str, Any]:
    return {
        "term": str(direction.term),
        "distribution_days": direction.distribution_days or 0,
        "rally_day": direction.rally_day,
        "follow_through": direction.follow_through and direction.follow_through.isoformat(),
    }


def _index(closes: list[float], volumes: list[float] | None = None) -> BarSeries:
    close = np.array(closes)
    days = np.datetime64("2024-01-01") + np.arange(len(closes))
    volume = np.full(len(closes), np.nan) if volumes is None else np.array(volumes)
    return BarSeries.from_columns("NSE:INDEX", days, (close, close, close, close), volume)


def _rows(series: BarSeries) -> list[IndexRow]:
    columns = (series.low.tolist(), series.close.tolist(), np.nan_to_num(series.volume).tolist())
    return [
        IndexRow(day.isoformat(), *numbers)
        for day, *numbers in zip(series.sessions.tolist(), *columns, strict=True)
    ]


@pytest.mark.parametrize("symbol", ["NIFTY 50", "NIFTY 500"])
def test_the_counts_of_the_written_down_dates(symbol: str) -> None:
    series = {
        found.symbol: found
        for found in bar_files.read_bars(real_data("nse_indices.parquet"), is_index=True).series
    }
    found = {str(direction.session): _numbers(direction) for direction in _directions(series[symbol])}
    expected = json.loads(WRITTEN_DOWN.read_text())[symbol]
    assert len(expected) >= 20
    assert {day: found[day] for day in expected} == expected


MOVES = st.lists(st.tuples(st.floats(-4, 4), st.integers(1, 5)), min_size=2, max_size=150)


@given(MOVES)
@settings(max_examples=80, deadline=None)
def test_the_rules_are_those_of_the_plain_count(moves: list[tuple[float, int]]) -> None:
    closes = np.cumprod([100.0, *(1 + change / 100 for change, _ in moves)])
    series = _index(closes.tolist(), [1.0, *(float(volume) for _, volume in moves)])
    found = {str(direction.session): _numbers(direction) for direction in _directions(series)[1:]}
    assert found == expected_directions(_rows(series))


@given(MOVES, st.integers(1, 150))
@settings(max_examples=50, deadline=None)
def test_a_history_cut_short_gives_the_same_answers(moves: list[tuple[float, int]], stop: int) -> None:
    closes = np.cumprod([100.0, *(1 + change / 100 for change, _ in moves)]).tolist()
    volumes = [1.0, *(float(volume) for _, volume in moves)]
    whole = _directions(_index(closes, volumes))
    assert _directions(_index(closes[:stop], volumes[:stop])) == whole[:stop]


def test_closes_alone_give_unknown_and_never_no_distribution() -> None:
    found = _directions(_index([100 * 0.99**n for n in range(60)]))
    assert {direction.distribution_days for direction in found} == {None}
    assert {direction.term for direction in found} == {MarketTerm.UNKNOWN}


def test_a_window_with_little_volume_is_unknown_until_it_is_measured_again() -> None:
    volumes = [*np.arange(1.0, 61), *[np.nan] * 7, *np.arange(1.0, 41)]
    found = _directions(_index([100 * 0.99**n for n in range(len(volumes))], volumes))
    assert found[59].term is MarketTerm.CORRECTION
    assert found[66].term is MarketTerm.UNKNOWN
    assert found[66].unmeasured_sessions == 7
    assert found[-1].term is MarketTerm.CORRECTION


def test_a_distribution_day_expires_after_25_sessions_or_once_the_index_rose_by_5_percent() -> None:
    fall, quiet = [100.0, 99.0], [99.0] * 30
    found = _directions(_index([*fall, *quiet], [1.0, 2.0, *[1.0] * 30]))
    assert [direction.distribution_days for direction in found[1:]] == [1] * 25 + [0] * 6
    risen = _directions(_index([*fall, 103.9, 103.95, 99.0], [1.0, 2.0, 1.0, 1.0, 1.0]))
    assert [direction.distribution_days for direction in risen] == [None, 1, 1, 0, 0]


def test_the_volume_of_one_session_is_compared_within_one_source() -> None:
    index = np.array([1.0, 2.0, np.nan, 1.0, 2.0])
    members = np.array([np.nan, 5.0, 4.0, np.nan, 9.0])
    universe = np.array([9.0, 8.0, 7.0, 8.0, 9.0])
    found = volume_changes(
        [(VolumeSource.INDEX, index), (VolumeSource.MEMBERS, members), (VolumeSource.UNIVERSE, universe)]
    )
    assert [(change.is_higher, change.source) for change in found] == [
        (None, None),
        (True, VolumeSource.INDEX),
        (False, VolumeSource.MEMBERS),
        (True, VolumeSource.UNIVERSE),
        (True, VolumeSource.INDEX),
    ]


def test_a_day_without_a_bar_is_no_session_of_the_index() -> None:
    series = _index([100.0, 99.0, 98.0], [1.0, 2.0, 3.0])
    days = series.sessions + np.array([0, 0, 5]).astype("m8[D]")
    moved = BarSeries.from_columns("NSE:INDEX", days, (series.close,) * 4, series.volume)
    found = _directions(moved)
    assert [direction.session for direction in found] == [
        date(2024, 1, 1),
        date(2024, 1, 2),
        date(2024, 1, 3) + timedelta(5),
    ]
    assert found[-1].distribution_days == 2


def test_contradicting_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="pressure_days"):
        RegimeSettings(pressure_days=7, correction_days=6)
