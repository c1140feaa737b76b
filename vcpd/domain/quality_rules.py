"""Data quality rules for rows: which bars are accepted, which quarantined, which were restated.

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
from enum import StrEnum
from typing import Final

import msgspec
import numpy as np

from vcpd.domain.bars import (
    PRICE_FIELDS,
    BarSeries,
    BarTable,
    BoolArray,
    DateArray,
    FloatArray,
    IntArray,
    RecordArray,
)

VOLUME_TOLERANCE: Final = 0.5  # shares: volumes are whole
EXACT_TOLERANCE: Final = 0.001  # rupees: below a tenth of a paisa there is no price
ROWS_PER_BLOCK: Final = 8_192  # checked at once: what they need stays in the processor's cache


class QualityRule(StrEnum):
    """The named laws; `quarantine` rules keep a row out, `flag` rules keep a symbol out of screening."""

    UNREADABLE_ROW = "unreadable_row"
    PRICE_MISSING = "price_missing"
    PRICE_NOT_POSITIVE = "price_not_positive"
    HIGH_BELOW_LOW = "high_below_low"
    OUT_OF_RANGE = "open_or_close_outside_high_low"
    DUPLICATE_SESSION = "duplicate_session"
    NOT_A_SESSION = "not_a_session"
    VOLUME_NEGATIVE = "volume_negative"
    VOLUME_MISSING = "volume_missing"
    STALE_REPEAT = "stale_repeat"
    PARTIAL_LAST_BAR = "partial_last_bar"
    JUMP_BEYOND_BAND = "jump_beyond_band"
    SCALE_BREAK = "scale_break"
    MISSING_SESSIONS = "missing_sessions"
    PRICE_BELOW_MINIMUM = "price_below_minimum"
    TRADED_VALUE_BELOW_MINIMUM = "traded_value_below_minimum"
    RARELY_TRADED = "rarely_traded"
    ACTION_NOT_APPLIED = "action_not_applied"
    NOT_COMPUTABLE = "not_computable"


USER_FILTER_RULES: Final = frozenset(
    {
        QualityRule.PRICE_BELOW_MINIMUM,
        QualityRule.TRADED_VALUE_BELOW_MINIMUM,
        QualityRule.RARELY_TRADED,
    }
)


"""Rules that say what the user excludes, not what is wrong with the data."""


class QuarantinedBar(msgspec.Struct, frozen=True):
    """A row that was kept apart: where it came from, why, and the row as it came."""

    symbol: str
    session: date | None
    rule: QualityRule
    reason: str
    payload: dict[str, object]


class QualityFlag(msgspec.Struct, frozen=True):
    """A doubt about a symbol's history that the user must see; `excludes` keeps it out of results."""

    symbol: str
    rule: QualityRule
    session: date
    reason: str
    excludes: bool


ACCEPTED_CODE: Final = 0
DUPLICATE_CODE: Final = 1
FIRST_RULE_CODE: Final = 2
ROUNDING_TOLERANCE: Final = 0.011  # a paisa and a little: prices are published on two decimals
ROUNDING_SHARE: Final = 2e-4  # a back-adjusted price is rounded after the division
RULE_REASONS: Final[Mapping[QualityRule, str]] = {
    QualityRule.NOT_A_SESSION: "the exchange did not trade on this date",
    QualityRule.PRICE_MISSING: "a price is missing or not a number",
    QualityRule.PRICE_NOT_POSITIVE: "a price is zero or negative",
    QualityRule.HIGH_BELOW_LOW: "high is below low",
    QualityRule.OUT_OF_RANGE: "open or close lies outside low..high by more than rounding",
    QualityRule.VOLUME_NEGATIVE: "volume is negative",
    QualityRule.DUPLICATE_SESSION: "another row gives other values for the same session",
}


ROW_RULES: Final = tuple(
    RULE_REASONS
)  # in the order in which they are tried; the first that is broken is named


