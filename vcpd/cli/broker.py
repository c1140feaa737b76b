"""`vcpd positions broker`: what the broker's account holds beside the trades that the daemon stores."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any, Final

from vcpd.cli.client import daemon_client
from vcpd.cli.command import EXIT_OK, Subparsers, add_command, add_config_argument, add_format_arguments
from vcpd.cli.output import number_text, print_data, print_table

COLUMNS: Final = ("symbol", "ISIN", "shares", "settled", "T1", "pledged", "today", "average", "in trades")
PARTS: Final = ("quantity", "settled", "unsettled", "pledged", "traded_today")
ISIN_UNKNOWN: Final = "unknown"


def add_broker_action(nested: Subparsers) -> None:
    """The action `broker` with its arguments."""
    action = add_command(
        nested,
        "broker",
        "compare the shares that the broker reports with those that the stored trades leave; changes nothing",
        "vcpd positions broker\nvcpd positions broker --json",
        compare_with_broker,
    )
    add_config_argument(action, nested=True)
    add_format_arguments(action, nested=True)


def compare_with_broker(arguments: argparse.Namespace) -> int:
    """Every company of the account, then what differs and what is left out."""
    found = daemon_client(arguments).get("/api/broker")
    if not print_data(arguments, found, found["companies"]):
        _print_account(found)
    return EXIT_OK


def _print_account(found: Mapping[str, Any]) -> None:
    in_trades = {row["symbol"]: row["in_trades"] for row in found["differences"]}
    in_trades |= {lot["symbol"]: 0 for lot in found["unknown_lots"]}
    rows = [_row(company, in_trades) for company in found["companies"]]
    print_table(f"{len(rows)} companies at the broker", COLUMNS, rows, COLUMNS[2:], least_needed=("ISIN",))
    for line in _lines(found):
        print(line)


def _row(company: Mapping[str, Any], in_trades: Mapping[str, int]) -> tuple[str, ...]:
    stored = in_trades.get(company["symbol"], company["quantity"])
    counts = [f"{company[part]:,}" for part in PARTS]
    average = number_text(company["average_price"])
    return (company["symbol"], company["isin"] or ISIN_UNKNOWN, *counts, average, f"{stored:,}")


def _lines(found: Mapping[str, Any]) -> Sequence[str]:
    """Notes beside the counts, a line each."""
    differences = [f"{row['symbol']}: {row['text']}" for row in found["differences"]]
    unknown = [
        f"{lot['symbol']}: {lot['quantity']:,} shares at {lot['entry']:,.2f} without stored trades: give day "
        f"and stop with `vcpd positions add {lot['symbol']} --date DATE --stop PRICE`, or import the trades; "
        "until then there is neither stop nor R"
        for lot in found["unknown_lots"]
    ]
    left_out = [
        f"left out {row['symbol']}: {row['quantity']:,}, {row['reason']}" for row in found["left_out"]
    ]
    notes = [f"note: {text}" for text in found["notices"]]
    agreed = ["the stored trades agree with the broker's account"] if found["agrees"] else []
    return [*differences, *unknown, *left_out, *notes, *agreed]
