"""A study from plan to figures: simulate every set of trades in workers, then evaluate every cell.

The last months of the span are sealed: no cell is compared on them. Who runs a study says how the rows of the
panel are mapped, so that the same study runs in this process, in local workers, or elsewhere.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Protocol, TypeVar

import msgspec
import numpy as np

from vcpd.analysis.backtest import LeftOutSymbol
from vcpd.analysis.costs import CostSettings
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import FloatArray
from vcpd.domain.panel import Panel
from vcpd.domain.quality_flags import QualityParameters
from vcpd.studies.cells import StudyCell, TradeSetKey, study_cells, trade_sets
from vcpd.studies.figures import (
    CellFigures,
    JudgedTrades,
    MonthAxis,
    StudyFigures,
    judge_trades,
    study_figures,
)
from vcpd.studies.plan import StudyPlan
from vcpd.studies.rules import PERCENT
from vcpd.studies.simulation import SimulationParams, SimulationResult, simulate_rows
from vcpd.studies.trades import TradeTable

P = TypeVar("P")
T = TypeVar("T")
ENDED_EARLY_SESSIONS: Final = 5  # a symbol whose last bar is older ended before the file does
SURVIVOR_SHARE: Final = 0.005  # of the symbols a year: fewer endings are those of a list of survivors


class RowMapping(Protocol):
    """Runs a task over chunks of the panel's rows, in this process or in others."""

    async def __call__(self, task: Callable[[Panel, range, P], T], parameters: P) -> Sequence[T]: ...


class StudyUniverse(msgspec.Struct, frozen=True, kw_only=True):
    """Which symbols a study saw, and whether they are only those that survived."""

    symbols: int
    ended_early: int
    first: date
    last: date
    has_survivors_only: bool
    least_price: float = 0.0  # what the plan asks of prices; 0: nothing
    asked_series: tuple[str, ...] = ()  # of the date; empty: any
    restated_symbols: int | None = None  # whose later splits and bonuses are undone; None: none were given
    moved_symbols: int | None = None  # whose moves between series are known; None: none were given
    sectors_are_todays: bool = False
    left_out: list[LeftOutSymbol] = []


class StudyResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a study found: all cells in the order of the plan, and the number of the best."""

    universe: StudyUniverse
    first: date
    last: date  # of what is compared
    sealed_from: date | None
    cells: list[CellFigures]
    best: int | None
    searched_sessions: int = 0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StudyData:
    """What reports and guards are made from besides the figures; `returns` of n cells: (months, n).

    It has no text of its fields: Python 3.11 makes one of whatever `asyncio.run` returns, and of millions of
    trades that would take ten times their memory.
    """

    plan: StudyPlan
    cells: Sequence[StudyCell]
    axis: MonthAxis
    tables: Mapping[TradeSetKey, TradeTable]
    judged: Mapping[TradeSetKey, JudgedTrades]
    returns: FloatArray


async def run_study(
    panel: Panel,
    plan: StudyPlan,
    costs: CostSettings,
    map_rows: RowMapping,
    quality: QualityParameters | None = None,
) -> tuple[StudyResult, StudyData]:
    """Evaluate every cell of the plan. BadInputError for a span without sessions."""
    cells = study_cells(plan)
    axis = compared_months(panel, plan)
    keys = trade_sets(cells)
    parameters = SimulationParams(
        keys=keys,
        settings=plan.settings,
        cells=len(cells),
        first=plan.first,
        last=plan.last,
        universe=plan.dated_universe,
        fills=plan.fills,
        quality=quality,
    )
    parts = await map_rows(simulate_rows, parameters)
    tables = {key: TradeTable.joined([part.tables[at] for part in parts]) for at, key in enumerate(keys)}
    judged = judged_tables(tables, axis, plan, costs)
    figures = study_figures(cells, judged, axis, plan.validation.interval_pct)
    result = _result(panel, plan, parts, figures, axis)
    return result, StudyData(plan, cells, axis, tables, judged, figures.returns)


def judged_tables(
    tables: Mapping[TradeSetKey, TradeTable], axis: MonthAxis, plan: StudyPlan, costs: CostSettings
) -> dict[TradeSetKey, JudgedTrades]:
    """Judges the trades on the months of `axis`, with the costs of the plan's first way of sizing."""
    risked = plan.portfolio.equity * plan.portfolio.risk_pct[0] / PERCENT
    return {key: judge_trades(table, key.rules, axis, risked, costs) for key, table in tables.items()}