@dataclass(frozen=True, slots=True, eq=False)
class ValidSessions:
    """What the caller vouches for: the exchange's `days` (m,), ascending, and the `latest` possible one.

    Dates before the first or after the last of `days` are not judged against them.
    """

    days: DateArray | None = None
    latest: date | None = None

    def non_sessions(self, sessions: DateArray) -> BoolArray:
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


ANY_SESSION: Final = ValidSessions()


@dataclass(frozen=True, slots=True, eq=False)
class CheckedTable:
    """`accepted` in ascending (instrument, session) order, what was kept apart, and copies dropped.

    `rows` are the places, counted from 0 in the table as it came, of the bars kept apart.
    """

    accepted: BarTable
    quarantined: tuple[QuarantinedBar, ...]
    rows: tuple[int, ...] = ()
    duplicates: int = 0
    unknown_volumes: int = 0  # accepted bars that moved with a volume of 0, which is now NaN


@dataclass(frozen=True, slots=True, eq=False)
class CheckedSeries:
    """`accepted` in ascending order of sessions, what was kept apart, and copies dropped."""

    accepted: BarSeries
    quarantined: tuple[QuarantinedBar, ...]
    duplicates: int = 0


def check_rows(series: BarSeries, sessions: ValidSessions = ANY_SESSION) -> CheckedSeries:
    """Check every row of one symbol."""
    table = BarTable(np.zeros(len(series), np.int64), series.records)
    checked = check_table(table, {0: series.symbol}, sessions)
    return CheckedSeries(
        BarSeries(series.symbol, checked.accepted.records), checked.quarantined, checked.duplicates
    )


def check_table(
    table: BarTable,
    symbols: Mapping[int, str],
    sessions: ValidSessions = ANY_SESSION,
    *,
    in_place: bool = False,
) -> CheckedTable:
    """Check every row of many instruments; `symbols` names them by instrument id.

    With `in_place` the accepted bars may be the table's own records, corrected where they lie: a large
    table is then not copied.
    """
    table, order = _sorted_rows(table)
    verdicts = _row_codes(table, sessions)
    kept = verdicts == ACCEPTED_CODE
    accepted = table if kept.all() else BarTable(table.instrument_id[kept], table.records[kept])
    broken = np.flatnonzero(verdicts >= FIRST_RULE_CODE)
    apart = tuple(
        _quarantined_bar(table, symbols, int(row), int(verdicts[row]) - FIRST_RULE_CODE) for row in broken
    )
    copies = int(np.count_nonzero(verdicts == DUPLICATE_CODE))
    idle = _moved_without_volume(accepted)
    sound = BarTable(accepted.instrument_id, _repaired(accepted.records, idle, in_place=in_place))
    return CheckedTable(sound, apart, tuple(order[broken].tolist()), copies, len(idle))


def _moved_without_volume(table: BarTable) -> IntArray:
    """(k,): rows of volume 0 whose price moved, within the bar or since the one before: unknown volume."""
    records = table.records
    idle = np.flatnonzero(records["volume"] == 0)
    before = np.maximum(idle - 1, 0)
    follows = table.instrument_id[idle] == table.instrument_id[before]
    stepped = follows & (np.abs(records["close"][idle] - records["close"][before]) > EXACT_TOLERANCE)
    moved: IntArray = idle[stepped | (records["high"][idle] > records["low"][idle])]
    return moved


def payload_of(record: np.void) -> dict[str, object]:
    """A row as it came, as plain values; what is not a number is None."""
    values = {name: float(record[name]) for name in (*PRICE_FIELDS, "volume")}
    return {name: value if np.isfinite(value) else None for name, value in values.items()}


def _quarantined_bar(
    table: BarTable, symbols: Mapping[int, str], row: int, rule_number: int
) -> QuarantinedBar:
    record, rule = table.records[row], ROW_RULES[rule_number]
    session = record["session"]
    known = None if np.isnat(session) else session.item()
    symbol = symbols[int(table.instrument_id[row])]
    return QuarantinedBar(symbol, known, rule, RULE_REASONS[rule], payload_of(record))


