"""Sectors and industries, ranked by relative strength and breadth, with the quadrant each stands in.

A sector's line is the mean daily return of its symbols, chained, over that of the whole universe. Its
relative strength is that line against its mean of 126 sessions, its momentum that strength against its own
mean of 21: above 100 is stronger, or rising. Means over fixed spans give the same wherever a history begins.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from vcpd.analysis.packed_bars import PackedBars, row_averages, rows_per_block, split_block
from vcpd.analysis.regime_settings import RegimeSettings
from vcpd.analysis.strength import cached_ratings
from vcpd.analysis.thresholds import TIE_TOLERANCE
from vcpd.domain.bars import FloatArray, IntArray
from vcpd.domain.market_regime import Quadrant, SectorLevel, SectorRank
from vcpd.domain.panel import Panel

STRENGTH_SESSIONS: Final = 126
MOMENTUM_SESSIONS: Final = 21
AVERAGE_SESSIONS: Final = 50
LEADERS: Final = 3
MAX_DAILY_RETURN: Final = 0.25  # a larger move is more often a share that was split than a sector that rose
SESSIONS_BEFORE: Final = STRENGTH_SESSIONS + MOMENTUM_SESSIONS


_RatedMembers: TypeAlias = tuple[FloatArray, FloatArray, list[tuple[str, ...]]]


class _SectorSums(NamedTuple):
    """Sums by sector; the last row is the whole universe.

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


class _GroupPlaces(NamedTuple):
    """Symbols of a block ordered by their groups: where each group begins, and its number."""

    order: IntArray
    first: IntArray
    groups: IntArray


class _SectorTable(NamedTuple):
    """Numbers by session and sector; what is shown is rounded, None where it is unknown."""

    score: Sequence[Sequence[float]]  # mean of rating and share above the average; NaN: no rank
    rated: Sequence[Sequence[int]]
    ratings: Sequence[Sequence[float | None]]
    above_pct: Sequence[Sequence[float | None]]
    strength: Sequence[Sequence[float | None]]
    momentum: Sequence[Sequence[float | None]]
    quadrants: Sequence[Sequence[Quadrant | None]]
    leaders: Sequence[Sequence[tuple[str, ...]]]  # by sector and session: symbols


class _Group(NamedTuple):
    """A sector or an industry: its name, the sector of an industry, and the rows of its symbols."""

    level: SectorLevel
    name: str
    parent: str | None
    rows: IntArray


def sector_ranks(  # noqa: PLR0913 - what is asked for, then keywords
    panel: Panel,
    sectors: Mapping[str, str],
    settings: RegimeSettings,
    *,
    n_sessions: int | None = None,
    least_rated: int = 20,
    industries: Mapping[str, str] = MappingProxyType({}),
) -> list[list[SectorRank]]:
    """The sectors after each of the panel's last `n_sessions` (default: all), then the industries.

    The strongest of each level first. `sectors` and `industries` give both by symbol; symbols without count
    for the universe alone. With fewer than `least_rated` symbols in the universe no symbol has a rating, and
    no sector a rank.
    """
    n = len(panel.sessions) if n_sessions is None else min(n_sessions, len(panel.sessions))
    groups = [*_groups(panel, SectorLevel.SECTOR, sectors)]
    n_sectors = len(groups)
    groups += _groups(panel, SectorLevel.INDUSTRY, industries, sectors)
    if not groups or not n:
        return [[] for _ in range(n)]
    ratings = cached_ratings(panel, least_rated).since(np.asarray(panel.close), len(panel.sessions) - n)
    medians = [_rated_members(ratings[:, group.rows], group.rows, panel.symbols) for group in groups]
    table = _sector_table(_sector_sums(panel, groups, n), n, medians, settings.min_sector_symbols)
    sessions = panel.sessions[len(panel.sessions) - n :].tolist()
    levels = range(n_sectors), range(n_sectors, len(groups))
    return [
        [entry for level in levels for entry in _rank_session(table, at, groups, level, session)]
        for at, session in enumerate(sessions)
    ]