def span_columns(panel: Panel, plan: StudyPlan) -> tuple[int, int]:
    """Returns the span's first column and the one after its last. BadInputError where it has no session."""
    first, stop = 0, len(panel.sessions)
    if plan.first is not None:
        first = int(np.searchsorted(panel.sessions, np.datetime64(plan.first, "D")))
    if plan.last is not None:
        stop = int(np.searchsorted(panel.sessions, np.datetime64(plan.last, "D"), side="right"))
    if first >= stop:
        raise BadInputError(
            f"no session between {plan.first or 'the first bar'} and {plan.last or 'the last'}"
        )
    return first, stop


def compared_months(panel: Panel, plan: StudyPlan) -> MonthAxis:
    """Returns the months on which cells are compared: the span without its sealed months."""
    first, stop = span_columns(panel, plan)
    sealed = plan.validation.sealed_months
    if sealed:
        month = panel.sessions[stop - 1].astype("M8[M]") + np.timedelta64(1 - sealed, "M")
        stop = int(np.searchsorted(panel.sessions, month.astype("M8[D]")))
    if first >= stop:
        raise BadInputError(
            f"validation.sealed_months: {sealed} months leave no session of the span to compare"
        )
    return MonthAxis.of(panel.sessions, first, stop)


def sealed_months(panel: Panel, plan: StudyPlan) -> MonthAxis | None:
    """Returns the sealed months of the span; None where the plan seals none."""
    _, stop = span_columns(panel, plan)
    first = compared_months(panel, plan).stop
    return MonthAxis.of(panel.sessions, first, stop) if first < stop else None


def _result(
    panel: Panel,
    plan: StudyPlan,
    parts: Sequence[SimulationResult],
    figures: StudyFigures,
    axis: MonthAxis,
) -> StudyResult:
    sealed = axis.stop if plan.validation.sealed_months else None
    left_out = [symbol for part in parts for symbol in part.left_out]
    return StudyResult(
        universe=describe_universe(panel, left_out, plan),
        first=panel.sessions[axis.first].item(),
        last=panel.sessions[axis.stop - 1].item(),
        sealed_from=None if sealed is None else panel.sessions[sealed].item(),
        cells=list(figures.cells),
        best=best_cell(figures.cells, plan.validation.least_trades),
        searched_sessions=sum(part.searched_sessions for part in parts),
    )


def ranked_cells(cells: Sequence[CellFigures]) -> list[CellFigures]:
    """Sorts the cells by falling Sharpe ratio, of equal ones the first of the plan first."""
    return sorted(cells, key=lambda cell: (-cell.sharpe, cell.number))


def best_cell(cells: Sequence[CellFigures], least_trades: int) -> int | None:
    """Returns the number of the cell with the highest Sharpe ratio among those with enough trades."""
    return next((cell.number for cell in ranked_cells(cells) if cell.trades >= least_trades), None)


def describe_universe(panel: Panel, left_out: list[LeftOutSymbol], plan: StudyPlan) -> StudyUniverse:
    """Counts the symbols that end before the file does: where hardly any does, it holds survivors only."""
    facts = plan.facts
    has_bar = ~np.isnan(panel.close)
    last_bars = np.where(has_bar.any(axis=1), panel.close.shape[1] - 1 - has_bar[:, ::-1].argmax(axis=1), 0)
    ended = int((last_bars < len(panel.sessions) - ENDED_EARLY_SESSIONS).sum())
    first, last = panel.sessions[0].item(), panel.sessions[-1].item()
    years = max((last - first).days / 365.25, 1.0)
    return StudyUniverse(
        symbols=len(panel.symbols),
        ended_early=ended,
        first=first,
        last=last,
        has_survivors_only=ended < SURVIVOR_SHARE * years * len(panel.symbols),
        least_price=plan.universe.min_price,
        asked_series=plan.universe.series,
        restated_symbols=None if facts.ratios is None else len(facts.ratios),
        moved_symbols=None if facts.series is None else len(facts.series),
        sectors_are_todays=facts.sectors_are_todays,
        left_out=left_out,
    )
