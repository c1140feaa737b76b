"""Ends of trades: stop, target, trail, time and holding limit of many purchases at once.

A daily bar does not say in which order its prices came. Where it touches the stop and the target, or the
entry of a stop order and the stop, the worse order counts; the better order is computed beside it. What opens
beyond a level is filled at the open. A bar that fills nothing passes the sale on to the open of the next that
does, also beyond the holding limit.
"""

from typing import Final, NamedTuple

import numpy as np

from vcpd.domain.bars import BoolArray, FloatArray, IntArray
from vcpd.studies.rules import PERCENT, ExitKind, ExitRule, StopKind, StopRule
from vcpd.studies.trade_windows import TradeWindow

HALF: Final = 0.5


class TradeEnds(NamedTuple):
    """How n trades ended: `at` counts columns of the window, `price` is the mean price of what was sold.

    `touched` is the column of the bar that ended it, from which a bar that fills nothing passes the sale on.
    """

    at: IntArray
    price: FloatArray
    touched: IntArray
    at_target: BoolArray
    stopped: BoolArray
    ambiguous: BoolArray  # the order of prices inside a bar decides the result


def initial_stops(window: TradeWindow, rule: StopRule, max_stop_pct: float) -> FloatArray:
    """(n,): the stop of each purchase, NaN where it would not lie below the entry."""
    stops = _stop_prices(window, rule, max_stop_pct)
    below: FloatArray = np.where((stops > 0) & (stops < window.entry), stops, np.nan)
    return below


def _stop_prices(window: TradeWindow, rule: StopRule, max_stop_pct: float) -> FloatArray:
    entry = window.entry
    if rule.kind is StopKind.STRUCTURAL:
        return window.floor
    if rule.kind is StopKind.PERCENT:
        return entry * (1 - rule.value / PERCENT)
    if rule.kind is StopKind.ATR:
        return entry - rule.value * window.atr
    own: FloatArray = np.maximum(window.floor, entry * (1 - max_stop_pct / PERCENT))
    return own


def trade_ends(
    window: TradeWindow, stops: FloatArray, rule: ExitRule, sessions: int, *, better: bool = False
) -> TradeEnds:
    """Ends all purchases under one exit, held for at most `sessions` after the purchase's bar.

    With `better`, the better order of prices inside a bar counts.
    """
    held = window.held_for(sessions)
    levels = _stop_levels(held, stops, rule)
    if rule.kind is not ExitKind.HALF:
        return _ends(held, levels, rule, _targets(held, stops, rule), better=better)
    return _half_ends(held, stops, levels, rule, better=better)


def _targets(window: TradeWindow, stops: FloatArray, rule: ExitRule) -> FloatArray:
    """(n,): the price of a limit order at so many R, infinite where the exit has none."""
    if rule.kind not in {ExitKind.TARGET, ExitKind.HALF}:
        return np.full(len(stops), np.inf)
    targets: FloatArray = window.entry + rule.value * (window.entry - stops)
    return targets


def _stop_levels(window: TradeWindow, stops: FloatArray, rule: ExitRule) -> FloatArray:
    """(n, m): the stop in force during each bar, known on the evening before."""
    levels = np.broadcast_to(stops[:, None], window.low.shape)
    if rule.kind is not ExitKind.CHANDELIER:
        return levels
    highs = np.column_stack([window.entry, np.fmax(window.high, window.entry[:, None])[:, :-1]])
    trail = np.fmax.accumulate(highs, axis=1) - rule.value * window.atr_before
    raised: FloatArray = np.fmax.accumulate(np.fmax(levels, trail), axis=1)
    return raised


def _half_ends(
    window: TradeWindow, stops: FloatArray, levels: FloatArray, rule: ExitRule, *, better: bool
) -> TradeEnds:
    """Sells half at the target where it comes before the stop; the rest then has its stop at the entry."""
    first = _ends(window, levels, rule, _targets(window, stops, rule), better=better)
    reached = first.at_target
    later = np.arange(levels.shape[1])[None, :] > first.touched[:, None]
    raised = np.where(later, np.fmax(levels, window.entry[:, None]), -np.inf)
    rest = _ends(window, raised, ExitRule(), np.full(len(stops), np.inf), better=better)
    return TradeEnds(
        np.where(reached, rest.at, first.at),
        np.where(reached, HALF * first.price + (1 - HALF) * rest.price, first.price),
        first.touched,
        reached,
        np.where(reached, rest.stopped, first.stopped),
        first.ambiguous,
    )


