"""`vcpd explain`: why a symbol is, or is not, a setup after a session."""

import argparse

from vcpd.analysis.explain import explain
from vcpd.analysis.setups import Judging, judge
from vcpd.analysis.thresholds import Thresholds
from vcpd.cli.offline import add_bars_arguments, load_panel, print_json, row_range
from vcpd.cli.verbs import EXIT_OK, add_verb


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = add_verb(
        subparsers,
        "explain",
        "every gate of one symbol with its value and threshold, the nearest miss first",
        "vcpd explain TATASTEEL --bars bars.parquet --as-of 2025-06-30",
        _explain,
    )
    parser.add_argument("symbol", metavar="SYMBOL", help="as the file writes it")
    add_bars_arguments(parser)


def _explain(arguments: argparse.Namespace) -> int:
    panel = load_panel(arguments)
    judging = Judging(as_of=arguments.as_of, thresholds=Thresholds(), followed=None)
    judged = judge(panel, row_range(panel, arguments.symbol), judging)
    if arguments.json:
        print_json(judged.setups)
        return EXIT_OK
    for line in explain(judged.setups[0]):
        print(line)
    return EXIT_OK
