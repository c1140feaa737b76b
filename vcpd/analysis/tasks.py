"""The workers' tasks, for those who only hand them out: the compiler comes in where a task runs.

The daemon names these functions and never calls them, so it holds neither the kernels nor what compiles
them. Whoever computes in its own process takes the functions from their own modules.
"""
# ruff: noqa: PLC0415 - the imports inside the functions are this module's purpose

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

from vcpd.analysis.judging import Judged, Judging, Verdicts
from vcpd.analysis.risk_block import RiskBlock
from vcpd.analysis.risk_parameters import Measuring
from vcpd.domain.panel import Panel
from vcpd.domain.risk import RiskScore

__all__ = ["Judged", "Judging", "Verdicts", "judge", "measure", "score", "screen", "warm_up"]


def judge(panel: Panel, rows: range, parameters: Judging) -> Judged:
    """A panel task: see `setups.judge`."""
    from vcpd.analysis import setups

    return setups.judge(panel, rows, parameters)


def screen(panel: Panel, rows: range, parameters: Judging) -> Verdicts:
    """A panel task: see `setups.judge`; the setups come written out."""
    return Verdicts.of(judge(panel, rows, parameters))


def measure(panel: Panel, rows: range, parameters: Measuring) -> RiskBlock:
    """A panel task: see `risk.measure`."""
    from vcpd.analysis import risk

    return risk.measure(panel, rows, parameters)


def score(blocks: Sequence[RiskBlock], parameters: Measuring) -> list[RiskScore]:
    """See `risk_scores.score`."""
    from vcpd.analysis import risk

    return risk.score(blocks, parameters)


def warm_up() -> None:
    """Compile all kernels, or load them from their cache."""
    with _unimportable("scipy.linalg"):
        from vcpd.analysis import risk, setups

        setups.warm_up()
        risk.warm_up()


@contextmanager
def _unimportable(module: str) -> Iterator[None]:
    """The compiler loads it wherever it finds it, for products that no kernel makes: 15 MB a worker."""
    modules = cast("dict[str, object]", sys.modules)
    hidden = modules.setdefault(module, None) is None
    try:
        yield
    finally:
        if hidden:
            del modules[module]
