"""Statistics of closed trades against plain arithmetic; groups, streaks, intervals."""

import math
import statistics
from datetime import date, timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcpd.analysis.trade_statistics import (
    LEAST_TRADES,
    MOST_DRAWN,
    TradeColumns,
    holding_times,
    longest_run,
    mean_interval,
    tax_classes,
)
from vcpd.domain.portfolio import ClosedTrade

OPENED = date(2025, 1, 6)


def trade(result_r: float | None, *, days: int = 10, number: int = 1) -> ClosedTrade:
    """A trade of 10 shares with a risk of 5 a share; without a stop where no result in R is given."""
    exit_price = 100.0 + 5 * (1.0 if result_r is None else result_r)
    return ClosedTrade(
        number=number,
        symbol="NSE:A",
        opened=OPENED,
        closed=OPENED + timedelta(days),
        quantity=10,
        entry=100.0,
        exit=exit_price,
        stop=None if result_r is None else 95.0,
    )


@given(st.lists(st.floats(-3, 10), min_size=1, max_size=30))
def test_they_agree_with_plain_arithmetic(results: list[float]) -> None:
    found = TradeColumns([trade(result, number=at) for at, result in enumerate(results)]).statistics()
    assert (found.trades, found.with_r) == (len(results), len(results))
    assert found.mean_r == pytest.approx(statistics.fmean(results), abs=1e-9)
    assert found.median_r == pytest.approx(statistics.median(results), abs=1e-9, rel=0)
    assert found.profit == pytest.approx(50 * sum(results), abs=1e-6)
    assert found.mean_held_days == 10


def test_unknown_risk_counts_for_profit_but_not_for_r() -> None:
    found = TradeColumns([trade(2.0), trade(None), trade(-1.0)]).statistics()
    assert (found.trades, found.with_r) == (3, 2)
    assert found.mean_r == pytest.approx(0.5)
    assert found.won_pct == pytest.approx(200 / 3)
    assert found.mean_won_r == pytest.approx(2.0)
    assert found.mean_lost_r == pytest.approx(-1.0)


def test_of_nothing_nothing_is_known() -> None:
    found = TradeColumns([]).statistics()
    assert (found.trades, found.profit, found.won_pct, found.mean_r, found.low_r) == (0, 0, None, None, None)
    assert (found.longest_wins, found.longest_losses) == (0, 0)


def test_the_interval_holds_the_mean_and_narrows_with_more_trades() -> None:
    few = np.random.default_rng(1).normal(0.4, 1.0, LEAST_TRADES)
    many = np.tile(few, 20)
    assert mean_interval(few[:-1]) == (None, None)
    low, high = (bound or 0.0 for bound in mean_interval(few))
    narrow_low, narrow_high = (bound or 0.0 for bound in mean_interval(many))
    assert low < few.mean() < high
    assert 0 < narrow_high - narrow_low < 0.5 * (high - low)


@pytest.mark.parametrize("count", [MOST_DRAWN + 1, 300, 2_000])
@pytest.mark.parametrize("seed", range(3))
def test_computed_bounds_of_many_trades_are_those_of_draws(count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    results = np.where(
        random.random(count) < 0.6, random.normal(-0.9, 0.3, count), random.exponential(2.5, count)
    )
    drawn = np.percentile(random.choice(results, (20_000, count)).mean(1), (2.5, 97.5))
    low, high = (bound or 0.0 for bound in mean_interval(results))
    width = drawn[1] - drawn[0]
    assert low == pytest.approx(drawn[0], abs=0.03 * width)
    assert high == pytest.approx(drawn[1], abs=0.03 * width)


def test_many_equal_results_have_no_spread() -> None:
    assert mean_interval(np.full(200, 1.5)) == (1.5, 1.5)


def test_streaks() -> None:
    won = np.array([True, True, False, True, True, True, False, False])
    assert (longest_run(won), longest_run(~won), longest_run(won[:0])) == (3, 2, 0)


def test_groups_by_holding_time_and_by_tax_class() -> None:
    trades = [trade(1.0, days=3), trade(2.0, days=4), trade(-1.0, days=30), trade(5.0, days=400)]
    columns = TradeColumns(trades)
    groups = columns.by(holding_times(columns.held_days))
    assert {name: found.trades for name, found in groups.items()} == {
        "21 to 60 days": 1,
        "over 60 days": 1,
        "up to 5 days": 2,
    }
    assert groups["up to 5 days"].mean_r == pytest.approx(1.5)
    assert columns.by(tax_classes(columns.held_days))["long-term"].trades == 1


def test_more_than_a_year_is_long_term() -> None:
    days = np.array([365.0, 366.0, math.nan])
    assert tax_classes(days) == ["short-term", "long-term", "unknown"]


def test_classes_of_holding_time_end_with_their_last_day() -> None:
    days = np.array([0.0, 5.0, 6.0, 20.0, 21.0, 60.0, 61.0, math.nan])
    assert holding_times(days) == [
        *("up to 5 days", "up to 5 days", "6 to 20 days", "6 to 20 days"),
        *("21 to 60 days", "21 to 60 days", "over 60 days", "unknown"),
    ]


def test_columns_are_those_of_each_trade() -> None:
    trades = [trade(2.0, days=9, number=3), trade(None, days=3), trade(-1.0, days=3)]
    columns = TradeColumns([msgspec.structs.replace(trades[0], charges=10.0), *trades[1:]])
    assert columns.profit.tolist() == [sold.profit for sold in trades]
    assert columns.held_days.tolist() == [9, 3, 3]
    assert columns.result_r[[0, 2]].tolist() == [2.0, -1.0]
    assert math.isnan(columns.result_r[1])
    assert (columns.net_profit[0], columns.net_result_r[0]) == (90.0, 1.8)
    assert np.isnan(columns.net_profit[1:]).all()


@given(st.permutations(range(6)))
def test_streaks_follow_the_order_of_the_sales(order: list[int]) -> None:
    trades = [trade(result, days=at) for at, result in enumerate((1.0, 1.0, -1.0, 1.0, 1.0, 1.0))]
    assert TradeColumns([trades[at] for at in order]).statistics().longest_wins == 3
