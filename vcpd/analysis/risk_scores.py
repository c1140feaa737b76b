"""One number a symbol: percentiles of its metrics within the session's universe, weighted, with a band."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Final

import numpy as np

from vcpd.analysis.risk_block import RiskBlock
from vcpd.analysis.risk_metrics import DATES, METRICS
from vcpd.analysis.risk_parameters import Measuring, RiskParameters
from vcpd.domain.arrays import BoolArray, DateArray, FloatArray
from vcpd.domain.risk import Band, RiskScore

METRIC_NAMES: Final = METRICS + DATES
Metrics = dict[str, float | str | None]
_NO_METRICS: Final[Metrics] = dict.fromkeys(METRIC_NAMES)

# metrics of a component, each with +1 where more of it is riskier, -1 where less is
COMPONENTS: Final[Mapping[str, tuple[tuple[str, int], ...]]] = {
    "volatility": (("annual_volatility", 1),),
    "gap": (("gap_frequency", 1), ("gap_mean", 1), ("gap_worst", 1)),
    "atr": (("atr14_pct", 1), ("atr50_pct", 1)),
    "drawdown": (("max_drawdown", -1),),
    "volume": (("volume_variation", 1), ("volume_spikes", 1)),
    "trend": (("trend_crossings", 1), ("trend_r2", -1)),
}


def score(blocks: Sequence[RiskBlock], parameters: Measuring) -> list[RiskScore]:
    """Scores of all symbols of `blocks`, in their order; the measured ones are the universe.

    A component is the percentile of the mean percentile of its metrics, each taken among the symbols
    for which it is defined. A symbol without a whole set of components has no score but a reason.
    """
    settings = parameters.parameters
    if not blocks:
        return []
    values = np.concatenate([block.values for block in blocks])
    reasons = [reason for block in blocks for reason in block.reasons]
    measured = np.array([reason is None for reason in reasons], np.bool_)
    components = _components(values, measured)
    reasons = _final_reasons(reasons, components, int(measured.sum()), settings)
    return _assemble(blocks, values, components, reasons, settings)


def percentiles(values: FloatArray) -> FloatArray:
    """0..100 by rank among the finite of `values` (n,): 100 (rank - 1) / (count - 1), equal values share
    the mean of their ranks, a single value stands at 50; NaN stays NaN.
    """
    out = np.full(len(values), np.nan)
    known = np.flatnonzero(np.isfinite(values))
    if len(known) == 1:
        out[known] = 50.0
    elif len(known):
        order = known[np.argsort(values[known])]
        begins = np.concatenate([[True], np.diff(values[order]) > 0])
        first = np.append(np.flatnonzero(begins), len(order))
        middle = (first[:-1] + first[1:] - 1) / 2  # of each run of equal values, counted from 0
        out[order] = 100.0 * middle[np.cumsum(begins) - 1] / (len(order) - 1)
    return out


def _components(values: FloatArray, measured: BoolArray) -> FloatArray:
    """(n, 6) in the order of `COMPONENTS`, NaN where none of a component's metrics is defined."""
    universe = np.where(measured[:, np.newaxis], values, np.nan)
    return np.stack([_component(universe, metrics) for metrics in COMPONENTS.values()], axis=1)


def _component(universe: FloatArray, metrics: tuple[tuple[str, int], ...]) -> FloatArray:
    ranked = np.stack([percentiles(sign * universe[:, METRICS.index(name)]) for name, sign in metrics])
    if len(metrics) == 1:
        single: FloatArray = ranked[0]
        return single
    known = np.isfinite(ranked)
    count = known.sum(axis=0)
    total = np.where(known, ranked, 0.0).sum(axis=0)
    # rounded: equal ranks summed in another order must stay equal
    return percentiles(np.round(np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0), 9))


def _final_reasons(
    reasons: list[str | None], components: FloatArray, universe: int, settings: RiskParameters
) -> list[str | None]:
    """The reasons of measuring, and those that only the whole universe shows."""
    if universe < settings.minimum_universe:
        few = f"{universe} symbols could be measured: percentiles need at least {settings.minimum_universe}"
        return [reason or few for reason in reasons]
    final = list(reasons)
    for row in np.flatnonzero(~np.isfinite(components).all(axis=1)):
        missing = ", ".join(
            name for name, value in zip(COMPONENTS, components[row], strict=True) if not np.isfinite(value)
        )
        final[row] = reasons[row] or f"nothing to rank for {missing}: no metric of it is defined"
    return final


def _assemble(
    blocks: Sequence[RiskBlock],
    values: FloatArray,
    components: FloatArray,
    reasons: list[str | None],
    settings: RiskParameters,
) -> list[RiskScore]:
    weights = np.array([settings.weights[name] for name in COMPONENTS])
    total = np.clip(components @ weights, 0.0, 100.0)
    rows = zip(
        [(symbol, block.as_of) for block in blocks for symbol in block.symbols],
        zip(total.tolist(), _bands(total, settings), components.tolist(), strict=True),
        _metrics(blocks, values),
        reasons,
        strict=True,
    )
    return [
        _unscored(key, metrics, reason) if reason else _scored(key, metrics, *points)
        for key, points, metrics, reason in rows
    ]


def _scored(
    key: tuple[str, date], metrics: Metrics, score: float, band: Band, components: list[float]
) -> RiskScore:
    return RiskScore(
        symbol=key[0],
        as_of=key[1],
        score=score,
        band=band,
        components=dict(zip(COMPONENTS, components, strict=True)),
        metrics=metrics,
    )


def _unscored(key: tuple[str, date], metrics: Metrics, reason: str) -> RiskScore:
    known = metrics if any(value is not None for value in metrics.values()) else {}
    return RiskScore(
        symbol=key[0], as_of=key[1], score=None, band=None, components={}, metrics=known, reason=reason
    )


def _bands(scores: FloatArray, settings: RiskParameters) -> list[Band]:
    limits, bands = zip(*settings.bands, strict=True)
    return [bands[at] for at in np.searchsorted(limits[1:], scores, side="right").tolist()]


def _metrics(blocks: Sequence[RiskBlock], values: FloatArray) -> Iterator[Metrics]:
    """Each row's metrics by name, None where not finite; dates as ISO text."""
    numbers: list[list[float | str | None]] = values.tolist()
    for row, column in np.argwhere(~np.isfinite(values)).tolist():
        numbers[row][column] = None
    dates = np.concatenate([block.dates for block in blocks])
    for own, texts in zip(numbers, _iso(dates), strict=True):
        metrics = _NO_METRICS.copy()  # filling one that has its size is quicker than letting one grow
        metrics.update(zip(METRIC_NAMES, own + texts, strict=True))
        yield metrics


def _iso(dates: DateArray) -> list[list[float | str | None]]:
    """ISO text of each date, None for NaT; few sessions, many rows: each is spelled once."""
    distinct, at = np.unique(dates, return_inverse=True)
    spelled = [None if np.isnat(one) else str(one) for one in distinct]
    texts: list[list[float | str | None]] = np.array(spelled, np.object_)[at].reshape(dates.shape).tolist()
    return texts
