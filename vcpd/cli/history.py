"""`vcpd history`: backtest over a bar file, with outcomes and base rates."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from vcpd.analysis import screen
from vcpd.analysis.backtest import (
    BacktestParams,
    BacktestResult,
    BaseHistory,
    OutcomeCounts,
    TradeOutcome,
    merge_results,
    run_backtest,
)
from vcpd.cli.command import EXIT_OK
from vcpd.cli.config import analysis_settings
from vcpd.cli.local import load_full_panel, print_flagged
from vcpd.cli.output import configure_quiet_logging, number_text, print_json, print_table
from vcpd.config import Configuration
from vcpd.core.errors import BadInputError
from vcpd.domain.panel import Panel
from vcpd.domain.runs import Progress
from vcpd.runtime.worker_pool import WorkerPool
from vcpd.store import bar_files
from vcpd.store.panel_files import PanelFiles, open_panel

POLL_INTERVAL_S: Final = 0.2
MIN_BARS_FOR_WORKERS: Final = 300_000  # fewer are told sooner than two processes start
PRELOAD: Final = ("numpy", "numba")
RATE_COLUMNS: Final = (
    "bought", "finished", "+1R %", "+2R %", "+3R %", "stopped %", "mean R", "best R", "worst R", "sessions",
)  # fmt: skip


@asynccontextmanager
async def show_progress(progress: Progress, what: str) -> AsyncIterator[Progress]:
    """Show `progress` while the block runs; nothing where standard error is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        looking = asyncio.create_task(_update_bar(bar, progress, what), name="progress-bar")
        try:
            yield progress
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)


async def _update_bar(bar: Bar, progress: Progress, what: str) -> None:
    task = bar.add_task(what, total=None)
    while True:
        bar.update(task, completed=progress.done, total=progress.total or None)
        await asyncio.sleep(POLL_INTERVAL_S)


def history(arguments: argparse.Namespace) -> int:
    """BadInputError for a span without sessions. A symbol that cannot be computed ends it with an error."""
    if arguments.first and arguments.last and arguments.first > arguments.last:
        raise BadInputError(f"--from {arguments.first} lies after --to {arguments.last}")
    configure_quiet_logging()
    panel, configuration = load_full_panel(arguments), analysis_settings(arguments)
    print_flagged(panel, arguments)
    looking = BacktestParams(first=arguments.first, last=arguments.last, thresholds=configuration.screen)
    found = _run_backtest(panel, looking, configuration)
    if not found.judged_sessions:
        begin, end = arguments.first or "its first bar", arguments.last or "its last bar"
        raise BadInputError(f"{arguments.bars}: no session between {begin} and {end}")
    _write_result(found, arguments)
    return EXIT_OK


def _run_backtest(panel: Panel, looking: BacktestParams, configuration: Configuration) -> BacktestResult:
    if panel.close.size < MIN_BARS_FOR_WORKERS:
        return run_backtest(panel, range(len(panel.symbols)), looking)
    return asyncio.run(_run_backtest_in_workers(panel, looking, configuration))


async def _run_backtest_in_workers(
    panel: Panel, looking: BacktestParams, configuration: Configuration
) -> BacktestResult:
    """Through a snapshot in a temporary folder, so that no bar is copied to a worker."""
    workers = WorkerPool(configuration.workers, open_panel, (screen.warm_up,), PRELOAD)
    with tempfile.TemporaryDirectory(prefix="vcpd-") as folder:
        try:
            reference = await asyncio.to_thread(PanelFiles(Path(folder)).write, panel)
            async with show_progress(Progress(), "symbols") as progress:
                return merge_results(
                    list(await workers.map_panel(run_backtest, reference, looking, progress=progress))
                )
        finally:
            await workers.close()


def _write_result(found: BacktestResult, arguments: argparse.Namespace) -> None:
    if arguments.parquet is not None:
        count = bar_files.write_rows(arguments.parquet, [to_flat_row(told) for told in found.bases])
        print(f"{arguments.parquet}: {count:,} bases", file=sys.stderr)
    if arguments.json:
        print_json(to_document(found))
    else:
        _print_rates(found)


def to_document(found: BacktestResult) -> Mapping[str, Any]:
    """The lives, and the rates beside the base rates."""
    return {
        "judged_sessions": found.judged_sessions,
        "setups": found.bases,
        "rates": {name: {**msgspec.to_builtins(tally), **tally.shares} for name, tally in _rates(found)},
    }


def to_flat_row(told: BaseHistory) -> dict[str, Any]:
    """One base as one row; a base that was not bought has nothing in the outcome's columns."""
    row: dict[str, Any] = msgspec.to_builtins(told, builtin_types=(date,))
    outcome = row.pop("outcome") or dict.fromkeys(TradeOutcome.__struct_fields__)
    events = row.pop("events")
    return {**row, **{f"outcome_{name}": value for name, value in outcome.items()}, "events": events}


def _rates(found: BacktestResult) -> Sequence[tuple[str, OutcomeCounts]]:
    return (
        ("setups, own stops", found.setups),
        ("setups, one same stop", found.setups_same_stop),
        ("trend template alone", found.template),
        ("every close", found.universe),
    )


def _print_rates(found: BacktestResult) -> None:
    title = f"{len(found.bases):,} bases in {found.judged_sessions:,} judged sessions of symbols"
    rows = [(name, *_rate_row(tally)) for name, tally in _rates(found)]
    print_table(title, ("bought at", *RATE_COLUMNS), rows, RATE_COLUMNS)
    reasons: dict[str, int] = {}
    for told in found.bases:
        reasons[told.reason or "bought"] = reasons.get(told.reason or "bought", 0) + 1
    print("; ".join(f"{reason}: {count:,}" for reason, count in sorted(reasons.items())))
    print("Only finished purchases count: stopped, or held for the whole horizon. R is entry less stop.")


def _rate_row(tally: OutcomeCounts) -> tuple[str, ...]:
    shares = tally.shares
    percent = [None if (one := shares[name]) is None else 100 * one for name in _SHARES]
    means = [shares[name] for name in _MEANS]
    counts = (f"{tally.entries:,}", f"{tally.finished:,}")
    return (*counts, *(number_text(one, 1) for one in percent), *map(number_text, means))


_SHARES: Final = ("reached_1r", "reached_2r", "reached_3r", "stopped")
_MEANS: Final = ("result_r", "best_r", "worst_r", "sessions")