def _sorted_rows(table: BarTable) -> tuple[BarTable, IntArray]:
    """The rows by instrument and session, and the place of each in `table`; equal keys keep their order."""
    keys, days = table.instrument_id, np.ascontiguousarray(table.records["session"]).view(np.int64)
    same = keys[1:] == keys[:-1]
    if ((keys[1:] > keys[:-1]) | (same & (days[1:] >= days[:-1]))).all():
        return table, np.arange(len(keys))
    order = np.lexsort((days, keys))
    return BarTable(keys[order], table.records[order]), order


def _row_codes(table: BarTable, sessions: ValidSessions) -> IntArray:
    """(n,): ACCEPTED_CODE, DUPLICATE_CODE, or FIRST_RULE_CODE plus the number of the first broken rule."""
    verdicts = np.zeros(len(table), np.int64)
    for start in range(0, len(table), ROWS_PER_BLOCK):
        records = table.records[start : start + ROWS_PER_BLOCK]
        prices = np.stack([records[name] for name in PRICE_FIELDS])
        strange = sessions.non_sessions(records["session"])
        if not strange.any() and _are_all_sound(prices, records["volume"]):
            continue
        broken = (strange, *_rule_violations(prices, records["volume"]))
        for number in reversed(range(len(broken))):
            verdicts[start : start + len(records)][broken[number]] = FIRST_RULE_CODE + number
    _mark_duplicates(table, verdicts)
    return verdicts


def _are_all_sound(prices: FloatArray, volume: FloatArray) -> bool:
    """Whether every row keeps 0 < low <= open, close <= high and has a volume from 0 on, or none.

    A row that does not may still keep the rules, which allow for rounding.
    """
    opened, high, low, closed = prices
    within = (low > 0) & (low <= opened) & (low <= closed) & (opened <= high) & (closed <= high)
    return bool((within & (high < np.inf) & ~((volume < 0) | np.isinf(volume))).all())


def _rule_violations(prices: FloatArray, volume: FloatArray) -> tuple[BoolArray, ...]:
    """Returns the rows (n,) that break each rule about a single row's prices and volume."""
    opened, high, low, closed = prices
    slack = np.maximum(ROUNDING_TOLERANCE, ROUNDING_SHARE * closed)
    missing: BoolArray = np.logical_not(np.isfinite(prices).all(axis=0))
    not_positive: BoolArray = np.any(prices <= 0, axis=0)
    crossed: BoolArray = high < low
    outside: BoolArray = (np.maximum(opened, closed) > high + slack) | (
        np.minimum(opened, closed) < low - slack
    )
    return missing, not_positive, crossed, outside, (volume < 0) | np.isinf(volume)


def _mark_duplicates(table: BarTable, verdicts: IntArray) -> None:
    """Name the rows that share an instrument and session with another sound row."""
    keys, days = table.instrument_id, np.ascontiguousarray(table.records["session"])
    if not ((keys[1:] == keys[:-1]) & (days[1:] == days[:-1])).any():
        return
    sound = np.flatnonzero(verdicts == ACCEPTED_CODE)
    keys, days = keys[sound], days[sound]
    repeats = (keys[1:] == keys[:-1]) & (days[1:] == days[:-1])
    if not repeats.any():
        return
    records = table.records[sound]
    starts = np.concatenate([[True], ~repeats])
    groups = np.cumsum(starts) - 1
    differs = ~_equal_rows(records, records[np.flatnonzero(starts)][groups])
    disputed = np.bincount(groups[differs], minlength=groups[-1] + 1).astype(np.bool_)[groups]
    verdicts[sound[~starts]] = DUPLICATE_CODE
    verdicts[sound[disputed]] = FIRST_RULE_CODE + ROW_RULES.index(QualityRule.DUPLICATE_SESSION)


def _equal_rows(left: RecordArray, right: RecordArray) -> BoolArray:
    prices = np.logical_and.reduce([left[name] == right[name] for name in PRICE_FIELDS])
    both_unknown = np.isnan(left["volume"]) & np.isnan(right["volume"])
    equal: BoolArray = prices & ((left["volume"] == right["volume"]) | both_unknown)
    return equal


