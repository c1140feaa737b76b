"""The morning after: provisional bars replaced, differences told, restated histories fetched anew."""

from collections import Counter
from datetime import UTC, date, datetime

import numpy as np

from tests.fakes.collection import KilledError, context
from tests.jobs.sample_market import (
    INDEX,
    MORNING,
    NEXT_EVENING,
    NEXT_SESSION,
    SESSION,
    SampleMarket,
    build_sample_market,
    history,
    series_of,
)
from tests.real_data import real_data
from vcpd.domain.bars import BarSeries, BarTable
from vcpd.domain.instruments import is_fund_symbol
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.runs import Outcome
from vcpd.jobs.settings import CollectSettings
from vcpd.ports import SessionSpan
from vcpd.store import bar_files

SYMBOLS = ("NSE:A", "NSE:B", "NSE:C", "NSE:D")


async def evening_sample() -> SampleMarket:
    """Collected in the evening; it is now the morning after, and requests are forgotten."""
    sample = build_sample_market([history(symbol) for symbol in SYMBOLS])
    await sample.collect()(context(SESSION))
    sample.clock.at = MORNING
    sample.market.candle_requests.clear()
    return sample


def change(sample: SampleMarket, symbol: str, session: date, field: str, factor: float) -> None:
    records = sample.market.histories[symbol].records
    records[field][records["session"] == np.datetime64(session)] *= factor


async def test_provisional_bars_become_final() -> None:
    sample = await evening_sample()
    result = await sample.reconcile()(context(NEXT_SESSION))
    assert result.outcome is Outcome.DONE
    assert not any(sample.bars.history(key).provisional.any() for key in sample.bars.symbols)
    assert result.counts["updated"] == len(SYMBOLS) + 1


async def test_a_kept_panel_that_differed_is_reported() -> None:
    """The panel is made anew from all bars each morning."""
    sample = await evening_sample()
    sample.panels.difference = "1 symbols' bars were kept otherwise than stored, first NSE:B"
    result = await sample.reconcile()(context(NEXT_SESSION))
    assert "the panel was replaced: 1 symbols' bars were kept otherwise" in result.reason


async def test_a_differing_close_is_replaced_and_reported() -> None:
    sample = await evening_sample()
    change(sample, "NSE:B", SESSION, "close", 1.002)
    result = await sample.reconcile()(context(NEXT_SESSION))
    stored = sample.bars.history(3).close[-1]
    served = sample.market.histories["NSE:B"].until(SESSION).close[-1]
    assert stored == served
    assert "NSE:B 2025-06-30: close" in result.reason
    assert "restated" not in result.counts


async def test_differences_of_one_tick_and_of_volume_alone_are_counted() -> None:
    """A tick is less than the rounding of a divided price, yet no provisional bar was divided."""
    sample = build_sample_market([history(symbol, price=4_000.0) for symbol in SYMBOLS])
    await sample.collect()(context(SESSION))
    sample.clock.at = MORNING
    records = sample.market.histories["NSE:B"].records
    records["close"][records["session"] == np.datetime64(SESSION)] += 0.05
    change(sample, "NSE:C", SESSION, "volume", 1.02)
    result = await sample.reconcile()(context(NEXT_SESSION))
    assert (result.counts["repriced"], result.counts["revolumed"]) == (1, 1)
    assert "NSE:B 2025-06-30: close" in result.reason


async def test_what_failed_and_was_restated_is_reported_before_the_differences() -> None:
    """An evening's many small differences do not push the few great ones out of the reason."""
    symbols = [f"NSE:A{number:02d}" for number in range(20)]
    sample = build_sample_market([history(symbol) for symbol in [*symbols, "NSE:Z"]])
    await sample.collect()(context(SESSION))
    sample.clock.at = MORNING
    for symbol in symbols:
        change(sample, symbol, SESSION, "close", 1.002)
    for name in ("open", "high", "low", "close"):
        sample.market.histories["NSE:Z"].records[name] /= 5.0
    result = await sample.reconcile()(context(NEXT_SESSION))
    assert result.counts["repriced"] == len(symbols)
    assert "NSE:Z: history restated" in result.reason
    assert "more" in result.reason


