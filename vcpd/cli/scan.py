"""`vcpd scan`: symbols that match an expression, with its values; of a bar file or of the daemon."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from vcpd.analysis.scans.request import ListedScan, ScanParams, find_scan, list_scans, session_names
from vcpd.analysis.tasks import ScreenParams, evaluate_scan, screen_rows
from vcpd.cli.client import daemon_client, note_used_session
from vcpd.cli.command import EXIT_OK, set_action
from vcpd.cli.config import analysis_configuration, load_or_default
from vcpd.cli.local import SYMBOL_HELP, add_bars_arguments, load_panel, row_range
from vcpd.cli.market_context import FileMarket
from vcpd.cli.output import print_data, print_table
from vcpd.cli.risk import score_panel
from vcpd.cli.sectors import add_sector_lists_argument
from vcpd.core.errors import BadInputError, PermanentError, RetryableError
from vcpd.domain.panel import Panel
from vcpd.domain.scans import (
    ScanResult,
    ScanRow,
    ScanValue,
    SessionMarket,
    SymbolVerdict,
    explain_row,
    has_decimals,
    value_text,
)

EXAMPLE: Final = (
    'vcpd scan "rs >= 85 and close > sma(50) and volume > 1.5 * mean(volume, 50)" --bars bars.parquet\n'
    "vcpd scan --preset trend_template --bars bars.parquet --symbol INFY\n"
    "vcpd scan --list"
)


def add_scan_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, scan, EXAMPLE)
    parser.add_argument(
        "expression", nargs="?", metavar="EXPRESSION", help="docs/scans.md describes its words"
    )
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help="a preset, or a saved scan: of [scans], or of the page without --bars",
    )
    parser.add_argument("--list", action="store_true", help="list the presets and the saved scans")
    parser.add_argument("--symbol", help=f"also say which clause fails first for this symbol, {SYMBOL_HELP}")
    add_bars_arguments(parser)
    add_sector_lists_argument(parser)


def scan(arguments: argparse.Namespace) -> int:
    """A table of matches, JSON or CSV. BadInputError for an expression that cannot be read."""
    if arguments.list:
        _print_list(arguments)
        return EXIT_OK
    if (arguments.expression is None) == (arguments.preset is None):
        raise BadInputError("expected an expression or --preset NAME; --list shows the presets")
    result = _scan_daemon(arguments) if arguments.bars is None else _scan_bars(arguments)
    if not print_data(arguments, result, list(_csv_rows(result))):
        _print_result(result)
    return EXIT_OK


def _scan_daemon(arguments: argparse.Namespace) -> ScanResult:
    answer = daemon_client(arguments).get(
        "/api/scan",
        expression=arguments.expression,
        name=arguments.preset,
        symbol=arguments.symbol,
        as_of=arguments.as_of,
    )
    result = msgspec.convert(answer, ScanResult)
    note_used_session(arguments.as_of, result.as_of)
    return result


def _scan_bars(arguments: argparse.Namespace) -> ScanResult:
    settings = analysis_configuration(arguments)
    expression = arguments.expression or find_scan(arguments.preset, settings.scans.saved)
    names = session_names(expression)  # a wrong expression is refused before the file is read
    _require_files(names, arguments)
    panel = load_panel(arguments)
    symbol = panel.symbols[row_range(panel, arguments.symbol)[0]] if arguments.symbol else None
    parameters = ScanParams(
        expression=expression,
        name=arguments.preset,
        symbol=symbol,
        verdicts=_computed_verdicts(panel, arguments) if names else None,
        min_rs_universe=settings.screen.min_rs_universe,
    )
    return evaluate_scan(panel, range(len(panel.symbols)), parameters)


def _require_files(names: AbstractSet[str], arguments: argparse.Namespace) -> None:
    """BadInputError for a name whose values no given file decides."""
    if "regime" in names and arguments.index is None:
        raise BadInputError("regime: expected --index FILE, the bars of the benchmark")
    if names & {"sector", "sector_rank"} and not arguments.sectors:
        raise BadInputError("sector, sector_rank: expected --sectors FILE, the list of companies")


def _computed_verdicts(panel: Panel, arguments: argparse.Namespace) -> tuple[SymbolVerdict, ...]:
    """Verdicts, risk scores, regime and sector ranks after the panel's last session, all computed."""
    judging = ScreenParams(thresholds=analysis_configuration(arguments).screen)
    judged = screen_rows(panel, range(len(panel.symbols)), judging)
    scores = {score.symbol: score for score in score_panel(panel, arguments)}
    files = FileMarket.of(panel, arguments)
    market = SessionMarket.of(files.term, files.ranks)
    return tuple(
        SymbolVerdict.of(setup.symbol, setup, scores.get(setup.symbol), files.sector_of(setup.symbol), market)
        for setup in judged.setups
    )


def _print_list(arguments: argparse.Namespace) -> None:
    scans = _listed(arguments)
    if print_data(arguments, scans, scans):
        return
    print_table(f"{len(scans)} scans", ("name", "meaning", "expression", "source"), map(_list_row, scans))


def _listed(arguments: argparse.Namespace) -> Sequence[ListedScan]:
    """The daemon's list, which has the scans of the page too; beside --bars that of the configuration.

    A daemon that does not answer hides no scan of the configuration: what lacks is said on standard error.
    """
    if arguments.bars is not None:
        return list_scans(analysis_configuration(arguments).scans)
    try:
        return msgspec.convert(daemon_client(arguments).get("/api/scans")["items"], list[ListedScan])
    except (RetryableError, PermanentError) as error:
        configured = list_scans(load_or_default(arguments).scans)
        print(f"vcpd: scans that were saved on the page are not listed: {error}", file=sys.stderr)
        return configured


def _list_row(entry: ListedScan) -> tuple[str, ...]:
    title = f"{entry.title}, followed" if entry.followed else entry.title
    return entry.name, title, entry.expression, entry.source or ""


def _print_result(result: ScanResult) -> None:
    if result.items:
        title = f"{result.count} of {result.evaluated} symbols match after {result.as_of}"
        rows = [_values(row) for row in result.items]
        columns = {text: _column([row[text] for row in rows]) for text in rows[0]}
        symbols = [row.symbol for row in result.items]
        print_table(title, ("symbol", *columns), zip(symbols, *columns.values(), strict=True), tuple(columns))
    else:
        print(f"none of {result.evaluated} symbols matches after {result.as_of}")
    for text, count in result.failures.items():
        print(f"{count:6} fail first at {text}")
    if result.explained is not None:
        print("\n".join(explain_row(result.explained)))


def _values(row: ScanRow) -> dict[str, ScanValue]:
    return {text: value for clause in row.clauses for text, value in clause.values.items()}


def _column(values: Sequence[ScanValue]) -> list[str]:
    """The cells of a column: all numbers with decimals where any needs them, none where all are whole."""
    with_decimals = any(map(has_decimals, values))
    return [value_text(value, with_decimals=with_decimals) for value in values]


def _csv_rows(result: ScanResult) -> Iterator[Mapping[str, object]]:
    """A row for each match and value of a clause."""
    for row in result.items:
        for clause in row.clauses:
            for text, value in clause.values.items():
                yield {
                    "symbol": row.symbol,
                    "as_of": result.as_of,
                    "clause": clause.text,
                    "value_of": text,
                    "value": value,
                }
