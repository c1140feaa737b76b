"""The market's regime of each session: directions of its indices and breadth of its universe, joined by date.

What a session's regime says depends on that session and earlier ones alone; the breadth of a session is
counted from the symbols' last 253 bars, the McClellan oscillator from the last 252 sessions.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import numpy as np

from vcpd.analysis.breadth import Breadth, BreadthWindow, breadth
from vcpd.analysis.market_direction import index_directions, traded_value, volume_changes
from vcpd.analysis.regime_settings import RegimeSettings
from vcpd.domain.bars import BarSeries, FloatArray
from vcpd.domain.calendar import SESSIONS_PER_YEAR
from vcpd.domain.market_regime import IndexDirection, MarketBreadth, MarketRegime, VolumeSource
from vcpd.domain.panel import Panel

FAST_WEIGHT: Final = 0.10  # of the oscillator's exponential mean over 19 sessions
SLOW_WEIGHT: Final = 0.05  # ... and over 39
OSCILLATOR_SESSIONS: Final = SESSIONS_PER_YEAR
LEAST_OSCILLATOR_SESSIONS: Final = 39  # with fewer there is no slow mean


def market_regimes(  # noqa: PLR0913 - what is asked for, then keywords
    panel: Panel,
    indices: Sequence[BarSeries],
    settings: RegimeSettings,
    *,
    benchmark: str,
    n_sessions: int | None = None,
    earlier: Sequence[MarketBreadth] = (),
    members: Mapping[str, Sequence[str]] | None = None,
) -> list[MarketRegime]:
    """The regime after each of the panel's last `n_sessions` (default: all), oldest first.

    `members` gives the symbols of an index by its symbol, where a list of them is known. `earlier` are the
    breadths of the sessions before, oldest first, for the oscillator.
    """
    n = len(panel.sessions) if n_sessions is None else min(n_sessions, len(panel.sessions))
    sessions = panel.sessions[len(panel.sessions) - n :].tolist()
    if not n:
        return []
    counted = breadth(panel, range(len(panel.symbols)), BreadthWindow(n))
    breadths = market_breadths(counted, earlier)
    directions = {
        series.symbol: directions_by_day(
            panel, series, settings, (members or {}).get(series.symbol, ()), sessions[0]
        )
        for series in indices
    }
    return [
        MarketRegime.of(
            session,
            benchmark,
            {symbol: by_day[session] for symbol, by_day in directions.items() if session in by_day},
            of_session,
        )
        for session, of_session in zip(sessions, breadths, strict=True)
    ]


def directions_by_day(
    panel: Panel,
    series: BarSeries,
    settings: RegimeSettings,
    members: Sequence[str] = (),
    first: date = date.min,
) -> dict[date, IndexDirection]:
    """The index's direction after each of its sessions from `first` up to the panel's last one.

    What the shares traded is summed only where the index has no volume.
    """
    until = series.until(panel.sessions[-1].item())
    sources = [(VolumeSource.INDEX, until.volume)]
    unknown = np.flatnonzero(~(until.volume > 0))
    if len(unknown):
        is_beside = np.zeros(len(until), np.bool_)
        is_beside[np.clip(unknown[:, None] + np.array([-1, 0, 1]), 0, len(until) - 1)] = True
        beside = np.flatnonzero(is_beside)
        own = frozenset(members)
        rows = [row for row, symbol in enumerate(panel.symbols) if symbol in own]
        for source, kept in ((VolumeSource.MEMBERS, rows), (VolumeSource.UNIVERSE, None)):
            traded = np.full(len(until), np.nan)
            traded[beside] = traded_value(panel, until.sessions[beside], kept)
            sources.append((source, traded))
    found = index_directions(until, volume_changes(sources), settings, first)
    return {direction.session: direction for direction in found}


def market_breadths(counted: Breadth, earlier: Sequence[MarketBreadth] = ()) -> list[MarketBreadth]:
    """The breadth of each counted session; None for what no symbol is old enough for."""
    counts = counted.counts
    before = [(of_session.advances, of_session.declines) for of_session in earlier[-OSCILLATOR_SESSIONS:]]
    moves = [*before, *zip(counts["advances"], counts["declines"], strict=True)]
    oscillator = mcclellan(np.array(moves, np.float64).reshape(-1, 2))[len(before) :]
    return [
        MarketBreadth(
            symbols=up + down,
            above_sma50_pct=_percent(counts["above50"][at], counts["known50"][at]),
            above_sma150_pct=_percent(counts["above150"][at], counts["known150"][at]),
            above_sma200_pct=_percent(counts["above200"][at], counts["known200"][at]),
            new_highs=counts["new_highs"][at],
            new_lows=counts["new_lows"][at],
            advances=up,
            declines=down,
            up_value=float(counts["up_value"][at]),
            down_value=float(counts["down_value"][at]),
            mcclellan=oscillator[at],
        )
        for at, (up, down) in enumerate(zip(counts["advances"], counts["declines"], strict=True))
    ]


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole else None


def mcclellan(moves: FloatArray) -> list[float | None]:
    """The ratio-adjusted oscillator of each session of `moves` (n, 2), advances and declines.

    The difference of two exponential means of 1000 (advances - declines) / (advances + declines) over the
    last 252 sessions; sessions on which nothing moved count as 0.
    """
    total = moves.sum(axis=1)
    net = np.divide(1000 * (moves[:, 0] - moves[:, 1]), total, out=np.zeros(len(total)), where=total > 0)
    difference = _exponential_means(net, FAST_WEIGHT) - _exponential_means(net, SLOW_WEIGHT)
    young = LEAST_OSCILLATOR_SESSIONS - 1
    return [None if at < young else round(value, 2) for at, value in enumerate(difference.tolist())]


def _exponential_means(values: FloatArray, weight: float) -> FloatArray:
    """(n,): the weighted mean of the last 252 values at each; fewer at the beginning."""
    if not len(values):
        return values
    weights = (1 - weight) ** np.arange(OSCILLATOR_SESSIONS)
    sums = np.convolve(values, weights)[: len(values)]
    whole = np.cumsum(weights)
    means: FloatArray = sums / whole[np.minimum(np.arange(len(values)), OSCILLATOR_SESSIONS - 1)]
    return means
