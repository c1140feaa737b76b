"""Keeps the ingested history complete: fetches missing sessions, ingests them, remembers gaps.

What the archive shows of a day, its file or none beside the file of another day, is evidence of trading.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import structlog

from vcpd.bhavcopy.archive import BhavcopyArchive
from vcpd.bhavcopy.history import BarHistory, IngestItem, RejectedFile, ingest_files, open_history
from vcpd.core.errors import NotPublishedYetError, RetryableError, VcpdError
from vcpd.domain.bars import DateArray
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.market_days import DayEvidence, MarketLook
from vcpd.ports import Clock

Compute = Callable[..., Awaitable[Any]]
"""Runs a module-level function somewhere else: `Workers.call`."""
SESSIONS_PER_BATCH: Final = 200  # taken in as one batch: what has been fetched survives a stop
CONCURRENT_DOWNLOADS: Final = 4
MAX_DECODE_ROUNDS: Final = 3  # of fetching again what could not be understood, in another layout
PUBLISHED_AFTER: Final = timedelta(hours=3)  # the close; a session's file is there by then on ordinary days
PUBLISHED_BY: Final = timedelta(hours=4.5)  # after the close; later than both looks that prove a closed day
GAP_RETRY_S: Final = 24 * 3600.0
MAX_FAILED_SESSIONS: Final = 5  # sessions whose files cannot be had: the archive is out of reach
UNREACHABLE_RETRY_S: Final = 60.0
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class ExchangeClock:
    """The clock read by the exchange's calendar, which a reload may replace while the daemon runs."""

    clock: Clock
    calendar: TradingCalendar

    def monotonic_s(self) -> float:
        return self.clock.monotonic_s()

    def today(self) -> date:
        return self.calendar.local_date(self.clock.now())

    def last_closed(self) -> date:
        """The last session that has closed."""
        return self.calendar.last_session_at(self.clock.now())

    def closed_sessions(self, first: date, last: date) -> DateArray:
        """The sessions in [first, last] that have closed, ascending, (n,)."""
        sessions = self.calendar.sessions(first, max(first, last))
        return sessions[sessions <= np.datetime64(min(last, self.last_closed()), "D")]

    def closed_at(self, session: date) -> datetime:
        """When `session` closed, in the exchange's local time."""
        return self.calendar.open_close(session)[1].astimezone(self.calendar.zone)


@dataclass(slots=True)
class FetchedFiles:
    """What came of fetching some sessions."""

    items: list[IngestItem] = field(default_factory=list)
    without_indices: list[IngestItem] = field(default_factory=list)  # their index values are not there
    missing: list[date] = field(default_factory=list)
    errors: list[VcpdError] = field(default_factory=list)

    @property
    def given_up(self) -> bool:
        return len(self.errors) >= MAX_FAILED_SESSIONS

    def merge(self, other: "FetchedFiles") -> None:
        """Add what came of fetching some of the sessions again; its orders are its own."""
        self.without_indices += other.without_indices
        self.missing += other.missing
        self.errors += other.errors


