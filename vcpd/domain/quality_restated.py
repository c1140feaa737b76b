"""Comparing a stored history with what the market says of it now."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from vcpd.domain.arrays import BoolArray, DateArray
from vcpd.domain.bars import PRICE_FIELDS, BarSeries
from vcpd.domain.quality_rules import ROUNDING, ROUNDING_SHARE

VOLUME_TOLERANCE: Final = 0.5  # shares: volumes are whole
EXACT: Final = 0.001  # rupees: below a tenth of a paisa there is no price


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Sessions by what became of them: each ascending, shape (k,)."""

    repriced: DateArray  # a price differs, by more than rounding unless compared exactly
    revolumed: DateArray  # prices agree, volume differs
    missing: DateArray  # within the new one's span, but no longer given
    added: DateArray  # within the old one's span, but not stored


def compare(old: BarSeries, new: BarSeries, *, exactly: bool = False) -> Comparison:
    """What `new` says of the sessions of `old`; both ascending and checked.

    Prices that were divided since agree but for rounding; `exactly` tells every other price.
    """
    _, in_old, in_new = np.intersect1d(old.sessions, new.sessions, assume_unique=True, return_indices=True)
    left, right = BarSeries(old.symbol, old.records[in_old]), BarSeries(new.symbol, new.records[in_new])
    repriced = _prices_differ(left, right, exactly=exactly)
    revolumed = ~repriced & _volumes_differ(left, right)
    return Comparison(
        left.sessions[repriced],
        left.sessions[revolumed],
        _only_in(old.sessions, new.sessions),
        _only_in(new.sessions, old.sessions),
    )


def restated_sessions(old: BarSeries, new: BarSeries) -> DateArray:
    """The sessions whose final bar the market has changed: one is enough to doubt the whole history."""
    final = BarSeries(old.symbol, old.records[~old.provisional])
    return compare(final, new).repriced


def is_restated(old: BarSeries, new: BarSeries) -> bool:
    """Whether any final bar of `old` has another price in `new`."""
    return bool(len(restated_sessions(old, new)))


def _prices_differ(left: BarSeries, right: BarSeries, *, exactly: bool) -> BoolArray:
    tolerance = EXACT if exactly else np.maximum(ROUNDING, ROUNDING_SHARE * left.close)
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
    """Those of `some` that lie within the span of `others` without being among them."""
    if not len(others):
        return some[:0]
    within = some[(some >= others[0]) & (some <= others[-1])]
    return np.setdiff1d(within, others, assume_unique=True)
