"""Backwards: outcomes are counted as a buyer would have lived them, and a history equals its screens."""

from datetime import date
from functools import cache
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.markets import START, base_closes, read_panel, series_of, universe
from tests.real_data import real_data
from vcpd.analysis.backtest import (
    BacktestParams,
    first_closes_above_high,
    merge_results,
    run_backtest,
)
from vcpd.analysis.indicators import Bars, bars_of
from vcpd.analysis.outcomes import (
    Estimate,
    OutcomeCounts,
    count_outcomes,
    estimate,
    estimate_difference,
)
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.simulated_trades import EntryRules, simulate_trade
from vcpd.analysis.tasks import ScreenParams
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.bars import BarSeries, BoolArray
from vcpd.domain.panel import Panel, build_panel
from vcpd.domain.quality_flags import QualityParameters

FEW = Thresholds(min_rs_universe=5)


def bars_from(rows: list[tuple[float, float, float, float]]) -> Bars:
    """Bars given as (open, high, low, close)."""
    table = np.array(rows, np.float64).T
    sessions = np.arange(len(rows)).astype("M8[D]")
    series = BarSeries.from_columns(
        "A", sessions, (table[0], table[1], table[2], table[3]), np.ones(len(rows))
    )
    return bars_of(build_panel([series]), 0)


def counted(
    bars: Bars, entered: BoolArray, risk: float, horizon: int, cost_pct: float = 0.0
) -> OutcomeCounts:
    """Purchases with the same stop, in a panel that ends with the bars."""
    days = np.arange(len(bars.close)).astype("M8[D]")
    rules = EntryRules(horizon, cost_pct, len(bars.close) - 1)
    return count_outcomes(bars, days, entered, bars.close * (1 - risk), rules)


FLAT = (100.0, 100.0, 100.0, 100.0)


def test_a_target_is_reached_before_the_stop() -> None:
    """Bought at 100 with the stop at 95: 111 is more than 2 R, then the fall to the stop loses 1 R."""
    bars = bars_from([FLAT, (101, 111, 99, 108), (100, 101, 94, 96), (200, 200, 200, 200)])
    trade = simulate_trade(bars, 0, 95.0, 10)
    assert (trade.best_r, trade.worst_r, trade.result_r) == (2.2, 1.0, -1.0)
    assert (trade.sessions, trade.stopped, trade.finished) == (2, True, True)


def test_stop_and_target_in_one_session_is_a_stop() -> None:
    """Nobody knows which came first: the worse is assumed."""
    trade = simulate_trade(bars_from([FLAT, (100, 130, 90, 120)]), 0, 95.0, 10)
    assert (trade.best_r, trade.result_r, trade.stopped) == (0.0, -1.0, True)


def test_an_opening_below_the_stop_is_sold_at_the_open() -> None:
    """A gap costs more than 1 R."""
    trade = simulate_trade(bars_from([FLAT, (90, 92, 85, 91)]), 0, 95.0, 10)
    assert trade.result_r == -2.0
    assert trade.worst_r == 2.0


def test_unfinished_at_the_end_of_the_bars() -> None:
    """Neither stopped nor held for the whole horizon: counted as an entry, not as an outcome."""
    bars = bars_from([FLAT, (100, 104, 99, 103), (103, 104, 99, 102)])
    assert not simulate_trade(bars, 0, 95.0, 5).finished
    assert simulate_trade(bars, 0, 95.0, 2).finished
    counts = counted(bars, np.array([True, False, False]), 0.05, 5)
    assert (counts.entries, counts.counted) == (1, 0)
    assert counts.shares["reached_1r"] is None
    assert counts.results_r.size == 0


def test_a_stop_near_the_end_of_the_bars_counts_no_more_than_what_was_not_stopped() -> None:
    """Else the last weeks of a history would be made of losses alone."""
    bars = bars_from([FLAT, (100, 100, 90, 91), (91, 92, 91, 92)])
    entered = np.array([True, False, False])
    assert counted(bars, entered, 0.05, 2).counted == 1
    assert counted(bars, entered, 0.05, 3).counted == 0


def test_a_share_whose_bars_end_is_sold_at_its_last_close() -> None:
    """The market went on for ten sessions: what left the exchange is not left out."""
    bars = bars_from([FLAT, (100, 101, 98, 98)])
    days = np.arange(2).astype("M8[D]")
    counts = count_outcomes(bars, days, np.array([True, False]), bars.close * 0.95, EntryRules(5, 0.0, 11))
    assert (counts.counted, counts.results_r.tolist()) == (1, pytest.approx([-0.4]))


