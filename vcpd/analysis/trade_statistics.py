"""Statistics of closed trades: expectancy with its interval, share won, streaks, holding time."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist
from typing import Final

import msgspec
import numpy as np

from vcpd.analysis.month_intervals import RESAMPLES, SEED
from vcpd.analysis.outcomes import INTERVAL_PCT
from vcpd.domain.bars import BoolArray, FloatArray, IntArray
from vcpd.domain.portfolio import ClosedTrade

MOST_DRAWN: Final = 100  # trades; of more the bounds are computed
LEAST_TRADES: Final = 12  # fewer say nothing about how trades differ
PERCENT: Final = 100.0
IntervalOf = Callable[[FloatArray], tuple[float | None, float | None]]
LONG_TERM_AFTER_DAYS: Final = 365  # listed shares held for longer are long-term for the Indian income tax
HOLDING_TIMES: Final = ((5, "up to 5 days"), (20, "6 to 20 days"), (60, "21 to 60 days"))


class TradeStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What closed trades amount to; R of those whose initial risk is known, None where there are none.

    `low_r` and `high_r` bound the mean with 95 % confidence, by drawing whole trades anew. Net values
    are after charges; None where those of a trade are not known.
    """

    trades: int
    with_r: int
    profit: float
    won_pct: float | None
    mean_r: float | None
    median_r: float | None
    low_r: float | None
    high_r: float | None
    mean_won_r: float | None
    mean_lost_r: float | None
    longest_wins: int
    longest_losses: int
    mean_held_days: float | None
    net_profit: float | None = None
    net_mean_r: float | None = None


class TradeColumns:
    """Figures of n closed trades as columns (n,), NaN where unknown; computed once for all groups.

    The same arithmetic as that of `ClosedTrade`, for all trades at once.
    """

    def __init__(self, trades: Sequence[ClosedTrade], interval_of: IntervalOf | None = None) -> None:
        """`interval_of` gives the bounds of the mean of results (n,); by default they are drawn."""
        self._interval_of = mean_interval if interval_of is None else interval_of
        quantity, entry, exit_, stop, charges, self.held_days, closed, number = _columns(trades)
        self._order = np.lexsort((number, closed))  # (n,): the trades by their sales
        risk = np.where(stop < entry, entry - stop, math.nan)
        self.profit = quantity * (exit_ - entry)
        self.result_r = (exit_ - entry) / risk
        self.net_profit = self.profit - charges
        self.net_result_r = self.net_profit / (quantity * risk)

    def statistics(self) -> TradeStatistics:
        """Computes the statistics of all trades."""
        return self._statistics(self._order)

    def by(self, names: Sequence[str]) -> Mapping[str, TradeStatistics]:
        """Computes the statistics of each group by its name; `names` (n,) gives each trade's group."""
        groups: dict[str, list[int]] = defaultdict(list)
        for at in self._order.tolist():
            groups[names[at]].append(at)
        return {name: self._statistics(np.array(groups[name])) for name in sorted(groups)}

    def _statistics(self, at: IntArray) -> TradeStatistics:
        """Computes the statistics of the trades at the indices `at` (m,), in the order of their sales."""
        profit, results = self.profit[at], _known(self.result_r[at])
        won, held = profit > 0, _known(self.held_days[at])
        low, high = self._interval_of(results)
        return TradeStatistics(
            trades=len(at),
            with_r=len(results),
            profit=float(profit.sum()),
            won_pct=_mean(np.where(won, PERCENT, 0.0)),
            mean_r=_mean(results),
            median_r=_median(results),
            low_r=low,
            high_r=high,
            mean_won_r=_mean(results[results > 0]),
            mean_lost_r=_mean(results[results <= 0]),
            longest_wins=longest_run(won),
            longest_losses=longest_run(~won),
            mean_held_days=_mean(held),
            net_profit=_number(self.net_profit[at].sum()) if len(at) else None,
            net_mean_r=_number(self.net_result_r[at][~np.isnan(self.result_r[at])].mean())
            if len(results)
            else None,
        )


