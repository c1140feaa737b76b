"""Every risk metric of a market after one session: small blocks of symbols, compiled loops over them."""

from datetime import date
from typing import Final

import numpy as np

from vcpd.analysis.risk_block import RiskBlock
from vcpd.analysis.risk_drawdown import NEVER, measure_drawdown
from vcpd.analysis.risk_market import measure_market
from vcpd.analysis.risk_metrics import DATES, METRICS
from vcpd.analysis.risk_parameters import Measuring, RiskParameters
from vcpd.analysis.risk_range import measure_range
from vcpd.analysis.risk_returns import measure_returns, simple_returns
from vcpd.analysis.risk_scores import score
from vcpd.analysis.risk_trend import measure_trend
from vcpd.analysis.risk_volume import measure_volume
from vcpd.analysis.risk_window import Window, pack
from vcpd.domain.arrays import DateArray, FloatArray
from vcpd.domain.errors import BadInputError
from vcpd.domain.panel import Panel

__all__ = ["DATES", "METRICS", "Measuring", "RiskBlock", "RiskParameters", "measure", "score", "warm_up"]

BLOCK_ROWS: Final = 64  # x 6 fields x 253 sessions x 8 bytes = 390 kB: stays in a core's second cache
PERCENT: Final = 100.0


def measure(panel: Panel, rows: range, parameters: Measuring) -> RiskBlock:
    """All metrics of `rows` at the session `parameters.as_of`; a panel task.

    Raises BadInputError when the panel has no session up to `as_of`.
    """
    stop = _stop(panel, parameters.as_of)
    blocks = [
        _measure_block(panel, range(start, min(start + BLOCK_ROWS, rows.stop)), stop, parameters.parameters)
        for start in range(rows.start, rows.stop, BLOCK_ROWS)
    ]
    return RiskBlock(
        symbols=panel.symbols[rows.start : rows.stop],
        as_of=panel.sessions[stop - 1].item(),
        values=np.concatenate([np.empty((0, len(METRICS))), *(values for values, _, _ in blocks)]),
        dates=np.concatenate([np.empty((0, len(DATES)), "M8[D]"), *(dates for _, dates, _ in blocks)]),
        reasons=tuple(reason for _, _, reasons in blocks for reason in reasons),
    )


def warm_up() -> None:
    """Compile the kernels, or load them from their cache, on a small panel."""
    count = RiskParameters().window_returns + 2
    sessions = np.datetime64("2024-01-01", "D") + np.arange(count)
    prices = 100.0 + np.sin(np.arange(float(count)))
    values = np.broadcast_to(prices, (5, 2, count)).copy()
    values[:, 0, 9] = np.nan
    panel = Panel(("A", "B"), sessions, values, np.zeros((2, count), np.bool_), prices, np.full(2, 0.05))
    for known in (panel, panel.until(sessions[-2].item())):  # a whole panel and a view: two compiled forms
        measure(known, range(2), Measuring())


def _stop(panel: Panel, as_of: date | None) -> int:
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
    window = pack(panel, rows, stop, parameters.window_returns + 1)
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
        measure_trend(window),
    )
    values = np.concatenate(parts, axis=1)
    dates = np.where(drawdown_at == NEVER, np.datetime64("NaT", "D"), panel.sessions[drawdown_at])
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
    panel: Panel, rows: range, window: Window, stop: int, parameters: RiskParameters
) -> list[str | None]:
    """Why each row cannot be measured, None where it can."""
    last = window.positions[:, -1]
    reasons: list[str | None] = [None] * len(rows)
    lacking = (window.counts <= parameters.minimum_returns) | (
        stop - 1 - last > parameters.stale_after_sessions
    )
    for row in np.flatnonzero(lacking).tolist():
        bars, age = int(window.counts[row]), stop - 1 - int(last[row])
        reasons[row] = _shortage(panel.sessions[:stop], bars, age, parameters)
    for row, symbol in enumerate(panel.symbols[rows.start : rows.stop] if panel.exclusions else ()):
        reasons[row] = panel.exclusions.get(symbol, reasons[row])
    return reasons


def _shortage(sessions: DateArray, bars: int, age: int, parameters: RiskParameters) -> str:
    if not bars:
        return f"no final bar up to {sessions[-1]}"
    if age > parameters.stale_after_sessions:
        return (
            f"last final bar {sessions[-1 - age]} is {age} sessions old, "
            f"at most {parameters.stale_after_sessions}"
        )
    return f"{bars - 1} usable returns, at least {parameters.minimum_returns} needed"
