"""Evaluates the sell rules at every session since a purchase at once.

`sell_rules` defines the rules; a column here gives what they give, bit by bit, in a fiftieth of the time. A
rule that has no column is read session by session.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from vcpd.analysis import sell_rules
from vcpd.analysis.position_judgement import LotHistory
from vcpd.analysis.position_measures import ATR_LENGTH, PERCENT, WEEK_SESSIONS
from vcpd.analysis.sell_rules import CLIMAX_SIGNS, Rule, SellRuleSettings
from vcpd.domain.bars import BoolArray, FloatArray, IntArray


class HeldColumns:
    """A lot at each of the k sessions since its purchase: prices and measures as arrays (k,)."""

    def __init__(self, history: LotHistory) -> None:
        self.history, self.first = history, history.first
        self.lot, self.risk = history.lot, history.lot.risk_per_share
        records = history.series.records[self.first :]
        self.open, self.high = records["open"], records["high"]
        self.low, self.close = records["low"], records["close"]

    def __len__(self) -> int:
        return len(self.close)

    @property
    def is_dated(self) -> bool:
        return self.lot.opened is not None

    @cached_property
    def sessions_held(self) -> IntArray:
        return np.arange(len(self))

    @cached_property
    def highest(self) -> FloatArray:
        """The highest price so far; of the purchase's session the close or the entry."""
        highs = self.high.copy()
        highs[:1] = max(float(self.close[0]), self.lot.entry)
        return np.maximum.accumulate(highs)

    @cached_property
    def lowest(self) -> FloatArray:
        """The lowest price so far; of the purchase's session the close or the entry."""
        lows = self.low.copy()
        lows[:1] = min(float(self.close[0]), self.lot.entry)
        return np.minimum.accumulate(lows)

    @cached_property
    def best_r(self) -> FloatArray:
        """The most favourable excursion so far, NaN without an initial risk."""
        return (self.highest - self.lot.entry) / (np.nan if self.risk is None else self.risk)

    @cached_property
    def best_before_r(self) -> FloatArray:
        """The same up to the session before."""
        return np.concatenate([self.best_r[:1], self.best_r[:-1]])

    def window_means(self, values: FloatArray, length: int) -> FloatArray:
        """The mean of the last `length` values at each session, NaN where there are fewer.

        `values` (m,) end with the last session and may begin long before the purchase.
        """
        needed = values[max(0, len(values) - len(self) - length + 1) :]
        means = np.full(len(self), np.nan)
        if len(needed) >= length:
            found = sliding_window_view(needed, length).sum(axis=1) / length
            means[len(self) - len(found) :] = found
        return means

    def true_ranges(self) -> FloatArray:
        """The true range of every bar but the first, from before the purchase on."""
        records = self.history.series.records[max(0, self.first - ATR_LENGTH) :]
        previous = records["close"][:-1]
        top = np.maximum(records["high"][1:], previous)
        true_range: FloatArray = top - np.minimum(records["low"][1:], previous)
        return true_range


Column = Callable[[HeldColumns, SellRuleSettings], BoolArray | None]


def firing_columns(history: LotHistory, among: Collection[str] | None = None) -> dict[str, BoolArray]:
    """Returns by a rule's name at which of the k sessions since the purchase it fires, in the rules' order.

    Rules that do not apply to the lot are absent; all are where no bar follows the purchase. `among` names
    the rules that are wanted, None for all; of a rule without a column all names are given.
    """
    held, found = HeldColumns(history), dict[str, BoolArray]()
    if not len(held):
        return found
    for rule in sell_rules.RULES:
        if rule not in COLUMNS:
            found |= _read_each(rule, history)
            continue
        for name, column in COLUMNS[rule].items():
            fires = column(held, history.rules) if among is None or name in among else None
            if fires is not None:
                found[name] = fires
    return found


def _read_each(rule: Rule, history: LotHistory) -> Mapping[str, BoolArray]:
    """Reads a rule that has no column at one session after the other."""
    rows = range(history.first, len(history.series))
    found: dict[str, BoolArray] = defaultdict(lambda: np.zeros(len(rows), np.bool_))
    for at, row in enumerate(rows):
        held = history.held_lot(row)
        reading = None if held is None else rule(held, history.rules)
        if reading is not None and reading.fires:
            found[reading.name][at] = True
    return found


def _initial_stop(held: HeldColumns, _: SellRuleSettings) -> BoolArray | None:
    return None if held.lot.stop is None else held.lowest <= held.lot.stop


def _breakeven(held: HeldColumns, settings: SellRuleSettings) -> BoolArray | None:
    if not settings.breakeven_r or held.risk is None:
        return None
    was_armed = held.best_before_r >= settings.breakeven_r
    low = np.where(was_armed, held.low, held.close)
    return (held.best_r >= settings.breakeven_r) & (low <= held.lot.entry)


