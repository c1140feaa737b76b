"""`vcpd record verify`: check the record of reported setups and compare it with the history."""

import argparse
import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from vcpd import __version__
from vcpd.analysis.backtest import BaseOnSession, bases_by_session
from vcpd.analysis.session_context import SessionContext
from vcpd.analysis.thresholds import Thresholds
from vcpd.cli.command import (
    EXIT_FAILED,
    EXIT_OK,
    add_command,
    add_config_argument,
    add_json_argument,
    set_action,
)
from vcpd.cli.output import number_text, print_json, print_table
from vcpd.cli.store import OpenStore, open_store
from vcpd.core.errors import BadInputError
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.panel import Panel
from vcpd.domain.record import (
    BarsDigest,
    ChainCheck,
    RecordEntry,
    ReportedSetup,
    check_chain,
    known_settings_versions,
)
from vcpd.domain.setups import SetupGroup
from vcpd.jobs.panel_refresh import UniversePanels
from vcpd.jobs.universe import Universe
from vcpd.runtime.clock import WallClock
from vcpd.store.panel import PostgresPanelStore
from vcpd.store.panel_files import open_panel

HASH_LENGTH: Final = 64
SCREEN_SECTION: Final = "screen"  # the settings that judge a setup
PROMISE: Final = (
    "An unbroken chain shows that the entries are those that were stored, and with --head that none was "
    "changed since that digest. It shows nothing else."
)


class Cause(StrEnum):
    """Why an entry differs from the history on today's final bars; the first that applies is named."""

    PROVISIONAL = "provisional"  # it was judged on bars that were not final yet
    RESTATED = "restated"  # the symbol's bars have changed since
    VERSION = "version"  # another program or other settings judged it
    NOT_FOUND_AGAIN = "not found again"  # the same bars, program and settings: the reason is elsewhere


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One entry that the history on final bars does not repeat."""

    number: int
    session: date
    symbol: str
    cause: Cause
    detail: str


class RecordComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Entries against the history; `not_final` wait for final bars and are not compared.

    `late` counts entries that were recorded after the next session had opened.
    """

    compared: int
    not_final: int
    late: int
    differences: tuple[Difference, ...]


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer of `vcpd record verify`."""

    chain: ChainCheck
    comparison: RecordComparison


def add_record_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, verify, "vcpd record verify")
    parser.set_defaults(head=None)
    add_config_argument(parser)
    add_json_argument(parser)
    nested = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    check = add_command(
        nested,
        "verify",
        "check that no entry was changed, and compare each with the history on final bars; exit code 1 "
        "where the chain is broken",
        "vcpd record verify --head 5d0c1f...",
        verify,
    )
    check.add_argument(
        "--head", metavar="HASH", help="a hash from a digest: every entry up to it must be unchanged"
    )
    add_config_argument(check, nested=True)
    add_json_argument(check, nested=True)


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
            compared = await asyncio.to_thread(
                compare_with_history, readable, panel, stored.configuration.screen, stored.calendar
            )
        return Verification(chain=chain, comparison=compared)


def _is_readable(entry: RecordEntry) -> bool:
    try:
        return bool(entry.reported.symbol)
    except msgspec.MsgspecError:
        return False


async def _panel_since(stored: OpenStore, entries: Sequence[RecordEntry], folder: Path) -> Panel:
    """The universe's bars, as deep before the first entry as the daemon's panel was."""
    settings, storage = stored.configuration, stored.storage
    first = min(entry.reported.session for entry in entries)
    since = stored.calendar.sessions(first, max(first, WallClock().now().date()))
    universe = Universe(settings.universe, storage.instruments, stored.folder, settings.exchange)
    n_sessions = settings.store.panel_sessions + len(since)
    panels = UniversePanels(
        PostgresPanelStore(storage.database, storage.instruments, folder), universe, n_sessions
    )
    return await asyncio.to_thread(open_panel, await panels.refresh())


def compare_with_history(
    entries: Sequence[RecordEntry], panel: Panel, thresholds: Thresholds, calendar: TradingCalendar
) -> RecordComparison:
    """Hold each entry against the base that the history has on that session, on the panel's bars."""
    session_context = SessionContext(panel, thresholds)
    final = [entry for entry in entries if not _is_provisional(panel, entry)]
    by_symbol: dict[str, list[RecordEntry]] = {}
    for entry in final:
        by_symbol.setdefault(entry.symbol, []).append(entry)
    differences = [
        difference
        for symbol, own in by_symbol.items()
        for difference in _differences_of_symbol(session_context, symbol, own)
    ]
    return RecordComparison(
        compared=len(final),
        not_final=len(entries) - len(final),
        late=sum(_is_late(entry.reported, calendar) for entry in entries),
        differences=tuple(sorted(differences, key=lambda difference: difference.number)),
    )


