"""One number a symbol: percentiles of its metrics within the session's universe, weighted, with a band."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from vcpd.analysis.risk_block import DATES, METRICS, RiskBlock
from vcpd.analysis.risk_parameters import Measuring, RiskParameters
from vcpd.domain.arrays import BoolArray, FloatArray
from vcpd.domain.risk import RiskScore

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
    known = np.isfinite(values)
    ordered = np.sort(values[known])
    if len(ordered) == 1:
        out[known] = 50.0
    elif len(ordered):
        below = np.searchsorted(ordered, values[known], side="left")
        upto = np.searchsorted(ordered, values[known], side="right")
        out[known] = 50.0 * (below + upto - 1) / (len(ordered) - 1)
    return out


def _components(values: FloatArray, measured: BoolArray) -> FloatArray:
    """(n, 6) in the order of `COMPONENTS`, NaN where none of a component's metrics is defined."""
    universe = np.where(measured[:, np.newaxis], values, np.nan)
    return np.stack([_component(universe, metrics) for metrics in COMPONENTS.values()], axis=1)


def _component(universe: FloatArray, metrics: tuple[tuple[str, int], ...]) -> FloatArray:
    ranked = np.stack([percentiles(sign * universe[:, METRICS.index(name)]) for name, sign in metrics])
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
    symbols = [(symbol, block.as_of) for block in blocks for symbol in block.symbols]
    rows = zip(
        symbols,
        total.tolist(),
        components.tolist(),
        _plain_numbers(values),
        _plain_dates(blocks),
        reasons,
        strict=True,
    )
    return [
        RiskScore(
            symbol=symbol,
            as_of=as_of,
            score=points if reason is None else None,
            band=settings.band_of(points) if reason is None else None,
            components=dict(zip(COMPONENTS, parts, strict=True)) if reason is None else {},
            metrics=dict(zip(METRICS + DATES, numbers + dates, strict=True)) if has_metrics(numbers) else {},
            reason=reason,
        )
        for (symbol, as_of), points, parts, numbers, dates, reason in rows
    ]


def has_metrics(numbers: list[float | None]) -> bool:
    return any(number is not None for number in numbers)


def _plain_numbers(values: FloatArray) -> list[list[float | None]]:
    """Rows as Python numbers, None where not finite."""
    plain: list[list[float | None]] = np.where(np.isfinite(values), values, None).tolist()
    return plain


def _plain_dates(blocks: Sequence[RiskBlock]) -> list[list[str | None]]:
    dates = np.concatenate([block.dates for block in blocks])
    plain: list[list[str | None]] = np.where(np.isnat(dates), None, np.datetime_as_string(dates)).tolist()
    return plain