class BhavcopySync:
    """The history stored below `folder`, extended to the requested sessions."""

    def __init__(
        self,
        archive: BhavcopyArchive,
        folder: Path,
        missing_after_days: int,
        time: ExchangeClock,
        compute: Compute | None = None,
    ) -> None:
        self._archive = archive
        self._folder = folder
        self._missing_after = timedelta(days=missing_after_days)
        self._time = time
        self._compute = compute or asyncio.to_thread
        self._lock = asyncio.Lock()
        self._history: BarHistory | None = None
        self._gaps: dict[date, float] = {}  # until when, in monotonic seconds, they are left alone
        self._unreachable: tuple[float, VcpdError] | None = None

    async def ensure_sessions(self, wanted: DateArray) -> BarHistory:
        """The history with the `wanted` sessions (n,) in it.

        A file that is missing for long counts as a hole. Raises RetryableError for one that may still
        come; whatever else was missing has been taken in by then.
        """
        history = await self._open_history()
        if not len(self._missing_sessions(history, wanted)):
            return history
        async with self._lock:
            lacking = self._missing_sessions(await self._open_history(), wanted)
            if len(lacking):
                self._raise_if_unreachable()
                await self._fetch(lacking.tolist())
            return await self._open_history()

    async def current_history(self) -> BarHistory:
        """The history as it is."""
        return await self._open_history()

    async def _open_history(self) -> BarHistory:
        if self._history is None:
            self._history = await asyncio.to_thread(open_history, self._folder)
        return self._history

    def _missing_sessions(self, history: BarHistory, wanted: DateArray) -> DateArray:
        lacking = np.setdiff1d(wanted, history.sessions, assume_unique=True)
        if not len(lacking) or not self._gaps:
            return lacking
        now_s = self._time.monotonic_s()
        resting = np.array([day for day, until_s in self._gaps.items() if now_s < until_s], "M8[D]")
        return np.setdiff1d(lacking, resting, assume_unique=True)

    def _raise_if_unreachable(self) -> None:
        """Raise the last failure again for a while, so that the next share does not try in vain."""
        if self._unreachable is not None and self._time.monotonic_s() < self._unreachable[0]:
            raise self._unreachable[1]

    async def _fetch(self, days: Sequence[date]) -> None:
        errors: list[VcpdError] = []
        for batch in _batches(days):
            fetched = await self._fetch_batch(batch)
            errors += fetched.errors
            left = sum(day > batch[-1] for day in days)
            _log.info("bhavcopy.fetched", first=str(batch[0]), last=str(batch[-1]), sessions_left=left)
            if fetched.given_up:
                self._unreachable = (self._time.monotonic_s() + UNREACHABLE_RETRY_S, fetched.errors[0])
                break
        if errors:
            raise errors[0]

    async def _fetch_batch(self, batch: Sequence[date]) -> FetchedFiles:
        """Take in what there is of these sessions; the rest is among its errors, or a gap."""
        fetched = await self._fetch_files(batch)
        rejected = await self._ingest(fetched.items)
        for _ in range(MAX_DECODE_ROUNDS - 1):
            if not rejected:
                break
            again = await self._fetch_files([file.session for file in rejected])
            fetched.merge(again)
            rejected = await self._ingest(again.items)
        latest = await self._latest(fetched)
        rejected = [*rejected, *await self._ingest_without_indices(fetched, latest)]
        fetched.errors += [RetryableError(rejection.reason) for rejection in rejected]
        fetched.errors += self._record_missing(fetched.missing, latest)
        return fetched

    async def _latest(self, fetched: FetchedFiles) -> date:
        """The last session that there is any file of."""
        known = (await self._open_history()).index.sessions[-1:]
        return max(
            [*known, *(item.session for item in (*fetched.items, *fetched.without_indices))], default=date.min
        )

    async def _ingest_without_indices(self, fetched: FetchedFiles, latest: date) -> Sequence[RejectedFile]:
        """Do without index values that will not come any more; the other sessions are missing."""
        awaited = [
            index.session
            for index in fetched.without_indices
            if self._may_be_published(index.session, latest)
        ]
        fetched.missing += awaited
        return await self._ingest(
            [index for index in fetched.without_indices if index.session not in awaited]
        )

    async def _fetch_files(self, batch: Sequence[date]) -> FetchedFiles:
        fetched = FetchedFiles()
        pending = iter(batch)
        async with asyncio.TaskGroup() as group:
            for number in range(min(CONCURRENT_DOWNLOADS, len(batch))):
                group.create_task(self._fetch_worker(pending, fetched), name=f"files-{number}")
        return fetched

    async def _fetch_worker(self, pending: Iterator[date], fetched: FetchedFiles) -> None:
        for session in pending:
            if fetched.given_up:
                return
            try:
                await self._fetch_session(session, fetched)
            except VcpdError as error:
                fetched.errors.append(error)

    async def _fetch_session(self, session: date, fetched: FetchedFiles) -> None:
        file = await self._archive.bhavcopy_path(session)
        if file is None:
            fetched.missing.append(session)
            return
        indices = await self._archive.index_path(session)
        if indices is None:
            fetched.without_indices.append(IngestItem(session, str(file), ""))
        else:
            fetched.items.append(IngestItem(session, str(file), str(indices)))

    async def _ingest(self, orders: Sequence[IngestItem]) -> Sequence[RejectedFile]:
        if not orders:
            return ()
        ordered = sorted(orders, key=lambda order: order.session)
        rejected: Sequence[RejectedFile] = await self._compute(ingest_files, str(self._folder), ordered)
        self._history = None
        for rejection in rejected:
            _log.warning("bhavcopy.rejected", reason=rejection.reason)
            await self._archive.mark_corrupt(Path(rejection.path))
        return rejected

    def _record_missing(self, missing: Sequence[date], latest: date) -> list[VcpdError]:
        """Leave old holes alone for a while; an error for the latest session that may still be published."""
        awaited = [day for day in missing if self._may_be_published(day, latest)]
        holes = [day for day in missing if day not in awaited]
        self._gaps |= dict.fromkeys(holes, self._time.monotonic_s() + GAP_RETRY_S)
        if holes:
            _log.warning("bhavcopy.missing", sessions=[str(day) for day in sorted(holes)])
        return [self._awaited_error(awaited)] if awaited else []

    def _awaited_error(self, awaited: Sequence[date]) -> RetryableError:
        """The error for missing files: NotPublishedYetError while today's alone may still come in time."""
        session, now = max(awaited), self._time.clock.now()
        text = f"the file of {session} is not in the archive yet"
        if len(awaited) == 1 and now < self._time.calendar.open_close(session)[1] + PUBLISHED_BY:
            return NotPublishedYetError(text)
        return RetryableError(text)

    def _may_be_published(self, session: date, latest: date) -> bool:
        """Whether the file may still come: not once a later session is there, or after too long a time."""
        return session >= latest and self._time.today() - session <= self._missing_after