def _columns(trades: Sequence[ClosedTrade]) -> FloatArray:
    """(8, n): shares, entry, exit, stop, charges, days held, day of sale, number; NaN where unknown."""
    rows = []
    for trade in trades:
        closed = trade.closed.toordinal()
        held = None if trade.opened is None else closed - trade.opened.toordinal()
        prices = (trade.quantity, trade.entry, trade.exit, trade.stop)
        rows.append((*prices, trade.charges, held, closed, trade.number))
    return np.array(rows, np.float64).reshape(-1, 8).T


def _known(values: FloatArray) -> FloatArray:
    return values[~np.isnan(values)]


def _number(value: float) -> float | None:
    """Returns None for a value of which a part is unknown."""
    return None if math.isnan(value) else float(value)


def _mean(values: FloatArray) -> float | None:
    return float(values.sum() / len(values)) if len(values) else None


def _median(values: FloatArray) -> float | None:
    """The same as `numpy.median` gives, which takes ten times as long for a few hundred values."""
    if not len(values):
        return None
    above = len(values) // 2
    below = above if len(values) % 2 else above - 1
    parted = np.partition(values, (below, above))
    return float((parted[below] + parted[above]) / 2)


def mean_interval(results: FloatArray) -> tuple[float | None, float | None]:
    """The bounds of the mean over trades drawn anew with replacement; None for too few trades.

    Of many trades the percentiles of the draws are computed, for drawing takes long: by the expansion of
    Cornish and Fisher with the first correction for skewness (Hall, The Bootstrap and Edgeworth Expansion,
    1992, section 3.6), to within 3 % of the interval's width.
    """
    if len(results) < LEAST_TRADES:
        return None, None
    return _drawn_interval(results) if len(results) <= MOST_DRAWN else _computed_interval(results)


def _drawn_interval(results: FloatArray) -> tuple[float, float]:
    count = len(results)
    drawn = np.random.default_rng(SEED).integers(0, count, (RESAMPLES, count))
    edge = (PERCENT - INTERVAL_PCT) / 2
    low, high = np.percentile(results[drawn].sum(axis=1) / count, (edge, PERCENT - edge))
    return float(low), float(high)


def _computed_interval(results: FloatArray) -> tuple[float, float]:
    deviations = results - results.mean()
    spread = float(np.sqrt(np.mean(deviations**2)))
    if spread == 0:
        return float(results[0]), float(results[0])
    skewness = float(np.mean(deviations**3)) / spread**3
    quantile = NormalDist().inv_cdf((PERCENT + INTERVAL_PCT) / 2 / PERCENT)
    centre = results.mean() + spread * skewness * (quantile**2 - 1) / (6 * len(results))
    half = quantile * spread / math.sqrt(len(results))
    return float(centre - half), float(centre + half)


def longest_run(wanted: BoolArray) -> int:
    """How many values (n,) in a row are true at most."""
    changes = np.flatnonzero(np.diff(wanted, prepend=False, append=False))
    return int((changes[1::2] - changes[::2]).max(initial=0))


def holding_times(held_days: FloatArray) -> list[str]:
    """Returns the class of holding time of each trade, by days (n,), NaN where not known."""
    names = [*(name for _, name in HOLDING_TIMES), "over 60 days", "unknown"]
    places = np.searchsorted([longest for longest, _ in HOLDING_TIMES], held_days)
    places[np.isnan(held_days)] = len(names) - 1
    return [names[place] for place in places.tolist()]


def tax_classes(held_days: FloatArray) -> list[str]:
    """Returns `short-term`, `long-term`, or `unknown` of each trade, by days (n,), NaN where not known."""
    names = np.where(held_days > LONG_TERM_AFTER_DAYS, "long-term", "short-term")
    found: list[str] = np.where(np.isnan(held_days), "unknown", names).tolist()
    return found