def _ends(
    window: TradeWindow, levels: FloatArray, rule: ExitRule, targets: FloatArray, *, better: bool
) -> TradeEnds:
    """Ends each trade by the first of: order at the open, stop, target, close of the last bar held."""
    n, m = window.low.shape
    rows = np.arange(n)
    stop_hit = window.low <= levels
    in_entry_bar = _touches_in_entry_bar(window, stop_hit)
    if better and m:
        stop_hit = stop_hit.copy()
        stop_hit[in_entry_bar, 0] = False
    at_stop, at_target = _first(stop_hit), _first(window.high >= targets[:, None])
    at_open = np.minimum(_first(_signals(window, rule)), _first(window.open >= targets[:, None]))
    at_close = _closing_bar(window, levels, rule)
    both = (at_stop == at_target) & (at_stop < m) & (at_stop < at_open) & (at_stop <= at_close)
    both[both] &= window.open[rows[both], at_stop[both]] > levels[rows[both], at_stop[both]]
    if better:
        at_stop = np.where(both, m, at_stop)
    at = np.minimum(np.minimum(at_open, at_stop), np.minimum(at_target, at_close))
    is_open, is_stop = at == at_open, (at == at_stop) & (at < at_open)
    is_target = (at == at_target) & ~is_open & ~is_stop
    price = _prices(window, levels, targets, at, (is_open, is_stop, is_target))
    filled, price = _deferred(window, at, price, ~(is_open | is_stop | is_target))
    at_target = is_target | (is_open & (rule.kind is not ExitKind.AVERAGE))
    return TradeEnds(filled, price, at, at_target, is_stop, both | in_entry_bar)


def _touches_in_entry_bar(window: TradeWindow, stop_hit: BoolArray) -> BoolArray:
    """Marks purchases inside a bar that also touches the stop: it may have done so before the purchase."""
    if window.first_bar or not stop_hit.shape[1]:
        return np.zeros(len(stop_hit), np.bool_)
    touched: BoolArray = stop_hit[:, 0] & (window.open[:, 0] < window.entry)
    return touched


def _first(holds: BoolArray) -> IntArray:
    """(n,): the first column where it holds, the number of columns where it never does."""
    if not holds.shape[1]:
        return np.zeros(len(holds), np.int64)
    first: IntArray = np.where(holds.any(axis=1), holds.argmax(axis=1), holds.shape[1])
    return first


def _signals(window: TradeWindow, rule: ExitRule) -> BoolArray:
    """(n, m): bars at whose open is sold, because the close before fell below its average."""
    if rule.kind is not ExitKind.AVERAGE:
        return np.zeros(window.low.shape, np.bool_)
    below: BoolArray = window.close_before < window.average_before[int(rule.value)]
    below &= ~np.isnan(window.open)
    if not window.first_bar and below.shape[1]:
        below[:, 0] = False  # the close before the purchase
    return below


def _closing_bar(window: TradeWindow, levels: FloatArray, rule: ExitRule) -> IntArray:
    """(n,): the bar at whose close the trade ends, if nothing ends it before; -1 where no bar follows."""
    last = window.last
    if rule.kind is not ExitKind.TIME:
        return last
    at = int(rule.value) - window.first_bar
    if at < 0 or at >= window.close.shape[1]:
        return last
    gained = (window.close[:, at] - window.entry) / (window.entry - levels[:, 0])
    checked: IntArray = np.where(gained < rule.least_r, np.minimum(at, last), last)
    return checked


def _prices(
    window: TradeWindow,
    levels: FloatArray,
    targets: FloatArray,
    at: IntArray,
    kinds: tuple[BoolArray, BoolArray, BoolArray],
) -> FloatArray:
    """(n,): what the sale brings; the entry where no bar follows the purchase."""
    is_open, is_stop, is_target = kinds
    if not window.low.shape[1]:
        return window.entry.copy()
    rows, place = np.arange(len(at)), np.clip(at, 0, window.low.shape[1] - 1)
    opened, close, level = window.open[rows, place], window.close[rows, place], levels[rows, place]
    inside = (place == 0) & (window.first_bar == 0)  # the stop was touched after the purchase
    gap = np.where(inside, level, np.minimum(opened, level))
    price = np.where(is_open, opened, np.where(is_stop, gap, np.where(is_target, targets, close)))
    return np.where(at < 0, window.entry, price)


def _deferred(
    window: TradeWindow, at: IntArray, price: FloatArray, at_close: BoolArray
) -> tuple[IntArray, FloatArray]:
    """Moves sales that their bar does not fill to the open of the next that does, else to the last close."""
    n, m = window.low.shape
    if not m:
        return at, price
    rows, place = np.arange(n), np.clip(at, 0, m - 1)
    fills = np.where(at_close, window.sells_at_close[rows, place], window.sellable[rows, place])
    stuck = np.flatnonzero((at >= 0) & (at < m) & ~fills)
    if not len(stuck):
        return at, price
    at, price = at.copy(), price.copy()
    later = window.sellable[stuck] & (np.arange(m)[None, :] > at[stuck, None])
    following = _first(later)
    found = following < m
    at[stuck] = np.where(found, following, window.last_known[stuck])
    opened, last_close = window.open[stuck, np.minimum(following, m - 1)], window.close[stuck, at[stuck]]
    price[stuck] = np.where(found, opened, last_close)
    return at, price
