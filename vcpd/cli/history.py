"""`vcpd history`: backtest over a bar file, with outcomes and base rates."""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import msgspec

from vcpd.analysis.backtest import (
    BacktestParams,
    BacktestResult,
    BaseHistory,
    LeftOutSymbol,
    TradeOutcome,
    merge_results,
    run_backtest,
)
from vcpd.analysis.month_intervals import LEAST_MONTHS
from vcpd.analysis.outcomes import (
    INTERVAL_PCT,
    Estimate,
    OutcomeCounts,
    estimate_counts,
    estimate_difference,
)
from vcpd.cli.command import (
    EXIT_OK,
    add_config_argument,
    add_format_arguments,
    date_argument,
    non_negative_number_argument,
    set_action,
)
from vcpd.cli.config import analysis_configuration
from vcpd.cli.engine import Engine, add_engine_arguments, engine_of
from vcpd.cli.history_splits import OutcomeSplits, outcome_splits, print_splits
from vcpd.cli.local import (
    DAEMON_BARS,
    add_date_order_argument,
    add_funds_argument,
    add_index_arguments,
    load_full_panel,
    load_snapshot,
)
from vcpd.cli.output import number_text, print_data, print_table
from vcpd.cli.row_mapping import row_mapping
from vcpd.cli.sectors import add_sector_lists_argument
from vcpd.core.errors import BadInputError
from vcpd.domain.panel import Panel
from vcpd.runtime import logs
from vcpd.store import table_files

REASONS_SHOWN: Final = 10
RATE_COLUMNS: Final = (
    "entries", "counted", "+1R %", "+2R %", "+3R %", "stopped %", "sessions", "mean R", "95 %", "median R",
)  # fmt: skip
DIFFERENCE_COLUMNS: Final = ("purchases", "mean R", "95 %", "median R")
SHARE_NAMES: Final = ("reached_1r", "reached_2r", "reached_3r", "stopped")
SETUPS: Final = "setups, own stops"
SETUPS_SAME_STOP: Final = "setups"
NEW_HIGHS: Final = "trend template and first close above the 50-day high"
TEMPLATE: Final = "trend template alone"
EVERY_CLOSE: Final = "every close"


def add_history_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(
        parser,
        history,
        "vcpd history --bars bars.parquet --index indices.parquet --from 2023-01-01 --to 2025-06-30",
    )
    parser.add_argument(
        "--bars",
        type=Path,
        metavar="FILE",
        help="parquet or CSV file, or a folder of them; without it the daemon's own bars are used",
    )
    add_index_arguments(parser)
    add_date_order_argument(parser)
    add_funds_argument(parser)
    parser.add_argument(
        "--from", dest="first", type=date_argument, metavar="DATE", help="first session evaluated"
    )
    parser.add_argument(
        "--to", dest="last", type=date_argument, metavar="DATE", help="last session evaluated"
    )
    parser.add_argument("--parquet", type=Path, metavar="FILE", help="write one row per setup as a table")
    parser.add_argument(
        "--cost-pct",
        type=non_negative_number_argument,
        default=0.3,
        metavar="PCT",
        help="buying and selling together, percent of the entry; default: 0.3",
    )
    add_sector_lists_argument(parser, "; splits the outcomes by the rank of the sector")
    add_engine_arguments(parser)
    add_format_arguments(parser)
    add_config_argument(parser)


