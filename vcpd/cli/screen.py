"""`vcpd screen`: the detector over a file of bars, after one session."""

import argparse
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from vcpd.analysis.setups import Judging, judge
from vcpd.analysis.thresholds import Thresholds
from vcpd.cli.offline import add_bars_arguments, load_panel, print_json, row_range
from vcpd.cli.verbs import EXIT_OK, add_verb
from vcpd.domain.setups import Setup


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = add_verb(
        subparsers,
        "screen",
        "find setups in a file of bars, after one session; no daemon, no database",
        "vcpd screen --bars bars.parquet --index indices.parquet --as-of 2025-06-30",
        _screen,
    )
    add_bars_arguments(parser)
    parser.add_argument("--symbol", help="only this symbol; rated within the whole file all the same")
    parser.add_argument("--all", action="store_true", help="every symbol, also those that are no setup")


def _screen(arguments: argparse.Namespace) -> int:
    panel = load_panel(arguments)
    judging = Judging(as_of=arguments.as_of, thresholds=Thresholds(), followed=None)
    judged = judge(panel, row_range(panel, arguments.symbol), judging)
    shown = [setup for setup in judged.setups if arguments.all or setup.is_listed]
    shown.sort(key=lambda setup: (-setup.score, setup.symbol))
    if arguments.json:
        print_json(shown)
    else:
        Console().print(_table(shown))
    return EXIT_OK


def _table(setups: Sequence[Setup]) -> Table:
    table = Table(title=f"{len(setups)} setups")
    for heading in ("symbol", "state", "footprint"):
        table.add_column(heading)
    for heading in ("pivot", "stop", "close", "risk %", "rating", "score"):
        table.add_column(heading, justify="right")
    for setup in setups:
        numbers = (setup.pivot, setup.stop, setup.close, setup.risk_pct)
        table.add_row(
            setup.symbol,
            setup.state or setup.reason or "no base",
            setup.footprint or "",
            *("" if number is None else f"{number:,.2f}" for number in numbers),
            "" if setup.rs_rating is None else str(setup.rs_rating),
            f"{setup.score:.0f}",
        )
    return table