async def test_one_changed_old_bar_brings_the_whole_history_again() -> None:
    sample = await evening_sample()
    records = sample.market.histories["NSE:C"].records
    for name in ("open", "high", "low", "close"):
        records[name] /= 5.0
    result = await sample.reconcile()(context(NEXT_SESSION))
    assert result.counts["restated"] == 1
    stored = sample.bars.history(4)
    served = BarSeries("NSE:C", records[records["session"] >= stored.sessions[0]]).until(SESSION)
    assert np.array_equal(stored.records, served.records)
    asked = [symbol for symbol, _, _ in sample.market.candle_requests]
    assert asked.count("NSE:C") == 2
    assert all(asked.count(symbol) == 1 for symbol in SYMBOLS if symbol != "NSE:C")


async def test_a_late_adjustment_of_old_bars_is_noticed_where_a_jump_is_suspected() -> None:
    """A demerger's adjustment comes months later and leaves the last sessions as they were."""
    sample = build_sample_market([history(symbol) for symbol in SYMBOLS])
    sample.settings = CollectSettings(
        history_years=0.1, overlap_sessions=2, full_compare_interval_sessions=1_000_000
    )
    records = sample.market.histories["NSE:B"].records
    early = records["session"] < np.datetime64(date(2025, 6, 16))
    for name in ("open", "high", "low", "close"):
        records[name][early] *= 1.6
    await sample.collect()(context(SESSION))
    assert "NSE:B" in sample.panels.panel.exclusions
    for name in ("open", "high", "low", "close"):
        records[name][early] /= 1.6
    sample.clock.at = MORNING
    result = await sample.reconcile()(context(NEXT_SESSION))
    assert result.counts["restated"] == 1
    assert not sample.panels.panel.exclusions


async def test_every_history_is_compared_whole_in_its_turn() -> None:
    sample = await evening_sample()
    sample.settings = CollectSettings(history_years=0.1, overlap_sessions=2, full_compare_interval_sessions=5)
    await sample.reconcile()(context(NEXT_SESSION))
    whole = [symbol for symbol, first, _ in sample.market.candle_requests if first < date(2025, 6, 1)]
    assert len(whole) == 1


async def test_turns_leave_no_symbol_out_over_weekends_and_holidays() -> None:
    """In five sessions every history is compared whole exactly once, whatever days lie between."""
    sample = build_sample_market([history(symbol) for symbol in SYMBOLS])
    sample.settings = CollectSettings(history_years=0.1, overlap_sessions=2, full_compare_interval_sessions=5)
    await sample.collect()(context(SESSION))
    whole = []
    for day in NSE.sessions(date(2025, 7, 1), date(2025, 7, 31))[:15].tolist():
        sample.clock.at = datetime.combine(day, MORNING.timetz())
        sample.market.candle_requests.clear()
        await sample.reconcile()(context(day))
        whole += [symbol for symbol, first, _ in sample.market.candle_requests if first < date(2025, 6, 1)]
    assert Counter(whole) == dict.fromkeys([INDEX.symbol, *SYMBOLS], 3)


async def test_a_provisional_bar_that_never_was_goes() -> None:
    """The final candles lack the session: the guessed bar leaves with the whole history's replacement."""
    sample = await evening_sample()
    served = sample.market.histories["NSE:D"]
    sample.market.histories["NSE:D"] = BarSeries(
        "NSE:D", served.records[served.sessions != np.datetime64(SESSION)]
    )
    await sample.reconcile()(context(NEXT_SESSION))
    assert SESSION not in sample.bars.rows[5]
    assert len(sample.bars.rows[5]) > 10


async def test_a_restated_history_with_few_bars_is_not_believed() -> None:
    """Half a history never takes the place of a whole one; the symbol is counted as failed."""
    sample = await evening_sample()
    before = sample.bars.history(2).records.copy()
    served = sample.market.histories["NSE:A"]
    for name in ("open", "high", "low", "close"):
        served.records[name] *= 3.0
    recent = served.sessions >= np.datetime64(date(2025, 6, 23))
    sample.market.histories["NSE:A"] = BarSeries("NSE:A", served.records[recent])
    result = await sample.reconcile()(context(NEXT_SESSION))
    assert result.counts["failed"] == 1
    assert "the stored bars are kept" in result.reason
    assert np.array_equal(sample.bars.history(2).records, before)