def history(arguments: argparse.Namespace) -> int:
    """BadInputError for a span without sessions. A symbol that cannot be computed ends it with an error."""
    if arguments.first and arguments.last and arguments.first > arguments.last:
        raise BadInputError(f"--from {arguments.first} lies after --to {arguments.last}")
    logs.configure_quiet()
    panel = load_full_panel(arguments) if arguments.bars is not None else load_snapshot(arguments)
    configuration = analysis_configuration(arguments)
    looking = BacktestParams(
        first=arguments.first,
        last=arguments.last,
        thresholds=configuration.screen,
        cost_pct=arguments.cost_pct,
        quality=configuration.quality,
    )
    found = asyncio.run(_run_backtest(panel, looking, engine_of(arguments, configuration)))
    if not found.judged_sessions and not found.left_out:
        begin, end = arguments.first or "its first bar", arguments.last or "its last bar"
        raise BadInputError(f"{arguments.bars or DAEMON_BARS}: no session between {begin} and {end}")
    _warn_left_out(found.left_out)
    splits = outcome_splits(found, looking, panel, configuration, arguments)
    _write_result(found, looking, arguments, splits)
    return EXIT_OK


async def _run_backtest(panel: Panel, looking: BacktestParams, engine: Engine) -> BacktestResult:
    async with row_mapping(panel, engine) as map_rows:
        return merge_results(list(await map_rows(run_backtest, looking)))


def _write_result(
    found: BacktestResult, looking: BacktestParams, arguments: argparse.Namespace, splits: OutcomeSplits
) -> None:
    if arguments.parquet is not None:
        count = table_files.write_rows(arguments.parquet, [to_flat_row(base) for base in found.bases])
        print(f"{arguments.parquet}: {count:,} bases", file=sys.stderr)
    rows = [to_flat_row(base) for base in found.bases] if arguments.csv else ()
    if not print_data(arguments, {**to_document(found, looking), "splits": splits}, rows):
        _print_result(found, looking)
        print_splits(splits)


def to_document(found: BacktestResult, looking: BacktestParams) -> Mapping[str, Any]:
    """The bases, the rates beside the base rates, the differences and the symbols that were left out."""
    return {
        "judged_sessions": found.judged_sessions,
        "cost_pct": looking.cost_pct,
        "horizon_sessions": looking.horizon_sessions,
        "same_stop_pct": looking.same_stop_pct,
        "left_out": found.left_out,
        "setups": found.bases,
        "rates": {name: _rate_document(counts) for name, counts in _rates(found)},
        "differences": dict(_differences(found)),
        "conclusion": conclusion(found),
    }


def _rate_document(counts: OutcomeCounts) -> Mapping[str, Any]:
    """Counts, sums, shares and means before costs, and the estimate after them."""
    numbers = msgspec.to_builtins(counts)
    plain = {name: value for name, value in numbers.items() if not isinstance(value, str)}
    return {**plain, **counts.sums_r, **counts.shares, "after_costs": estimate_counts(counts)}


def to_flat_row(history: BaseHistory) -> dict[str, Any]:
    """One base as one row; a base that was not bought has nothing in the outcome's columns."""
    row: dict[str, Any] = msgspec.to_builtins(history, builtin_types=(date,))
    outcome = row.pop("outcome") or dict.fromkeys(TradeOutcome.__struct_fields__)
    events = row.pop("events")
    return {**row, **{f"outcome_{name}": value for name, value in outcome.items()}, "events": events}


def _rates(found: BacktestResult) -> Sequence[tuple[str, OutcomeCounts]]:
    return (
        (SETUPS, found.setups),
        (SETUPS_SAME_STOP, found.setups_same_stop),
        (NEW_HIGHS, found.new_highs),
        (TEMPLATE, found.template),
        (EVERY_CLOSE, found.universe),
    )


def _differences(found: BacktestResult) -> Sequence[tuple[str, Estimate]]:
    """How far the setups lie above each base rate of the same session, all with the same stop."""
    return [(name, estimate_difference(found.setups_same_stop, counts)) for name, counts in _rates(found)[2:]]


