"""Lots: first in, first out, against a queue of single shares; splits, bonuses, refused sales."""

from collections import deque
from datetime import date, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcpd.analysis.lots import build_lot_book
from vcpd.domain.portfolio import Fill, LotBook, ShareAdjustment, Side, SymbolChange

FIRST = date(2025, 1, 6)


def fill(day: int, quantity: int, price: float, *, stop: float | None = None, **changes: str) -> Fill:
    """A purchase, or a sale where the quantity is negative; `day` counts from the first one."""
    made = Fill(
        symbol="NSE:A",
        session=FIRST + timedelta(day),
        side=Side.BUY if quantity > 0 else Side.SELL,
        quantity=abs(quantity),
        price=price,
        trade_id=f"{day}:{quantity}:{price}",
        stop=stop,
    )
    return msgspec.convert(msgspec.to_builtins(made) | changes, Fill)


def held(book: LotBook) -> list[tuple[int, float]]:
    return [(lot.quantity, round(lot.entry, 6)) for lot in book.lots]


def test_the_oldest_lot_is_sold_first() -> None:
    book = build_lot_book([fill(0, 100, 10.0, stop=9.0), fill(1, 50, 12.0), fill(5, -120, 15.0)])
    assert held(book) == [(30, 12.0)]
    assert [(trade.quantity, trade.entry, trade.profit) for trade in book.closed] == [
        (100, 10.0, 500.0),
        (20, 12.0, 60.0),
    ]
    assert book.closed[0].result_r == pytest.approx(5.0)
    assert book.closed[1].result_r is None, "no stop was given"
    assert book.closed[0].held_days == 5


def test_the_same_trade_counts_once_in_any_order() -> None:
    fills = [fill(0, 100, 10.0), fill(1, 50, 12.0), fill(5, -120, 15.0)]
    assert build_lot_book([*reversed(fills), *fills]) == build_lot_book(fills)


def test_fills_of_one_order_are_one_lot_at_their_average() -> None:
    parts = [fill(0, 30, 10.0, order_id="7"), fill(0, 10, 14.0, order_id="7"), fill(0, 5, 9.0)]
    assert held(build_lot_book(parts)) == [(40, 11.0), (5, 9.0)]


def test_what_goes_both_ways_in_a_day_is_left_out_and_named() -> None:
    book = build_lot_book([fill(0, 100, 10.0), fill(2, 40, 11.0), fill(2, -70, 12.0)])
    assert held(book) == [(70, 10.0)]
    assert [(trade.quantity, trade.entry) for trade in book.closed] == [(30, 10.0)]
    assert book.notices == ("NSE:A 2025-01-08: 40 shares bought and sold within the day are left out",)


def test_a_sale_of_more_than_is_held_is_refused_whole() -> None:
    book = build_lot_book([fill(0, 100, 10.0), fill(1, -101, 12.0), fill(2, -60, 12.0)])
    assert held(book) == [(40, 10.0)]
    refused = book.refused[0]
    assert refused.place == "NSE:A 2025-01-07 trade 1:-101:12.0"
    assert refused.reason == "a sale of 101 shares, but 100 are held"


def test_a_split_carries_quantity_entry_and_stop_through_and_keeps_the_cost() -> None:
    split = ShareAdjustment("NSE:A", FIRST + timedelta(3), 5.0)
    book = build_lot_book([fill(0, 100, 50.0, stop=45.0), fill(5, -250, 12.0)], [split])
    assert held(book) == [(250, 10.0)]
    assert book.lots[0].stop == pytest.approx(9.0)
    assert book.closed[0].result_r == pytest.approx(2.0)
    assert book.lots[0].cost + book.closed[0].quantity * book.closed[0].entry == pytest.approx(5_000.0)


def test_a_split_after_the_sale_restates_the_closed_trade() -> None:
    split = ShareAdjustment("NSE:A", FIRST + timedelta(9), 5.0)
    closed = build_lot_book([fill(0, 100, 50.0, stop=45.0), fill(5, -100, 60.0)], [split]).closed[0]
    assert (closed.quantity, closed.entry, closed.exit, closed.stop) == (500, 10.0, 12.0, 9.0)
    assert closed.profit == pytest.approx(1_000.0)
    assert closed.result_r == pytest.approx(2.0)


