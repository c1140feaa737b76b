"""The guards of a study in their order: walk-forward, overfitting, placebos, the sealed months."""

from collections.abc import Sequence

import msgspec
import numpy as np

from vcpd.analysis.costs import CostSettings
from vcpd.domain.bars import FloatArray
from vcpd.domain.panel import Panel
from vcpd.studies.figures import CellFigures, study_figures
from vcpd.studies.overfitting import deflated_sharpe, overfitting_probability, sharpe_spread
from vcpd.studies.placebo import PlaceboKind, PlaceboParams, PlaceboResult, placebo_rows
from vcpd.studies.run import RowMapping, StudyData, StudyResult, judged_tables, sealed_months
from vcpd.studies.walk_forward import MeanEstimate, WalkForward, mean_estimate, walk_forward


class PlaceboDifference(msgspec.Struct, frozen=True, kw_only=True):
    """How far the trades lie above their placebos, in R before costs."""

    kind: PlaceboKind
    placebo_mean_r: float | None
    difference: MeanEstimate


class Validation(msgspec.Struct, frozen=True, kw_only=True):
    """What speaks for and against the best cell; `trials` is the number of all cells that were tried."""

    trials: int
    cell: int | None
    walk_forward: WalkForward | None
    deflated_sharpe: float | None
    overfitting_probability: float | None
    placebos: list[PlaceboDifference] = []
    sealed: CellFigures | None = None  # the best cell on the sealed months, once they are opened


async def validate(
    panel: Panel, result: StudyResult, data: StudyData, map_rows: RowMapping, earlier_trials: int = 0
) -> Validation:
    """Judge the best cell; `earlier_trials` are cells of earlier studies of the same bars."""
    trials = len(result.cells) + earlier_trials
    returns, number = data.returns, result.best
    if number is None:
        return Validation(
            trials=trials, cell=None, walk_forward=None, deflated_sharpe=None, overfitting_probability=None
        )
    return Validation(
        trials=trials,
        cell=number,
        walk_forward=walk_forward(data.cells, data.judged, returns, data.axis, data.plan.validation),
        deflated_sharpe=deflated_sharpe(returns[:, number], sharpe_spread(returns), trials),
        overfitting_probability=overfitting_probability(returns),
        placebos=await placebo_differences(panel, data, number, map_rows, result),
    )


async def placebo_differences(
    panel: Panel, data: StudyData, number: int, map_rows: RowMapping, result: StudyResult
) -> list[PlaceboDifference]:
    """Both kinds of placebo against the trades of one cell."""
    plan, cell = data.plan, data.cells[number]
    trades = data.judged[cell.trades].table
    if not plan.validation.placebos or not len(trades):
        return []
    left_out = {symbol.symbol for symbol in result.universe.left_out}
    parameters = PlaceboParams(
        trades=trades,
        rules=cell.trades.rules,
        seed=plan.seed,
        count=plan.validation.placebos,
        stop_column=data.axis.stop,
        excluded_rows=tuple(row for row, symbol in enumerate(panel.symbols) if symbol in left_out),
        universe=plan.dated_universe,
        fills=plan.fills,
    )
    parts = await map_rows(placebo_rows, parameters)
    return [_difference(kind, _joined(parts, kind, len(trades)), data, number) for kind in PlaceboKind]


def _joined(parts: Sequence[PlaceboResult], kind: PlaceboKind, n: int) -> FloatArray:
    """(n,): the mean of the placebos of each trade."""
    means = np.full(n, np.nan)
    for part in parts:
        means[part.numbers] = np.array(part.means[kind], np.float64)
    return means


def _difference(kind: PlaceboKind, placebos: FloatArray, data: StudyData, number: int) -> PlaceboDifference:
    trades = data.judged[data.cells[number].trades]
    known = ~np.isnan(placebos)
    days = data.axis.sessions[trades.first_entries[known]]
    differences = trades.table.results_r[known] - placebos[known]
    return PlaceboDifference(
        kind=kind,
        placebo_mean_r=float(placebos[known].mean()) if known.any() else None,
        difference=mean_estimate(days, differences, data.plan.validation.interval_pct),
    )


def sealed_figures(panel: Panel, data: StudyData, number: int, costs: CostSettings) -> CellFigures | None:
    """The figures of one cell on the sealed months; None where the plan seals none."""
    axis, cell = sealed_months(panel, data.plan), data.cells[number]
    if axis is None:
        return None
    tables = {cell.trades: data.tables[cell.trades]}
    judged = judged_tables(tables, axis, data.plan, costs)
    return study_figures([cell], judged, axis, data.plan.validation.interval_pct).cells[0]
