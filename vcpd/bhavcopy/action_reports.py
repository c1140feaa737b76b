"""Corporate actions from the archive's daily reports: fetches and merges them; the latest report counts.

A report lists every action from its day on. So what happened on an ex-date is what the last readable report
up to that date says: a missing or damaged one is covered by those around it, a postponed action moves, a
withdrawn one goes. Every such report is named in the log and requested again later.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import structlog

from vcpd.bhavcopy.archive import BhavcopyArchive
from vcpd.bhavcopy.corporate_actions import (
    ActionList,
    ActionRow,
    CorporateAction,
    UnclearAction,
    merge_actions,
    parse_day,
)
from vcpd.bhavcopy.daily_reports import ActionDay, read_action_days
from vcpd.bhavcopy.sync import Compute, ExchangeClock
from vcpd.core.errors import RetryableError

LISTED_AHEAD: Final = timedelta(days=14)  # calendar days before an ex-date at which reports may name it
COVERING_SESSIONS: Final = 5  # without a readable report for so long, an action may have been missed
CONCURRENT_DOWNLOADS: Final = 4
SESSIONS_PER_BATCH: Final = 200
MAX_FAILED_REPORTS: Final = 5  # then the archive is out of reach: what is there has to do
RECENT: Final = timedelta(days=10)  # a report that is missing for longer is looked for once a day
OLD_RETRY_S: Final = 24 * 3600.0
NOT_PUBLISHED: Final = "is not in the archive"
MAX_LOGGED: Final = 10
_log = structlog.get_logger(__name__)


class ActionReports:
    """The actions that the daily reports list, completed as far as the archive answers."""

    def __init__(
        self, archive: BhavcopyArchive, time: ExchangeClock, retry_s: float, compute: Compute
    ) -> None:
        self._archive = archive
        self._time = time
        self._retry_s = retry_s
        self._compute = compute
        self._days: dict[date, ActionDay] = {}
        self._retry_at_s: dict[date, float] = {}
        self._problems: dict[date, str] = {}

    @property
    def problems(self) -> dict[date, str]:
        """Why the report of a session is not known, by session."""
        return dict(self._problems)

    @property
    def is_empty(self) -> bool:
        return not self._days

    async def complete(self, since: date) -> None:
        """Fetch and read the reports from `since` on that are not known; failures are named, not raised."""
        wanted = self._time.closed_sessions(since - LISTED_AHEAD, self._time.today()).tolist()
        now_s, known = self._time.monotonic_s(), dict(self._problems)
        lacking = [day for day in wanted if day not in self._days and self._retry_at_s.get(day, 0.0) <= now_s]
        for start in range(0, len(lacking), SESSIONS_PER_BATCH):
            if not await self._complete_batch(lacking[start : start + SESSIONS_PER_BATCH]):
                break
        self._log_problems(known)

    def uncovered(self, since: date) -> list[date]:
        """The closed sessions from `since` on without a readable report in the sessions up to it."""
        sessions = self._time.closed_sessions(since - LISTED_AHEAD, self._time.today())
        known = np.isin(sessions, np.array(sorted(self._days), "M8[D]"))
        counts = np.concatenate([[0], np.cumsum(known)])
        first = np.maximum(np.arange(1, len(sessions) + 1) - COVERING_SESSIONS, 0)
        is_covered = counts[1:] > counts[first]
        wanted = sessions >= np.datetime64(since, "D")
        found: list[date] = sessions[wanted & ~is_covered].tolist()
        return found

    def listed(self) -> ActionList:
        """The actions and unclear purposes of all reports, each by the last report before its ex-date."""
        days = [self._days[day] for day in sorted(self._days) if self._days[day].rows]
        actions: list[CorporateAction] = []
        unclear: list[UnclearAction] = []
        for number, day in enumerate(days):
            following = days[number + 1].session if number + 1 < len(days) else None
            rows = list(_decided_rows(day.rows, following))
            merged = merge_actions(rows, day.face_values, day.session)
            actions += merged.actions
            unclear += merged.unclear
        return ActionList(tuple(actions), tuple(unclear))

    async def _complete_batch(self, sessions: Sequence[date]) -> bool:
        """Whether the archive can be reached."""
        found: dict[date, Sequence[Path]] = {}
        errors: list[RetryableError] = []
        pending = iter(sessions)
        async with asyncio.TaskGroup() as group:
            for number in range(min(CONCURRENT_DOWNLOADS, len(sessions))):
                group.create_task(self._fetch(pending, found, errors), name=f"reports-{number}")
        await self._read(found)
        return len(errors) < MAX_FAILED_REPORTS

    async def _fetch(
        self, pending: Iterator[date], found: dict[date, Sequence[Path]], errors: list[RetryableError]
    ) -> None:
        for session in pending:
            if len(errors) >= MAX_FAILED_REPORTS:
                return
            try:
                paths = await self._archive.report_paths(session)
            except RetryableError as error:
                errors.append(error)
                self._postpone(session, str(error))
                continue
            if paths:
                found[session] = paths
            else:
                self._postpone(session, f"the report of {session} {NOT_PUBLISHED}")

    async def _read(self, found: dict[date, Sequence[Path]]) -> None:
        if not found:
            return
        sessions = sorted(found)
        names = [[str(path) for path in found[session]] for session in sessions]
        days: list[ActionDay | str] = await self._compute(read_action_days, names, sessions)
        for session, day in zip(sessions, days, strict=True):
            if isinstance(day, ActionDay):
                self._days[session] = day
                self._problems.pop(session, None)
            else:
                self._postpone(session, day)
                for path in found[session]:
                    await self._archive.mark_corrupt(path)

    def _log_problems(self, known: Mapping[date, str]) -> None:
        """Name each new problem once: those of single reports by reason, missing ones together."""
        new = {day: reason for day, reason in sorted(self._problems.items()) if known.get(day) != reason}
        missing = [str(day) for day, reason in new.items() if reason.endswith(NOT_PUBLISHED)]
        if missing:
            _log.warning("reports.missing", sessions=missing[-MAX_LOGGED:], count=len(missing))
        for day, reason in new.items():
            if not reason.endswith(NOT_PUBLISHED):
                _log.warning("report.unreadable", session=str(day), reason=reason)

    def _postpone(self, session: date, reason: str) -> None:
        """Request the report again after some time."""
        is_recent = self._time.today() - session <= RECENT
        self._retry_at_s[session] = self._time.monotonic_s() + (self._retry_s if is_recent else OLD_RETRY_S)
        self._problems[session] = reason


def _decided_rows(rows: Sequence[ActionRow], following: date | None) -> Iterator[ActionRow]:
    """The rows that no later report revises: those before `following`, the next one; of the last one all."""
    for row in rows:
        ex_date = parse_day(row[1])
        if following is None or (ex_date is not None and ex_date < following):
            yield row