def test_costs_are_taken_off_in_r() -> None:
    """0.5 % of the entry is a tenth of a stop 5 % below it."""
    bars = bars_from([FLAT, (100, 101, 99, 100)])
    free, dear = (counted(bars, np.array([True, False]), 0.05, 1, cost) for cost in (0.0, 0.5))
    assert free.results_r[0] - dear.results_r[0] == pytest.approx(0.1)
    assert free.shares == dear.shares


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), risk=st.floats(0.01, 0.2), horizon=st.integers(1, 60))
def test_tally_is_the_sum_of_its_trades(seed: int, risk: float, horizon: int) -> None:
    """Counting in the kernel equals following each entry by itself; reached targets are nested."""
    bars = bars_of(build_panel(universe(1, 120, seed)), 0)
    entered = np.random.default_rng(seed).random(len(bars.close)) < 0.3
    counts = counted(bars, entered, risk, horizon)
    done = [
        simulate_trade(bars, t, bars.close[t] * (1 - risk), horizon)
        for t in np.flatnonzero(entered).tolist()
        if t + horizon <= len(bars.close) - 1
    ]
    assert (counts.entries, counts.counted) == (entered.sum(), len(done))
    assert counts.reached_2r == sum(trade.best_r >= 2 for trade in done)
    assert counts.stopped == sum(trade.stopped for trade in done)
    assert counts.sums_r["sum_result_r"] == pytest.approx(sum(trade.result_r for trade in done))
    assert counts.results_r.tolist() == pytest.approx([trade.result_r for trade in done], abs=1e-4)
    assert counts.reached_3r <= counts.reached_2r <= counts.reached_1r <= counts.counted


def test_counts_join() -> None:
    """Two halves give the whole."""
    early = OutcomeCounts(entries=2, counted=1, symbol_sums=_sums(0.1, 0.5, 0.0), results=b"abcd")
    other = OutcomeCounts(entries=3, counted=3, reached_1r=2, symbol_sums=_sums(0.2, 0, 1), results=b"efgh")
    whole = OutcomeCounts.merged([early, other])
    assert (whole.entries, whole.counted, whole.reached_1r, whole.results) == (5, 4, 2, b"abcdefgh")
    assert whole.sums_r == {"sum_result_r": 0.1 + 0.2, "sum_best_r": 0.5, "sum_worst_r": 1.0}


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.randoms())
def test_sums_are_the_same_in_any_order_and_grouping(results: list[float], random: Random) -> None:
    """Totals of symbols are correctly rounded, so that dividing the symbols otherwise changes no digit."""
    counts = [OutcomeCounts(symbol_sums=_sums(result, 0, 0)) for result in results]
    shuffled = random.sample(counts, len(counts))
    cut = random.randint(0, len(counts))
    grouped = [OutcomeCounts.merged(shuffled[:cut]), OutcomeCounts.merged(shuffled[cut:])]
    assert OutcomeCounts.merged(grouped).sums_r == OutcomeCounts.merged(counts).sums_r


def _sums(result: float, best: float, worst: float) -> bytes:
    return np.array([result, best, worst], "<f8").tobytes()


def test_a_planted_base_is_described_from_its_finding_to_its_outcome() -> None:
    """Found, broken out, bought at that close, sold at a known price: the numbers follow."""
    pivot = 100 * 0.995**2
    after = pivot * np.array([0.97, 0.985, 1.02, 1.05, 1.10, 1.15, 1.20, 1.3, 1.3, 1.3])
    close = np.concatenate([base_closes((24.0, 12.0, 6.0), before=320), after])
    result = run_backtest(
        build_panel([series_of("A", close, spread=0.001)]), range(1), BacktestParams(horizon_sessions=5)
    )
    reported = next(base for base in result.bases if base.outcome is not None)
    assert reported.outcome is not None
    assert reported.outcome.entry == pytest.approx(pivot * 1.02)
    assert reported.outcome.result_r == pytest.approx(
        (1.3 / 1.02 - 1) / (reported.outcome.risk_pct / 100), abs=0.01
    )
    assert reported.outcome.reached_3r
    assert reported.outcome.finished
    assert result.setups.counted == 1
    assert result.universe.entries == len(close)


@cache
def market() -> Panel:
    planted = series_of("P", base_closes((25.0, 12.0, 6.0), before=320), spread=0.004)
    return build_panel([planted, *universe(20, len(planted))])


def test_chunks_do_not_matter() -> None:
    """Row by row and joined, or at once: the same."""
    panel, looking = market(), BacktestParams(thresholds=FEW)
    rows = range(len(panel.symbols))
    parts = [run_backtest(panel, rows[at : at + 1], looking) for at in rows]
    whole = run_backtest(panel, rows, looking)
    assert merge_results(parts).bases == whole.bases
    assert merge_results(parts).universe.entries == whole.universe.entries == whole.judged_sessions


def test_span_selects_by_the_day_of_finding() -> None:
    """Only bases found inside the span are told, and only its sessions make base rates."""
    panel = market()
    day = panel.sessions[-20].item()
    late = run_backtest(panel, range(len(panel.symbols)), BacktestParams(first=day, thresholds=FEW))
    assert all(reported.found_on >= day for reported in late.bases)
    assert 0 < late.universe.entries <= 20 * len(panel.symbols)
    assert run_backtest(panel, range(3), BacktestParams(last=date(1999, 1, 1))).bases == []


