"""Sectors of the market: ranked by relative strength and breadth, with the quadrant each stands in.

A sector's line is the mean daily return of its symbols, chained, over that of the whole universe. Its
relative strength is that line against its mean of 126 sessions, its momentum that strength against its own
mean of 21: above 100 is stronger, or rising. Means over fixed spans give the same wherever a history begins.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from vcpd.analysis.packed_bars import PackedBars, row_averages, rows_per_block, split_block
from vcpd.analysis.regime_settings import RegimeSettings
from vcpd.analysis.strength import cached_ratings
from vcpd.analysis.thresholds import TIE_TOLERANCE
from vcpd.domain.bars import FloatArray, IntArray
from vcpd.domain.market_regime import Quadrant, SectorRank
from vcpd.domain.panel import Panel

STRENGTH_SESSIONS: Final = 126
MOMENTUM_SESSIONS: Final = 21
AVERAGE_SESSIONS: Final = 50
LEADERS: Final = 3
MAX_DAILY_RETURN: Final = 0.25  # a larger move is more often a share that was split than a sector that rose
SESSIONS_BEFORE: Final = STRENGTH_SESSIONS + MOMENTUM_SESSIONS


_RatedMembers: TypeAlias = tuple[FloatArray, FloatArray, list[list[int]]]


class _SectorSums(NamedTuple):
    """By sector, the last row the whole universe.

    Summed returns and their counts are (k, m), of all sessions that decide; symbols above SMA 50 and those
    that have one (k, n), of the sessions asked for.
    """

    returns: FloatArray
    moved: FloatArray
    above: FloatArray
    known: FloatArray

    @classmethod
    def empty(cls, n_sectors: int, width: int, n_sessions: int) -> "_SectorSums":
        return cls(*(np.zeros((n_sectors + 1, m)) for m in (width, width, n_sessions, n_sessions)))


class _SectorTable(NamedTuple):
    """Numbers by sector and session (k, n)."""

    strength: FloatArray
    momentum: FloatArray
    above_pct: FloatArray
    ratings: FloatArray
    rated: FloatArray
    score: FloatArray  # mean of rating and share above the average; NaN where there is no rank


class _SectorNames(NamedTuple):
    """Names of sectors and symbols, and by sector and session the rows of its leaders."""

    sectors: Sequence[str]
    symbols: Sequence[str]
    leaders: Sequence[Sequence[Sequence[int]]]


def sector_ranks(
    panel: Panel,
    sectors: Mapping[str, str],
    settings: RegimeSettings,
    *,
    n_sessions: int | None = None,
    least_rated: int = 20,
) -> list[list[SectorRank]]:
    """The sectors after each of the panel's last `n_sessions` (default: all), the strongest first.

    `sectors` gives the sector by symbol; symbols without one count for the universe alone. With fewer than
    `least_rated` symbols in the universe no symbol has a rating, and no sector a rank.
    """
    n = len(panel.sessions) if n_sessions is None else min(n_sessions, len(panel.sessions))
    members = _members(panel, sectors)
    if not members or not n:
        return [[] for _ in range(n)]
    ratings = cached_ratings(panel, least_rated).since(np.asarray(panel.close), len(panel.sessions) - n)
    medians = [_rated_members(ratings[:, rows], rows) for rows in members.values()]
    table = _sector_table(_sector_sums(panel, members, n), n, medians, settings.min_sector_symbols)
    names = _SectorNames(list(members), panel.symbols, [leaders for _, _, leaders in medians])
    sessions = panel.sessions[len(panel.sessions) - n :].tolist()
    return [_rank_session(table, at, names, session) for at, session in enumerate(sessions)]


def _members(panel: Panel, sectors: Mapping[str, str]) -> dict[str, IntArray]:
    """The rows of each sector, by name in order."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, symbol in enumerate(panel.symbols):
        sector = sectors.get(symbol)
        if sector and symbol not in panel.exclusions:
            rows[sector].append(row)
    return {sector: np.array(rows[sector]) for sector in sorted(rows)}


