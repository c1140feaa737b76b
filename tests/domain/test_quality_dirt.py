"""Really dirty bars, and clean ones: what is kept apart, what is doubted, whom that excludes."""

from datetime import date
from functools import cache

from tests.real_data import real_data
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.quality_flags import flag_series
from vcpd.domain.quality_rules import QualityFlag, QualityRule, ValidSessions
from vcpd.store import bar_files
from vcpd.store.bar_files import BarFile

SESSIONS = ValidSessions(NSE.sessions(NSE.valid_from, NSE.valid_until))


@cache
def dirt(name: str) -> BarFile:
    return bar_files.read_bars(real_data(name), SESSIONS)


def flags_of(name: str, *, is_index: bool = False) -> list[QualityFlag]:
    return [
        flag
        for series in dirt(name).series
        for flag in flag_series(series, days=SESSIONS.days, is_index=is_index)
    ]


def excluded(flags: list[QualityFlag]) -> dict[str, QualityFlag]:
    return {flag.symbol: flag for flag in flags if flag.excludes}


def test_differing_rows_for_one_day_are_kept_apart() -> None:
    bars = dirt("dirt/duplicate_days_partial_last_bar.parquet").quarantined
    assert {bar.rule for bar in bars} == {QualityRule.DUPLICATE_SESSION}
    assert len(bars) == 218


def test_unadjusted_splits_exclude_exactly_the_four_that_split() -> None:
    found = excluded(flags_of("dirt/unadjusted_splits.parquet"))
    assert {symbol: flag.session for symbol, flag in found.items()} == {
        "KOTAKBANK": date(2026, 1, 14),
        "MCX": date(2026, 1, 2),
        "ANGELONE": date(2026, 2, 26),
        "CAMS": date(2025, 12, 5),
    }
    assert "split 1:10" in found["ANGELONE"].reason
    assert all("split 1:5" in found[symbol].reason for symbol in ("KOTAKBANK", "MCX", "CAMS"))


def test_phantom_bars_on_holidays_are_kept_apart_and_the_missing_day_is_reported() -> None:
    """2026-05-01 without prices and 2026-01-15 without trading are holidays; other days lack."""
    found = dirt("dirt/null_phantom_bars_missing_day.parquet")
    assert {bar.session for bar in found.quarantined} == {date(2026, 5, 1), date(2026, 1, 15)}
    assert {bar.rule for bar in found.quarantined} == {QualityRule.NOT_A_SESSION}
    rules = {flag.rule for flag in flags_of("dirt/null_phantom_bars_missing_day.parquet")}
    assert QualityRule.MISSING_SESSIONS in rules


def test_zero_prices_are_kept_apart() -> None:
    for name, count in (("dirt/zero_prices.parquet", 1378), ("dirt/penny_zero_prices.parquet", 17)):
        rules = [bar.rule for bar in dirt(name).quarantined if bar.rule is not QualityRule.NOT_A_SESSION]
        assert rules == [QualityRule.PRICE_NOT_POSITIVE] * count


def test_wrong_adjustment_excludes_and_a_relisting_does_not() -> None:
    found = excluded(flags_of("dirt/wrong_adjustment_and_relisting_gaps.parquet"))
    assert found.keys() == {"TVSMOTOR", "VERTOZ", "KARNIKA_SME"}
    assert "once too often" in found["TVSMOTOR"].reason


def test_of_the_cleanest_market_only_a_demerged_share_is_left_out() -> None:
    """208 shares with derivatives, real crashes among them: SIEMENS alone gapped on its demerger."""
    flags = flags_of("nse_fno208.parquet")
    assert excluded(flags).keys() == {"SIEMENS"}
    nmdc = [flag for flag in flags if flag.symbol == "NMDC" and flag.rule is QualityRule.JUMP_BEYOND_BAND]
    assert [flag.session for flag in nmdc] == [date(2022, 10, 27)]


def test_of_half_the_exchange_hardly_anybody_is_left_out() -> None:
    """1.38 million bars: no row broken, under 2 % of symbols doubted."""
    series = dirt("nse_all_half.parquet").series
    flags = flags_of("nse_all_half.parquet")
    assert not dirt("nse_all_half.parquet").quarantined
    assert 5 <= len(excluded(flags)) <= 0.02 * len(series)
