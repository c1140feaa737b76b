"""`vcpd study`: would other thresholds, entries, stops or exits have done better, after costs?"""

import argparse
import asyncio
from pathlib import Path
from typing import NamedTuple

import msgspec

from vcpd.cli.command import EXIT_OK, add_config_argument, add_json_argument, set_action
from vcpd.cli.config import analysis_configuration
from vcpd.cli.engine import Engine, add_engine_arguments, engine_of
from vcpd.cli.local import add_date_order_argument, add_funds_argument, add_index_arguments, load_full_panel
from vcpd.cli.output import print_json
from vcpd.cli.row_mapping import row_mapping
from vcpd.cli.sectors import add_sector_lists_argument
from vcpd.cli.study_files import NO_SPLITS, best_cell_splits, study_report, write_files
from vcpd.cli.study_output import print_result, sealed_lines
from vcpd.cli.study_plan import read_plan
from vcpd.cli.study_universe import add_universe_arguments, universe_facts
from vcpd.config import Configuration
from vcpd.core.errors import BadInputError
from vcpd.domain.panel import Panel
from vcpd.runtime import logs
from vcpd.runtime.clock import WallClock
from vcpd.studies.breakdown import TradeSplits
from vcpd.studies.evening_verdicts import split_by_evening
from vcpd.studies.plan import StudyPlan
from vcpd.studies.run import StudyData, StudyResult, run_study
from vcpd.studies.trial_record import (
    OpenedSeal,
    RecordedStudy,
    TrialRecord,
    digest_of_bars,
    digest_of_plan,
    read_record,
    write_record,
)
from vcpd.studies.validation import Validation, sealed_figures, validate


def add_study_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, study, "vcpd study --bars bars.parquet --plan study.toml")
    parser.add_argument(
        "--bars", type=Path, required=True, metavar="FILE", help="parquet or CSV file, or a folder of them"
    )
    parser.add_argument(
        "--plan", type=Path, required=True, metavar="FILE", help="what is tried; docs/study.md shows one"
    )
    add_index_arguments(parser)
    add_date_order_argument(parser)
    add_funds_argument(parser)
    add_universe_arguments(parser)
    add_sector_lists_argument(parser, "; splits the best cell's trades by the rank of the sector")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder for the report and the record of studies"
    )
    parser.add_argument(
        "--open-sealed",
        action="store_true",
        help="evaluate the best cell on the sealed months; recorded in --out; only the first time is a test",
    )
    add_engine_arguments(parser)
    add_json_argument(parser)
    add_config_argument(parser)


def study(arguments: argparse.Namespace) -> int:
    """Prints the best cells and their guards, writes them below --out.

    BadInputError or ConfigurationError for files that cannot be used.
    """
    if arguments.open_sealed and arguments.out is None:
        raise BadInputError("--open-sealed: expected --out DIR too, where the opening is recorded")
    logs.configure_quiet()
    configuration = analysis_configuration(arguments)
    engine = engine_of(arguments, configuration)
    plan = read_plan(arguments.plan, configuration.screen)
    if arguments.open_sealed and not plan.validation.sealed_months:
        raise BadInputError(f"--open-sealed: {arguments.plan} seals no months")
    panel = load_full_panel(arguments)
    plan = msgspec.structs.replace(plan, facts=universe_facts(panel, arguments))
    record = TrialRecord() if arguments.out is None else read_record(arguments.out)
    found = asyncio.run(_run(panel, plan, engine, record))
    if arguments.out is not None:
        found = _with_record(found, panel, record, configuration, arguments)
    result, validation, data, by_evening = found
    best = result.best
    splits = by_evening
    if best is not None:
        splits = best_cell_splits(panel, data, best, configuration, arguments).joined(by_evening)
    report = study_report(result, validation, data, splits)
    earlier = record.openings(digest_of_bars(panel))
    if arguments.out is not None:
        write_files(report, panel, data, arguments, earlier)
    if arguments.json:
        print_json(report)
    else:
        print_result(result, validation, plan)
        if validation.sealed is not None:
            print("\n".join(sealed_lines(validation.sealed, earlier)))
        print("\n".join(report.conclusions))
    return EXIT_OK


class FoundStudy(NamedTuple):
    """Everything that a study found."""

    result: StudyResult
    validation: Validation
    data: StudyData
    by_evening: TradeSplits  # the best cell's trades, by score decile and state


async def _run(panel: Panel, plan: StudyPlan, engine: Engine, record: TrialRecord) -> FoundStudy:
    configuration = engine.configuration
    earlier = record.earlier_cells(digest_of_bars(panel), digest_of_plan(plan))
    async with row_mapping(panel, engine) as map_rows:
        result, data = await run_study(panel, plan, configuration.costs, map_rows, configuration.quality)
        validation = await validate(panel, result, data, map_rows, earlier)
        by_evening = NO_SPLITS if result.best is None else await split_by_evening(data, result.best, map_rows)
        return FoundStudy(result, validation, data, by_evening)


def _with_record(
    found: FoundStudy,
    panel: Panel,
    record: TrialRecord,
    configuration: Configuration,
    arguments: argparse.Namespace,
) -> FoundStudy:
    """Record the study, and the opening before the sealed months are looked at."""
    now, bars, plan = WallClock().now(), digest_of_bars(panel), digest_of_plan(found.data.plan)
    count = len(found.result.cells)
    record = record.with_study(RecordedStudy(at=now, bars=bars, plan=plan, cells=count))
    best, sealed_from = found.result.best, found.result.sealed_from
    if not arguments.open_sealed or best is None or sealed_from is None:
        write_record(arguments.out, record)
        return found
    opening = OpenedSeal(at=now, bars=bars, plan=plan, sealed_from=sealed_from, cell=best)
    write_record(arguments.out, record.with_opening(opening))
    sealed = sealed_figures(panel, found.data, best, configuration.costs)
    return found._replace(validation=msgspec.structs.replace(found.validation, sealed=sealed))
