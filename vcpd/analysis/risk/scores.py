"""Risk scores: percentiles, weighted scores and bands of a session's universe, as columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, overload

import numpy as np

from vcpd.analysis.risk.metric_names import COMPONENTS, DATE_METRICS, METRIC_NAMES, METRICS
from vcpd.analysis.risk.parameters import RiskParameters, RiskResult, RiskTaskParams
from vcpd.domain.bars import BoolArray, DateArray, FloatArray
from vcpd.domain.risk import RiskBand, RiskScore

MetricValues = dict[str, float | str | None]
_NO_METRICS: Final[MetricValues] = dict.fromkeys(METRIC_NAMES)


@dataclass(frozen=True, slots=True, eq=False)
class RiskScores(Sequence[RiskScore]):
    """The scores of n symbols as columns; what a symbol has of its own is put together when it is read.

    `score` (n,), `components` (n, 6) in the order of `COMPONENTS`, `values` (n, len(METRICS)) and `dates`
    (n, len(DATE_METRICS)) are NaN or NaT where undefined; `reasons` (n,) say why there is no score, None
    where there is one: `score`, `bands` and `components` mean something only there.
    """

    symbols: tuple[str, ...]
    sessions: tuple[date, ...]
    score: FloatArray
    bands: tuple[RiskBand, ...]
    components: FloatArray
    values: FloatArray
    dates: DateArray
    reasons: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.symbols)

    def __iter__(self) -> Iterator[RiskScore]:
        return self._read(slice(None))

    @overload
    def __getitem__(self, index: int) -> RiskScore: ...
    @overload
    def __getitem__(self, index: slice) -> list[RiskScore]: ...
    def __getitem__(self, index: int | slice) -> RiskScore | list[RiskScore]:
        """One symbol's score, or those of a range of symbols."""
        if isinstance(index, slice):
            return list(self._read(index))
        row = range(len(self))[index]
        return next(self._read(slice(row, row + 1)))

    def _read(self, rows: slice) -> Iterator[RiskScore]:
        columns = zip(
            self.symbols[rows],
            self.sessions[rows],
            self.score[rows].tolist(),
            self.bands[rows],
            self.components[rows].tolist(),
            _metric_rows(self.values[rows], self.dates[rows]),
            self.reasons[rows],
            strict=True,
        )
        for symbol, as_of, score, band, components, metrics, reason in columns:
            if reason is not None:
                yield _unscored(symbol, as_of, metrics, reason)
                continue
            yield RiskScore(
                symbol=symbol,
                as_of=as_of,
                score=score,
                band=band,
                components=dict(zip(COMPONENTS, components, strict=True)),
                metrics=metrics,
            )


def _unscored(symbol: str, as_of: date, metrics: MetricValues, reason: str) -> RiskScore:
    known = metrics if any(value is not None for value in metrics.values()) else {}
    return RiskScore(
        symbol=symbol, as_of=as_of, score=None, band=None, components={}, metrics=known, reason=reason
    )


def _metric_rows(values: FloatArray, dates: DateArray) -> Iterator[MetricValues]:
    """Each row's metrics by name, None where not finite; dates as ISO text."""
    numbers: list[list[float | str | None]] = values.tolist()
    for row, column in np.argwhere(~np.isfinite(values)).tolist():
        numbers[row][column] = None
    for own, texts in zip(numbers, _iso_dates(dates), strict=True):
        metrics = _NO_METRICS.copy()  # filling one that has its size is quicker than letting one grow
        metrics.update(zip(METRIC_NAMES, own + texts, strict=True))
        yield metrics


def _iso_dates(dates: DateArray) -> list[list[float | str | None]]:
    """ISO text of each date, None for NaT; few sessions, many rows: each is spelled once."""
    distinct, at = np.unique(dates, return_inverse=True)
    spelled = [None if np.isnat(entry) else str(entry) for entry in distinct]
    texts: list[list[float | str | None]] = np.array(spelled, np.object_)[at].reshape(dates.shape).tolist()
    return texts


def score_risk(blocks: Sequence[RiskResult], parameters: RiskTaskParams) -> RiskScores:
    """Scores of all symbols of `blocks`, in their order; the measured ones are the universe.

    A component is the percentile of the mean percentile of its metrics, each taken among the symbols
    for which it is defined. A symbol without a whole set of components has no score but a reason.
    """
    settings = parameters.parameters
    values = np.concatenate([np.empty((0, len(METRICS))), *(block.values for block in blocks)])
    reasons = [reason for block in blocks for reason in block.reasons]
    measured = np.array([reason is None for reason in reasons], np.bool_)
    components = _component_matrix(values, measured)
    weights = np.array([settings.weights[name] for name in COMPONENTS])
    score = np.clip(components @ weights, 0.0, 100.0)
    return RiskScores(
        symbols=tuple(symbol for block in blocks for symbol in block.symbols),
        sessions=tuple(block.as_of for block in blocks for _ in block.symbols),
        score=score,
        bands=_bands(score, settings),
        components=components,
        values=values,
        dates=np.concatenate([np.empty((0, len(DATE_METRICS)), "M8[D]"), *(block.dates for block in blocks)]),
        reasons=_final_reasons(reasons, components, int(measured.sum()), settings),
    )


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


def _component_matrix(values: FloatArray, measured: BoolArray) -> FloatArray:
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
) -> tuple[str | None, ...]:
    """The reasons of measuring, and those that only the whole universe shows."""
    if universe < settings.minimum_universe:
        few = f"{universe} symbols could be measured: percentiles need at least {settings.minimum_universe}"
        return tuple(reason or few for reason in reasons)
    final = list(reasons)
    for row in np.flatnonzero(~np.isfinite(components).all(axis=1)):
        missing = ", ".join(
            name for name, value in zip(COMPONENTS, components[row], strict=True) if not np.isfinite(value)
        )
        final[row] = reasons[row] or f"nothing to rank for {missing}: no metric of it is defined"
    return tuple(final)


def _bands(scores: FloatArray, settings: RiskParameters) -> tuple[RiskBand, ...]:
    limits, bands = zip(*settings.bands, strict=True)
    return tuple(bands[at] for at in np.searchsorted(limits[1:], scores, side="right").tolist())
