"""Arguments of commands on bars and setups."""

import argparse
from pathlib import Path

from vcpd.cli.command import (
    Subparsers,
    add_command,
    add_config_argument,
    add_json_argument,
    date_argument,
    non_negative_number_argument,
    positive_int_argument,
    positive_number_argument,
)

SYMBOL_HELP = "such as INFY or NSE:INFY"


def add(subparsers: Subparsers) -> None:
    for one in (_screen, _explain, _risk, _size, _chart, _history):
        one(subparsers)


def _screen(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "screen",
        "find setups after one session: in a file of bars, or, without --bars, as the daemon found them",
        "vcpd screen --bars bars.parquet --index indices.parquet --as-of 2025-06-30",
        "vcpd.cli.screen:screen",
    )
    _add_bars_arguments(parser)
    parser.add_argument("--symbol", help="only this symbol; rated within the whole universe all the same")
    parser.add_argument("--all", action="store_true", help="every symbol, also those that are no setup")


def _explain(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "explain",
        "every gate of one symbol with its value and threshold, the nearest miss first",
        "vcpd explain TATASTEEL --bars bars.parquet --as-of 2025-06-30",
        "vcpd.cli.screen:explain_symbol",
    )
    parser.add_argument("symbol", metavar="SYMBOL", help=SYMBOL_HELP)
    _add_bars_arguments(parser)


def _risk(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "risk",
        "score risk on 252 sessions: over a file of bars, or, without --bars, as the daemon scored",
        "vcpd risk --bars bars.parquet --index indices.parquet --as-of 2025-06-30",
        "vcpd.cli.risk:risk",
    )
    _add_bars_arguments(parser)
    parser.add_argument("--symbol", help="only this symbol; scored within the whole universe all the same")


def _size(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "size",
        "how many shares of a setup the risk budget and every cap allow, each step shown",
        "vcpd size --equity 1000000 --risk-pct 0.5 --symbol TATASTEEL",
        "vcpd.cli.risk:size_symbol",
    )
    parser.add_argument("--symbol", required=True, help=SYMBOL_HELP)
    parser.add_argument("--equity", type=positive_number_argument, required=True, help="the account's worth")
    parser.add_argument(
        "--risk-pct",
        type=positive_number_argument,
        help="equity lost at the stop, percent; default: [size] risk_pct",
    )
    parser.add_argument(
        "--entry",
        type=positive_number_argument,
        help="default: where the buy zone begins, or the close above",
    )
    parser.add_argument("--stop", type=positive_number_argument, help="default: the setup's")
    _add_bars_arguments(parser)


def _chart(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "chart",
        "draw a symbol with its contractions, pivot, stop and buy zone, as SVG or PNG",
        "vcpd chart TATASTEEL --bars bars.parquet --as-of 2025-06-30 -o tatasteel.png",
        "vcpd.cli.chart:chart",
    )
    parser.add_argument("symbol", metavar="SYMBOL", help=SYMBOL_HELP)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="ends in .svg or .png; default: SYMBOL.svg"
    )
    parser.add_argument(
        "--sessions", type=positive_int_argument, metavar="N", help="sessions shown; default: by its base"
    )
    parser.add_argument("--theme", choices=("light", "dark"), default="light")
    _add_bars_arguments(parser, with_json=False)


def _history(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "history",
        "the detector on every session of a file of bars: each setup's life and outcome, and the base rates",
        "vcpd history --bars bars.parquet --index indices.parquet --from 2023-01-01 --to 2025-06-30",
        "vcpd.cli.history:history",
    )
    parser.add_argument(
        "--bars", type=Path, required=True, metavar="FILE", help="parquet or CSV file, or a folder of them"
    )
    _add_index_arguments(parser)
    parser.add_argument(
        "--from", dest="first", type=date_argument, metavar="DATE", help="first session judged"
    )
    parser.add_argument("--to", dest="last", type=date_argument, metavar="DATE", help="last session judged")
    parser.add_argument("--parquet", type=Path, metavar="FILE", help="write the setups' lives as a table")
    parser.add_argument(
        "--cost-pct",
        type=non_negative_number_argument,
        default=0.3,
        metavar="PCT",
        help="buying and selling together, percent of the entry; default: 0.3",
    )
    add_json_argument(parser)
    add_config_argument(parser)


def _add_bars_arguments(parser: argparse.ArgumentParser, *, with_json: bool = True) -> None:
    """--bars, --index, --as-of, alike for every verb that can do without a daemon."""
    parser.add_argument(
        "--bars",
        type=Path,
        metavar="FILE",
        help="parquet or CSV file, or a folder of them: needs no daemon; without it the daemon is asked",
    )
    _add_index_arguments(parser)
    parser.add_argument(
        "--as-of", type=date_argument, metavar="DATE", help="the session to judge; default: the last one"
    )
    add_config_argument(parser)
    if with_json:
        add_json_argument(parser)


def _add_index_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--index", type=Path, metavar="FILE", help="bars of the benchmark index")
    parser.add_argument(
        "--index-symbol",
        metavar="SYMBOL",
        help="which symbol of --index is the benchmark; default: its first",
    )
