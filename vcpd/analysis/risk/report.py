"""Risk report: all metrics of the panel's rows."""

from datetime import date
from typing import Final, NamedTuple

import numpy as np

from vcpd.analysis.risk.parameters import RiskParameters, RiskResult, RiskTaskParams
from vcpd.analysis.risk.ranges import measure_range, measure_trend_steadiness, measure_volume
from vcpd.analysis.risk.returns import (
    NO_POSITION,
    measure_drawdown,
    measure_market,
    measure_returns,
    simple_returns,
)
from vcpd.analysis.risk.window import pack_window
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import DateArray, FloatArray, IntArray
from vcpd.domain.panel import Panel

# x 6 fields x 253 sessions x 8 bytes = 1.6 MB: fewer rows cost more calls, more leave the caches
BLOCK_ROWS: Final = 128
PERCENT: Final = 100.0


class _Block(NamedTuple):
    """What the kernels measure of n rows, before it is known which of them count."""

    returns: FloatArray
    drawdown: FloatArray
    drawdown_at: IntArray
    market: FloatArray
    ranges: FloatArray
    volume: FloatArray
    trend: FloatArray
    held: IntArray  # final bars in the window
    last: IntArray  # the session of the last of them


def measure_risk(panel: Panel, rows: range, parameters: RiskTaskParams) -> RiskResult:
    """All metrics of `rows` at the session `parameters.as_of`; a panel task.

    Raises BadInputError when the panel has no session up to `as_of`.
    """
    settings, stop = parameters.parameters, _session_count(panel, parameters.as_of)
    measured = _measure_blocks(panel, rows, stop, settings)
    values, dates = _values(measured), _drawdown_dates(panel, measured.drawdown_at)
    reasons = _reasons(panel, rows, measured, stop, settings)
    unmeasured = [row for row, reason in enumerate(reasons) if reason is not None]
    values[unmeasured] = np.nan
    dates[unmeasured] = np.datetime64("NaT", "D")
    return RiskResult(
        symbols=panel.symbols[rows.start : rows.stop],
        as_of=panel.sessions[stop - 1].item(),
        values=values,
        dates=dates,
        reasons=tuple(reasons),
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


def _measure_blocks(panel: Panel, rows: range, stop: int, parameters: RiskParameters) -> _Block:
    """All rows, measured in blocks that stay in cache."""
    starts = range(rows.start, rows.stop, BLOCK_ROWS) or range(rows.start, rows.start + 1)
    blocks = [
        _measure_block(panel, range(start, min(start + BLOCK_ROWS, rows.stop)), stop, parameters)
        for start in starts
    ]
    return _Block(*(np.concatenate(part) for part in zip(*blocks, strict=True)))


def _measure_block(panel: Panel, rows: range, stop: int, parameters: RiskParameters) -> _Block:
    window = pack_window(panel, rows, stop, parameters.window_returns + 1)
    returns = simple_returns(window)
    drawdown, drawdown_at = measure_drawdown(window)
    return _Block(
        returns=measure_returns(window, returns),
        drawdown=drawdown,
        drawdown_at=drawdown_at,
        market=measure_market(window, returns, parameters.minimum_returns),
        ranges=measure_range(window, parameters.gap_threshold_pct / PERCENT),
        volume=measure_volume(window, returns, parameters.volume_spike_ratio),
        trend=measure_trend_steadiness(window),
        held=window.counts,
        last=window.positions[:, -1],
    )


def _values(measured: _Block) -> FloatArray:
    """(n, len(METRICS)): the metrics in their order."""
    calmar = _calmar(measured.returns[:, 0], measured.drawdown[:, 0])
    return np.concatenate(
        [
            measured.returns,
            measured.drawdown,
            calmar,
            measured.market,
            measured.ranges,
            measured.volume,
            measured.trend,
        ],
        axis=1,
    )


def _calmar(annual_return: FloatArray, max_drawdown: FloatArray) -> FloatArray:
    """(n, 1): annual return over the depth of the maximum drawdown; NaN without a drawdown."""
    fell = max_drawdown < 0
    calmar = np.full((len(annual_return), 1), np.nan)
    calmar[fell, 0] = annual_return[fell] / -max_drawdown[fell]
    return calmar


def _drawdown_dates(panel: Panel, drawdown_at: IntArray) -> DateArray:
    """(n, 3): the sessions at these positions, NaT where there is none."""
    dates: DateArray = panel.sessions[drawdown_at].astype("M8[D]")
    dates[drawdown_at == NO_POSITION] = np.datetime64("NaT", "D")
    return dates


def _reasons(
    panel: Panel, rows: range, measured: _Block, stop: int, parameters: RiskParameters
) -> list[str | None]:
    """Why each row cannot be measured, None where it can."""
    reasons: list[str | None] = [None] * len(rows)
    ages = stop - 1 - measured.last
    lacking = (measured.held <= parameters.minimum_returns) | (ages > parameters.stale_after_sessions)
    for row in np.flatnonzero(lacking).tolist():
        bars, age = int(measured.held[row]), int(ages[row])
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