def _repaired(records: RecordArray, without_volume: IntArray, *, in_place: bool) -> RecordArray:
    """High and low stretched over open and close, volume unknown where named; copied only where needed."""
    narrow = _narrow_rows(records)
    if not len(narrow) and not len(without_volume):
        return records
    repaired = records if in_place else records.copy()
    opened, closed = repaired["open"][narrow], repaired["close"][narrow]
    repaired["high"][narrow] = np.maximum(repaired["high"][narrow], np.maximum(opened, closed))
    repaired["low"][narrow] = np.minimum(repaired["low"][narrow], np.minimum(opened, closed))
    repaired["volume"][without_volume] = np.nan
    return repaired


def _narrow_rows(records: RecordArray) -> IntArray:
    """(k,): the rows whose open or close lies outside low..high."""
    found = [np.empty(0, np.int64)]
    for start in range(0, len(records), ROWS_PER_BLOCK):
        opened, high, low, closed = (
            np.ascontiguousarray(records[name][start : start + ROWS_PER_BLOCK]) for name in PRICE_FIELDS
        )
        outside = (np.maximum(opened, closed) > high) | (np.minimum(opened, closed) < low)
        found.append(np.flatnonzero(outside) + start)
    return np.concatenate(found)


@dataclass(frozen=True, slots=True, eq=False)
class HistoryComparison:
    """Sessions by what became of them: each ascending, shape (k,)."""

    price_changed: DateArray  # a price differs, by more than rounding unless compared exactly
    volume_changed: DateArray  # prices agree, volume differs
    missing: DateArray  # within the new one's span, but no longer given
    added: DateArray  # within the old one's span, but not stored


def compare_histories(old: BarSeries, new: BarSeries, *, exactly: bool = False) -> HistoryComparison:
    """Compare `new` with `old` on the sessions of `old`; both ascending and checked.

    Prices that were divided since agree but for rounding; `exactly` reports every different price.
    """
    _, in_old, in_new = np.intersect1d(old.sessions, new.sessions, assume_unique=True, return_indices=True)
    left, right = BarSeries(old.symbol, old.records[in_old]), BarSeries(new.symbol, new.records[in_new])
    repriced = _prices_differ(left, right, exactly=exactly)
    revolumed = ~repriced & _volumes_differ(left, right)
    return HistoryComparison(
        left.sessions[repriced],
        left.sessions[revolumed],
        _only_in(old.sessions, new.sessions),
        _only_in(new.sessions, old.sessions),
    )


def restated_sessions(old: BarSeries, new: BarSeries) -> DateArray:
    """The sessions whose final bar the market has changed: one is enough to doubt the whole history."""
    final = BarSeries(old.symbol, old.records[~old.provisional])
    return compare_histories(final, new).price_changed


def _prices_differ(left: BarSeries, right: BarSeries, *, exactly: bool) -> BoolArray:
    tolerance = EXACT_TOLERANCE if exactly else np.maximum(ROUNDING_TOLERANCE, ROUNDING_SHARE * left.close)
    differ: BoolArray = np.logical_or.reduce(
        [np.abs(left.records[name] - right.records[name]) > tolerance for name in PRICE_FIELDS]
    )
    return differ


def _volumes_differ(left: BarSeries, right: BarSeries) -> BoolArray:
    unknown = np.isnan(left.volume)
    differ: BoolArray = (unknown != np.isnan(right.volume)) | (
        np.abs(left.volume - right.volume) > VOLUME_TOLERANCE
    )
    return differ


def _only_in(some: DateArray, others: DateArray) -> DateArray:
    """Returns the dates of `some` within the span of `others` that are not among them."""
    if not len(others):
        return some[:0]
    within = some[(some >= others[0]) & (some <= others[-1])]
    return np.setdiff1d(within, others, assume_unique=True)
