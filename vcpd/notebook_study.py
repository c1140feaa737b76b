"""Runs a study in the calling process, without an event loop of the caller's, and shows it in a notebook."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import msgspec
import polars as pl

from vcpd.analysis.costs import CostSettings
from vcpd.cli.study_files import NO_SPLITS, study_report
from vcpd.cli.study_output import guard_lines, universe_lines
from vcpd.domain.panel import Panel
from vcpd.progress_line import NotebookProgress, cells_of
from vcpd.store.table_files import rows_frame
from vcpd.studies.breakdown import trade_rows
from vcpd.studies.evening_verdicts import split_by_evening
from vcpd.studies.plan import StudyPlan
from vcpd.studies.report import StudyReport, report_page
from vcpd.studies.run import RowMapping, StudyData, run_study
from vcpd.studies.validation import validate

P = TypeVar("P")
T = TypeVar("T")
ROWS_AT_ONCE: Final = 64


class StudyOutcome(msgspec.Struct, frozen=True):
    """A study; it shows its report in a notebook.

    `cells` has a row for each cell, `trades` the best cell's trades, `report` everything as values.
    """

    report: StudyReport
    cells: pl.DataFrame
    trades: pl.DataFrame

    @property
    def conclusions(self) -> tuple[str, str]:
        """What may be concluded, and what may not."""
        return self.report.conclusions

    @property
    def html(self) -> str:
        """The report as one page."""
        lines = universe_lines(self.report.result), guard_lines(self.report.validation)
        return report_page(self.report, *lines).decode()

    def _repr_html_(self) -> str:
        return self.html


def run_notebook_study(
    panel: Panel, plan: StudyPlan, costs: CostSettings, *, shows_progress: bool
) -> StudyOutcome:
    """See `vcpd.api.study`. A notebook has a loop that runs already, so the study has a thread of its own."""
    bar = NotebookProgress(is_shown=shows_progress)
    with ThreadPoolExecutor(1, thread_name_prefix="vcpd-study") as thread:
        return thread.submit(lambda: asyncio.run(_study(panel, plan, costs, bar))).result()


async def _study(panel: Panel, plan: StudyPlan, costs: CostSettings, bar: NotebookProgress) -> StudyOutcome:
    map_rows = mapping_in_chunks(panel, bar)
    result, data = await run_study(panel, plan, costs, map_rows)
    validation = await validate(panel, result, data, map_rows)
    splits = NO_SPLITS if result.best is None else await split_by_evening(data, result.best, map_rows)
    return StudyOutcome(
        study_report(result, validation, data, splits),
        rows_frame([cell.table_row for cell in result.cells]),
        _best_trades(panel, data, result.best),
    )


def _best_trades(panel: Panel, data: StudyData, best: int | None) -> pl.DataFrame:
    return pl.DataFrame() if best is None else rows_frame(trade_rows(panel, data, best))


def mapping_in_chunks(panel: Panel, bar: NotebookProgress) -> RowMapping:
    """Maps rows in this process, some at a time, with a bar of the symbols that are done."""

    async def map_rows(task: Callable[[Panel, range, P], T], parameters: P) -> Sequence[T]:
        return [task(panel, part, parameters) for part in bar.track(row_parts(panel), cells_of(parameters))]

    return map_rows


def row_parts(panel: Panel) -> list[range]:
    """The rows of the panel, some at a time."""
    last = len(panel.symbols)
    return [range(start, min(start + ROWS_AT_ONCE, last)) for start in range(0, last, ROWS_AT_ONCE)]