def _groups(
    panel: Panel,
    level: SectorLevel,
    names: Mapping[str, str],
    parents: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[_Group]:
    """The groups in the order of their names; the parent is that of most of the symbols."""
    rows: dict[str, list[int]] = defaultdict(list)
    known: dict[str, Counter[str]] = defaultdict(Counter)
    for row, symbol in enumerate(panel.symbols):
        name = names.get(symbol)
        if name and symbol not in panel.exclusions:
            rows[name].append(row)
            known[name][parents.get(symbol, "")] += 1
    for name in sorted(rows):
        parent = min(known[name], key=lambda sector: (-known[name][sector], sector))
        yield _Group(level, name, parent or None, np.array(rows[name]))


def _rated_members(ratings: FloatArray, rows: IntArray, symbols: Sequence[str]) -> _RatedMembers:
    """Returns by session the median rating of a sector's symbols, their number, and the leaders."""
    order = np.argsort(-ratings, axis=1, kind="stable")  # unknown ones last
    at = np.arange(len(ratings))
    ordered = ratings[at[:, None], order]
    count = (~np.isnan(ratings)).sum(axis=1)
    high, low = (
        ordered[at, np.maximum(count - 1, 0) // 2],
        ordered[at, np.maximum(count, 1) // 2 * (count > 1)],
    )
    leaders = [
        tuple(symbols[row] for row in rows[own[: min(LEADERS, k)]].tolist())
        for own, k in zip(order, count.tolist(), strict=True)
    ]
    return np.where(count > 0, (high + low) / 2, np.nan), count.astype(np.float64), leaders


def _sector_sums(panel: Panel, groups: Sequence[_Group], n: int) -> _SectorSums:
    """Over the last n sessions and those before that decide them."""
    m = len(panel.sessions)
    width = min(n + SESSIONS_BEFORE, m)
    numbers = np.full((len(SectorLevel), len(panel.symbols)), -1)
    levels = list(SectorLevel)
    for number, group in enumerate(groups):
        numbers[levels.index(group.level), group.rows] = number
    sums = _SectorSums.empty(len(groups), width, n)
    kept = np.array([row for row, symbol in enumerate(panel.symbols) if symbol not in panel.exclusions])
    size = rows_per_block(width + AVERAGE_SESSIONS)
    for start in range(0, len(kept), size):
        block = kept[start : start + size]
        for rows, first in split_block(panel, block, m - width, AVERAGE_SESSIONS):
            _add_block(np.asarray(panel.close[rows, first:]), numbers[:, rows], sums)
    return sums


def _add_block(raw: FloatArray, numbers: IntArray, sums: _SectorSums) -> None:
    packed, places = PackedBars.of(raw), _places_of(numbers)
    width, n = sums.returns.shape[1], sums.above.shape[1]
    close = packed.pack(raw)
    change = np.full(raw.shape, np.nan)
    change[:, 1:] = close[:, 1:] / close[:, :-1] - 1
    average = row_averages(close, AVERAGE_SESSIONS, n)
    above = np.where(np.isnan(average), np.nan, close[:, -n:] > average * (1 + TIE_TOLERANCE))
    clipped = np.clip(change[:, -width:], -MAX_DAILY_RETURN, MAX_DAILY_RETURN)
    for values, total, known in ((clipped, sums.returns, sums.moved), (above, sums.above, sums.known)):
        spread = packed.tail(total.shape[1]).spread(values)
        unknown = np.isnan(spread)
        counted = np.ones((len(spread), 1))
        if unknown.any():
            spread, counted = np.where(unknown, 0.0, spread), (~unknown).astype(np.float64)
        _add_by_group(total, spread, places)
        _add_by_group(known, counted, places)


def _places_of(numbers: IntArray) -> list[_GroupPlaces]:
    """Returns for each level the symbols that have a number, ordered by it."""
    places = []
    for own in numbers:
        order = np.argsort(own, kind="stable")[np.count_nonzero(own < 0) :]
        first = np.flatnonzero(np.diff(own[order], prepend=-1))
        places.append(_GroupPlaces(order, first, own[order][first]))
    return places


def _add_by_group(total: FloatArray, values: FloatArray, places: Sequence[_GroupPlaces]) -> None:
    """Add `values` (r, m) or (r, 1) to the rows of `total` (k + 1, m) of their groups, all to the last."""
    total[-1] += values.sum(axis=0)
    for level in places:
        if len(level.order):
            total[level.groups] += np.add.reduceat(values[level.order], level.first, axis=0)


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
    strength, momentum = strength[:, -n:], momentum[:, -n:]
    return _SectorTable(
        score.T.tolist(),
        rated.T.astype(np.int64).tolist(),
        _rounded(ratings),
        _rounded(shares),
        _rounded(strength),
        _rounded(momentum),
        [
            list(map(quadrant, *of_session))
            for of_session in zip(strength.T.tolist(), momentum.T.tolist(), strict=True)
        ],
        [of_group for _, _, of_group in medians],
    )


def _rounded(values: FloatArray) -> list[list[float | None]]:
    """The values (k, n) by session, on two decimals; None is unknown."""
    return [
        [None if math.isnan(value) else value for value in of_session]
        for of_session in np.round(values.T, 2).tolist()
    ]


def _rank_session(
    table: _SectorTable, at: int, groups: Sequence[_Group], level: range, session: date
) -> list[SectorRank]:
    """Ranks the sectors of a level, the strongest first, those without a rank last, equal ones by name."""
    score = table.score[at]
    order = sorted(level, key=lambda k: (math.isnan(score[k]), -score[k]))
    return [
        SectorRank(
            session=session,
            sector=groups[k].name,
            level=groups[k].level,
            parent=groups[k].parent,
            rank=None if math.isnan(score[k]) else place,
            n_symbols=table.rated[at][k],
            rs_rating=table.ratings[at][k],
            above_sma50_pct=table.above_pct[at][k],
            relative_strength=table.strength[at][k],
            momentum=table.momentum[at][k],
            quadrant=table.quadrants[at][k],
            leaders=table.leaders[k][at],
        )
        for place, k in enumerate(order, start=1)
    ]


def quadrant(strength: float, momentum: float) -> Quadrant | None:
    """Where relative strength and momentum place a sector; None where either is unknown (NaN)."""
    if math.isnan(strength + momentum):
        return None
    if strength >= 100:
        return Quadrant.LEADING if momentum >= 100 else Quadrant.WEAKENING
    return Quadrant.IMPROVING if momentum >= 100 else Quadrant.LAGGING
