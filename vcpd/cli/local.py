"""Panels from bar files, for commands that need neither daemon nor database."""

import argparse
import sys
from pathlib import Path
from typing import Final

from vcpd.cli.command import add_config_argument, add_json_argument, date_argument
from vcpd.cli.config import analysis_settings
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import BarSeries
from vcpd.domain.instruments import is_same_symbol
from vcpd.domain.panel import Panel, build_panel
from vcpd.domain.quality_flags import flag_rows
from vcpd.store import bar_files

SYMBOL_HELP: Final = "such as INFY or NSE:INFY"
MAX_QUARANTINED_SHOWN: Final = 10
MAX_FLAGGED_SHOWN: Final = 10


def load_panel(arguments: argparse.Namespace) -> Panel:
    """The panel of the named files up to --as-of; says on standard error what was kept apart or is doubtful.

    Raises BadInputError for files that cannot be read and for a date before the first bar.
    """
    panel = load_full_panel(arguments)
    if arguments.as_of is not None:
        panel = panel.until(arguments.as_of)
    if not len(panel.sessions):
        raise BadInputError(f"{arguments.bars}: no bar on or before {arguments.as_of}")
    print_flagged(panel, arguments)
    return panel


def print_flagged(panel: Panel, arguments: argparse.Namespace) -> None:
    """Symbols that a daemon would keep out. A file is its owner's own: it is judged all the same."""
    rows = row_range(panel, getattr(arguments, "symbol", None), arguments.bars)
    doubts = [one for one in flag_rows(panel, rows, analysis_settings(arguments).quality) if one.excludes]
    for flag in doubts[:MAX_FLAGGED_SHOWN]:
        print(
            f"vcpd: doubtful, a daemon would keep it out: {flag.symbol} {flag.session}: {flag.reason}",
            file=sys.stderr,
        )
    if len(doubts) > MAX_FLAGGED_SHOWN:
        print(f"vcpd: and {len(doubts) - MAX_FLAGGED_SHOWN} more doubtful symbols", file=sys.stderr)


def load_full_panel(arguments: argparse.Namespace) -> Panel:
    """The panel of all bars in the named files."""
    found = bar_files.read_bars(arguments.bars)
    print_quarantined(found)
    return build_panel(found.series, _benchmark(arguments))


def _benchmark(arguments: argparse.Namespace) -> BarSeries | None:
    if arguments.index is None:
        return None
    found = bar_files.read_bars(arguments.index).series
    wanted = arguments.index_symbol
    for series in found:
        if wanted is None or series.symbol == wanted:
            return series
    names = ", ".join(series.symbol for series in found)
    raise BadInputError(f"{arguments.index}: holds no symbol {wanted!r}; expected one of {names}")


def print_quarantined(found: bar_files.BarFile) -> None:
    """What was kept apart, the first rows with their reasons, on standard error."""
    for problem in found.notices:
        print(f"vcpd: {problem}", file=sys.stderr)
    for bar in found.quarantined[:MAX_QUARANTINED_SHOWN]:
        print(f"vcpd: quarantined {bar.symbol} {bar.session}: {bar.reason}", file=sys.stderr)
    if len(found.quarantined) > MAX_QUARANTINED_SHOWN:
        more = len(found.quarantined) - MAX_QUARANTINED_SHOWN
        print(f"vcpd: and {more} more rows quarantined", file=sys.stderr)


def row_range(panel: Panel, symbol: str | None, source: Path | None = None) -> range:
    """All rows, or the one of `symbol` (as the file writes it, with or without its exchange)."""
    if symbol is None:
        return range(len(panel.symbols))
    names = (symbol,) if symbol in panel.symbols else panel.symbols
    for name in names:
        if is_same_symbol(name, symbol):
            row = panel.row_of(name)
            return range(row, row + 1)
    raise BadInputError(f"{symbol}: not in {source or 'the file'}; it holds {len(panel.symbols)} symbols")


def add_bars_arguments(parser: argparse.ArgumentParser, *, with_json: bool = True) -> None:
    """--bars, --index and --as-of of every command that works without a daemon."""
    parser.add_argument(
        "--bars",
        type=Path,
        metavar="FILE",
        help="parquet or CSV file, or a folder of them: needs no daemon; without it the daemon is queried",
    )
    add_index_arguments(parser)
    parser.add_argument(
        "--as-of", type=date_argument, metavar="DATE", help="the session to evaluate; default: the last"
    )
    add_config_argument(parser)
    if with_json:
        add_json_argument(parser)


def add_index_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--index", type=Path, metavar="FILE", help="bars of the benchmark index")
    parser.add_argument(
        "--index-symbol",
        metavar="SYMBOL",
        help="symbol of the benchmark in --index; default: the first",
    )
