"""Which bars fill an order: volume, limits of the day, gaps at the open, the buy zone, waiting sales."""

from typing import Any

import pytest

from tests.study.test_exits import FLAT, bars_from, end_of
from vcpd.analysis.base_tracker import Breakout
from vcpd.analysis.indicators import Bars
from vcpd.analysis.levels import Levels
from vcpd.studies.entries import Purchase, purchases_of
from vcpd.studies.followed_bases import FollowedBases, WaitingOrder
from vcpd.studies.rules import EntryKind, ExitKind, ExitRule, FillRules

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
    return purchases_of(FollowedBases(bars, (breakout,), (order,)), kind, fills or FillRules())


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
