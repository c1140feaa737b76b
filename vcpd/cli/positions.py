"""`vcpd positions`: open positions, evaluated by the sell rules, and the heat of the account."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from vcpd.analysis.backtest import bases_by_session
from vcpd.analysis.heat import Heat
from vcpd.analysis.lots import build_lot_book
from vcpd.analysis.position_judgement import Position, SymbolNotes
from vcpd.analysis.position_measures import SMA_LENGTHS
from vcpd.analysis.positions import (
    PositionSettings,
    PositionsReport,
    count_bets,
    lots_outside_bars,
    report_positions,
)
from vcpd.analysis.session_context import SessionContext
from vcpd.analysis.trade_excursions import AccountBars
from vcpd.cli.client import daemon_client
from vcpd.cli.command import EXIT_OK, positive_number_argument, set_action
from vcpd.cli.config import analysis_configuration
from vcpd.cli.local import add_bars_arguments, load_panel
from vcpd.cli.output import number_text, print_data, print_table
from vcpd.cli.position_changes import add_positions_arguments as add_change_arguments
from vcpd.core.csv_table import read_csv_table
from vcpd.core.errors import BadInputError
from vcpd.domain.instruments import is_same_symbol
from vcpd.domain.panel import Panel
from vcpd.domain.portfolio import Lot, LotBook, ShareAdjustment
from vcpd.domain.setups import SetupGroup
from vcpd.store.trade_files import TradeFile, parse_actions, read_trade_file, with_exchange

REFUSED_SHOWN: Final = 20
COLUMNS: Final = ("symbol", "opened", "shares", "entry", "close", "gain %", "R", "stop", "next rule")
MEASURE_COLUMNS: Final = (
    "symbol", "opened", "sessions", "best R", "worst R", "to stop %",
    *(f"to SMA{length} %" for length in SMA_LENGTHS), "bought from", "base now",
)  # fmt: skip
OPEN_GROUPS: Final = frozenset({SetupGroup.SETUP, SetupGroup.ABOVE_PIVOT})


def add_positions_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(
        parser,
        positions,
        "vcpd positions\nvcpd positions --trades tradebook.csv --bars bars.parquet --equity 1000000",
    )
    add_change_arguments(parser)
    add_trades_arguments(parser)
    parser.add_argument(
        "--equity",
        type=positive_number_argument,
        help="value of the account, for its heat; default: [size] equity",
    )
    add_bars_arguments(parser)


def add_trades_arguments(parser: argparse.ArgumentParser) -> None:
    """--trades and --actions, for every command about what was bought and sold."""
    parser.add_argument(
        "--trades",
        type=Path,
        action="append",
        metavar="FILE",
        help="CSV of trades: a tradebook that Zerodha's Console exports, or the columns symbol, date, side, "
        "quantity, price; stop and note are optional; may be given more than once",
    )
    parser.add_argument(
        "--actions",
        type=Path,
        metavar="FILE",
        help="CSV of splits and bonuses: symbol, session (the ex-date), ratio (shares after for each before)",
    )


def positions(arguments: argparse.Namespace) -> int:
    """Open lots with their rules, then the heat where the account's value is known.

    Of the daemon's store, or of --trades over --bars.
    """
    if not arguments.trades and arguments.bars is None:
        return _stored_positions(arguments)
    panel = load_panel(arguments)
    book = read_book(arguments, panel)
    bars = AccountBars(panel)
    settings = analysis_configuration(arguments)
    judged = PositionSettings(
        rules=settings.positions.default,
        rule_sets=settings.positions.by_name(),
        heat=settings.heat,
        equity=arguments.equity or settings.size.equity,
    )
    as_of = panel.sessions[-1].item()
    notes = base_notes(SessionContext(panel, settings.screen), book.lots)
    report = report_positions(book, bars, as_of, judged, notes)
    notices = (*report.notices, *lots_outside_bars(book.lots, bars))
    report = count_bets(msgspec.structs.replace(report, notices=notices), panel, settings.crowding)
    if not print_data(arguments, report, report.positions):
        print_positions(report)
    return EXIT_OK


def _stored_positions(arguments: argparse.Namespace) -> int:
    """The daemon's last evaluation of the positions."""
    stored = daemon_client(arguments).get("/api/positions")
    if print_data(arguments, stored, stored.get("positions") or ()):
        return EXIT_OK
    if stored["session"] is None:
        print("no position is evaluated yet: add trades with `vcpd positions add` or `vcpd positions import`")
    else:
        print_positions(msgspec.convert(stored, PositionsReport, strict=False))
    return EXIT_OK