def _print_result(found: BacktestResult, looking: BacktestParams) -> None:
    title = f"{len(found.bases):,} bases in {found.judged_sessions:,} evaluated sessions of symbols"
    rows = [(name, *_rate_row(counts)) for name, counts in _rates(found)]
    print_table(title, ("bought at", *RATE_COLUMNS), rows, RATE_COLUMNS)
    rows = [(name, *_estimate_row(difference)) for name, difference in _differences(found)]
    title = "setups less others of the same session, R"
    print_table(title, ("others", *DIFFERENCE_COLUMNS), rows, DIFFERENCE_COLUMNS)
    print(conclusion(found))
    reasons = Counter(base.reason or "bought" for base in found.bases)
    print("; ".join(f"{reason}: {count:,}" for reason, count in sorted(reasons.items())))
    print(
        f"Held for {looking.horizon_sessions} sessions at most; all but the first line with one stop "
        f"{looking.same_stop_pct:g} % below the entry. A purchase counts once the bars cover its whole "
        f"horizon. R is entry less stop; mean, interval and median are after costs of {looking.cost_pct:g} % "
        "of the entry. Intervals are a bootstrap over months."
    )
    _print_left_out(found.left_out)


def _print_left_out(symbols: Sequence[LeftOutSymbol]) -> None:
    """Every symbol by name."""
    if not symbols:
        return
    print(f"excluded: {len(symbols):,} symbols with suspect bars in the span (--json has each reason):")
    print("  " + ", ".join(symbol.symbol for symbol in symbols))


def _warn_left_out(symbols: Sequence[LeftOutSymbol]) -> None:
    """On standard error, with the reasons, so that a result written as JSON or parquet is warned of too."""
    for symbol in symbols[:REASONS_SHOWN]:
        print(f"vcpd: left out: {symbol.symbol} {symbol.session or ''}: {symbol.reason}", file=sys.stderr)
    if len(symbols) > REASONS_SHOWN:
        print(f"vcpd: left out: {len(symbols) - REASONS_SHOWN} more symbols", file=sys.stderr)


def conclusion(found: BacktestResult) -> str:
    """One sentence with the conclusions that the intervals permit."""
    alone = estimate_counts(found.setups)
    against = estimate_difference(found.setups_same_stop, found.new_highs)
    if alone.low_r is None or alone.high_r is None or against.low_r is None or against.high_r is None:
        months = min(alone.months, against.months)
        return f"Purchases in {months} months: fewer than {LEAST_MONTHS} allow no statement."
    gain = f"between {alone.low_r:+.2f} and {alone.high_r:+.2f} R"
    gap = f"between {against.low_r:+.2f} and {against.high_r:+.2f} R"
    earned = _by_sign(alone, ("gained", "lost", "neither clearly gained nor clearly lost"))
    than = _by_sign(against, ("better than", "worse than", "not distinguishably different from"))
    return (
        f"After costs a purchase of a setup has {earned} on average ({gain}, {INTERVAL_PCT:g} %), and was "
        f"{than} a first close above the 50-day high in a rising trend on the same session ({gap})."
    )


def _by_sign(estimate: Estimate, words: tuple[str, str, str]) -> str:
    """The first word where the whole interval is above zero, the second where it is below, else the third."""
    above, below, neither = words
    low, high = estimate.low_r or 0.0, estimate.high_r or 0.0
    return above if low > 0 else below if high < 0 else neither


def _rate_row(counts: OutcomeCounts) -> tuple[str, ...]:
    shares, result = counts.shares, estimate_counts(counts)
    percent = [None if (share := shares[name]) is None else 100 * share for name in SHARE_NAMES]
    return (
        f"{counts.entries:,}",
        f"{counts.counted:,}",
        *(number_text(share, 1) for share in percent),
        number_text(shares["held_sessions"], 0),
        *_estimate_row(result)[1:],
    )


def _estimate_row(estimate: Estimate) -> tuple[str, ...]:
    interval = "" if estimate.low_r is None else f"{estimate.low_r:+.2f} .. {estimate.high_r:+.2f}"
    return f"{estimate.purchases:,}", number_text(estimate.mean_r), interval, number_text(estimate.median_r)