def test_a_fraction_of_a_share_is_paid_in_cash_and_named() -> None:
    bonus = ShareAdjustment("NSE:A", FIRST + timedelta(3), 1.5)
    book = build_lot_book([fill(0, 3, 30.0), fill(1, 4, 30.0)], [bonus])
    assert [lot.quantity for lot in book.lots] == [4, 6]
    assert book.notices == ("NSE:A 2025-01-09: a fraction of 0.500 shares is paid in cash",)


def test_a_late_credit_of_bonus_shares_is_not_counted_twice() -> None:
    bonus = ShareAdjustment("NSE:A", FIRST + timedelta(3), 2.0)
    book = build_lot_book([fill(0, 100, 50.0), fill(20, 100, 0.0)], [bonus])
    assert held(book) == [(200, 25.0)]
    assert "belongs to the action of 2025-01-09" in book.notices[0]


def test_a_credit_without_a_known_action_is_one() -> None:
    book = build_lot_book([fill(0, 60, 50.0, stop=40.0), fill(1, 40, 50.0), fill(20, 100, 0.0)])
    assert held(book) == [(120, 25.0), (80, 25.0)]
    assert book.lots[0].stop == 20.0


def test_a_credit_without_shares_is_refused() -> None:
    assert "no share is held" in build_lot_book([fill(2, 100, 0.0)]).refused[0].reason


def test_a_new_symbol_keeps_lots_and_closed_trades() -> None:
    change = SymbolChange("NSE:A", FIRST + timedelta(4), "NSE:B")
    fills = [fill(0, 10, 10.0), fill(2, -4, 11.0), fill(6, -3, 12.0, symbol="NSE:B")]
    book = build_lot_book(fills, [change])
    assert [(lot.symbol, lot.quantity) for lot in book.lots] == [("NSE:B", 3)]
    assert [(trade.symbol, trade.quantity) for trade in book.closed] == [("NSE:B", 4), ("NSE:B", 3)]


ORDERS = st.lists(
    st.tuples(
        st.integers(0, 12),
        st.integers(-60, 60).filter(bool),
        st.sampled_from((8.0, 10.0, 12.5)),
    ),
    max_size=25,
)


def queue_of_shares(fills: list[Fill]) -> tuple[list[float], list[tuple[float, float]]]:
    """The same by single shares: entries of those still held, and entry and exit of those sold."""
    shares: deque[float] = deque()
    sold: list[tuple[float, float]] = []
    for session in sorted({fill.session for fill in fills}):
        today = [fill for fill in fills if fill.session == session]
        bought = [fill.price for fill in today if fill.side is Side.BUY for _ in range(fill.quantity)]
        sales = [(fill, fill.quantity) for fill in today if fill.side is Side.SELL]
        both = min(len(bought), sum(quantity for _, quantity in sales))
        bought, left = bought[both:], both
        for sale, quantity in sales:
            cut = min(left, quantity)
            left -= cut
            if quantity - cut <= len(shares):
                sold += [(shares.popleft(), sale.price) for _ in range(quantity - cut)]
        shares.extend(bought)
    return list(shares), sold


@given(ORDERS)
def test_it_agrees_with_a_queue_of_single_shares(orders: list[tuple[int, int, float]]) -> None:
    fills = [fill(day, quantity, price, trade_id=str(at)) for at, (day, quantity, price) in enumerate(orders)]
    book = build_lot_book(fills)
    shares, sold = queue_of_shares(fills)
    assert [lot.entry for lot in book.lots for _ in range(lot.quantity)] == shares
    assert [(trade.entry, trade.exit) for trade in book.closed for _ in range(trade.quantity)] == sold


@given(ORDERS, st.sampled_from((0.1, 1.5, 2.0, 5.0, 10.0)), st.integers(0, 12))
def test_a_split_changes_neither_cost_nor_profit(
    orders: list[tuple[int, int, float]], ratio: float, day: int
) -> None:
    """Apart from fractions: a hundred of each share makes them whole."""
    fills = [
        fill(at_day, 100 * quantity, price, trade_id=str(at))
        for at, (at_day, quantity, price) in enumerate(orders)
        if at_day < day
    ]
    split = ShareAdjustment("NSE:A", FIRST + timedelta(day), ratio)
    before, after = build_lot_book(fills), build_lot_book(fills, [split])
    assert sum(lot.cost for lot in after.lots) == pytest.approx(sum(lot.cost for lot in before.lots))
    assert [trade.profit for trade in after.closed] == pytest.approx(
        [trade.profit for trade in before.closed]
    )
