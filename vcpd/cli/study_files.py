"""Files of a study below --out: report as HTML and JSON, all cells and the best cell's trades as tables."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from vcpd.analysis.outcomes import CountedPurchase, Estimate
from vcpd.cli.history_splits import split_purchases
from vcpd.cli.study_output import guard_lines, sealed_lines, universe_lines
from vcpd.config import Configuration
from vcpd.core.atomic_file import write_atomic
from vcpd.domain.panel import Panel
from vcpd.store import table_files
from vcpd.studies.breakdown import break_down, outcome_counts, trade_rows
from vcpd.studies.conclusion import conclusions
from vcpd.studies.plateaus import plateau_maps
from vcpd.studies.report import StudyReport, report_page
from vcpd.studies.run import StudyData, StudyResult
from vcpd.studies.trial_record import OpenedSeal
from vcpd.studies.validation import Validation

BEST: Final = "trades"


def study_report(
    result: StudyResult,
    validation: Validation,
    data: StudyData,
    splits: Mapping[str, Mapping[str, Estimate]] | None = None,
) -> StudyReport:
    """The whole report of a study."""
    return StudyReport(
        result=result,
        validation=validation,
        conclusions=conclusions(result, validation, data.plan.validation.interval_pct),
        interval_pct=data.plan.validation.interval_pct,
        plateaus=plateau_maps(result.cells),
        breakdown=None if result.best is None else break_down(data, result.best),
        splits=splits or {},
    )


def best_cell_splits(
    panel: Panel, data: StudyData, number: int, configuration: Configuration, arguments: argparse.Namespace
) -> Mapping[str, Mapping[str, Estimate]]:
    """The best cell's trades by regime where --index gives one, by sector rank where --sectors does."""
    purchases = [
        CountedPurchase(str(row["symbol"]), row["bought"], row["after_r"])  # type: ignore[arg-type]
        for row in trade_rows(panel, data, number)
    ]
    kinds = {BEST: outcome_counts(data, number)}
    found = split_purchases(kinds, (BEST, purchases), panel, configuration, arguments)
    return {name: parts[BEST] for name, parts in found.items()}


def write_files(
    report: StudyReport,
    panel: Panel,
    data: StudyData,
    arguments: argparse.Namespace,
    earlier: Sequence[OpenedSeal],
) -> None:
    """Write report.html, study.json, cells.parquet and trades.parquet, each whole or not at all.

    `earlier` are the openings of the sealed months before this one, which the report names.
    """
    folder, best = arguments.out, report.result.best
    guards = guard_lines(report.validation)
    if report.validation.sealed is not None:
        guards += sealed_lines(report.validation.sealed, earlier)
    write_atomic(folder / "report.html", report_page(report, universe_lines(report.result), guards))
    write_atomic(folder / "study.json", msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    table_files.write_rows(folder / "cells.parquet", [cell.table_row for cell in report.result.cells])
    if best is not None:
        table_files.write_rows(folder / "trades.parquet", trade_rows(panel, data, best))
    print(f"{folder}: report.html, study.json, cells.parquet, trades.parquet", file=sys.stderr)
