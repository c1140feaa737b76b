"""`vcpd history`: the detector on every session of a file of bars, with outcomes and base rates."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import msgspec

from vcpd.analysis import setups
from vcpd.analysis.history import Looking, Outcome, Recount, Told, joined, recount
from vcpd.analysis.outcomes import Tally
from vcpd.cli.configuration import judging_settings
from vcpd.cli.offline import say_doubtful, whole_panel
from vcpd.cli.output import number_text, print_json, print_table
from vcpd.cli.progress import showing
from vcpd.cli.quiet import quiet_logs
from vcpd.cli.verbs import EXIT_OK
from vcpd.config import Configuration
from vcpd.domain.errors import BadInputError
from vcpd.domain.panel import Panel
from vcpd.domain.runs import Progress
from vcpd.runtime.workers import WorkerPool
from vcpd.store import barfiles
from vcpd.store.panel_files import PanelFiles, open_panel

WORTH_WORKERS_BARS: Final = 300_000  # fewer are told sooner than two processes start
PRELOAD: Final = ("numpy", "numba")
RATE_COLUMNS: Final = (
    "bought", "finished", "+1R %", "+2R %", "+3R %", "stopped %", "mean R", "best R", "worst R", "sessions",
)  # fmt: skip


def history(arguments: argparse.Namespace) -> int:
    """BadInputError for a span without sessions. A symbol that cannot be computed ends it with an error."""
    if arguments.first and arguments.last and arguments.first > arguments.last:
        raise BadInputError(f"--from {arguments.first} lies after --to {arguments.last}")
    quiet_logs()
    panel, configuration = whole_panel(arguments), judging_settings(arguments)
    say_doubtful(panel, arguments)
    looking = Looking(first=arguments.first, last=arguments.last, thresholds=configuration.screen)
    found = _recount(panel, looking, configuration)
    if not found.judged_sessions:
        begin, end = arguments.first or "its first bar", arguments.last or "its last bar"
        raise BadInputError(f"{arguments.bars}: no session between {begin} and {end}")
    _give(found, arguments)
    return EXIT_OK


def _recount(panel: Panel, looking: Looking, configuration: Configuration) -> Recount:
    if panel.close.size < WORTH_WORKERS_BARS:
        return recount(panel, range(len(panel.symbols)), looking)
    return asyncio.run(_recount_in_workers(panel, looking, configuration))


async def _recount_in_workers(panel: Panel, looking: Looking, configuration: Configuration) -> Recount:
    """Through a snapshot in a temporary folder, so that no bar is copied to a worker."""
    workers = WorkerPool(configuration.workers, open_panel, (setups.warm_up,), PRELOAD)
    with tempfile.TemporaryDirectory(prefix="vcpd-") as folder:
        try:
            reference = await asyncio.to_thread(PanelFiles(Path(folder)).write, panel)
            async with showing(Progress(), "symbols") as progress:
                return joined(list(await workers.map_panel(recount, reference, looking, progress=progress)))
        finally:
            await workers.close()


def _give(found: Recount, arguments: argparse.Namespace) -> None:
    if arguments.parquet is not None:
        count = barfiles.write_rows(arguments.parquet, [flat_row(told) for told in found.told])
        print(f"{arguments.parquet}: {count:,} bases", file=sys.stderr)
    if arguments.json:
        print_json(as_document(found))
    else:
        _print_rates(found)


def as_document(found: Recount) -> Mapping[str, Any]:
    """The lives, and the rates beside the base rates."""
    return {
        "judged_sessions": found.judged_sessions,
        "setups": found.told,
        "rates": {name: {**msgspec.to_builtins(tally), **tally.shares} for name, tally in _rates(found)},
    }


def flat_row(told: Told) -> dict[str, Any]:
    """One base as one row; a base that was not bought has nothing in the outcome's columns."""
    row: dict[str, Any] = msgspec.to_builtins(told, builtin_types=(date,))
    outcome = row.pop("outcome") or dict.fromkeys(Outcome.__struct_fields__)
    events = row.pop("events")
    return {**row, **{f"outcome_{name}": value for name, value in outcome.items()}, "events": events}


def _rates(found: Recount) -> Sequence[tuple[str, Tally]]:
    return (
        ("setups, own stops", found.setups),
        ("setups, one same stop", found.setups_same_stop),
        ("trend template alone", found.template),
        ("every close", found.universe),
    )


def _print_rates(found: Recount) -> None:
    title = f"{len(found.told):,} bases in {found.judged_sessions:,} judged sessions of symbols"
    rows = [(name, *_rate_row(tally)) for name, tally in _rates(found)]
    print_table(title, ("bought at", *RATE_COLUMNS), rows, RATE_COLUMNS)
    reasons: dict[str, int] = {}
    for told in found.told:
        reasons[told.reason or "bought"] = reasons.get(told.reason or "bought", 0) + 1
    print("; ".join(f"{reason}: {count:,}" for reason, count in sorted(reasons.items())))
    print("Only finished purchases count: stopped, or held for the whole horizon. R is entry less stop.")


def _rate_row(tally: Tally) -> tuple[str, ...]:
    shares = tally.shares
    percent = [None if (one := shares[name]) is None else 100 * one for name in _SHARES]
    means = [shares[name] for name in _MEANS]
    counts = (f"{tally.entries:,}", f"{tally.finished:,}")
    return (*counts, *(number_text(one, 1) for one in percent), *map(number_text, means))


_SHARES: Final = ("reached_1r", "reached_2r", "reached_3r", "stopped")
_MEANS: Final = ("result_r", "best_r", "worst_r", "sessions")
