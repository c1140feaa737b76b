"""Worker tasks by reference: numba is imported only where a task runs.

The daemon names these functions and never calls them, so it holds neither the kernels nor what compiles
them. Whoever computes in its own process takes the functions from their own modules.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

from vcpd.analysis.risk.parameters import RiskResult, RiskTaskParams
from vcpd.analysis.screen_types import EncodedScreenResult, ScreenParams, ScreenResult
from vcpd.domain.panel import Panel
from vcpd.domain.risk import RiskScore

# ruff: noqa: PLC0415 - the imports inside the functions are this module's purpose

__all__ = [
    "EncodedScreenResult",
    "ScreenParams",
    "ScreenResult",
    "measure_risk",
    "score_risk",
    "screen_rows",
    "screen_rows_encoded",
    "warm_up",
]


def screen_rows(panel: Panel, rows: range, parameters: ScreenParams) -> ScreenResult:
    """A panel task: see `setups.judge`."""
    from vcpd.analysis import screen

    return screen.screen_rows(panel, rows, parameters)


def screen_rows_encoded(panel: Panel, rows: range, parameters: ScreenParams) -> EncodedScreenResult:
    """A panel task: see `setups.judge`; the setups come written out."""
    return EncodedScreenResult.of(screen_rows(panel, rows, parameters), panel, parameters.thresholds)


def measure_risk(panel: Panel, rows: range, parameters: RiskTaskParams) -> RiskResult:
    """A panel task: see `risk.measure`."""
    from vcpd.analysis.risk import report

    return report.measure_risk(panel, rows, parameters)


def score_risk(blocks: Sequence[RiskResult], parameters: RiskTaskParams) -> list[RiskScore]:
    """See `risk_scores.score`."""
    from vcpd.analysis.risk import report

    return report.score_risk(blocks, parameters)


def warm_up() -> None:
    """Compile all kernels, or load them from their cache."""
    with _blocked_import("scipy.linalg"):
        from vcpd.analysis import screen
        from vcpd.analysis.risk import report

        screen.warm_up()
        report.warm_up()


@contextmanager
def _blocked_import(module: str) -> Iterator[None]:
    """The compiler loads it wherever it finds it, for products that no kernel makes: 15 MB a worker."""
    modules = cast("dict[str, object]", sys.modules)
    hidden = modules.setdefault(module, None) is None
    try:
        yield
    finally:
        if hidden:
            del modules[module]
