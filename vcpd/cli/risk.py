"""`vcpd risk`: risk scores over a file of bars, after one session."""

import argparse
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from vcpd.analysis.risk import Measuring, RiskParameters, measure, score
from vcpd.cli.offline import add_bars_arguments, load_panel, print_json, row_range
from vcpd.cli.verbs import EXIT_OK, add_verb
from vcpd.domain.risk import RiskScore


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = add_verb(
        subparsers,
        "risk",
        "score risk on 252 sessions over a file of bars; no daemon, no database",
        "vcpd risk --bars bars.parquet --index indices.parquet --as-of 2025-06-30",
        _risk,
    )
    add_bars_arguments(parser)
    parser.add_argument("--symbol", help="only this symbol; scored within the whole file all the same")


def _risk(arguments: argparse.Namespace) -> int:
    panel = load_panel(arguments)
    wanted = {panel.symbols[row] for row in row_range(panel, arguments.symbol)}
    measuring = Measuring(as_of=arguments.as_of, parameters=RiskParameters())
    block = measure(panel, range(len(panel.symbols)), measuring)
    shown = [one for one in score([block], measuring) if one.symbol in wanted]
    if arguments.json:
        print_json(shown)
    else:
        Console().print(_table(shown))
    return EXIT_OK


def _table(scores: Sequence[RiskScore]) -> Table:
    table = Table(title=f"{len(scores)} symbols, higher is riskier")
    table.add_column("symbol")
    table.add_column("score", justify="right")
    table.add_column("band, or why there is no score")
    for one in sorted(scores, key=lambda one: (one.score is None, one.score or 0.0, one.symbol)):
        table.add_row(
            one.symbol, "" if one.score is None else f"{one.score:.1f}", one.band or one.reason or ""
        )
    return table
