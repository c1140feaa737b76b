"""Which bars fill an order: volume, limits of the day, gaps at the open, the buy zone, waiting sales."""

from math import ceil, floor
from typing import Any

import pytest

from tests.study.test_exits import FLAT, bars_from, end_of
from vcpd.analysis.base_tracker import Breakout
from vcpd.analysis.indicators import Bars
from vcpd.analysis.levels import Levels
from vcpd.domain.exchange import NSE_EXCHANGE
from vcpd.studies.entries import Purchase, purchases_of
from vcpd.studies.fillable_bars import buyable_bars, sellable_bars, sellable_closes
from vcpd.studies.followed_bases import FollowedBases, WaitingOrder
from vcpd.studies.rules import EntryKind, ExitKind, ExitRule, FillRules

TICK = 0.05
LEVELS = Levels(pivot=101.0, entry=101.0, near_pivot=99.0, zone_end=106.0, stop=95.0, floor=94.0)
LOCKED_UP = (105.0, 105.0, 105.0, 105.0)
CLOSED_LOCKED_UP = (101.0, 105.0, 100.0, 105.0)  # the upper limit of 5 %
AT_HIGH = (101.0, 103.3, 100.0, 103.3)  # far from any limit
BELOW_LIMIT = (101.0, 105.2, 100.0, 105.0)
BOUGHT_AT_CLOSE = [Purchase(1, 105.0, 94.0)]


def bought(
    *rows: tuple[float, ...],
    kind: EntryKind = EntryKind.CLOSE,
    volume: list[float] | None = None,
    fills: FillRules | None = None,
) -> list[Purchase]:
    """What is bought of a base that breaks out on the second bar, after a flat one at 100."""
    bars: Bars = bars_from([FLAT, *rows], volume)
    no_chain: Any = None
    breakout = Breakout(at=1, found_at=0, chain=no_chain, levels=LEVELS, admitted=True)
    order = WaitingOrder(0, 101.05, LEVELS)
    return purchases_of(FollowedBases(bars, TICK, (breakout,), (order,)), kind, fills or FillRules())


def test_a_close_at_the_upper_limit_is_not_bought() -> None:
    assert bought(CLOSED_LOCKED_UP) == []
    assert bought(CLOSED_LOCKED_UP, fills=FillRules(limits_pct=())) == BOUGHT_AT_CLOSE
    assert bought(CLOSED_LOCKED_UP, fills=FillRules(limits_pct=(10.0, 20.0))) == BOUGHT_AT_CLOSE
    assert bought(BELOW_LIMIT) == BOUGHT_AT_CLOSE
    assert bought(AT_HIGH) == [Purchase(1, 103.3, 94.0)]


def test_an_order_inside_such_a_session_is_filled_before_it_locks() -> None:
    assert bought(CLOSED_LOCKED_UP, kind=EntryKind.STOP_ORDER) == [Purchase(1, 101.05, 94.0)]


@pytest.mark.parametrize("kind", [EntryKind.CLOSE, EntryKind.STOP_ORDER])
def test_a_session_of_one_price_at_its_limit_fills_no_purchase(kind: EntryKind) -> None:
    assert bought(LOCKED_UP, kind=kind, fills=FillRules(limits_pct=())) == []
    assert len(bought(LOCKED_UP, kind=kind, fills=FillRules(locked_pct=0.0, limits_pct=()))) == 1
    assert bought(FLAT, LOCKED_UP, kind=EntryKind.NEXT_OPEN) == []


@pytest.mark.parametrize("kind", list(EntryKind))
def test_a_bar_without_volume_fills_no_purchase(kind: EntryKind) -> None:
    rows = (BELOW_LIMIT, (104.0, 105.0, 103.0, 104.0))
    assert bought(*rows, kind=kind, volume=[1.0, 0.0, 0.0]) == []
    assert len(bought(*rows, kind=kind, volume=[1.0, 0.0, 0.0], fills=FillRules(needs_volume=False))) == 1


def test_a_gap_is_bought_at_the_open_and_not_beyond_the_buy_zone() -> None:
    gap, beyond = (104.0, 105.5, 103.0, 104.5), (106.5, 107.0, 104.0, 104.5)
    assert bought(gap, kind=EntryKind.STOP_ORDER) == [Purchase(1, 104.0, 94.0)]
    assert bought(beyond, kind=EntryKind.STOP_ORDER) == []
    assert bought(BELOW_LIMIT, gap, kind=EntryKind.NEXT_OPEN) == [Purchase(2, 104.0, 94.0)]
    assert bought(BELOW_LIMIT, beyond, kind=EntryKind.NEXT_OPEN) == []


