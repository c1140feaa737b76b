"""`vcpd study`: would other thresholds, entries, stops or exits have done better, after costs?"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

from vcpd.analysis import screen
from vcpd.cli.command import EXIT_OK, add_config_argument, add_json_argument, set_action
from vcpd.cli.config import analysis_settings
from vcpd.cli.history import MIN_BARS_FOR_WORKERS, PRELOAD, show_progress
from vcpd.cli.local import add_date_order_argument, add_funds_argument, add_index_arguments, load_full_panel
from vcpd.cli.output import number_text, print_json, print_table
from vcpd.cli.study_plan import read_plan
from vcpd.config import Configuration
from vcpd.domain.panel import Panel
from vcpd.domain.runs import Progress
from vcpd.runtime import logs
from vcpd.runtime.worker_pool import WorkerPool
from vcpd.store.panel_files import PanelFiles, open_panel
from vcpd.study.figures import CellFigures
from vcpd.study.plan import StudyPlan
from vcpd.study.run import RowMapping, StudyData, StudyResult, run_study

P = TypeVar("P")
T = TypeVar("T")
SHOWN_CELLS: Final = 10
COLUMNS: Final = (
    "trades", "mean R before", "mean R after", "interval", "won %", "ambiguous %", "better order R",
    "a year %", "drawdown %", "Sharpe",
)  # fmt: skip


def add_study_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, study, "vcpd study --bars bars.parquet --plan study.toml --out study")
    parser.add_argument(
        "--bars", type=Path, required=True, metavar="FILE", help="parquet or CSV file, or a folder of them"
    )
    parser.add_argument(
        "--plan", type=Path, required=True, metavar="FILE", help="what is tried; docs/study.md shows one"
    )
    add_index_arguments(parser)
    add_date_order_argument(parser)
    add_funds_argument(parser)
    add_json_argument(parser)
    add_config_argument(parser)


def study(arguments: argparse.Namespace) -> int:
    """Prints the best cells. BadInputError or ConfigurationError for files that cannot be used."""
    logs.configure_quiet()
    configuration = analysis_settings(arguments)
    plan = read_plan(arguments.plan, configuration.screen)
    panel = load_full_panel(arguments)
    result, _ = asyncio.run(_run(panel, plan, configuration))
    if arguments.json:
        print_json(result)
    else:
        print_result(result, plan)
    return EXIT_OK


async def _run(panel: Panel, plan: StudyPlan, configuration: Configuration) -> tuple[StudyResult, StudyData]:
    async with row_mapping(panel, configuration) as map_rows:
        return await run_study(panel, plan, configuration.costs, map_rows, configuration.quality)


@asynccontextmanager
async def row_mapping(panel: Panel, configuration: Configuration) -> AsyncIterator[RowMapping]:
    """Maps rows in this process, or, where there are many bars, in workers over a snapshot of the panel."""
    if panel.close.size < MIN_BARS_FOR_WORKERS:
        yield map_rows_here(panel)
        return
    workers = WorkerPool(configuration.workers, open_panel, (screen.warm_up,), PRELOAD)
    with tempfile.TemporaryDirectory(prefix="vcpd-") as folder:
        try:
            reference = await asyncio.to_thread(PanelFiles(Path(folder)).write, panel)

            async def map_rows(task: Callable[[Panel, range, P], T], parameters: P) -> Sequence[T]:
                async with show_progress(Progress(), "symbols") as progress:
                    return await workers.map_panel(task, reference, parameters, progress=progress)

            yield map_rows
        finally:
            await workers.close()


def map_rows_here(panel: Panel) -> RowMapping:
    """Maps all rows at once in this process."""

    async def map_rows(task: Callable[[Panel, range, P], T], parameters: P) -> Sequence[T]:
        return [task(panel, range(len(panel.symbols)), parameters)]

    return map_rows


def print_result(result: StudyResult, plan: StudyPlan) -> None:
    """The universe first, then the best cells and how many there were."""
    print("\n".join(universe_lines(result)))
    ranked = sorted(result.cells, key=lambda cell: (-cell.sharpe, cell.number))[:SHOWN_CELLS]
    title = f"the {len(ranked)} best of {len(result.cells):,} cells, {result.first} to {result.last}"
    print_table(title, ("cell", "values", *COLUMNS), [_row(cell) for cell in ranked], COLUMNS)
    if result.best is None:
        print(f"No cell has {plan.validation.least_trades} trades: nothing can be compared.", file=sys.stderr)


def universe_lines(result: StudyResult) -> list[str]:
    """Whose bars these are; a file of survivors is named as such."""
    universe = result.universe
    ended = f"{universe.ended_early:,} end before the file does"
    left_out = f"{len(universe.left_out):,} left out for suspect bars"
    lines = [
        f"{universe.symbols:,} symbols from {universe.first} to {universe.last}; {ended}; {left_out}",
    ]
    if universe.has_survivors_only:
        lines.append(
            "The file holds survivors only: delisted symbols are missing, so every result is too good."
        )
    if result.sealed_from is not None:
        lines.append(f"Sealed from {result.sealed_from} on: no cell was compared there.")
    return lines


def _row(cell: CellFigures) -> tuple[str, ...]:
    interval = "" if cell.low_r is None else f"{cell.low_r:+.2f} .. {cell.high_r:+.2f}"
    values = ", ".join(f"{name} {value}" for name, value in cell.coordinates.items())
    return (
        str(cell.number),
        values or "the plan's only cell",
        f"{cell.trades:,}",
        number_text(cell.mean_before_r),
        number_text(cell.mean_after_r),
        interval,
        number_text(cell.won_pct, 1),
        number_text(cell.ambiguous_pct, 1),
        number_text(cell.better_mean_r),
        number_text(cell.return_pct, 1),
        number_text(cell.drawdown_pct, 1),
        number_text(cell.sharpe, 3),
    )