def read_book(arguments: argparse.Namespace, panel: Panel) -> LotBook:
    """Lots and closed trades of the named files up to --as-of; what was not taken is printed.

    BadInputError without --trades or --bars.
    """
    if not arguments.trades or arguments.bars is None:
        raise BadInputError(
            "--trades and --bars: expected both, the trades and the bars to evaluate them with"
        )
    spelled = Spelling(panel.symbols)
    files = [
        read_trade_file(path, lambda exchange, symbol, isin: spelled(with_exchange(exchange, symbol, isin)))
        for path in arguments.trades
    ]
    as_of = panel.sessions[-1].item()
    fills = [fill for file in files for fill in file.fills if fill.session <= as_of]
    actions = [] if arguments.actions is None else read_actions(arguments.actions, spelled)
    book = build_lot_book(fills, [action for action in actions if action.session <= as_of])
    _print_not_taken(files, book, sum(len(file.fills) for file in files) - len(fills))
    return book


class Spelling:
    """Gives symbols as the bars spell them, with or without an exchange; others stay as they are."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self._exact = frozenset(symbols)
        self._plain = {symbol.rpartition(":")[2]: symbol for symbol in symbols}

    def __call__(self, symbol: str) -> str:
        if symbol in self._exact:
            return symbol
        known = self._plain.get(symbol.rpartition(":")[2])
        return known if known is not None and is_same_symbol(known, symbol) else symbol


def read_actions(path: Path, spelled: Spelling) -> list[ShareAdjustment]:
    """Splits and bonuses from a CSV. BadInputError, naming row and field, for what cannot be read."""
    try:
        table = read_csv_table(path.read_bytes(), str(path))
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}") from None
    return parse_actions(table, spelled)


def base_notes(context: SessionContext, lots: Sequence[Lot]) -> Mapping[str, SymbolNotes]:
    """The pivot that each lot was bought at: of the base that the detector followed on that day."""
    panel, notes = context.panel, {}
    for symbol in {lot.symbol for lot in lots if lot.symbol in panel.symbols}:
        days = {lot.opened for lot in lots if lot.symbol == symbol and lot.opened is not None}
        found = bases_by_session(context, panel.row_of(symbol), {*days, context.as_of})
        followed = {
            day: [base for base in bases if base.group in OPEN_GROUPS] for day, bases in found.items()
        }
        now = [base.state.value for base in found.get(context.as_of, [])]
        notes[symbol] = SymbolNotes(
            pivots={day: followed[day][0].pivot for day in days if followed.get(day)},
            footprints={day: followed[day][0].footprint for day in days if followed.get(day)},
            base_state=now[0] if now else None,
        )
    return notes


def print_positions(report: PositionsReport) -> None:
    """A table of the lots, the rules that fire, and the heat."""
    rows = [_row(position) for position in report.positions]
    print_table(
        f"{len(report.lots)} lots after {report.session}",
        COLUMNS,
        rows,
        [*COLUMNS[2:8]],
        least_needed=("opened",),
    )
    if report.positions:
        print_table(
            "measures: percent of the close down to stop and averages",
            MEASURE_COLUMNS,
            [_measures_row(position) for position in report.positions],
            [*MEASURE_COLUMNS[2:-2]],
            least_needed=("to SMA150 %", "opened"),
        )
    numbers = {lot.number: lot for lot in report.lots}
    for number, reason in report.unmeasured.items():
        lot = numbers[number]
        print(f"{lot.symbol}: {lot.quantity:,} shares at {lot.entry:,.2f} are not evaluated: {reason}")
    for position in report.positions:
        for rule in position.firing:
            part = "" if rule.share == 1 else f", sell {rule.share:.0%} of it"
            print(f"{position.measures.lot.symbol}: {_words(rule.name)}: {rule.text}{part}")
    if report.heat is not None:
        _print_heat(report.heat)
    else:
        print("heat: unknown without the value of the account; give --equity or set [size] equity")
    for notice in report.notices:
        print(f"note: {notice}")


def _row(position: Position) -> tuple[str, ...]:
    measures, rule = position.measures, position.next_rule
    level = "" if rule is None or rule.level is None else f" at {rule.level:,.2f}"
    return (
        measures.lot.symbol,
        "unknown" if measures.lot.opened is None else str(measures.lot.opened),
        f"{measures.lot.quantity:,}",
        number_text(measures.lot.entry),
        number_text(measures.close),
        number_text(measures.gain_pct, 1),
        number_text(measures.result_r),
        number_text(position.stop),
        "none" if rule is None else f"{'SELL: ' if rule.fires else ''}{_words(rule.name)}{level}",
    )


def _measures_row(position: Position) -> tuple[str, ...]:
    measures, notes = position.measures, position.notes
    return (
        measures.lot.symbol,
        "unknown" if measures.lot.opened is None else str(measures.lot.opened),
        "" if measures.sessions_held is None else str(measures.sessions_held),
        number_text(measures.best_r),
        number_text(measures.worst_r),
        number_text(position.to_stop_pct, 1),
        *(number_text(position.to_averages_pct.get(length), 1) for length in SMA_LENGTHS),
        position.bought_footprint or "no base known",
        "no base known" if notes.base_state is None else _words(notes.base_state).lower(),
    )


def _words(name: str) -> str:
    return name.replace("_", " ")


def _print_heat(heat: Heat) -> None:
    print(
        f"heat: {heat.at_risk:,.0f} at risk ({heat.at_risk_pct:.2f} % of {heat.equity:,.0f}), worth "
        f"{heat.value:,.0f}; a gap that one night in a hundred exceeds, in every symbol at once, costs "
        f"{heat.gap_loss:,.0f}"
    )
    for cap in heat.caps:
        verdict = "OVER THE LIMIT" if cap.is_broken else "within the limit"
        used = f"{cap.used:g}" if cap.unit == "symbols" else f"{cap.used:.2f}"
        print(f"  {cap.name}: {used} of {cap.limit:g} {cap.unit}, {verdict}")
    if heat.effective_bets is not None:
        held = len({lot.symbol for lot in heat.lots})
        print(f"  {held} symbols that move like {heat.effective_bets:.1f} independent ones")
    if heat.without_stop:
        print(f"  without a stop below the price, counted in full: {', '.join(heat.without_stop)}")


def _print_not_taken(files: Sequence[TradeFile], book: LotBook, later: int) -> None:
    refused = [*(row for file in files for row in file.refused), *book.refused]
    for row in refused[:REFUSED_SHOWN]:
        print(f"vcpd: refused {row.place}: {row.reason}", file=sys.stderr)
    if len(refused) > REFUSED_SHOWN:
        print(f"vcpd: and {len(refused) - REFUSED_SHOWN} more rows refused", file=sys.stderr)
    left_out = [row for file in files for row in file.left_out]
    for row in left_out[:REFUSED_SHOWN]:
        print(f"vcpd: left out {row.place}: {row.reason}", file=sys.stderr)
    if len(left_out) > REFUSED_SHOWN:
        print(f"vcpd: and {len(left_out) - REFUSED_SHOWN} more rows left out", file=sys.stderr)
    if later:
        print(f"vcpd: {later} trades after the evaluated session are not counted", file=sys.stderr)
