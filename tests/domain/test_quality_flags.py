"""Doubts about histories: jumps that no trading made, standing sources, missing volume and sessions."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcpd.domain.bars import BarSeries, are_among, session_array
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.panel import build_panel
from vcpd.domain.quality_flags import QualityParameters, _median, explain_ratio, flag_rows, flag_series
from vcpd.domain.quality_rules import QualityFlag, QualityRule

DAYS = NSE.sessions(date(2023, 1, 2), date(2025, 6, 30))


def calm(count: int = 120) -> BarSeries:
    """A quiet history around 100 that ends on 2025-06-30."""
    days = DAYS[-count:]
    closes = 100.0 + np.sin(np.arange(float(count)))
    opens = closes - 0.2
    volume = 1_000.0 + np.arange(float(count)) % 7
    return BarSeries.from_columns("NSE:A", days, (opens, closes + 1.0, opens - 1.0, closes), volume)


def scale(series: BarSeries, rows: slice, factor: float) -> None:
    for name in ("open", "high", "low", "close"):
        series.records[name][rows] *= factor


def flags_of(
    series: BarSeries, parameters: QualityParameters | None = None
) -> dict[QualityRule, QualityFlag]:
    return {flag.rule: flag for flag in flag_series(series, parameters or QualityParameters(), days=DAYS)}


def test_a_quiet_history_raises_no_doubt() -> None:
    assert not flags_of(calm())


@pytest.mark.parametrize(
    ("factor", "words"), [(0.5, "split 1:2"), (0.2, "split 1:5"), (0.1, "split 1:10"), (0.6667, "bonus 1:2")]
)
def test_an_unadjusted_split_excludes_and_names_its_ratio(factor: float, words: str) -> None:
    series = calm()
    scale(series, slice(-30, None), factor)
    flag = flags_of(series)[QualityRule.JUMP_BEYOND_BAND]
    assert flag.excludes
    assert flag.session == series.sessions[-30].item()
    assert words in flag.reason


def test_bars_adjusted_once_too_often_exclude_as_well() -> None:
    series = calm()
    scale(series, slice(None, -30), 0.2)
    flag = flags_of(series)[QualityRule.JUMP_BEYOND_BAND]
    assert flag.excludes
    assert "once too often" in flag.reason


def test_a_crash_made_while_the_market_was_open_does_not_exclude() -> None:
    """Stocks with derivatives have no band: the opening lies inside it, the close far outside."""
    series = calm()
    scale(series, slice(-29, None), 0.72)
    row = series.records[-30]
    row["open"], row["high"], row["close"], row["low"] = 99.0, 99.5, 72.0, 71.0
    flag = flags_of(series)[QualityRule.JUMP_BEYOND_BAND]
    assert not flag.excludes
    assert "while the market was open" in flag.reason


def test_a_mistaken_first_trade_is_no_jump() -> None:
    """The opening lies far off, the close is back where it was."""
    series = calm()
    series.records["open"][-30], series.records["low"][-30] = 60.0, 60.0
    assert QualityRule.JUMP_BEYOND_BAND not in flags_of(series)


def test_a_jump_leaves_the_results_once_it_is_old() -> None:
    series = calm()
    scale(series, slice(-30, None), 0.5)
    assert flags_of(series, QualityParameters(recent_sessions=30))[QualityRule.JUMP_BEYOND_BAND].excludes
    assert not flags_of(series, QualityParameters(recent_sessions=29))[QualityRule.JUMP_BEYOND_BAND].excludes


def test_after_a_long_suspension_the_price_is_discovered_anew() -> None:
    series = calm()
    scale(series, slice(-30, None), 2.0)
    with_hole = BarSeries("NSE:A", np.delete(series.records, slice(-50, -30)))
    flag = flags_of(with_hole)[QualityRule.JUMP_BEYOND_BAND]
    assert not flag.excludes
    assert "20 sessions" in flag.reason


def test_ten_times_the_price_after_a_suspension_is_not_believed() -> None:
    series = calm()
    scale(series, slice(-30, None), 10.0)
    with_hole = BarSeries("NSE:A", np.delete(series.records, slice(-50, -30)))
    assert flags_of(with_hole)[QualityRule.JUMP_BEYOND_BAND].excludes


def test_one_tick_of_a_penny_stock_is_no_jump() -> None:
    series = calm()
    scale(series, slice(None), 0.001)
    for name in ("open", "high", "low", "close"):
        series.records[name] = np.where(np.arange(len(series)) % 2, 0.10, 0.15)
    assert QualityRule.JUMP_BEYOND_BAND not in flags_of(series)


@pytest.mark.parametrize("factor", [100.0, 0.01, 5.0])
def test_a_few_bars_on_another_scale_are_a_scale_break(factor: float) -> None:
    """Rupees against paise, or some bars adjusted and others not: there and back again."""
    series = calm()
    scale(series, slice(-30, -27), factor)
    found = flags_of(series)
    assert found[QualityRule.SCALE_BREAK].excludes
    assert QualityRule.JUMP_BEYOND_BAND not in found


def test_a_source_that_stands_still_excludes() -> None:
    series = calm()
    series.records[-3:] = series.records[-3]
    series.records["session"] = DAYS[-120:]
    flag = flags_of(series)[QualityRule.STALE_REPEAT]
    assert flag.excludes
    assert "last 3 bars" in flag.reason


def test_one_repeated_bar_is_only_reported() -> None:
    series = calm()
    session = series.sessions[-30]
    series.records[-30] = series.records[-31]
    series.records["session"][-30] = session
    assert not flags_of(series)[QualityRule.STALE_REPEAT].excludes


@pytest.mark.parametrize("volume", [0.0, float("nan")])
def test_missing_volume_is_reported_and_does_not_exclude(volume: float) -> None:
    series = calm()
    series.records["volume"][-5] = volume
    flag = flags_of(series)[QualityRule.VOLUME_MISSING]
    assert not flag.excludes
    assert "1 of the last 50" in flag.reason


def test_a_narrow_last_bar_of_little_volume_may_be_cut_short() -> None:
    series = calm()
    series.records["volume"][-1] = 50.0
    row = series.records[-1]
    row["high"], row["low"] = max(row["open"], row["close"]), min(row["open"], row["close"])
    assert not flags_of(series)[QualityRule.PARTIAL_LAST_BAR].excludes
    series.records["provisional"][-1] = True
    assert QualityRule.PARTIAL_LAST_BAR not in flags_of(series)


def test_sessions_without_a_bar_are_counted() -> None:
    series = calm()
    with_hole = BarSeries("NSE:A", np.delete(series.records, [-10, -11, -40]))
    assert flags_of(with_hole)[QualityRule.MISSING_SESSIONS].reason.startswith("3 sessions")


def test_an_index_has_neither_band_nor_volume() -> None:
    series = calm()
    series.records["volume"] = 0.0
    scale(series, slice(-30, None), 1.5)
    assert not flag_series(series, days=DAYS, is_index=True)


def test_a_panel_and_its_series_raise_the_same_flags() -> None:
    split, holes = calm(), calm()
    scale(split, slice(-30, None), 0.5)
    holes = BarSeries("NSE:B", np.delete(holes.records, [-10, -40]))
    panel = build_panel([split, holes])
    found = flag_rows(panel, range(2), QualityParameters())
    assert found == [*flag_series(split, days=DAYS), *flag_series(holes, days=DAYS)]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 90))
def test_no_flag_is_overlooked_where_all_symbols_are_looked_through_at_once(seed: int, sessions: int) -> None:
    """A panel of every kind of history raises what its rows raise when each is judged by itself."""
    rng = np.random.default_rng(seed)
    histories = [disturb(rng, f"NSE:{number:02}", sessions) for number in range(70)]
    panel = build_panel(histories)
    parameters = QualityParameters(recent_sessions=60, volume_sessions=10)
    alone = [
        flag
        for row in range(len(panel.symbols))
        for flag in flag_rows(panel, range(row, row + 1), parameters)
    ]
    assert flag_rows(panel, range(len(panel.symbols)), parameters) == alone
    ends = panel.sessions[-1]
    for history in histories:
        if len(history) and history.sessions[-1] == ends and panel.sessions[0] in history.sessions:
            assert [flag for flag in alone if flag.symbol == history.symbol] == list(
                flag_series(history, parameters, days=panel.sessions)
            )


def disturb(rng: np.random.Generator, symbol: str, sessions: int) -> BarSeries:
    """A calm history with a chance of holes, repeats, splits, missing or small volume, and an early end."""
    series = BarSeries(symbol, calm(sessions).records.copy())
    records, n = series.records, sessions
    if rng.random() < 0.2:
        scale(series, slice(int(rng.integers(n)), None), float(rng.choice([0.5, 0.2, 30.0, 1.25])))
    if rng.random() < 0.2 and n > 3:
        at = int(rng.integers(1, n))
        for name in ("open", "high", "low", "close", "volume"):
            records[name][at] = records[name][at - 1]
    if rng.random() < 0.2:
        records["volume"][int(rng.integers(n))] = rng.choice([0.0, np.nan])
    if rng.random() < 0.2:
        records["volume"][-1], records["high"][-1] = 20.0, max(records["open"][-1], records["close"][-1])
        records["provisional"][-1] = rng.random() < 0.3
    kept = rng.random(n) > (0.05 if rng.random() < 0.3 else 0.0)
    if rng.random() < 0.1:
        kept[int(rng.integers(n)) :] = False
    return BarSeries(symbol, records[kept])


def test_a_symbol_without_bars_raises_nothing() -> None:
    assert not flag_series(BarSeries.empty("NSE:A"))


def test_an_odd_ratio_is_called_odd() -> None:
    assert "demerger" in explain_ratio(0.55)


@given(st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1, max_size=9))
def test_the_median_is_that_of_numpy(values: list[float]) -> None:
    found = _median(np.array([values, values[::-1]]))
    assert np.array_equal(found, np.median([values, values[::-1]], axis=1), equal_nan=True)


@given(
    st.sets(st.dates(date(2025, 1, 1), date(2025, 2, 1))),
    st.lists(st.dates(date(2025, 1, 1), date(2025, 2, 1))),
)
def test_days_among_sessions(sessions: set[date], days: list[date]) -> None:
    found = are_among(session_array(days), session_array(sorted(sessions)))
    assert found.tolist() == [day in sessions for day in days]
