"""Compares the record of reported setups with the history on today's final bars, in both directions."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Final

import msgspec
import numpy as np

from vcpd import __version__
from vcpd.analysis.backtest import BaseOnSession, bases_by_session
from vcpd.analysis.session_context import SessionContext
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.panel import Panel
from vcpd.domain.record import BarsDigest, RecordEntry, ReportedSetup, known_settings_versions
from vcpd.domain.setups import SetupGroup

SCREEN_SECTION: Final = "screen"  # the settings that judge a setup


class Cause(StrEnum):
    """Why record and history on today's final bars differ; the first cause that applies is named."""

    PROVISIONAL = "provisional"  # it was judged on bars that were not final yet
    RESTATED = "restated"  # the symbol's bars have changed since
    VERSION = "version"  # another program or other settings judged it
    NOT_FOUND_AGAIN = "not found again"  # the same bars, program and settings: the reason is elsewhere
    NOT_SCREENED = "not screened"  # no screen of that session was stored: the program was not running
    NOT_REPORTED = "not reported"  # a screen was, and none of the causes above is known


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One entry that the history on final bars does not repeat."""

    number: int
    session: date
    symbol: str
    cause: Cause
    detail: str


class Unreported(msgspec.Struct, frozen=True, kw_only=True):
    """One setup that the history has on a session, and of which the record has no entry there."""

    session: date
    symbol: str
    cause: Cause
    detail: str


class RecordComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Entries against the history, and back; `not_final` wait for final bars and are not compared.

    `late` counts entries that were recorded after the next session had opened.
    """

    compared: int
    not_final: int
    late: int
    differences: tuple[Difference, ...]
    unreported: tuple[Unreported, ...] = ()


def compare_with_history(
    entries: Sequence[RecordEntry],
    panel: Panel,
    thresholds: Thresholds,
    calendar: TradingCalendar,
    screened: Collection[date] | None = None,
) -> RecordComparison:
    """Hold each entry against the base that the history has on that session, on the panel's bars.

    From the first entry's session on, the setups of the history are looked for in the record as well.
    `screened` are the sessions that a screen was stored of; None: all that have entries.
    """
    session_context = SessionContext(panel, thresholds)
    final = [entry for entry in entries if not _is_running(panel, entry.symbol, entry.reported.session)]
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
        unreported=find_unreported(session_context, entries, screened),
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
        return f"data quality excludes the symbol: {panel.exclusions[symbol]}"
    return None if symbol in panel.symbols else "the symbol is not in the universe any more"


def _is_running(panel: Panel, symbol: str, session: date) -> bool:
    """Whether the symbol's bar of the session is still provisional today."""
    if symbol not in panel.symbols:
        return False
    column = int(panel.sessions.searchsorted(np.datetime64(session, "D")))
    return column < len(panel.sessions) and bool(panel.provisional[panel.row_of(symbol), column])


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
            differing.append(f"{name} {_price_text(then)}, history {_price_text(now)}")
    if reported.state is not base.state:
        differing.append(f"state {reported.state or 'none'}, history {base.state}")
    if base.group is not SetupGroup.SETUP:
        differing.append(f"group {SetupGroup.SETUP}, history {base.group}")
    return differing


def _price_text(price: float | None) -> str:
    return "none" if price is None else f"{price:,.2f}"


def _cause(reported: ReportedSetup, session_context: SessionContext, row: int | None) -> Cause:
    if reported.provisional:
        return Cause.PROVISIONAL
    if _is_restated(reported, session_context, row):
        return Cause.RESTATED
    return Cause.VERSION if _is_of_other_version(reported, session_context) else Cause.NOT_FOUND_AGAIN


def _is_restated(reported: ReportedSetup, session_context: SessionContext, row: int | None) -> bool:
    span = reported.bars
    return row is not None and BarsDigest.of(session_context.panel, row, span.first, span.last) != span


def _is_of_other_version(reported: ReportedSetup, session_context: SessionContext) -> bool:
    versions = known_settings_versions(session_context.thresholds, SCREEN_SECTION)
    return reported.program != __version__ or reported.settings not in versions


def find_unreported(
    session_context: SessionContext, entries: Sequence[RecordEntry], screened: Collection[date] | None
) -> tuple[Unreported, ...]:
    """The setups of the history that the record lacks, from its first session to the last final bars."""
    reported = {(entry.symbol, entry.reported.session): entry.reported for entry in entries}
    if not reported:
        return ()
    covered = {session for _, session in reported}
    screens = covered if screened is None else covered | set(screened)
    sessions = {session for session in session_context.sessions if session >= min(covered)}
    found = [
        Unreported(
            session=session,
            symbol=symbol,
            cause=Cause.NOT_SCREENED
            if session not in screens
            else _cause_of_silence(session_context, symbol, session, list(reported.values())),
            detail=f"the history has a setup, pivot {_price_text(base.pivot)}, stop {_price_text(base.stop)}",
        )
        for symbol, session, base in _setups_of_history(session_context, sessions)
        if (symbol, session) not in reported
    ]
    return tuple(sorted(found, key=lambda missing: (missing.session, missing.symbol)))


def _setups_of_history(
    session_context: SessionContext, sessions: Collection[date]
) -> Iterator[tuple[str, date, BaseOnSession]]:
    """Each setup on final bars: symbol, session and base."""
    panel = session_context.panel
    for row, symbol in enumerate(panel.symbols):
        if symbol in panel.exclusions:
            continue
        for session, bases in bases_by_session(session_context, row, sessions).items():
            base = next((base for base in bases if base.group is SetupGroup.SETUP), None)
            if base is not None and not _is_running(panel, symbol, session):
                yield symbol, session, base


def _cause_of_silence(
    session_context: SessionContext, symbol: str, session: date, reported: Sequence[ReportedSetup]
) -> Cause:
    """Finds why nothing is recorded, by the record of that evening and of the symbol's nearest other one."""
    evening = [entry for entry in reported if entry.session == session]
    if any(entry.provisional for entry in evening):
        return Cause.PROVISIONAL
    own = [entry for entry in reported if entry.symbol == symbol]
    nearest = min(own, key=lambda entry: abs((entry.session - session).days), default=None)
    row = session_context.panel.row_of(symbol)
    if nearest is not None and _is_restated(nearest, session_context, row):
        return Cause.RESTATED
    of_other_version = any(_is_of_other_version(entry, session_context) for entry in evening)
    return Cause.VERSION if of_other_version else Cause.NOT_REPORTED
