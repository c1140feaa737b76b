"""`vcpd journal`: closed trades with what became of them, and their statistics."""

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import msgspec

from vcpd.analysis.positions import TradeExcursions, trade_excursions
from vcpd.analysis.trade_statistics import (
    TradeStatistics,
    group_trades,
    holding_time,
    tax_class,
    trade_statistics,
)
from vcpd.cli.command import EXIT_OK, set_action
from vcpd.cli.local import add_bars_arguments, load_panel
from vcpd.cli.output import number_text, print_json, print_table
from vcpd.cli.positions import add_trades_arguments, held_bars, read_book
from vcpd.domain.portfolio import ClosedTrade

COLUMNS: Final = (
    "symbol", "opened", "closed", "days", "shares", "entry", "exit", "profit", "R", "best R", "worst R",
    "class",
)  # fmt: skip
STATISTICS_COLUMNS: Final = (
    "trades", "count", "won %", "mean R", "95 % interval", "median R", "profit", "mean days",
)  # fmt: skip


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A closed trade with its result, its excursions and its class for the tax return."""

    symbol: str
    opened: date | None
    closed: date
    held_days: int | None
    quantity: int
    entry: float
    exit: float
    stop: float | None
    profit: float
    result_r: float | None
    best_r: float | None
    worst_r: float | None
    tax_class: str
    note: str
    exit_note: str


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """Closed trades, oldest first, and their statistics, of all and by group; before charges."""

    entries: Sequence[JournalEntry]
    all: TradeStatistics
    by_holding_time: Mapping[str, TradeStatistics]
    by_tax_class: Mapping[str, TradeStatistics]


def add_journal_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, journal, "vcpd journal --trades tradebook.csv --bars bars.parquet --csv")
    add_trades_arguments(parser)
    parser.add_argument("--csv", action="store_true", help="print the closed trades as CSV")
    add_bars_arguments(parser)


def journal(arguments: argparse.Namespace) -> int:
    """As tables, CSV or JSON."""
    panel = load_panel(arguments)
    book = read_book(arguments, panel)
    bars = held_bars(panel, {trade.symbol for trade in book.closed})
    entries = [
        journal_entry(trade, trade_excursions(trade, bars[trade.symbol]) if trade.symbol in bars else None)
        for trade in book.closed
    ]
    found = build_journal(book.closed, entries)
    if arguments.json:
        print_json(found)
    elif arguments.csv:
        print_csv(found.entries)
    else:
        print_journal(found)
    return EXIT_OK


def build_journal(closed: Sequence[ClosedTrade], entries: Sequence[JournalEntry]) -> Journal:
    """The journal of the closed trades."""
    return Journal(
        entries=entries,
        all=trade_statistics(closed),
        by_holding_time=group_trades(closed, holding_time),
        by_tax_class=group_trades(closed, tax_class),
    )


def journal_entry(trade: ClosedTrade, excursions: TradeExcursions | None) -> JournalEntry:
    """The entry of one trade; without excursions where its bars are not known."""
    return JournalEntry(
        symbol=trade.symbol,
        opened=trade.opened,
        closed=trade.closed,
        held_days=trade.held_days,
        quantity=trade.quantity,
        entry=trade.entry,
        exit=trade.exit,
        stop=trade.stop,
        profit=trade.profit,
        result_r=trade.result_r,
        best_r=None if excursions is None else excursions.best_r,
        worst_r=None if excursions is None else excursions.worst_r,
        tax_class=tax_class(trade),
        note=trade.note,
        exit_note=trade.exit_note,
    )


def print_journal(found: Journal) -> None:
    """The trades, then the statistics of all and by group."""
    rows = [_entry_row(entry) for entry in found.entries]
    print_table(f"{len(rows)} closed trades, before charges", COLUMNS, rows, COLUMNS[3:11])
    groups = {"all": found.all, **found.by_holding_time, **found.by_tax_class}
    statistics = [_statistics_row(name, group) for name, group in groups.items()]
    print_table("what they amount to", STATISTICS_COLUMNS, statistics, STATISTICS_COLUMNS[1:])
    print(f"most wins in a row {found.all.longest_wins}, most losses in a row {found.all.longest_losses}")
    print(_conclusion(found.all))


def _conclusion(found: TradeStatistics) -> str:
    """What the interval allows to say."""
    if found.low_r is None or found.high_r is None:
        return f"{found.with_r} trades with a known R are too few for an interval: conclude nothing yet"
    if found.low_r > 0:
        return "the interval lies above 0: the mean result is more than chance among these trades"
    if found.high_r < 0:
        return "the interval lies below 0: the mean result is a loss beyond chance"
    return "the interval holds 0: these trades do not show whether the mean result differs from 0"


def _entry_row(entry: JournalEntry) -> tuple[str, ...]:
    return (
        entry.symbol,
        "unknown" if entry.opened is None else str(entry.opened),
        str(entry.closed),
        "" if entry.held_days is None else str(entry.held_days),
        f"{entry.quantity:,}",
        *map(number_text, (entry.entry, entry.exit, entry.profit)),
        *map(number_text, (entry.result_r, entry.best_r, entry.worst_r)),
        entry.tax_class,
    )


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
        number_text(found.mean_held_days, 0),
    )


def print_csv(entries: Sequence[JournalEntry]) -> None:
    """One line a trade, the column names first."""
    writer = csv.writer(sys.stdout)
    writer.writerow(JournalEntry.__struct_fields__)
    for entry in entries:
        writer.writerow("" if value is None else value for value in msgspec.structs.astuple(entry))