def test_history_equals_the_screens_of_its_sessions() -> None:
    """On real data every base that a screen shows alive is told by the history, with the same events."""
    panel = read_panel(real_data("nse_fno208.parquet"))
    rows = range(0, len(panel.symbols), 2)
    as_of = panel.sessions[980].item()
    cut = panel.until(as_of)
    reported = [
        base for row in rows for base in run_backtest(cut, range(row, row + 1), BacktestParams()).bases
    ]
    known = {(history.symbol, history.found_on): history for history in reported}
    bases = [
        base
        for row in rows
        for base in screen_rows(panel, range(row, row + 1), ScreenParams(as_of=as_of)).bases
    ]
    assert len(bases) > 3
    for base in bases:
        recorded = known[base.symbol, base.found_on]
        assert (recorded.anchor_date, recorded.state, recorded.events) == (
            base.anchor_date,
            base.state,
            base.events,
        )


def test_recount_is_json() -> None:
    """The whole answer travels as JSON and comes back."""
    result = run_backtest(market(), range(2), BacktestParams(first=START, thresholds=FEW))
    assert msgspec.json.decode(msgspec.json.encode(result), type=type(result)) == result


# -- how sure the means are ---------------------------------------------------------------------------------


def _days(count: int, *, each: int = 1) -> np.ndarray:
    """So many months from 2020 on, each with the same number of purchases."""
    months = np.datetime64("2020-01", "M") + np.repeat(np.arange(count), each)
    return months.astype("M8[D]") + np.tile(np.arange(each), count) % 28


def test_an_interval_covers_the_mean_of_many_months_and_is_the_same_each_time() -> None:
    random = np.random.default_rng(5)
    days, results = _days(60, each=20), random.normal(0.4, 1.0, 1200)
    found = estimate(days, results)
    assert found.mean_r == pytest.approx(results.mean())
    assert found.median_r == pytest.approx(np.median(results))
    assert found.low_r is not None
    assert found.high_r is not None
    assert found.low_r < results.mean() < found.high_r
    assert found.high_r - found.low_r == pytest.approx(2 * 1.96 / 1200**0.5, rel=0.2)
    assert estimate(days, results) == found


def test_purchases_of_one_month_that_go_together_count_as_little_as_they_are() -> None:
    """Twenty copies of one purchase a month say no more than one: the interval stays as wide."""
    monthly = np.random.default_rng(6).normal(0, 1, 48)
    alone, copied = estimate(_days(48), monthly), estimate(_days(48, each=20), np.repeat(monthly, 20))
    assert copied.low_r == pytest.approx(alone.low_r)
    assert copied.high_r == pytest.approx(alone.high_r)


@pytest.mark.parametrize("months", [0, 1, 11])
def test_few_months_have_no_interval(months: int) -> None:
    found = estimate(_days(months), np.ones(months))
    assert (found.low_r, found.high_r, found.months) == (None, None, months)
    assert found.mean_r == (1.0 if months else None)


def _counts(days: np.ndarray, results: np.ndarray) -> OutcomeCounts:
    return OutcomeCounts(
        entries=len(days),
        counted=len(days),
        sessions=days.astype("<i4").tobytes(),
        results=results.astype("<f4").tobytes(),
    )


def test_a_difference_is_taken_within_the_session() -> None:
    """In a good month both sides gain: what is left is the difference; unmatched sessions are left out."""
    days = _days(24)
    market = np.where(np.arange(24) % 2, 2.0, -2.0)
    setups = _counts(days, market + 0.5)
    others = _counts(np.repeat(days[:-1], 3), np.repeat(market[:-1], 3) + np.tile([-1.0, 0.0, 1.0], 23))
    found = estimate_difference(setups, others)
    assert found.purchases == 23
    assert [found.mean_r, found.low_r, found.high_r] == pytest.approx([0.5, 0.5, 0.5])
    assert estimate_difference(setups, OutcomeCounts()) == Estimate(
        purchases=0, months=0, mean_r=None, median_r=None, low_r=None, high_r=None
    )


def test_the_first_close_above_the_50_day_high() -> None:
    """Above the highest high of the 50 sessions before; the next close above is not the first any more."""
    close = np.full(60, 100.0)
    close[52:55], close[58] = (101.5, 103.0, 104.0), 105.5
    high = close + 1.0
    found = np.flatnonzero(first_closes_above_high(high, close))
    assert found.tolist() == [52, 58]
    assert not first_closes_above_high(high[:50], close[:50]).any()


def test_a_doubt_outside_the_span_and_what_it_reads_leaves_nothing_out() -> None:
    """A split that no judgement reads is no reason: only bars from a base's length before on count."""
    days = 1300
    close = np.concatenate([np.full(100, 500.0), np.full(days - 100, 100.0)])
    close += np.random.default_rng(1).normal(0, 0.5, days)
    panel = build_panel([series_of("A", close, spread=0.002), *universe(6, days)])
    quality = QualityParameters()

    def left_out(first: int, last: int) -> list[str]:
        span = (panel.sessions[first].item(), panel.sessions[last].item())
        looking = BacktestParams(first=span[0], last=span[1], thresholds=FEW, quality=quality)
        return [symbol.symbol for symbol in run_backtest(panel, range(1), looking).left_out]

    assert left_out(0, 40) == ["A"]  # bought before the split, held over it
    assert left_out(0, 30) == []
    assert left_out(200, 600) == ["A"]
    assert left_out(900, 1200) == []
