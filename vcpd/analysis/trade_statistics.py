"""Statistics of closed trades: expectancy with its interval, share won, streaks, holding time."""

import functools
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from vcpd.analysis.outcomes import INTERVAL_PCT, RESAMPLES, SEED
from vcpd.domain.bars import FloatArray
from vcpd.domain.portfolio import ClosedTrade

MOST_GROUPS: Final = 100  # of similar results, from which draws are made
LEAST_TRADES: Final = 12  # fewer say nothing about how trades differ
PERCENT: Final = 100.0
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


def trade_statistics(trades: Sequence[ClosedTrade]) -> TradeStatistics:
    """The statistics of the given trades, which are ordered by the day of their sale."""
    ordered = sorted(trades, key=lambda trade: (trade.closed, trade.number))
    results = np.array([trade.result_r for trade in ordered if trade.result_r is not None], np.float64)
    won = [trade.profit > 0 for trade in ordered]
    held = [trade.held_days for trade in ordered if trade.held_days is not None]
    low, high = mean_interval(results)
    return TradeStatistics(
        trades=len(ordered),
        with_r=len(results),
        profit=sum(trade.profit for trade in ordered),
        won_pct=PERCENT * sum(won) / len(won) if won else None,
        mean_r=_mean(results),
        median_r=float(np.median(results)) if len(results) else None,
        low_r=low,
        high_r=high,
        mean_won_r=_mean(results[results > 0]),
        mean_lost_r=_mean(results[results <= 0]),
        longest_wins=longest_run(won, wanted=True),
        longest_losses=longest_run(won, wanted=False),
        mean_held_days=sum(held) / len(held) if held else None,
        net_profit=_sum_of_known([trade.net_profit for trade in ordered]),
        net_mean_r=_net_mean_r(ordered),
    )


def _sum_of_known(values: Sequence[float | None]) -> float | None:
    """None where one is not known, and for none at all."""
    known = [value for value in values if value is not None]
    return sum(known) if values and len(known) == len(values) else None


def _net_mean_r(trades: Sequence[ClosedTrade]) -> float | None:
    """Of the trades with a known R; None where the charges of one of them are not known."""
    total = _sum_of_known([trade.net_result_r for trade in trades if trade.result_r is not None])
    count = sum(trade.result_r is not None for trade in trades)
    return None if total is None else total / count


def _mean(values: FloatArray) -> float | None:
    return float(values.mean()) if len(values) else None


def mean_interval(results: FloatArray) -> tuple[float | None, float | None]:
    """The bounds of the mean over trades drawn anew with replacement; None for too few trades.

    Of many trades those with nearly the same result are drawn as that result's group.
    """
    if len(results) < LEAST_TRADES:
        return None, None
    return _drawn_interval(np.sort(results).tobytes())


@functools.lru_cache(maxsize=256)
def _drawn_interval(packed: bytes) -> tuple[float, float]:
    """Of the results (n,) in ascending order: most groups of trades are the same as on the evening before."""
    groups = np.array_split(np.frombuffer(packed), min(len(packed) // 8, MOST_GROUPS))
    sizes, means = np.array([len(part) for part in groups]), np.array([part.mean() for part in groups])
    drawn = np.random.default_rng(SEED).multinomial(sizes.sum(), sizes / sizes.sum(), RESAMPLES)
    edge = (PERCENT - INTERVAL_PCT) / 2
    low, high = np.percentile(drawn @ means / sizes.sum(), (edge, PERCENT - edge))
    return float(low), float(high)


def longest_run(won: Iterable[bool], *, wanted: bool) -> int:
    """The most trades in a row with the wanted end."""
    return max((len(list(run)) for end, run in itertools.groupby(won) if end is wanted), default=0)


def group_trades(
    trades: Iterable[ClosedTrade], name_of: Callable[[ClosedTrade], str]
) -> Mapping[str, TradeStatistics]:
    """The statistics of each group, by name."""
    groups: dict[str, list[ClosedTrade]] = defaultdict(list)
    for trade in trades:
        groups[name_of(trade)].append(trade)
    return {name: trade_statistics(groups[name]) for name in sorted(groups)}


def holding_time(trade: ClosedTrade) -> str:
    """The class of holding time that a trade falls in."""
    days = trade.held_days
    if days is None:
        return "unknown"
    return next((name for longest, name in HOLDING_TIMES if days <= longest), "over 60 days")


def tax_class(trade: ClosedTrade) -> str:
    """`short-term`, `long-term`, or `unknown` where the day of the purchase is."""
    return {None: "unknown", False: "short-term", True: "long-term"}[trade.is_long_term]