def _batches(days: Sequence[date]) -> Iterator[Sequence[date]]:
    for start in range(0, len(days), SESSIONS_PER_BATCH):
        yield days[start : start + SESSIONS_PER_BATCH]


@dataclass(frozen=True, slots=True)
class FileEvidence:
    """Determines from the archive whether the market traded on a day.

    A day without a file proves nothing while the file may still come, nor where the archive gives no other
    file at the same time. A folder of the user's shows sessions only: it may not have been filled yet.
    """

    archive: BhavcopyArchive
    time: ExchangeClock

    async def day_evidence(self, day: date) -> MarketLook:
        """Evidence of trading on `day`. RetryableError where the archive does not answer."""
        path = await self.archive.bhavcopy_path(day)
        now = self.time.clock.now()
        if path is not None:
            text = f"the exchange published the file {path.name}"
            return MarketLook(day, now, DayEvidence.TRADED, text)
        if not self._should_be_published(day, now):
            return MarketLook(day, now, DayEvidence.UNCLEAR, "no file of that day so far")
        other = self.time.calendar.previous(day)
        if await self.archive.is_published(other):
            text = f"the archive has no file of that day, but gives that of {other}"
            return MarketLook(day, now, DayEvidence.CLOSED, text)
        text = f"the archive has no file of that day, and gives none of {other} either"
        return MarketLook(day, now, DayEvidence.UNCLEAR, text)

    def _should_be_published(self, day: date, now: datetime) -> bool:
        calendar = self.time.calendar
        return calendar.is_session(day) and now >= calendar.open_close(day)[1] + PUBLISHED_AFTER
