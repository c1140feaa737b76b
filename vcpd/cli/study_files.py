"""Files of a study below --out: report as HTML and JSON, all cells and the best cell's trades as tables."""

import argparse
import sys
from collections.abc import Sequence
from typing import Final

import msgspec

from vcpd.analysis.outcomes import CountedPurchase
from vcpd.cli.history_splits import split_purchases
from vcpd.cli.study_output import guard_lines, sealed_lines, universe_lines
from vcpd.config import Configuration
from vcpd.core.atomic_file import write_atomic
from vcpd.domain.panel import Panel
from vcpd.store import table_files
from vcpd.studies.breakdown import TradeSplits, break_down, outcome_counts, trade_rows
from vcpd.studies.conclusion import conclusions
from vcpd.studies.plateaus import plateau_maps
from vcpd.studies.report import StudyReport, report_page
from vcpd.studies.run import StudyData, StudyResult
from vcpd.studies.trial_record import OpenedSeal
from vcpd.studies.validation import Validation

AFTER: Final = "after costs"
BEFORE: Final = "before costs"
NO_SPLITS: Final = TradeSplits()


def study_report(
    result: StudyResult,
    validation: Validation,
    data: StudyData,
    splits: TradeSplits = NO_SPLITS,
) -> StudyReport:
    """The whole report of a study."""
    return StudyReport(
        result=result,
        validation=validation,
        conclusions=conclusions(result, validation, data.plan.validation.interval_pct),
        interval_pct=data.plan.validation.interval_pct,
        plateaus=plateau_maps(result.cells),
        breakdown=None if result.best is None else break_down(data, result.best),
        splits=splits.after,
        splits_before=splits.before,
    )


def best_cell_splits(
    panel: Panel, data: StudyData, number: int, configuration: Configuration, arguments: argparse.Namespace
) -> TradeSplits:
    """The best cell's trades by regime where --index gives one, by sector rank where --sectors does."""
    rows = trade_rows(panel, data, number)
    purchases = {
        name: [
            CountedPurchase(str(row["symbol"]), row["bought"], row[column])  # type: ignore[arg-type]
            for row in rows
        ]
        for name, column in ((AFTER, "after_r"), (BEFORE, "before_r"))
    }
    kinds = {AFTER: outcome_counts(data, number), BEFORE: outcome_counts(data, number, costs=False)}
    found = split_purchases(kinds, purchases, panel, configuration, arguments)
    after, before = ({name: parts[kind] for name, parts in found.items()} for kind in kinds)
    return TradeSplits(after, before)


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
