"""What the offline verbs share: bars from files become a panel; no daemon, no database."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from vcpd.cli.verbs import a_date
from vcpd.domain.bars import BarSeries
from vcpd.domain.errors import BadInputError
from vcpd.domain.panel import Panel, build_panel
from vcpd.store import barfiles

QUARANTINED_SHOWN: Final = 10


def add_bars_arguments(parser: argparse.ArgumentParser) -> None:
    """--bars, --index, --as-of and --json, alike for every offline verb."""
    parser.add_argument(
        "--bars", type=Path, required=True, metavar="FILE", help="parquet or CSV file, or a folder of them"
    )
    parser.add_argument("--index", type=Path, metavar="FILE", help="bars of the benchmark index")
    parser.add_argument(
        "--index-symbol",
        metavar="SYMBOL",
        help="which symbol of --index is the benchmark; default: its first",
    )
    parser.add_argument(
        "--as-of", type=a_date, metavar="DATE", help="the session to judge; default: the last one"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def load_panel(arguments: argparse.Namespace) -> Panel:
    """The panel of the named files up to --as-of; says on standard error what was kept apart.

    Raises BadInputError for files that cannot be read and for a date before the first bar.
    """
    found = barfiles.read(arguments.bars)
    _say_quarantined(found)
    panel = build_panel(found.series, _benchmark(arguments))
    if arguments.as_of is not None:
        panel = panel.until(arguments.as_of)
    if not len(panel.sessions):
        raise BadInputError(f"{arguments.bars}: no bar on or before {arguments.as_of}")
    return panel


def _benchmark(arguments: argparse.Namespace) -> BarSeries | None:
    if arguments.index is None:
        return None
    found = barfiles.read(arguments.index).series
    wanted = arguments.index_symbol
    for series in found:
        if wanted is None or series.symbol == wanted:
            return series
    names = ", ".join(series.symbol for series in found)
    raise BadInputError(f"{arguments.index}: holds no symbol {wanted!r}; expected one of {names}")


def _say_quarantined(found: barfiles.BarFile) -> None:
    for problem in found.problems:
        print(f"vcpd: {problem}", file=sys.stderr)
    for bar in found.quarantined[:QUARANTINED_SHOWN]:
        where = f"{bar.payload.get('file', '')} row {bar.payload.get('row', '?')}"
        print(f"vcpd: quarantined {bar.symbol} {bar.session}: {bar.reason} ({where})", file=sys.stderr)
    if len(found.quarantined) > QUARANTINED_SHOWN:
        print(
            f"vcpd: and {len(found.quarantined) - QUARANTINED_SHOWN} more rows quarantined", file=sys.stderr
        )


def row_range(panel: Panel, symbol: str | None) -> range:
    """All rows, or the one of `symbol` (as the file writes it, with or without `NSE:`)."""
    if symbol is None:
        return range(len(panel.symbols))
    for name in (symbol, symbol.upper(), symbol.upper().removeprefix("NSE:")):
        if name in panel.symbols:
            row = panel.row_of(name)
            return range(row, row + 1)
    raise BadInputError(f"{symbol}: not in the file; it holds {len(panel.symbols)} symbols")


def print_json(values: Sequence[Any]) -> None:
    """A list of objects, indented so that people can read it too."""
    print(msgspec.json.format(msgspec.json.encode(values), indent=2).decode())