CHEAP = [round(TICK * count, 2) for count in range(20, 101)]  # 1 to 5
BANDS = NSE_EXCHANGE.price_bands.widths_pct


def limit_of(before: float, width_pct: float) -> float:
    """The limit as the exchange gives it: rounded inwards to a whole tick."""
    ticks = before * (1 + width_pct / 100) / TICK
    return round(TICK * (floor(ticks + 1e-9) if width_pct > 0 else ceil(ticks - 1e-9)), 2)


def closes_fill(before: float, close: float) -> tuple[bool, bool]:
    """Whether a purchase and a sale at a close are filled that follows a close of `before`."""
    bars = bars_from([(before,) * 4, (before, max(before, close), min(before, close), close)])
    fills = FillRules()
    bought = buyable_bars(bars, EntryKind.CLOSE, fills, TICK)
    return bool(bought[1]), bool(sellable_closes(bars, fills, TICK)[1])


@pytest.mark.parametrize("width", BANDS)
def test_a_lock_of_a_cheap_share_is_recognised_at_its_rounded_limit(width: float) -> None:
    """At 3.00 a band of 2 % ends at 3.05, 1.7 % away; at 1.00 it leaves no room to move."""
    for before in CHEAP:
        upper, lower = limit_of(before, width), limit_of(before, -width)
        if upper > before:
            assert closes_fill(before, upper) == (False, True)
        if lower < before:
            assert closes_fill(before, lower) == (True, False)


def test_a_close_of_a_cheap_share_apart_from_its_limits_fills() -> None:
    checked = 0
    for before in CHEAP:
        limits = [before * (1 + sign * width / 100) for width in BANDS for sign in (1, -1)]
        for close in (round(before + ticks * TICK, 2) for ticks in range(-6, 7)):
            if close == before or all(abs(close - limit) > 1.1 * TICK for limit in limits):
                assert closes_fill(before, close) == (True, True)
                checked += 1
    assert checked > 250


@pytest.mark.parametrize("before", [3.0, 3.5, 4.45])
def test_a_session_of_one_price_at_a_rounded_limit_fills_nothing(before: float) -> None:
    """Its move is less than `locked_pct`: neither a purchase inside the session nor a sale is filled."""
    for width in (2.0, -2.0):
        price = limit_of(before, width)
        bars = bars_from([(before,) * 4, (price,) * 4])
        assert abs(price / before - 1) < FillRules().locked_pct / 100
        assert buyable_bars(bars, EntryKind.STOP_ORDER, FillRules(), TICK)[1] == (width < 0)
        assert sellable_bars(bars, FillRules(), TICK)[1] == (width > 0)
        assert buyable_bars(bars, EntryKind.STOP_ORDER, FillRules(limits_pct=()), TICK)[1]


def test_a_close_at_the_lower_limit_is_sold_at_the_next_open() -> None:
    """The time stop's sale is one of the close: locked at minus 2 % it waits."""
    time = ExitRule(ExitKind.TIME, 1.0, 0.5)
    after = (97.0, 97.5, 96.0, 97.2)
    assert end_of(bars_from([FLAT, (100, 100, 98, 98), after]), time) == (2, 97.0, False)
    assert end_of(bars_from([FLAT, (100, 100, 97.5, 98), after]), time) == (1, 98.0, False)


def test_a_sale_at_the_holding_limit_waits_for_a_bar_that_fills_it() -> None:
    """Ten sessions are held; the tenth has no volume, nor has the eleventh."""
    rows = [FLAT] * 12 + [(99.0, 99.5, 98.0, 98.5)] * 2
    volume = [1.0] * 10 + [0.0, 0.0, 1.0, 1.0]
    assert end_of(bars_from(rows, volume)) == (12, 99.0, False)
    assert end_of(bars_from(rows)) == (10, 100.0, False)


def test_a_sale_that_nothing_fills_any_more_is_made_at_the_last_close() -> None:
    rows = [FLAT] * 11 + [(97.0, 97.0, 97.0, 97.0)]
    assert end_of(bars_from(rows, [1.0] * 10 + [0.0, 0.0])) == (11, 97.0, False)
