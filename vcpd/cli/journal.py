"""`vcpd journal`: closed trades with what became of them, and their statistics."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from vcpd.analysis.journal import Journal, JournalEntry, keep_journal
from vcpd.analysis.positions import PositionSettings
from vcpd.analysis.sale_rules import JournalMemory
from vcpd.analysis.trade_excursions import AccountBars
from vcpd.analysis.trade_statistics import TradeStatistics
from vcpd.cli.client import daemon_client
from vcpd.cli.command import EXIT_OK, set_action
from vcpd.cli.config import analysis_configuration
from vcpd.cli.local import add_bars_arguments, load_panel
from vcpd.cli.output import number_text, print_data, print_table
from vcpd.cli.position_changes import add_note_action
from vcpd.cli.positions import add_trades_arguments, read_book
from vcpd.core.errors import BadInputError

COLUMNS: Final = (
    "symbol", "opened", "closed", "days", "shares", "entry", "exit", "profit", "charges", "R", "best R",
    "worst R",
    "class", "rule", "note",
)  # fmt: skip
STATISTICS_COLUMNS: Final = (
    "trades", "count", "won %", "mean R", "95 % interval", "median R", "profit", "net profit", "net R",
    "mean days",
)  # fmt: skip


def add_journal_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, journal, "vcpd journal --csv\nvcpd journal --trades tradebook.csv --bars bars.parquet")
    add_note_action(parser.add_subparsers(title="actions", metavar="ACTION"))
    add_trades_arguments(parser)
    add_bars_arguments(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write the closed trades into this file, .parquet or .csv, completely or not at all",
    )


def journal(arguments: argparse.Namespace) -> int:
    """Prints or writes the journal of the daemon's store, or of --trades over --bars."""
    found = _journal_of_files(arguments) if arguments.trades or arguments.bars else _stored_journal(arguments)
    if arguments.output is not None:
        _write_entries(arguments.output, found.entries)
    elif not print_data(arguments, found, found.entries):
        print_journal(found)
    return EXIT_OK


def _write_entries(path: Path, entries: Sequence[JournalEntry]) -> None:
    """BadInputError where there are none: a file without rows would have no columns."""
    from vcpd.store.table_files import results_frame, write_frame  # noqa: PLC0415 - heavy, for files alone

    if not entries:
        raise BadInputError(f"{path}: no trade is closed yet, nothing was written")
    write_frame(path, results_frame(entries))
    print(f"{path}: {len(entries):,} closed trades")


def _journal_of_files(arguments: argparse.Namespace) -> Journal:
    panel = load_panel(arguments)
    book = read_book(arguments, panel)
    settings = analysis_configuration(arguments)
    judged = PositionSettings(rules=settings.positions.default, rule_sets=settings.positions.by_name())
    memory = JournalMemory(judged)
    return keep_journal(book.closed, AccountBars(panel), costs=settings.costs, memory=memory)


def _stored_journal(arguments: argparse.Namespace) -> Journal:
    """The journal that the daemon stored after the last evaluated session; empty before the first."""
    stored = daemon_client(arguments).get("/api/journal")
    return keep_journal((), {}) if stored["all"] is None else msgspec.convert(stored, Journal)


def print_journal(found: Journal) -> None:
    """The trades, then the statistics of all and by group."""
    rows = [_entry_row(entry) for entry in found.entries]
    print_table(
        f"closed trades: {len(rows)}", COLUMNS, rows, COLUMNS[3:12], least_needed=("days", "entry", "exit")
    )
    groups = {
        "all": found.all,
        **found.by_holding_time,
        **found.by_tax_class,
        **found.by_setup_type,
        **found.by_rule,
        **{f"score {name}": group for name, group in found.by_score.items()},
        **{f"market {name}": group for name, group in found.by_regime.items()},
    }
    statistics = [_statistics_row(name, group) for name, group in groups.items()]
    print_table("statistics", STATISTICS_COLUMNS, statistics, STATISTICS_COLUMNS[1:])
    print(f"most wins in a row {found.all.longest_wins}, most losses in a row {found.all.longest_losses}")
    print(_conclusion(found.all))
    if found.all.net_profit is not None:
        print(
            "charges and net values are estimates by the rates of [costs]: check them against contract notes"
        )


def _conclusion(found: TradeStatistics) -> str:
    """The conclusion that the interval permits."""
    if found.low_r is None or found.high_r is None:
        return f"trades with a known R: {found.with_r}, too few for an interval; draw no conclusion yet"
    if found.low_r > 0:
        return "the interval lies above 0: the mean result is more than chance among these trades"
    if found.high_r < 0:
        return "the interval lies below 0: the mean result is a loss beyond chance"
    return "the interval contains 0: these trades do not show whether the mean result differs from 0"


def _entry_row(entry: JournalEntry) -> tuple[str, ...]:
    return (
        entry.symbol,
        "unknown" if entry.opened is None else str(entry.opened),
        str(entry.closed),
        "" if entry.held_days is None else str(entry.held_days),
        f"{entry.quantity:,}",
        *map(number_text, (entry.entry, entry.exit, entry.profit, entry.charges)),
        *map(number_text, (entry.result_r, entry.best_r, entry.worst_r)),
        entry.tax_class,
        _rule_in_words(entry),
        "; ".join(filter(None, (entry.note, entry.exit_note))),
    )


def _rule_in_words(entry: JournalEntry) -> str:
    """The rule behind a sale; with the day on which it began to fire where it was not followed."""
    if entry.rule is None:
        return ""
    name = entry.rule.replace("_", " ")
    return name if entry.followed else f"{name} of {entry.rule_session} not followed"


def _statistics_row(name: str, found: TradeStatistics) -> tuple[str, ...]:
    interval = "" if found.low_r is None else f"{found.low_r:+.2f} .. {found.high_r:+.2f}"
    return (
        name,
        str(found.trades),
        number_text(found.won_pct, 0),
        number_text(found.mean_r),
        interval,
        number_text(found.median_r),
        number_text(found.profit),
        number_text(found.net_profit),
        number_text(found.net_mean_r),
        number_text(found.mean_held_days, 0),
    )
