"""Risk report: all metrics of the panel's rows, percentile scores and bands within the universe."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

import numpy as np

from vcpd.analysis.risk.metric_names import COMPONENTS, DATE_METRICS, METRIC_NAMES, METRICS
from vcpd.analysis.risk.parameters import RiskParameters, RiskResult, RiskTaskParams
from vcpd.analysis.risk.ranges import measure_range, measure_trend_steadiness, measure_volume
from vcpd.analysis.risk.returns import (
    NO_POSITION,
    measure_drawdown,
    measure_market,
    measure_returns,
    simple_returns,
)
from vcpd.analysis.risk.window import BarWindow, pack_window
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import BoolArray, DateArray, FloatArray
from vcpd.domain.panel import Panel
from vcpd.domain.risk import RiskBand, RiskScore

MetricValues = dict[str, float | str | None]
_NO_METRICS: Final[MetricValues] = dict.fromkeys(METRIC_NAMES)
__all__ = [
    "DATE_METRICS",
    "METRICS",
    "RiskParameters",
    "RiskResult",
    "RiskTaskParams",
    "measure_risk",
    "score_risk",
]
BLOCK_ROWS: Final = 64  # x 6 fields x 253 sessions x 8 bytes = 390 kB: stays in a core's second cache
PERCENT: Final = 100.0


def score_risk(blocks: Sequence[RiskResult], parameters: RiskTaskParams) -> list[RiskScore]:
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
    components = _component_matrix(values, measured)
    reasons = _final_reasons(reasons, components, int(measured.sum()), settings)
    return _risk_scores(blocks, values, components, reasons, settings)


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


def _risk_scores(
    blocks: Sequence[RiskResult],
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
        _metric_rows(blocks, values),
        reasons,
        strict=True,
    )
    return [
        _unscored(key, metrics, reason) if reason else _scored(key, metrics, *points)
        for key, points, metrics, reason in rows
    ]


def _scored(
    key: tuple[str, date], metrics: MetricValues, score: float, band: RiskBand, components: list[float]
) -> RiskScore:
    return RiskScore(
        symbol=key[0],
        as_of=key[1],
        score=score,
        band=band,
        components=dict(zip(COMPONENTS, components, strict=True)),
        metrics=metrics,
    )


def _unscored(key: tuple[str, date], metrics: MetricValues, reason: str) -> RiskScore:
    known = metrics if any(value is not None for value in metrics.values()) else {}
    return RiskScore(
        symbol=key[0], as_of=key[1], score=None, band=None, components={}, metrics=known, reason=reason
    )


def _bands(scores: FloatArray, settings: RiskParameters) -> list[RiskBand]:
    limits, bands = zip(*settings.bands, strict=True)
    return [bands[at] for at in np.searchsorted(limits[1:], scores, side="right").tolist()]


def _metric_rows(blocks: Sequence[RiskResult], values: FloatArray) -> Iterator[MetricValues]:
    """Each row's metrics by name, None where not finite; dates as ISO text."""
    numbers: list[list[float | str | None]] = values.tolist()
    for row, column in np.argwhere(~np.isfinite(values)).tolist():
        numbers[row][column] = None
    dates = np.concatenate([block.dates for block in blocks])
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


def measure_risk(panel: Panel, rows: range, parameters: RiskTaskParams) -> RiskResult:
    """All metrics of `rows` at the session `parameters.as_of`; a panel task.

    Raises BadInputError when the panel has no session up to `as_of`.
    """
    stop = _session_count(panel, parameters.as_of)
    blocks = [
        _measure_block(panel, range(start, min(start + BLOCK_ROWS, rows.stop)), stop, parameters.parameters)
        for start in range(rows.start, rows.stop, BLOCK_ROWS)
    ]
    return RiskResult(
        symbols=panel.symbols[rows.start : rows.stop],
        as_of=panel.sessions[stop - 1].item(),
        values=np.concatenate([np.empty((0, len(METRICS))), *(values for values, _, _ in blocks)]),
        dates=np.concatenate([np.empty((0, len(DATE_METRICS)), "M8[D]"), *(dates for _, dates, _ in blocks)]),
        reasons=tuple(reason for _, _, reasons in blocks for reason in reasons),
    )


def _session_count(panel: Panel, as_of: date | None) -> int:
    """The number of sessions up to and including `as_of`."""
    if as_of is None:
        stop = len(panel.sessions)
    else:
        stop = int(np.searchsorted(panel.sessions, np.datetime64(as_of, "D"), side="right"))
    if not stop:
        raise BadInputError(f"the panel has no session up to {as_of or 'its end'}: collect bars first")
    return stop


def _measure_block(
    panel: Panel, rows: range, stop: int, parameters: RiskParameters
) -> tuple[FloatArray, DateArray, list[str | None]]:
    window = pack_window(panel, rows, stop, parameters.window_returns + 1)
    returns = simple_returns(window)
    spread = measure_returns(window, returns)
    drawdown, drawdown_at = measure_drawdown(window)
    parts = (
        spread,
        drawdown,
        _calmar(spread[:, 0], drawdown[:, 0]),
        measure_market(window, returns, parameters.minimum_returns),
        measure_range(window, parameters.gap_threshold_pct / PERCENT),
        measure_volume(window, returns, parameters.volume_spike_ratio),
        measure_trend_steadiness(window),
    )
    values = np.concatenate(parts, axis=1)
    dates = np.where(drawdown_at == NO_POSITION, np.datetime64("NaT", "D"), panel.sessions[drawdown_at])
    reasons = _reasons(panel, rows, window, stop, parameters)
    unmeasured = [reason is not None for reason in reasons]
    values[unmeasured] = np.nan
    dates[unmeasured] = np.datetime64("NaT", "D")
    return values, dates, reasons


def _calmar(annual_return: FloatArray, max_drawdown: FloatArray) -> FloatArray:
    """(n, 1): annual return over the depth of the maximum drawdown; NaN without a drawdown."""
    fell = max_drawdown < 0
    calmar = np.full((len(annual_return), 1), np.nan)
    calmar[fell, 0] = annual_return[fell] / -max_drawdown[fell]
    return calmar


def _reasons(
    panel: Panel, rows: range, window: BarWindow, stop: int, parameters: RiskParameters
) -> list[str | None]:
    """Why each row cannot be measured, None where it can."""
    last = window.positions[:, -1]
    reasons: list[str | None] = [None] * len(rows)
    lacking = (window.counts <= parameters.minimum_returns) | (
        stop - 1 - last > parameters.stale_after_sessions
    )
    for row in np.flatnonzero(lacking).tolist():
        bars, age = int(window.counts[row]), stop - 1 - int(last[row])
        reasons[row] = _insufficient_data(panel.sessions[:stop], bars, age, parameters)
    for row, symbol in enumerate(panel.symbols[rows.start : rows.stop] if panel.exclusions else ()):
        reasons[row] = panel.exclusions.get(symbol, reasons[row])
    return reasons


def _insufficient_data(sessions: DateArray, bars: int, age: int, parameters: RiskParameters) -> str:
    if not bars:
        return f"no final bar up to {sessions[-1]}"
    if age > parameters.stale_after_sessions:
        return (
            f"last final bar {sessions[-1 - age]} is {age} sessions old, "
            f"at most {parameters.stale_after_sessions}"
        )
    return f"{bars - 1} usable returns, at least {parameters.minimum_returns} needed"
