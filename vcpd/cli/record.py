"""`vcpd record`: check the record of reported setups and compare it with the history; what became of them."""

import argparse
import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import msgspec

from vcpd.analysis.record_comparison import Cause, RecordComparison, compare_with_history
from vcpd.cli.client import daemon_client
from vcpd.cli.command import (
    EXIT_FAILED,
    EXIT_OK,
    Subparsers,
    add_command,
    add_config_argument,
    add_format_arguments,
    add_json_argument,
    positive_int_argument,
    set_action,
)
from vcpd.cli.output import number_text, print_data, print_json, print_table
from vcpd.cli.store import OpenStore, open_store
from vcpd.core.errors import BadInputError
from vcpd.domain.panel import Panel
from vcpd.domain.record import ChainCheck, RecordEntry, check_chain
from vcpd.jobs.panel_refresh import UniversePanels
from vcpd.jobs.universe import Universe
from vcpd.runtime.clock import WallClock
from vcpd.store.panel import PostgresPanelStore
from vcpd.store.panel_files import open_panel

HASH_LENGTH: Final = 64
PROMISE: Final = (
    "An unbroken chain shows that the entries are those that were stored, and with --head that none was "
    "changed since that digest. It shows nothing else."
)
DEFAULT_LIMIT: Final = 20
OUTCOME_COLUMNS: Final = (
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
ESTIMATE_PARTS: Final = (
    ("by_state", "state"),
    ("by_month", "month"),
    ("by_term", "market on the evening before"),
)


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer of `vcpd record verify`."""

    chain: ChainCheck
    comparison: RecordComparison


def add_record_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, verify, "vcpd record verify")
    parser.set_defaults(head=None, csv=False)
    add_config_argument(parser)
    add_json_argument(parser)
    nested = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    check = add_command(
        nested,
        "verify",
        "check that no entry was changed, and compare record and history on final bars both ways; exit "
        "code 1 where the chain is broken",
        "vcpd record verify --head 5d0c1f...",
        verify,
    )
    check.add_argument(
        "--head", metavar="HASH", help="a hash from a digest: every entry up to it must be unchanged"
    )
    add_config_argument(check, nested=True)
    add_json_argument(check, nested=True)
    add_outcomes_action(nested)


def verify(arguments: argparse.Namespace) -> int:
    """Exit code 1 for a broken chain or a head that it does not hold; differences alone are no failure."""
    head = arguments.head
    if head is not None and (len(head) != HASH_LENGTH or not set(head) <= set("0123456789abcdef")):
        raise BadInputError(f"--head: expected {HASH_LENGTH} hexadecimal digits, was {head!r}")
    found = asyncio.run(_verify(arguments))
    if arguments.json:
        print_json(found)
    else:
        _print_verification(found, head)
    return EXIT_FAILED if found.chain.faults else EXIT_OK


async def _verify(arguments: argparse.Namespace) -> Verification:
    async with open_store(arguments) as stored:
        entries = await stored.storage.record.entries()
        chain = check_chain(entries, arguments.head)
        readable = [entry for entry in entries if _is_readable(entry)]
        if not readable:
            nothing = RecordComparison(compared=0, not_final=0, late=0, differences=())
            return Verification(chain=chain, comparison=nothing)
        with tempfile.TemporaryDirectory(prefix="vcpd-") as folder:
            panel = await _panel_since(stored, readable, Path(folder))
            screened = await stored.storage.record.screened_since(_first_session(readable))
            compared = await asyncio.to_thread(
                compare_with_history, readable, panel, stored.configuration.screen, stored.calendar, screened
            )
        return Verification(chain=chain, comparison=compared)


def _is_readable(entry: RecordEntry) -> bool:
    try:
        return bool(entry.reported.symbol)
    except msgspec.MsgspecError:
        return False


def _first_session(entries: Sequence[RecordEntry]) -> date:
    return min(entry.reported.session for entry in entries)


async def _panel_since(stored: OpenStore, entries: Sequence[RecordEntry], folder: Path) -> Panel:
    """The universe's bars, as deep before the first entry as the daemon's panel was."""
    settings, storage = stored.configuration, stored.storage
    first = _first_session(entries)
    since = stored.calendar.sessions(first, max(first, WallClock().now().date()))
    universe = Universe(settings.universe, storage.instruments, stored.folder, settings.exchange)
    n_sessions = settings.store.panel_sessions + len(since)
    panels = UniversePanels(
        PostgresPanelStore(storage.database, storage.instruments, folder), universe, n_sessions
    )
    return await asyncio.to_thread(open_panel, await panels.refresh())


def _print_verification(found: Verification, head: str | None) -> None:
    _print_chain(found.chain, head)
    _print_comparison(found.comparison)
    print(PROMISE)


def _print_chain(chain: ChainCheck, head: str | None) -> None:
    print(f"{chain.entries:,} entries, head {chain.head or 'no entries: nothing has been reported yet'}")
    for fault in chain.faults:
        print(f"broken: {fault}")
    if not chain.faults:
        print("the chain is unbroken")
    if chain.witnessed is not None:
        print(f"--head {head} covers entries 1 to {chain.witnessed:,} of {chain.entries:,}")


def _causes_text(causes: Iterable[Cause]) -> str:
    """How often each cause occurs, in brackets; nothing where there is none."""
    counts = Counter(causes)
    text = ", ".join(f"{counts[cause]} {cause}" for cause in Cause if counts[cause])
    return f" ({text})" if text else ""


def _print_comparison(comparison: RecordComparison) -> None:
    causes = _causes_text(difference.cause for difference in comparison.differences)
    agree = comparison.compared - len(comparison.differences)
    print(
        f"against the history on final bars: {agree:,} agree, {len(comparison.differences):,} differ"
        + causes
        + f"; {comparison.not_final:,} wait for final bars"
    )
    if comparison.late:
        print(f"{comparison.late:,} were recorded after the next session had opened")
    if comparison.differences:
        rows = [
            (
                str(difference.number),
                str(difference.session),
                difference.symbol,
                difference.cause,
                difference.detail,
            )
            for difference in comparison.differences
        ]
        print_table("differences", ("entry", "session", "symbol", "cause", "detail"), rows, ("entry",))
    unreported = comparison.unreported
    print(
        f"the record lacks {len(unreported):,} of the history's setups"
        + _causes_text(missing.cause for missing in unreported)
    )
    if unreported:
        lacking = [
            (str(missing.session), missing.symbol, missing.cause, missing.detail) for missing in unreported
        ]
        print_table("not in the record", ("session", "symbol", "cause", "detail"), lacking, ())


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
    rows = [_outcome_row(item) for item in found["items"]]
    title = f"the {len(rows)} newest of {found['bases']:,} reported setups, bars until {found['as_of']}"
    print_table(
        title,
        OUTCOME_COLUMNS,
        rows,
        OUTCOME_COLUMNS[3:9],
        least_needed=("stop", "entry", "score", "sessions"),
    )
    print(
        f"{found['finished']:,} are finished: held to the stop or for {found['horizon_sessions']} sessions, "
        f"after costs of {found['cost_pct']:g} % of the entry; {found['unknown']:,} have no result"
    )
    if not found["finished"]:
        return
    _print_estimates("all of them", "setups", {"all": found["all"]})
    for name, heading in ESTIMATE_PARTS:
        _print_estimates(f"by {heading}", heading, found[name])


def _print_estimates(title: str, heading: str, parts: Mapping[str, Any]) -> None:
    rows = [(name, *_estimate_row(estimate)) for name, estimate in parts.items()]
    print_table(title, (heading, *ESTIMATE_COLUMNS), rows, ESTIMATE_COLUMNS)


def _outcome_row(item: Mapping[str, Any]) -> tuple[str, ...]:
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