def _trailing_average(held: HeldColumns, settings: SellRuleSettings) -> BoolArray | None:
    if not settings.trail_sessions or held.risk is None:
        return None
    level = held.window_means(held.history.series.close, settings.trail_sessions)
    return (held.best_r >= settings.trail_after_r) & (held.close < level)


def _chandelier(held: HeldColumns, settings: SellRuleSettings) -> BoolArray | None:
    if not settings.chandelier_atr or not held.is_dated:
        return None
    atr = held.window_means(held.true_ranges(), ATR_LENGTH)
    level = held.highest - settings.chandelier_atr * np.where(np.isfinite(atr), atr, np.nan)
    return (held.sessions_held > 0) & (held.close < level)


def _time_stop(held: HeldColumns, settings: SellRuleSettings) -> BoolArray | None:
    if not settings.time_sessions or held.risk is None or not held.is_dated:
        return None
    return (held.best_r < settings.time_progress_r) & (held.sessions_held >= settings.time_sessions)


def _squat(held: HeldColumns, settings: SellRuleSettings) -> BoolArray | None:
    below = _below_pivot(held, settings)
    return None if below is None else below & (held.sessions_held == 0)


def _failed_breakout(held: HeldColumns, settings: SellRuleSettings) -> BoolArray | None:
    below = _below_pivot(held, settings)
    return None if below is None else below & (held.sessions_held > 0)


def _below_pivot(held: HeldColumns, settings: SellRuleSettings) -> BoolArray | None:
    opened, sessions = held.lot.opened, settings.failed_breakout_sessions
    pivot = None if opened is None else held.history.notes.pivots.get(opened)
    if not sessions or pivot is None:
        return None
    return (held.close < pivot) & (held.sessions_held <= sessions)


def _climax(held: HeldColumns, settings: SellRuleSettings) -> BoolArray | None:
    if not settings.climax_gain_pct or not held.is_dated:
        return None
    gain = PERCENT * (held.highest / held.lot.entry - 1)
    is_high = (gain >= settings.climax_gain_pct) & (held.sessions_held > 0)
    if not is_high.any():
        return None
    gap_pct = np.zeros(len(held))
    gap_pct[1:] = PERCENT * (held.open[1:] / held.high[:-1] - 1)
    signs = _are_largest(held.high - held.low).astype(np.int64)
    signs[WEEK_SESSIONS:] += _are_largest(held.close[WEEK_SESSIONS:] / held.close[:-WEEK_SESSIONS] - 1)
    signs += _rising_closes(held, settings.climax_days) >= settings.climax_up_days
    signs += gap_pct >= settings.climax_gap_pct
    return is_high & (signs >= CLIMAX_SIGNS)


def _are_largest(values: FloatArray) -> BoolArray:
    """Returns for each value (m,) whether it is above 0 and above all before it, of which there are a few."""
    largest = np.zeros(len(values), np.bool_)
    before = np.maximum.accumulate(values)[WEEK_SESSIONS - 1 : -1]
    largest[WEEK_SESSIONS:] = values[WEEK_SESSIONS:] > np.fmax(before, 0.0)
    return largest


def _rising_closes(held: HeldColumns, days: int) -> IntArray:
    """Counts at each session the closes above the one before, among the last `days`."""
    close = held.history.series.close[max(0, held.first - days) :]
    rises = np.zeros(len(close), np.int64)
    np.cumsum(np.diff(close) > 0, out=rises[1:])
    rows = np.arange(len(close) - len(held), len(close))
    counted: IntArray = rises[rows] - rises[np.maximum(rows - days, 0)]
    return counted


def _strength(held: HeldColumns, settings: SellRuleSettings) -> BoolArray | None:
    if not settings.strength_r or held.risk is None:
        return None
    return held.highest >= held.lot.entry + settings.strength_r * held.risk


def _results_due(held: HeldColumns, settings: SellRuleSettings) -> BoolArray | None:
    due = held.history.notes.results_in_sessions
    if not settings.results_sessions or due is None:
        return None
    due_in = due + held.sessions_held[::-1]
    return (due_in >= 0) & (due_in <= settings.results_sessions)


COLUMNS: Final[Mapping[Rule, Mapping[str, Column]]] = {
    sell_rules.initial_stop: {"initial_stop": _initial_stop},
    sell_rules.breakeven: {"breakeven": _breakeven},
    sell_rules.trailing_average: {"trailing_average": _trailing_average},
    sell_rules.chandelier: {"chandelier": _chandelier},
    sell_rules.time_stop: {"time_stop": _time_stop},
    sell_rules.failed_breakout: {"squat": _squat, "failed_breakout": _failed_breakout},
    sell_rules.climax: {"climax": _climax},
    sell_rules.strength: {"strength": _strength},
    sell_rules.results_due: {"results_due": _results_due},
}