async def test_an_import_older_than_the_markets_memory_is_restated_as_far_as_that_goes() -> None:
    """Imported years on another scale: the wished ones are replaced once, the others stay."""
    sample = await evening_sample()
    served = sample.market.histories["NSE:A"]
    old = series_of("NSE:A", NSE.sessions(date(2020, 1, 1), date(2025, 5, 1)), price=500.0)
    table = BarTable.gather([(2, old)])
    await sample.bars.merge(table, {2: SessionSpan(date(2020, 1, 1), date(2025, 5, 23))})
    for name in ("open", "high", "low", "close"):
        served.records[name] *= 3.0
    wanted = served.sessions >= sample.bars.history(2).sessions[-30]
    sample.market.histories["NSE:A"] = BarSeries("NSE:A", served.records[wanted])
    reconcile = sample.reconcile()
    result = await reconcile(context(NEXT_SESSION))
    assert (result.counts.get("failed"), result.counts["restated"]) == (None, 1)
    assert "the market does not have them" in result.reason
    stored = sample.bars.history(2)
    assert np.array_equal(stored.records[: len(old)], old.records)
    assert np.array_equal(stored.close[-20:], served.until(SESSION).close[-20:])
    assert not stored.provisional.any()
    again = await sample.reconcile()(context(NEXT_SESSION))
    assert "restated" not in again.counts


async def test_an_empty_store_has_nothing_to_reconcile() -> None:
    sample = build_sample_market([history(symbol) for symbol in SYMBOLS], now=MORNING)
    result = await sample.reconcile()(context(NEXT_SESSION))
    assert result.outcome is Outcome.DONE
    assert not sample.market.candle_requests
    assert result.reason


async def test_reconciled_once_nothing_is_asked_again() -> None:
    sample = await evening_sample()
    reconcile = sample.reconcile()
    await reconcile(context(NEXT_SESSION))
    asked = len(sample.market.candle_requests)
    await reconcile(context(NEXT_SESSION))
    assert len(sample.market.candle_requests) == asked


async def test_a_late_reconcile_keeps_the_new_sessions_provisional_bar() -> None:
    """Missed in the morning and run in the evening after collect: yesterday final, today still there."""
    sample = await evening_sample()
    sample.clock.at, sample.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    await sample.collect()(context(NEXT_SESSION))
    sample.clock.at = datetime(2025, 7, 1, 14, 0, tzinfo=UTC)
    for name in ("open", "high", "low", "close"):
        sample.market.histories["NSE:C"].records[name] /= 2.0
    await sample.reconcile()(context(NEXT_SESSION))
    for key in sample.bars.symbols:
        stored = sample.bars.history(key)
        assert stored.last_session == NEXT_SESSION
        assert stored.provisional.tolist() == [False] * (len(stored) - 1) + [True]


async def test_killed_at_any_instant_and_run_again_the_rows_are_the_same() -> None:
    """With a restated symbol among them: no death leaves half a replaced history for good."""
    expected = None
    for instant in (None, *range(400)):
        sample = await evening_sample()
        for name in ("open", "high", "low", "close"):
            sample.market.histories["NSE:C"].records[name] /= 5.0
        sample.let_live(instant)
        killed = False
        try:
            await sample.reconcile()(context(NEXT_SESSION))
        except* KilledError:
            killed = True
        if instant is None:
            expected = sample.rows()
        elif not killed:
            break
        sample.let_live()
        await sample.reconcile()(context(NEXT_SESSION))
        assert sample.rows() == expected
    assert instant is not None
    assert instant > 20


async def test_really_restated_histories_are_noticed_from_a_few_days() -> None:
    """Of 101 histories published again after splits and bonuses, each is replaced, each bar as now given."""
    before = bar_files.read_bars(real_data("restated_before_2023-05-22.parquet")).series
    after = {
        series.symbol: series for series in bar_files.read_bars(real_data("restated_after.parquet")).series
    }
    last = date(2023, 5, 22)
    chosen = [series for series in before if len(series) > 60 and not is_fund_symbol(series.symbol)][:40]
    sample = build_sample_market(chosen, now=datetime(2023, 5, 22, 10, 5, tzinfo=UTC))
    await sample.collect()(context(last))
    sample.market.histories |= {series.symbol: after[series.symbol] for series in chosen}
    sample.clock.at = datetime(2023, 5, 23, 2, 50, tzinfo=UTC)
    result = await sample.reconcile()(context(date(2023, 5, 23)))
    assert result.counts["restated"] == len(chosen)
    for key, symbol in list(sample.bars.symbols.items())[1:]:
        stored = sample.bars.history(key)
        served = after[symbol].until(last)
        assert np.array_equal(stored.close, served.close[served.sessions >= stored.sessions[0]])
