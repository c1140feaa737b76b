"""What a study costs beside one history: processor time, peak memory, guards apart.

    python -m benchmarks.study_speed [--symbols 2500] [--sessions 1250]

Everything runs in this process, so that processor time is that of the arithmetic alone, and peak memory that
of market, work and client together. Walk-forward and the probability of overfitting are part of a study's
time; intervals (bootstrap) and placebos are given beside it. The market is random walks and leaders with
planted bases; no real prices are needed.
"""

import argparse
import asyncio
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import msgspec
import numpy as np

from tests.study.planted import THRESHOLDS, planted_panel
from tests.study.test_study_run import in_chunks
from vcpd.analysis.backtest import BacktestParams, run_backtest
from vcpd.analysis.costs import CostSettings
from vcpd.analysis.month_intervals import month_intervals
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.panel import Panel
from vcpd.studies import figures
from vcpd.studies.plan import ExitChoices, PortfolioChoices, StopChoices, StudyPlan, ValidationPlan
from vcpd.studies.run import run_study
from vcpd.studies.validation import placebo_differences, validate

ROWS_AT_ONCE: Final = 64
LEADER_SHARE: Final = 0.2
PLACEBOS: Final = 5
VALIDATION: Final = ValidationPlan(sealed_months=12, train_months=18, test_months=6, placebos=0)


def _gates(count: int) -> tuple[Thresholds, ...]:
    """Thresholds that differ in gates alone: the same chains, each followed anew."""
    return tuple(
        msgspec.structs.replace(THRESHOLDS, max_risk_pct=risk, below_high_pct=high)
        for risk in np.linspace(5, 10, count // 10).tolist()
        for high in np.linspace(15, 30, 10).tolist()
    )


def _structures(count: int) -> tuple[Thresholds, ...]:
    return tuple(
        msgspec.structs.replace(THRESHOLDS, max_depth_ratio=ratio)
        for ratio in np.linspace(0.6, 0.9, count).tolist()
    )


PLANS: Final = {
    "1,000 cells of exits and sizes": StudyPlan(
        settings=(THRESHOLDS,),
        stop=StopChoices(own=True, percent=(4.0, 5.0, 6.0, 8.0)),
        exit=ExitChoices(
            hold=True,
            target_r=(1.0, 2.0, 3.0),
            average_sessions=(20, 50),
            chandelier_atr=(2.0, 3.0),
            half_r=(1.0, 2.0),
        ),
        holding_sessions=(20, 30, 40, 50, 60),
        portfolio=PortfolioChoices(risk_pct=(0.5, 1.0), positions=(8, 12)),
        validation=VALIDATION,
    ),
    "200 cells of gates": StudyPlan(settings=_gates(200), validation=VALIDATION),
    "50 structural cells": StudyPlan(settings=_structures(50), validation=VALIDATION),
}


class _Timed:
    """A function whose processor time is summed."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.seconds = function, 0.0

    def __call__(self, *given: Any) -> Any:
        begin = time.process_time()
        try:
            return self.function(*given)
        finally:
            self.seconds += time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=2500)
    parser.add_argument("--sessions", type=int, default=1250)
    arguments = parser.parse_args()
    leaders = int(arguments.symbols * LEADER_SHARE)
    panel = planted_panel(
        1, leaders=leaders, walkers=arguments.symbols - leaders, bars=arguments.sessions, drift=0.001
    )
    asked = BacktestParams(thresholds=THRESHOLDS)
    run_backtest(panel, range(4), asked)
    begin = time.process_time()
    found = run_backtest(panel, range(arguments.symbols), asked)
    once = time.process_time() - begin
    print(f"one history: {once:.2f} s, {found.setups.entries:,} purchases")
    for name, plan in PLANS.items():
        print(f"{name}: {_measured(panel, plan, once)}", flush=True)


def _measured(panel: Panel, plan: StudyPlan, once_s: float) -> str:
    """What one plan costs: cells, walk-forward and overfitting; intervals and placebos beside it."""
    in_parts = in_chunks(panel, ROWS_AT_ONCE)
    figures.month_intervals = intervals = _Timed(month_intervals)  # type: ignore[assignment, attr-defined]
    begin = time.process_time()
    result, data = asyncio.run(run_study(panel, plan, CostSettings(), in_parts))
    asyncio.run(validate(panel, result, data, in_parts))
    studied = time.process_time()
    cells_s = studied - begin - intervals.seconds
    placebos_s = 0.0
    if result.best is not None:
        asked = msgspec.structs.replace(plan.validation, placebos=PLACEBOS)
        with_placebos = replace(data, plan=msgspec.structs.replace(plan, validation=asked))
        asyncio.run(placebo_differences(panel, with_placebos, result.best, in_parts, result))
        placebos_s = time.process_time() - studied
    trades = sum(len(table) for table in data.tables.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"{len(result.cells):,} cells, {cells_s:.1f} s = {cells_s / once_s:.1f} histories; beside it "
        f"intervals {intervals.seconds:.1f} s, {PLACEBOS} placebos of each kind {placebos_s:.1f} s; "
        f"{trades:,} trades, peak {peak:.0f} MB"
    )


if __name__ == "__main__":
    main()
