"""Costs by hand: each charge of a purchase and a sale, by the rates of its day; and the account's caps."""

import numpy as np
import pytest

from vcpd.analysis.costs import CostSettings, DeliveryRates, PricedTrades, cost_shares
from vcpd.domain.bars import FloatArray
from vcpd.studies.portfolio import PortfolioTrades, simulate_account
from vcpd.studies.rules import PortfolioRules

NO_COSTS = CostSettings(brokerage_most=0.0, depository_charge=0.0, slippage_bp=0.0)


def shares(settings: CostSettings, bought: str, sold: str, value: float, ratio: float = 1.0) -> float:
    days = np.array([bought], "M8[D]"), np.array([sold], "M8[D]")
    trades = PricedTrades(*days, np.array([value]), np.array([ratio]))
    return float(cost_shares(trades, settings)[0])


def test_each_charge_of_a_trade_of_2025() -> None:
    """A lakh bought and sold for 110,000: STT, exchange and regulator with GST, stamp duty, depository."""
    settings = CostSettings(slippage_bp=0.0)
    buy = 100_000 * (0.1 + 0.015) / 100 + 100_000 * (0.00297 + 0.0001) / 100 * 1.18
    sell = 110_000 * 0.1 / 100 + (110_000 * (0.00297 + 0.0001) / 100 + 13.5) * 1.18
    found = shares(settings, "2025-01-02", "2025-03-03", 100_000.0, 1.1)
    assert found * 100_000 == pytest.approx(buy + sell)


def test_brokerage_is_a_percentage_up_to_its_limit() -> None:
    plain = shares(NO_COSTS, "2025-01-02", "2025-03-03", 100_000.0)
    percentage = CostSettings(brokerage_pct=0.1, brokerage_most=0, depository_charge=0, slippage_bp=0)
    limited = CostSettings(brokerage_pct=0.1, brokerage_most=20.0, depository_charge=0, slippage_bp=0)
    assert shares(percentage, "2025-01-02", "2025-03-03", 1e5) - plain == pytest.approx(2 * 0.001 * 1.18)
    assert shares(limited, "2025-01-02", "2025-03-03", 1e5) - plain == pytest.approx(40 * 1.18 / 1e5)


def test_slippage_counts_on_both_sides() -> None:
    plain = shares(NO_COSTS, "2025-01-02", "2025-03-03", 1e5, 1.2)
    slow = CostSettings(brokerage_most=0.0, depository_charge=0.0, slippage_bp=10.0)
    assert shares(slow, "2025-01-02", "2025-03-03", 1e5, 1.2) - plain == pytest.approx(0.001 * 2.2)


def test_each_side_pays_the_rates_of_its_own_day() -> None:
    rates = {
        "2020-01-01": DeliveryRates(stt_buy=1, stt_sell=2, exchange=0, sebi=0, stamp_buy=0, gst=0),
        "2021-01-01": DeliveryRates(stt_buy=3, stt_sell=4, exchange=0, sebi=0, stamp_buy=0, gst=0),
    }
    settings = CostSettings(brokerage_most=0, depository_charge=0, slippage_bp=0, rates=rates)
    assert shares(settings, "2020-06-01", "2020-12-31", 1e5) == pytest.approx(0.03)
    assert shares(settings, "2020-06-01", "2021-01-01", 1e5) == pytest.approx(0.05)
    assert shares(settings, "2019-06-01", "2019-07-01", 1e5) == pytest.approx(0.03)  # the earliest known


def test_a_wrong_date_of_rates_is_refused() -> None:
    rates = {"soon": DeliveryRates(stt_buy=1, stt_sell=2, exchange=0, sebi=0, stamp_buy=0)}
    with pytest.raises(ValueError, match=r"rates.soon: expected a date"):
        CostSettings(rates=rates)


def account(*trades: tuple[int, int, float, float], rules: PortfolioRules) -> tuple[FloatArray, int]:
    """Of trades given as (entry, exit, risk share, R)."""
    table = np.array(trades)
    ordered = PortfolioTrades.ordered(
        table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2], table[:, 3]
    )
    found = simulate_account(ordered, rules, 10)
    return found.values, found.taken


def test_an_account_risks_its_share_of_what_it_has() -> None:
    rules = PortfolioRules(risk_pct=1.0, positions=5, heat_pct=5.0)
    values, taken = account((0, 2, 0.1, 2.0), (3, 5, 0.1, -1.0), rules=rules)
    assert taken == 2
    assert values.tolist() == pytest.approx([1, 1, 1.02, 1.02, 1.02] + [1.02 * 0.99] * 5)


def test_positions_and_heat_are_capped_and_the_smaller_risk_comes_first() -> None:
    few = PortfolioRules(risk_pct=1.0, positions=1, heat_pct=50.0)
    values, taken = account((0, 4, 0.08, 1.0), (0, 4, 0.05, -1.0), rules=few)
    assert (taken, values[-1]) == (1, pytest.approx(0.99))
    cool = PortfolioRules(risk_pct=1.0, positions=9, heat_pct=2.0)
    assert account(*[(0, 4, 0.1, 1.0)] * 3, rules=cool)[1] == 2


def test_a_position_never_exceeds_the_free_cash() -> None:
    rules = PortfolioRules(risk_pct=2.0, positions=9, heat_pct=50.0)
    values, taken = account((0, 4, 0.025, 1.0), (1, 4, 0.025, 1.0), rules=rules)
    assert taken == 2
    assert values[-1] == pytest.approx(1 + 0.02 + 0.2 * 0.025)
