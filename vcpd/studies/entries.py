"""Purchases of one symbol's bases: by close above the pivot, by the next open, by a stop order at the pivot.

Each decision is made from the evening before or from the bar that fills it, never from a later one. A bar
that fills nothing buys nothing.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from vcpd.analysis.base_tracker import Breakout
from vcpd.studies.fillable_bars import buyable_bars
from vcpd.studies.followed_bases import FollowedBases
from vcpd.studies.rules import EntryKind, FillRules

ATR_SESSIONS: Final = 20


class Purchase(NamedTuple):
    """A filled order: the bar of the symbol's own history, the price, and the base's structural stop."""

    bar: int
    price: float
    floor: float


def purchases_of(followed: FollowedBases, kind: EntryKind, fills: FillRules) -> list[Purchase]:
    """Returns the purchases of one entry kind in the order of their bars; two of one bar are one."""
    bars = followed.bars
    buyable = buyable_bars(bars, kind, fills, followed.tick_size)
    found = {
        EntryKind.CLOSE: _at_close,
        EntryKind.NEXT_OPEN: _at_next_open,
        EntryKind.STOP_ORDER: _at_stop_order,
    }[kind](followed)
    by_bar = {
        purchase.bar: purchase
        for purchase in found
        if purchase.bar < len(bars.close) and buyable[purchase.bar] and purchase.price > purchase.floor
    }
    return [by_bar[bar] for bar in sorted(by_bar)]


def _bought(followed: FollowedBases) -> Iterator[Breakout]:
    """Yields breakouts of bases that were setups, whose close lies inside the buy zone."""
    close = followed.bars.close
    return (
        breakout
        for breakout in followed.breakouts
        if breakout.admitted and close[breakout.at] <= breakout.levels.zone_end
    )


def _at_close(followed: FollowedBases) -> Iterator[Purchase]:
    for breakout in _bought(followed):
        yield Purchase(breakout.at, followed.bars.close.item(breakout.at), breakout.levels.floor)


def _at_next_open(followed: FollowedBases) -> Iterator[Purchase]:
    """Buys at the next open; one beyond the buy zone is not bought."""
    opened = followed.bars.open
    for breakout in _bought(followed):
        at = breakout.at + 1
        if at < len(opened) and opened[at] <= breakout.levels.zone_end:
            yield Purchase(at, opened.item(at), breakout.levels.floor)


def _at_stop_order(followed: FollowedBases) -> Iterator[Purchase]:
    """Buys at the trigger, or at a higher open; beyond the buy zone the order is cancelled."""
    for order in followed.orders:
        price = max(order.trigger, followed.bars.open.item(order.bar + 1))
        if price <= order.levels.zone_end:
            yield Purchase(order.bar + 1, price, order.levels.floor)
