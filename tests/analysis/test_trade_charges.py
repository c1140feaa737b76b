"""Charges of closed trades by hand: the rates of both days, one depository charge for a sale."""

from datetime import date

import pytest

from vcpd.analysis.costs import CostSettings, DeliveryRates, with_charges
from vcpd.analysis.journal import keep_journal
from vcpd.analysis.trade_statistics import TradeColumns
from vcpd.domain.portfolio import ClosedTrade

BOUGHT, SOLD = date(2025, 1, 2), date(2025, 3, 3)
SIMPLE = CostSettings(
    brokerage_most=0.0,
    depository_charge=10.0,
    slippage_bp=50.0,
    rates={
        "2000-01-01": DeliveryRates(
            stt_buy=0.1, stt_sell=0.2, exchange=0.0, sebi=0.0, stamp_buy=0.0, gst=18.0
        )
    },
)


def trade(
    quantity: int = 100,
    *,
    number: int = 1,
    symbol: str = "NSE:AAA",
    opened: date | None = BOUGHT,
    closed: date = SOLD,
    stop: float | None = 90.0,
) -> ClosedTrade:
    return ClosedTrade(
        number=number,
        symbol=symbol,
        opened=opened,
        closed=closed,
        quantity=quantity,
        entry=100.0,
        exit=110.0,
        stop=stop,
    )


def test_a_trade_of_2025_by_the_built_in_rates() -> None:
    """10,000 bought and 11,000 received; no slippage, which real prices have in them."""
    buy = 10_000 * (0.1 + 0.015) / 100 + 10_000 * (0.00297 + 0.0001) / 100 * 1.18
    sell = 11_000 * 0.1 / 100 + (11_000 * (0.00297 + 0.0001) / 100 + 13.5) * 1.18
    (found,) = with_charges([trade()], CostSettings())
    assert found.charges == pytest.approx(buy + sell)
    columns = TradeColumns([found])
    assert columns.net_profit.tolist() == pytest.approx([1_000 - buy - sell])
    assert columns.net_result_r.tolist() == pytest.approx([1.0 - (buy + sell) / 1_000])


def test_lots_that_were_sold_together_share_one_depository_charge() -> None:
    """By value; another symbol and another day have charges of their own."""
    trades = [
        trade(75),
        trade(25, number=2),
        trade(100, number=3, symbol="NSE:BBB"),
        trade(100, number=4, closed=date(2025, 3, 4)),
    ]
    taxes = [quantity * (100 * 0.1 + 110 * 0.2) / 100 for quantity in (75, 25, 100, 100)]
    depository = [11.8 * 0.75, 11.8 * 0.25, 11.8, 11.8]
    found = [entry.charges for entry in with_charges(trades, SIMPLE)]
    assert found == pytest.approx([tax + fee for tax, fee in zip(taxes, depository, strict=True)])


def test_charges_of_an_unknown_purchase_are_not_known() -> None:
    found = with_charges([trade(opened=None), trade(number=2)], SIMPLE)
    assert found[0].charges is None
    assert found[1].charges is not None
    statistics = TradeColumns(found).statistics()
    assert (statistics.net_profit, statistics.net_mean_r) == (None, None)
    assert with_charges([], SIMPLE) == []


def test_the_journal_has_both_before_and_after_charges() -> None:
    journal = keep_journal([trade(), trade(number=2, stop=None)], {}, [], SIMPLE)
    charges = 10.0 + 22.0 + 11.8 / 2
    assert [entry.charges for entry in journal.entries] == pytest.approx([charges, charges])
    assert [entry.profit for entry in journal.entries] == [1_000.0, 1_000.0]
    assert journal.all.profit == 2_000.0
    assert journal.all.net_profit == pytest.approx(2_000 - 2 * charges)
    assert journal.all.mean_r == 1.0
    assert journal.all.net_mean_r == pytest.approx(1 - charges / 1_000)
    assert journal.by_tax_class["short-term"].net_profit == journal.all.net_profit


def test_a_journal_without_costs_has_no_net_values() -> None:
    journal = keep_journal([trade()], {})
    assert (journal.entries[0].net_profit, journal.entries[0].net_result_r) == (None, None)
    assert (journal.entries[0].charges, journal.all.net_profit, journal.all.net_mean_r) == (None, None, None)
