"""`vcpd record outcomes`: what became of every setup that was reported."""

import argparse
from collections.abc import Mapping
from typing import Any, Final

from vcpd.cli.client import daemon_client
from vcpd.cli.command import (
    EXIT_OK,
    Subparsers,
    add_command,
    add_config_argument,
    add_format_arguments,
    positive_int_argument,
)
from vcpd.cli.output import number_text, print_data
from vcpd.cli.tables import print_table

DEFAULT_LIMIT: Final = 20
COLUMNS: Final = (
    "session",
    "symbol",
    "state",
    "score",
    "entry",
    "stop",
    "sessions",
    "R",
    "best R",
    "outcome",
)
ESTIMATE_COLUMNS: Final = ("number", "mean R", "95 % interval", "median R")
PARTS: Final = (("by_state", "state"), ("by_month", "month"), ("by_term", "market on the evening before"))


def add_outcomes_action(nested: Subparsers) -> None:
    """The action `outcomes` with its arguments."""
    action = add_command(
        nested,
        "outcomes",
        "what became of each reported setup, bought at the close of its first report",
        "vcpd record outcomes\nvcpd record outcomes --limit 500 --csv",
        show_outcomes,
    )
    action.add_argument(
        "--limit",
        type=positive_int_argument,
        default=DEFAULT_LIMIT,
        metavar="N",
        help=f"number of newest setups that are listed; default: {DEFAULT_LIMIT}",
    )
    add_config_argument(action, nested=True)
    add_format_arguments(action, nested=True)


def show_outcomes(arguments: argparse.Namespace) -> int:
    """The newest outcomes, then the estimates over all finished ones."""
    found = daemon_client(arguments).get("/api/record", limit=arguments.limit)
    if not print_data(arguments, found, found["items"]):
        _print_outcomes(found)
    return EXIT_OK


def _print_outcomes(found: Mapping[str, Any]) -> None:
    if not found["bases"]:
        print("nothing is in the record yet: the evening's screen adds the setups that it reports")
        return
    rows = [_row(item) for item in found["items"]]
    title = f"the {len(rows)} newest of {found['bases']:,} reported setups, bars until {found['as_of']}"
    print_table(title, COLUMNS, rows, COLUMNS[3:9], least_needed=("stop", "entry", "score", "sessions"))
    print(
        f"{found['finished']:,} are finished: held to the stop or for {found['horizon_sessions']} sessions, "
        f"after costs of {found['cost_pct']:g} % of the entry; {found['unknown']:,} have no result"
    )
    if not found["finished"]:
        return
    _print_estimates("all of them", "setups", {"all": found["all"]})
    for name, heading in PARTS:
        _print_estimates(f"by {heading}", heading, found[name])


def _print_estimates(title: str, heading: str, parts: Mapping[str, Any]) -> None:
    rows = [(name, *_estimate_row(estimate)) for name, estimate in parts.items()]
    print_table(title, (heading, *ESTIMATE_COLUMNS), rows, ESTIMATE_COLUMNS)


def _row(item: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        item["session"],
        item["symbol"],
        item["state"] or "",
        number_text(item["score"], 0),
        number_text(item["entry"]),
        number_text(item["stop"]),
        "" if item["held_sessions"] is None else str(item["held_sessions"]),
        number_text(item["result_r"]),
        number_text(item["best_r"]),
        _outcome_text(item),
    )


def _outcome_text(item: Mapping[str, Any]) -> str:
    if item["reason"]:
        return str(item["reason"])
    if item["is_stopped"]:
        return "stopped"
    return "held to the end" if item["is_finished"] else "still held"


def _estimate_row(estimate: Mapping[str, Any]) -> tuple[str, ...]:
    low, high = estimate["low_r"], estimate["high_r"]
    interval = "fewer than 12 months" if low is None else f"{low:+.2f} .. {high:+.2f}"
    return (
        f"{estimate['purchases']:,}",
        number_text(estimate["mean_r"]),
        interval,
        number_text(estimate["median_r"]),
    )