def _differences_of_symbol(
    session_context: SessionContext, symbol: str, entries: Sequence[RecordEntry]
) -> Iterator[Difference]:
    panel = session_context.panel
    row = panel.row_of(symbol) if symbol in panel.symbols else None
    known: Mapping[date, list[BaseOnSession]] = {}
    if row is not None and symbol not in panel.exclusions:
        known = bases_by_session(session_context, row, {entry.reported.session for entry in entries})
    for entry in entries:
        reported = entry.reported
        detail = _what_differs(reported, known.get(reported.session, []))
        if detail is not None:
            yield Difference(
                number=entry.number,
                session=reported.session,
                symbol=symbol,
                cause=_cause(reported, session_context, row),
                detail=_why_left_out(panel, symbol) or detail,
            )


def _why_left_out(panel: Panel, symbol: str) -> str | None:
    if symbol in panel.exclusions:
        return f"data quality leaves the symbol out: {panel.exclusions[symbol]}"
    return None if symbol in panel.symbols else "the symbol is not in the universe any more"


def _is_provisional(panel: Panel, entry: RecordEntry) -> bool:
    """Whether the bar of the entry's session is still provisional today."""
    session = entry.reported.session
    if entry.symbol not in panel.symbols:
        return False
    column = int(panel.sessions.searchsorted(np.datetime64(session, "D")))
    return column < len(panel.sessions) and bool(panel.provisional[panel.row_of(entry.symbol), column])


def _is_late(reported: ReportedSetup, calendar: TradingCalendar) -> bool:
    opens, _ = calendar.open_close(calendar.next(reported.session))
    return reported.recorded_at is not None and reported.recorded_at >= opens


def _what_differs(reported: ReportedSetup, bases: Sequence[BaseOnSession]) -> str | None:
    """The nearest base in words; None where one has the same pivot, stop and state."""
    if not bases:
        return "the history has no base on that session"
    fewest = min((_differing_fields(reported, base) for base in bases), key=len)
    return "; ".join(fewest) or None


def _differing_fields(reported: ReportedSetup, base: BaseOnSession) -> list[str]:
    differing = []
    for name in ("pivot", "stop"):
        then, now = getattr(reported, name), getattr(base, name)
        if then is None or abs(then - now) > 1e-9 * abs(now):
            differing.append(f"{name} {number_text(then) or 'none'}, history {number_text(now)}")
    if reported.state is not base.state:
        differing.append(f"state {reported.state or 'none'}, history {base.state}")
    if base.group is not SetupGroup.SETUP:
        differing.append(f"group {SetupGroup.SETUP}, history {base.group}")
    return differing


def _cause(reported: ReportedSetup, session_context: SessionContext, row: int | None) -> Cause:
    if reported.provisional:
        return Cause.PROVISIONAL
    span = reported.bars
    if row is not None and BarsDigest.of(session_context.panel, row, span.first, span.last) != span:
        return Cause.RESTATED
    versions = known_settings_versions(session_context.thresholds, SCREEN_SECTION)
    if reported.program != __version__ or reported.settings not in versions:
        return Cause.VERSION
    return Cause.NOT_FOUND_AGAIN


def _print_verification(found: Verification, head: str | None) -> None:
    _print_chain(found.chain, head)
    _print_comparison(found.comparison)
    print(PROMISE)


def _print_chain(chain: ChainCheck, head: str | None) -> None:
    print(f"{chain.entries:,} entries, head {chain.head or 'none: nothing was ever reported'}")
    for fault in chain.faults:
        print(f"broken: {fault}")
    if not chain.faults:
        print("the chain is unbroken")
    if chain.witnessed is not None:
        print(f"--head {head} covers entries 1 to {chain.witnessed:,} of {chain.entries:,}")


def _print_comparison(comparison: RecordComparison) -> None:
    counts = Counter(difference.cause for difference in comparison.differences)
    causes = ", ".join(f"{counts[cause]} {cause}" for cause in Cause if counts[cause])
    agree = comparison.compared - len(comparison.differences)
    print(
        f"against the history on final bars: {agree:,} agree, {len(comparison.differences):,} differ"
        + (f" ({causes})" if causes else "")
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
