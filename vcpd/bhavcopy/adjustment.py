"""A raw history brought to today's number of shares: prices before a split or bonus scaled down, volume up.

Nothing is rounded, so a day's traded value stays what it was.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import log
from typing import Final

import numpy as np

from vcpd.bhavcopy.actions import CorporateAction
from vcpd.domain.arrays import FloatArray
from vcpd.domain.bars import PRICE_FIELDS, BarSeries

DECISIVE_FACTOR: Final = 2 / 3  # a step of this size cannot be one session's ordinary move


@dataclass(frozen=True, slots=True, eq=False)
class Adjusted:
    """The adjusted bars, and the listed actions that the prices contradict: those were not applied."""

    series: BarSeries
    contradicted: tuple[CorporateAction, ...] = ()


def adjust(series: BarSeries, actions: Sequence[CorporateAction], as_of: date) -> Adjusted:
    """Back-adjust for the actions whose ex-date has come by `as_of`.

    A list can name the wrong share or date. Where an action would move the price by a third or more, and
    the price at its ex-date stepped nearer to nothing than to that, the action is not applied.
    """
    factors = _by_date(action for action in actions if action.ex_date <= as_of)
    believed = {day: factor for day, factor in factors.items() if _is_believable(series, day, factor)}
    doubted = tuple(one for one in actions if one.ex_date in factors and one.ex_date not in believed)
    return Adjusted(_scaled(series, believed) if believed else series, doubted)


def multipliers(series: BarSeries, factors: Mapping[date, float]) -> FloatArray:
    """(n,): the product of the factors whose ex-date lies after each bar."""
    days = sorted(factors)
    steps = np.array([1.0, *(factors[day] for day in reversed(days))], np.float64)
    products: FloatArray = np.multiply.accumulate(steps)[::-1]
    following = np.searchsorted(np.array(days, "M8[D]"), series.sessions, side="right")
    return np.asarray(products[following], np.float64)


def _by_date(actions: Iterable[CorporateAction]) -> dict[date, float]:
    factors: dict[date, float] = {}
    for action in actions:
        factors[action.ex_date] = factors.get(action.ex_date, 1.0) * action.factor
    return factors


def _scaled(series: BarSeries, factors: Mapping[date, float]) -> BarSeries:
    records = series.records.copy()
    scale = multipliers(series, factors)
    for name in PRICE_FIELDS:
        records[name] *= scale
    records["volume"] /= scale
    return BarSeries(series.symbol, records)


def _is_believable(series: BarSeries, ex_date: date, factor: float) -> bool:
    """Whether the prices around `ex_date` let the action be; they do when they cannot tell."""
    if DECISIVE_FACTOR < factor < 1 / DECISIVE_FACTOR:
        return True
    at = int(np.searchsorted(series.sessions, np.datetime64(ex_date, "D")))
    if not 0 < at < len(series):
        return True
    before, after = float(series.close[at - 1]), float(series.open[at])
    if not (before > 0 and after > 0):
        return True
    step = log(after / before)
    return abs(step - log(factor)) < abs(step)
