"""Clusters of correlated candidates, and the effective number of independent bets."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated, ClassVar

import msgspec
import numpy as np

from vcpd.domain.bars import BoolArray, FloatArray, IntArray
from vcpd.domain.panel import Panel


class CrowdingParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Parameters by which candidates count as one correlated bet."""

    reloadable: ClassVar[bool] = True

    correlation: Annotated[
        float,
        msgspec.Meta(gt=0, lt=1, description="clusters join while their mean correlation is at least this"),
    ] = 0.6
    sessions: Annotated[
        int, msgspec.Meta(ge=20, le=2000, description="daily returns that the correlation looks at")
    ] = 126
    minimum_sessions: Annotated[
        int,
        msgspec.Meta(ge=10, le=2000, description="with fewer common returns a pair's correlation is unknown"),
    ] = 60


class CrowdingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The symbols to compare, and the session (None: the panel's last)."""

    symbols: tuple[str, ...]
    as_of: date | None = None
    parameters: CrowdingParameters = CrowdingParameters()
    sectors: Mapping[str, str] = {}  # where they are known


class CorrelatedPair(msgspec.Struct, frozen=True):
    """Two members and how alike they moved; `correlation` None where too few sessions are common."""

    first: str
    second: str
    correlation: float | None
    sessions: int


class Cluster(msgspec.Struct, frozen=True):
    """Candidates that are one bet; a candidate alone is a cluster of one, without pairs."""

    members: tuple[str, ...]
    mean_correlation: float | None
    pairs: tuple[CorrelatedPair, ...]


class SectorGroup(msgspec.Struct, frozen=True):
    """Candidates of one sector, whether they move together or not; two at least."""

    sector: str
    members: tuple[str, ...]
    mean_correlation: float | None


class Crowding(msgspec.Struct, frozen=True):
    """Clusters and sectors, largest first; `effective_bets` counts candidates as if they were independent.

    `unknown` names candidates without enough returns to be compared with anybody.
    """

    clusters: tuple[Cluster, ...]
    unknown: tuple[str, ...]
    effective_bets: float
    sectors: tuple[SectorGroup, ...] = ()


def find_clusters(panel: Panel, rows: range, parameters: CrowdingRequest) -> Crowding:
    """Clusters of the candidates, a panel task: all are compared, and a cluster is given with the rows
    that hold its first member, so that cutting `rows` into chunks gives each cluster once.

    Average linkage on Pearson's correlation of daily simple returns of final bars over the sessions that
    both have. Effective bets = n^2 / sum of squared correlations (the participation ratio of their matrix).
    """
    own = np.array(sorted({panel.row_of(symbol) for symbol in parameters.symbols}), np.int64)
    settings = parameters.parameters
    correlation, common = correlations(_returns(panel, own, parameters.as_of, settings.sessions))
    correlation[common < settings.minimum_sessions] = np.nan
    known = _has_known_correlation(correlation)
    groups = [[member] for member in np.flatnonzero(~known).tolist()]
    groups += _average_linkage(correlation, np.flatnonzero(known).tolist(), settings.correlation)
    groups = [group for group in groups if own[group[0]] in rows]
    groups.sort(key=lambda group: (-len(group), group))
    names = [panel.symbols[row] for row in own.tolist()]
    return Crowding(
        tuple(_cluster(group, names, correlation, common) for group in groups),
        tuple(names[at] for at in np.flatnonzero(~known) if own[at] in rows),
        _effective_bets(correlation),
        tuple(
            _sector(name, members, names, correlation)
            for name, members in _by_sector(names, parameters.sectors)
            if own[members[0]] in rows
        ),
    )


def effective_bets(
    panel: Panel, symbols: Iterable[str], as_of: date | None, parameters: CrowdingParameters
) -> float:
    """The effective number of independent bets of the symbols, as in `Crowding`.

    A symbol that the panel lacks is taken as correlated with none.
    """
    wanted = set(symbols)
    rows = [row for row, symbol in enumerate(panel.symbols) if symbol in wanted]
    correlation, common = correlations(_returns(panel, np.array(rows, np.int64), as_of, parameters.sessions))
    correlation[common < parameters.minimum_sessions] = np.nan
    whole = np.full((len(wanted), len(wanted)), np.nan)
    whole[: len(rows), : len(rows)] = correlation
    return _effective_bets(whole)


def correlations(returns: FloatArray) -> tuple[FloatArray, IntArray]:
    """Pairwise Pearson correlation (n, n) over the columns that both rows have, and how many these are.

    `returns` (n, m) with NaN where missing; a row without movement has no correlation (NaN).
    """
    known = np.isfinite(returns)
    mask = known.astype(np.float64)
    filled = np.where(known, returns, 0.0)
    common = mask @ mask.T
    total = filled @ mask.T
    squares = (filled * filled) @ mask.T
    covariance = common * (filled @ filled.T) - total * total.T
    variance = common * squares - total * total
    moved = (variance > 1e-18) & (variance.T > 1e-18)
    scale = np.sqrt(np.where(moved, variance * variance.T, 1.0))
    correlation = np.where(moved, np.clip(covariance / scale, -1.0, 1.0), np.nan)
    return correlation, common.astype(np.int64)


def _returns(panel: Panel, rows: IntArray, as_of: date | None, sessions: int) -> FloatArray:
    """Daily returns (n, up to `sessions`) of final bars, NaN where one of the two closes is missing."""
    known = panel if as_of is None else panel.until(as_of)
    close = known.close[rows, -sessions - 1 :].copy()
    close[known.provisional[rows, -sessions - 1 :]] = np.nan
    returns: FloatArray = close[:, 1:] / close[:, :-1] - 1.0
    return returns


def _has_known_correlation(correlation: FloatArray) -> BoolArray:
    """Marks the symbols that have a known correlation: those with enough returns."""
    comparable: BoolArray = np.isfinite(np.diagonal(correlation))
    return comparable


def _average_linkage(correlation: FloatArray, members: list[int], threshold: float) -> list[list[int]]:
    """Average linkage: join the two most alike groups while their mean correlation reaches `threshold`."""
    groups = [[member] for member in members]
    likeness = np.where(np.isfinite(correlation), correlation, 0.0)[np.ix_(members, members)]
    np.fill_diagonal(likeness, -np.inf)
    while len(groups) > 1:
        first, second = divmod(int(np.argmax(likeness)), len(groups))
        if likeness[first, second] < threshold:
            break
        first, second = min(first, second), max(first, second)
        sizes = len(groups[first]), len(groups[second])
        merged = (sizes[0] * likeness[first] + sizes[1] * likeness[second]) / sum(sizes)
        likeness[first], likeness[:, first] = merged, merged
        likeness[first, first] = -np.inf
        likeness = np.delete(np.delete(likeness, second, axis=0), second, axis=1)
        groups[first] = sorted(groups[first] + groups.pop(second))
    return groups


def _cluster(group: list[int], names: list[str], correlation: FloatArray, common: IntArray) -> Cluster:
    pairs = [
        CorrelatedPair(
            names[number],
            names[other],
            _finite_or_none(correlation[number, other]),
            int(common[number, other]),
        )
        for at, number in enumerate(group)
        for other in group[at + 1 :]
    ]
    known = [pair.correlation for pair in pairs if pair.correlation is not None]
    mean = sum(known) / len(known) if known else None
    return Cluster(tuple(names[at] for at in group), mean, tuple(pairs))


def _by_sector(names: list[str], sectors: Mapping[str, str]) -> list[tuple[str, list[int]]]:
    """Each sector that more than one candidate is of, largest first."""
    members: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        if name in sectors:
            members.setdefault(sectors[name], []).append(at)
    crowded = [(sector, group) for sector, group in members.items() if len(group) > 1]
    return sorted(crowded, key=lambda pair: (-len(pair[1]), pair[1]))


def _sector(name: str, members: list[int], names: list[str], correlation: FloatArray) -> SectorGroup:
    pairs = correlation[np.ix_(members, members)][np.triu_indices(len(members), 1)]
    known = pairs[np.isfinite(pairs)]
    mean = float(known.mean()) if len(known) else None
    return SectorGroup(name, tuple(names[at] for at in members), mean)


def _finite_or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _effective_bets(correlation: FloatArray) -> float:
    """An unknown correlation counts as none."""
    count = len(correlation)
    squares = np.where(np.isfinite(correlation), correlation, 0.0) ** 2
    np.fill_diagonal(squares, 1.0)
    return count * count / float(squares.sum()) if count else 0.0
