"""Which rows may enter the store: the quarantining rules as pure functions over structured arrays.

What is decided where the data leave a choice:

- Rows out of order are put in order: an order is no fact about the market.
- Equal rows for one session are one bar; the copies are counted, not quarantined.
- Differing rows for one session are all kept apart: which of them is true cannot be known.
- An open or close outside high..low by no more than rounding widens high or low by it, so that every
  accepted bar keeps low <= open, close <= high exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from vcpd.domain.arrays import BoolArray, DateArray, FloatArray, IntArray, RecordArray
from vcpd.domain.bars import PRICE_FIELDS, BarSeries, BarTable
from vcpd.domain.quality import QuarantinedBar, Rule

ACCEPTED: Final = 0
EQUAL_COPY: Final = 1
FIRST_RULE: Final = 2
ROUNDING: Final = 0.011  # a paisa and a little: prices are published on two decimals
ROUNDING_SHARE: Final = 2e-4  # a back-adjusted price is rounded after the division

REASONS: Final[Mapping[Rule, str]] = {
    Rule.NOT_A_SESSION: "the exchange did not trade on this date",
    Rule.PRICE_MISSING: "a price is missing or not a number",
    Rule.PRICE_NOT_POSITIVE: "a price is zero or negative",
    Rule.HIGH_BELOW_LOW: "high is below low",
    Rule.OUT_OF_RANGE: "open or close lies outside low..high by more than rounding",
    Rule.VOLUME_NEGATIVE: "volume is negative",
    Rule.DUPLICATE_SESSION: "another row gives other values for the same session",
}
RULES: Final = tuple(REASONS)  # in the order in which they are tried; the first that is broken is named


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """What the caller vouches for: the exchange's `days` (m,), ascending, and the `latest` possible one.

    Dates before the first or after the last of `days` are not judged against them.
    """

    days: DateArray | None = None
    latest: date | None = None

    def strangers(self, sessions: DateArray) -> BoolArray:
        """(n,): which dates are no session."""
        strange: BoolArray = np.isnat(sessions)
        if self.latest is not None:
            strange = strange | (sessions > np.datetime64(self.latest, "D"))
        if self.days is None or not len(self.days):
            return strange
        at = np.minimum(np.searchsorted(self.days, sessions), len(self.days) - 1)
        judged = (sessions >= self.days[0]) & (sessions <= self.days[-1])
        unlisted: BoolArray = strange | (judged & (self.days[at] != sessions))
        return unlisted


ANY_DAY: Final = Sessions()


@dataclass(frozen=True, slots=True, eq=False)
class CheckedTable:
    """`accepted` in ascending (instrument, session) order, what was kept apart, and copies dropped.

    `rows` are the places, counted from 0 in the table as it came, of the bars kept apart.
    """

    accepted: BarTable
    quarantined: tuple[QuarantinedBar, ...]
    rows: tuple[int, ...] = ()
    copies: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class CheckedSeries:
    """`accepted` in ascending order of sessions, what was kept apart, and copies dropped."""

    accepted: BarSeries
    quarantined: tuple[QuarantinedBar, ...]
    copies: int = 0


def check_rows(series: BarSeries, sessions: Sessions = ANY_DAY) -> CheckedSeries:
    """Judge every row of one symbol."""
    table = BarTable(np.zeros(len(series), np.int64), series.records)
    checked = check_table(table, {0: series.symbol}, sessions)
    return CheckedSeries(
        BarSeries(series.symbol, checked.accepted.records), checked.quarantined, checked.copies
    )


def check_table(table: BarTable, symbols: Mapping[int, str], sessions: Sessions = ANY_DAY) -> CheckedTable:
    """Judge every row of many instruments; `symbols` names them by instrument id."""
    table, order = _ascending(table)
    verdicts = _verdicts(table, sessions)
    kept = verdicts == ACCEPTED
    accepted = table if kept.all() else BarTable(table.instrument_id[kept], table.records[kept])
    broken = np.flatnonzero(verdicts >= FIRST_RULE)
    apart = tuple(_quarantined(table, symbols, int(row), int(verdicts[row]) - FIRST_RULE) for row in broken)
    copies = int(np.count_nonzero(verdicts == EQUAL_COPY))
    sound = BarTable(accepted.instrument_id, _widened(accepted.records))
    return CheckedTable(sound, apart, tuple(order[broken].tolist()), copies)


def payload_of(record: np.void) -> dict[str, object]:
    """A row as it came, as plain values; what is not a number is None."""
    values = {name: float(record[name]) for name in (*PRICE_FIELDS, "volume")}
    return {name: value if np.isfinite(value) else None for name, value in values.items()}


def _quarantined(table: BarTable, symbols: Mapping[int, str], row: int, rule_number: int) -> QuarantinedBar:
    record, rule = table.records[row], RULES[rule_number]
    session = record["session"]
    known = None if np.isnat(session) else session.item()
    symbol = symbols[int(table.instrument_id[row])]
    return QuarantinedBar(symbol, known, rule, REASONS[rule], payload_of(record))


def _ascending(table: BarTable) -> tuple[BarTable, IntArray]:
    """The rows by instrument and session, and the place of each in `table`; equal keys keep their order."""
    keys, days = table.instrument_id, table.records["session"].view(np.int64)
    same = keys[1:] == keys[:-1]
    if ((keys[1:] > keys[:-1]) | (same & (days[1:] >= days[:-1]))).all():
        return table, np.arange(len(keys))
    order = np.lexsort((days, keys))
    return BarTable(keys[order], table.records[order]), order


def _verdicts(table: BarTable, sessions: Sessions) -> IntArray:
    """(n,): ACCEPTED, EQUAL_COPY, or FIRST_RULE plus the number of the first broken rule."""
    records = table.records
    prices = np.stack([records[name] for name in PRICE_FIELDS])
    broken = (sessions.strangers(records["session"]), *_broken_laws(prices, records["volume"]))
    verdicts = np.zeros(len(records), np.int64)
    for number in reversed(range(len(broken))):
        verdicts[broken[number]] = FIRST_RULE + number
    _judge_repeats(table, verdicts)
    return verdicts


def _broken_laws(prices: FloatArray, volume: FloatArray) -> tuple[BoolArray, ...]:
    """For each rule between the session's and the duplicates': which rows (n,) break it."""
    opened, high, low, closed = prices
    slack = np.maximum(ROUNDING, ROUNDING_SHARE * closed)
    missing: BoolArray = np.logical_not(np.isfinite(prices).all(axis=0))
    not_positive: BoolArray = np.any(prices <= 0, axis=0)
    crossed: BoolArray = high < low
    outside: BoolArray = (np.maximum(opened, closed) > high + slack) | (
        np.minimum(opened, closed) < low - slack
    )
    return missing, not_positive, crossed, outside, (volume < 0) | np.isinf(volume)


def _judge_repeats(table: BarTable, verdicts: IntArray) -> None:
    """Name the rows that share an instrument and session with another sound row."""
    sound = np.flatnonzero(verdicts == ACCEPTED)
    keys, days = table.instrument_id[sound], table.records["session"][sound]
    repeats = (keys[1:] == keys[:-1]) & (days[1:] == days[:-1])
    if not repeats.any():
        return
    records = table.records[sound]
    starts = np.concatenate([[True], ~repeats])
    groups = np.cumsum(starts) - 1
    differs = ~_equal_rows(records, records[np.flatnonzero(starts)][groups])
    disputed = np.bincount(groups[differs], minlength=groups[-1] + 1).astype(np.bool_)[groups]
    verdicts[sound[~starts]] = EQUAL_COPY
    verdicts[sound[disputed]] = FIRST_RULE + RULES.index(Rule.DUPLICATE_SESSION)


def _equal_rows(left: RecordArray, right: RecordArray) -> BoolArray:
    prices = np.logical_and.reduce([left[name] == right[name] for name in PRICE_FIELDS])
    both_unknown = np.isnan(left["volume"]) & np.isnan(right["volume"])
    equal: BoolArray = prices & ((left["volume"] == right["volume"]) | both_unknown)
    return equal


def _widened(records: RecordArray) -> RecordArray:
    """The rows with high and low stretched over open and close, copied only where one needs it."""
    top = np.maximum(records["open"], records["close"])
    bottom = np.minimum(records["open"], records["close"])
    if not ((top > records["high"]) | (bottom < records["low"])).any():
        return records
    widened = records.copy()
    widened["high"] = np.maximum(widened["high"], top)
    widened["low"] = np.minimum(widened["low"], bottom)
    return widened
