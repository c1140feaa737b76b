"""Backwards: outcomes are counted as a buyer would have lived them, and a history equals its screens."""

from datetime import date
from functools import cache

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.markets import START, base_closes, read_panel, series_of, universe
from tests.real_data import real_data
from vcpd.analysis.backtest import (
    BacktestParams,
    OutcomeCounts,
    count_outcomes,
    merge_results,
    run_backtest,
    simulate_trade,
)
from vcpd.analysis.indicators import Bars, bars_of
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.screen_types import ScreenParams
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import Panel, build_panel

FEW = Thresholds(rs_universe_least=5)


def bars_from(rows: list[tuple[float, float, float, float]]) -> Bars:
    """Bars given as (open, high, low, close)."""
    table = np.array(rows, np.float64).T
    sessions = np.arange(len(rows)).astype("M8[D]")
    series = BarSeries.from_columns(
        "A", sessions, (table[0], table[1], table[2], table[3]), np.ones(len(rows))
    )
    return bars_of(build_panel([series]), 0)


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
    tally = count_outcomes(bars, np.array([True, False, False]), 0.05, 5)
    assert (tally.entries, tally.finished) == (1, 0)
    assert tally.shares["reached_1r"] is None


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), risk=st.floats(0.01, 0.2), horizon=st.integers(1, 60))
def test_tally_is_the_sum_of_its_trades(seed: int, risk: float, horizon: int) -> None:
    """Counting in the kernel equals following each entry by itself; reached targets are nested."""
    bars = bars_of(build_panel(universe(1, 120, seed)), 0)
    entered = np.random.default_rng(seed).random(len(bars.close)) < 0.3
    tally = count_outcomes(bars, entered, risk, horizon)
    trades = [
        simulate_trade(bars, t, bars.close[t] * (1 - risk), horizon) for t in np.flatnonzero(entered).tolist()
    ]
    done = [trade for trade in trades if trade.finished]
    assert (tally.entries, tally.finished) == (len(trades), len(done))
    assert tally.reached_2r == sum(trade.best_r >= 2 for trade in done)
    assert tally.stopped == sum(trade.stopped for trade in done)
    assert tally.sum_result_r == pytest.approx(sum(trade.result_r for trade in done))
    assert tally.reached_3r <= tally.reached_2r <= tally.reached_1r <= tally.finished


def test_tallies_join() -> None:
    """Two halves give the whole."""
    one, other = (
        OutcomeCounts(entries=2, finished=1, sum_best_r=0.5),
        OutcomeCounts(entries=3, finished=3, reached_1r=2),
    )
    assert one.merged(other) == OutcomeCounts(entries=5, finished=4, reached_1r=2, sum_best_r=0.5)


def test_a_planted_base_is_told_from_its_finding_to_its_outcome() -> None:
    """Found, broken out, bought at that close, sold at a known price: the numbers follow."""
    pivot = 100 * 0.995**2
    after = pivot * np.array([0.97, 0.985, 1.02, 1.05, 1.10, 1.15, 1.20, 1.3, 1.3, 1.3])
    close = np.concatenate([base_closes((24.0, 12.0, 6.0), before=320), after])
    result = run_backtest(
        build_panel([series_of("A", close, spread=0.001)]), range(1), BacktestParams(horizon_sessions=5)
    )
    told = result.bases[-1]
    assert told.outcome is not None
    assert told.outcome.entry == pytest.approx(pivot * 1.02)
    assert told.outcome.result_r == pytest.approx((1.3 / 1.02 - 1) / (told.outcome.risk_pct / 100), abs=0.01)
    assert told.outcome.reached_3r
    assert told.outcome.finished
    assert result.setups.finished == 1
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
    assert all(told.found_on >= day for told in late.bases)
    assert 0 < late.universe.entries <= 20 * len(panel.symbols)
    assert run_backtest(panel, range(3), BacktestParams(last=date(1999, 1, 1))).bases == []


def test_history_equals_the_screens_of_its_sessions() -> None:
    """On real data every base that a screen shows alive is told by the history, with the same events."""
    panel = read_panel(real_data("nse_fno208.parquet"))
    rows = range(0, len(panel.symbols), 2)
    as_of = panel.sessions[1000].item()
    cut = panel.until(as_of)
    told = [one for row in rows for one in run_backtest(cut, range(row, row + 1), BacktestParams()).bases]
    known = {(one.symbol, one.found_on): one for one in told}
    bases = [
        base
        for row in rows
        for base in screen_rows(panel, range(row, row + 1), ScreenParams(as_of=as_of)).bases
    ]
    assert len(bases) > 3
    for base in bases:
        one = known[base.symbol, base.found_on]
        assert (one.anchor_date, one.state, one.events) == (base.anchor_date, base.state, base.events)


def test_recount_is_json() -> None:
    """The whole answer travels as JSON and comes back."""
    result = run_backtest(market(), range(2), BacktestParams(first=START, thresholds=FEW))
    assert msgspec.json.decode(msgspec.json.encode(result), type=type(result)) == result