def _rated_members(ratings: FloatArray, rows: IntArray) -> _RatedMembers:
    """By session: the median rating of a sector's symbols, how many have one, the rows of the leaders."""
    order = np.argsort(-ratings, axis=1, kind="stable")  # unknown ones last
    ordered = np.take_along_axis(ratings, order, axis=1)
    count = (~np.isnan(ratings)).sum(axis=1)
    at = np.arange(len(ratings))
    high, low = (
        ordered[at, np.maximum(count - 1, 0) // 2],
        ordered[at, np.maximum(count, 1) // 2 * (count > 1)],
    )
    leaders = [rows[own[: min(LEADERS, k)]].tolist() for own, k in zip(order, count.tolist(), strict=True)]
    return np.where(count > 0, (high + low) / 2, np.nan), count.astype(np.float64), leaders


def _sector_sums(panel: Panel, members: Mapping[str, IntArray], n: int) -> _SectorSums:
    """Over the last n sessions and those before that decide them."""
    m = len(panel.sessions)
    width = min(n + SESSIONS_BEFORE, m)
    groups = np.zeros((len(members) + 1, len(panel.symbols)))
    for number, rows in enumerate(members.values()):
        groups[number, rows] = 1
    groups[-1] = [symbol not in panel.exclusions for symbol in panel.symbols]
    sums = _SectorSums.empty(len(members), width, n)
    kept = np.flatnonzero(groups[-1])
    size = rows_per_block(width + AVERAGE_SESSIONS)
    for start in range(0, len(kept), size):
        block = kept[start : start + size]
        for rows, first in split_block(panel, block, m - width, AVERAGE_SESSIONS):
            _add_block(np.asarray(panel.close[rows, first:]), groups[:, rows], sums)
    return sums


def _add_block(raw: FloatArray, groups: FloatArray, sums: _SectorSums) -> None:
    packed, width, n = PackedBars.of(raw), sums.returns.shape[1], sums.above.shape[1]
    close = packed.pack(raw)
    change = np.full(raw.shape, np.nan)
    change[:, 1:] = close[:, 1:] / close[:, :-1] - 1
    average = row_averages(close, AVERAGE_SESSIONS, n)
    above = np.where(np.isnan(average), np.nan, close[:, -n:] > average * (1 + TIE_TOLERANCE))
    clipped = np.clip(change[:, -width:], -MAX_DAILY_RETURN, MAX_DAILY_RETURN)
    for values, total, known in ((clipped, sums.returns, sums.moved), (above, sums.above, sums.known)):
        spread = packed.tail(total.shape[1]).spread(values)
        unknown = np.isnan(spread)
        np.add(total, groups @ np.where(unknown, 0.0, spread), out=total)
        np.add(known, groups @ (~unknown).astype(np.float64), out=known)


def _sector_table(sums: _SectorSums, n: int, medians: Sequence[_RatedMembers], least: int) -> _SectorTable:
    daily = np.divide(sums.returns, sums.moved, out=np.zeros_like(sums.returns), where=sums.moved > 0)
    lines = np.cumsum(np.log1p(daily), axis=1)
    line = np.exp(lines[:-1] - lines[-1])
    line[np.cumsum(sums.moved[:-1], axis=1) == 0] = np.nan  # before the sector's first return
    strength = 100 * line / row_averages(line, STRENGTH_SESSIONS, line.shape[1])
    momentum = 100 * strength / row_averages(strength, MOMENTUM_SESSIONS, line.shape[1])
    above = np.divide(
        100 * sums.above, sums.known, out=np.full_like(sums.above, np.nan), where=sums.known > 0
    )
    ratings = np.stack([median for median, _, _ in medians])
    rated = np.stack([count for _, count, _ in medians])
    shares = above[:-1]
    score = np.where(rated >= least, (ratings + shares) / 2, np.nan)
    return _SectorTable(strength[:, -n:], momentum[:, -n:], shares, ratings, rated, score)


def _rank_session(table: _SectorTable, at: int, names: _SectorNames, session: date) -> list[SectorRank]:
    """The strongest first, those without a rank last; equal ones in the order of their names."""
    score = table.score[:, at].tolist()
    order = sorted(range(len(score)), key=lambda k: (math.isnan(score[k]), -score[k]))
    ratings, above = table.ratings[:, at].tolist(), table.above_pct[:, at].tolist()
    strength, momentum = table.strength[:, at].tolist(), table.momentum[:, at].tolist()
    return [
        SectorRank(
            session=session,
            sector=names.sectors[k],
            rank=None if math.isnan(score[k]) else place,
            n_symbols=int(table.rated[k, at]),
            rs_rating=_known(ratings[k]),
            above_sma50_pct=_known(above[k]),
            relative_strength=_known(strength[k]),
            momentum=_known(momentum[k]),
            quadrant=quadrant(strength[k], momentum[k]),
            leaders=tuple(names.symbols[row] for row in names.leaders[k][at]),
        )
        for place, k in enumerate(order, start=1)
    ]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 2)


def quadrant(strength: float, momentum: float) -> Quadrant | None:
    """Where relative strength and momentum place a sector; None where either is unknown (NaN)."""
    if math.isnan(strength + momentum):
        return None
    if strength >= 100:
        return Quadrant.LEADING if momentum >= 100 else Quadrant.WEAKENING
    return Quadrant.IMPROVING if momentum >= 100 else Quadrant.LAGGING
