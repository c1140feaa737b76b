"""Shares of today for those of a fill's day: splits and bonuses from restated closes, nothing from others."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcpd.analysis.lots import build_lot_book
from vcpd.analysis.share_scale import later_ratios, restatement_factor, scale_fills, share_ratio
from vcpd.domain.portfolio import Fill, LotBook, ShareAdjustment, Side, StoredFill

MONDAY = date(2025, 6, 2)
LAST = date(2025, 7, 1)
RATIOS = (2.0, 5.0, 10.0, 1.5, 1.1, 1.25, 4 / 3, 0.1, 0.5)


def stored(
    number: int,
    day: int,
    shares: tuple[int, float],
    closes: tuple[float | None, float | None] = (None, None),
    *,
    side: Side = Side.BUY,
    stop: float | None = None,
) -> StoredFill:
    """Shares (quantity, price) `day` days after Monday, and the close of that day then and now."""
    (quantity, price), (reference, present) = shares, closes
    fill = Fill(
        symbol="NSE:AAA",
        session=MONDAY + timedelta(day),
        side=side,
        quantity=quantity,
        price=price,
        trade_id=str(number),
        stop=stop,
    )
    return StoredFill(id=number, fill=fill, reference_close=reference, present_close=present)


def book_of(*fills: StoredFill) -> LotBook:
    scaled = scale_fills(fills, LAST)
    return build_lot_book(scaled.fills, scaled.adjustments)


def test_a_split_after_the_last_fill_carries_shares_entry_and_stop() -> None:
    (lot,) = book_of(stored(1, 0, (10, 1000.0), (990.0, 198.0), stop=900.0)).lots
    assert (lot.quantity, lot.entry, lot.stop) == (50, 200.0, 180.0)
    assert lot.cost == 10_000.0


def test_a_sale_after_the_split_counts_in_new_shares() -> None:
    bought = stored(1, 0, (10, 1000.0), (990.0, 198.0), stop=900.0)
    sold = stored(2, 7, (30, 210.0), (208.0, 208.0), side=Side.SELL)
    book = book_of(bought, sold)
    assert [(lot.quantity, lot.entry) for lot in book.lots] == [(20, 200.0)]
    (trade,) = book.closed
    assert trade.quantity == 30
    assert trade.result_r == pytest.approx(0.5)
    assert book.refused == ()


def test_a_sale_before_the_split_is_restated_with_its_lot() -> None:
    bought = stored(1, 0, (10, 1000.0), (990.0, 198.0))
    sold = stored(2, 3, (4, 1100.0), (1090.0, 218.0), side=Side.SELL)
    book = book_of(bought, sold)
    assert [(lot.quantity, lot.entry) for lot in book.lots] == [(30, 200.0)]
    assert [(trade.quantity, trade.exit, trade.profit) for trade in book.closed] == [(20, 220.0, 400.0)]


@pytest.mark.parametrize("credit_prices", [(None, None), (500.0, 500.0), (1000.0, 500.0)])
def test_a_late_credit_of_a_bonus_that_the_history_knows_adds_no_share(
    credit_prices: tuple[float | None, float | None],
) -> None:
    """Whether the credit was noted before or after the history was restated."""
    bought = stored(1, 0, (10, 1000.0), (1000.0, 500.0))
    credit = stored(2, 9, (10, 0.0), credit_prices)
    (lot,) = book_of(bought, credit).lots
    assert (lot.quantity, lot.entry) == (20, 500.0)


def test_a_credit_that_the_history_does_not_know_is_an_action_of_its_own() -> None:
    (lot,) = book_of(stored(1, 0, (10, 1000.0), (1000.0, 1000.0)), stored(2, 9, (10, 0.0))).lots
    assert (lot.quantity, lot.entry) == (20, 500.0)


def test_a_restatement_that_is_no_split_changes_nothing_and_is_named() -> None:
    scaled = scale_fills([stored(1, 0, (10, 1000.0), (1000.0, 963.2))], LAST)
    assert scaled.adjustments == ()
    (notice,) = scaled.notices
    assert notice.startswith("NSE:AAA: prices of 2025-06-02 were restated by 1.0382, which is no split")


def test_fills_after_the_judged_session_are_left_out() -> None:
    scaled = scale_fills([stored(1, 0, (10, 100.0)), stored(2, 5, (10, 100.0))], MONDAY + timedelta(4))
    assert [fill.trade_id for fill in scaled.fills] == ["1"]


@given(st.sampled_from(RATIOS), st.floats(60.0, 5_000.0))
def test_every_usual_ratio_is_found_in_prices_rounded_to_the_tick(ratio: float, close: float) -> None:
    present = round(close / ratio / 0.05) * 0.05
    entry = stored(1, 0, (1, close), (close, present))
    assert share_ratio(restatement_factor(entry), entry) == pytest.approx(ratio)


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 50)), min_size=1, max_size=6), st.integers(0, 20)
)
def test_a_split_at_any_day_multiplies_the_shares_bought_before_it(
    purchases: list[tuple[int, int]], split_day: int
) -> None:
    fills = [
        stored(number, day, (quantity, 100.0), (500.0 if day < split_day else 100.0, 100.0))
        for number, (day, quantity) in enumerate(purchases)
    ]
    expected = sum(quantity * (5 if day < split_day else 1) for day, quantity in purchases)
    assert book_of(*fills).quantity("NSE:AAA") == expected


def test_listed_actions_give_the_ratio_of_each_fill() -> None:
    fills = [stored(1, 0, (1, 1.0)).fill, stored(2, 10, (1, 1.0)).fill]
    actions = [
        ShareAdjustment("NSE:AAA", MONDAY + timedelta(10), 5.0),
        ShareAdjustment("NSE:AAA", MONDAY + timedelta(20), 2.0),
        ShareAdjustment("NSE:BBB", MONDAY + timedelta(20), 3.0),
    ]
    assert later_ratios(fills, actions) == [10.0, 2.0]
