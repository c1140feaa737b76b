"""Fetch the bars of many instruments concurrently, compare them with stored history, check and write them."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Final, Generic, Protocol, TypeVar

import numpy as np
import structlog

from vcpd.core.errors import (
    NeedsLoginError,
    NotPublishedYetError,
    PermanentError,
    RetryableError,
    VcpdError,
    is_transient,
)
from vcpd.domain.bars import BarSeries, BarTable, DateArray
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.quality_rules import (
    CheckedSeries,
    QualityRule,
    QuarantinedBar,
    ValidSessions,
    check_rows,
    check_table,
    compare_histories,
    restated_sessions,
)
from vcpd.domain.runs import Progress
from vcpd.jobs.gaps import BarFinality, Gap
from vcpd.ports import BarStore, Clock, MarketData, MergeCounts, QuarantineStore, SessionSpan


@dataclass(frozen=True, slots=True)
class FetchedBars:
    """Checked bars of one instrument, and the span that was requested."""

    instrument_id: int
    accepted: BarSeries
    quarantined: tuple[QuarantinedBar, ...]
    requested: SessionSpan
    replaces: bool = False  # a restated history replaces the stored bars
    notes: tuple[str, ...] = ()  # reported in the reason of the run
    repriced: tuple[str, ...] = ()  # a text for each provisional bar whose final prices differ
    revolumed: int = 0  # provisional bars of which only the volume differs


@dataclass(slots=True)
class CollectStats:
    """Counts and notes of a run so far."""

    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    repriced: list[str] = field(default_factory=list)
    has_retryable_failure: bool = False  # a symbol failed temporarily
    unscheduled: Counter[date] = field(default_factory=Counter)  # symbols by day that is not a session

    @property
    def has_changed(self) -> bool:
        """True if any row was inserted or updated."""
        return bool(self.counts["inserted"] or self.counts["updated"])

    def add_quarantined(self, rows: Sequence[QuarantinedBar], inserted: int) -> None:
        """Count quarantined rows, `inserted` of which were not known before."""
        self.counts["quarantined"] += inserted
        days = (row.session for row in rows if row.rule is QualityRule.NOT_A_SESSION)
        self.unscheduled.update(day for day in days if inserted and day is not None)

    def add(self, merged: MergeCounts) -> None:
        self.counts["inserted"] += merged.inserted
        self.counts["updated"] += merged.updated
        self.counts["unchanged"] += merged.unchanged


class BarWriter:
    """Checks bars against the calendar and writes them to the store."""

    def __init__(self, bars: BarStore, quarantine: QuarantineStore, calendar: TradingCalendar) -> None:
        self.bars = bars
        self._quarantine = quarantine
        self._calendar = calendar
        self._days = calendar.sessions(calendar.valid_from, calendar.valid_until)

    def check(self, series: BarSeries, now: datetime) -> CheckedSeries:
        return check_rows(series, self._sessions(now))

    async def write(self, fetched: Sequence[FetchedBars], stats: CollectStats) -> None:
        """Quarantine and write fetched bars; each restated history in its own transaction."""
        quarantined = [row for bars in fetched for row in bars.quarantined]
        stats.add_quarantined(quarantined, await self._quarantine.add(quarantined))
        merged = {bars.instrument_id: bars for bars in fetched if not bars.replaces}
        if merged:
            table = BarTable.gather((key, bars.accepted) for key, bars in merged.items())
            requested = {key: bars.requested for key, bars in merged.items()}
            stats.add(await self.bars.merge(table, requested))
        for bars in fetched:
            stats.notes.extend(bars.notes)
            stats.repriced.extend(bars.repriced)
            stats.counts["repriced"] += len(bars.repriced)
            stats.counts["revolumed"] += bars.revolumed
            if bars.replaces:
                stats.counts["restated"] += 1
                stats.add(await self.bars.replace(bars.instrument_id, bars.accepted, bars.requested))

    async def write_session(
        self,
        table: BarTable,
        symbols: Mapping[int, str],
        requested: Mapping[int, SessionSpan],
        now: datetime,
        stats: CollectStats,
    ) -> None:
        """Check and write one session's bars; a quarantined instrument does not count as requested."""
        checked = check_table(table, symbols, self._sessions(now))
        stats.add_quarantined(checked.quarantined, await self._quarantine.add(checked.quarantined))
        quarantined = {row.symbol for row in checked.quarantined}
        covered = {key: span for key, span in requested.items() if symbols[key] not in quarantined}
        stats.add(await self.bars.merge(checked.accepted, covered))

    def _sessions(self, now: datetime) -> ValidSessions:
        today: date = self._calendar.local_date(now)
        return ValidSessions(self._days, today)


MIN_RATE_WINDOW_S: Final = 1.0
MIN_COMPLETE_SHARE: Final = 0.9  # share of the stored bars that a restated history must contain
HISTORY_START_TOLERANCE: Final = timedelta(days=14)  # no market trades on every day
log = structlog.get_logger("vcpd.jobs")


class HasSymbol(Protocol):
    """An item that is fetched for a symbol."""

    @property
    def symbol(self) -> str: ...


W = TypeVar("W", bound=HasSymbol)


class ConcurrentFetcher(Generic[W]):
    """Fetches many items concurrently and yields what has arrived, in batches.

    A symbol that fails is recorded in `failures` and does not stop the others. A missing login, an
    unpublished session or too many consecutive failures end the iteration early; `stopped` is then the error.
    """

    def __init__(
        self,
        pending: Iterable[W],
        fetch: Callable[[W], Awaitable[FetchedBars]],
        clock: Clock,
        max_consecutive_failures: int,
    ) -> None:
        self._pending = deque(pending)
        self._fetch = fetch
        self._clock = clock
        self._max_consecutive_failures = max_consecutive_failures
        self._consecutive_failures = 0
        self._arrived: asyncio.Queue[FetchedBars | None] = asyncio.Queue()
        self.failures: dict[str, VcpdError] = {}
        self.stopped: VcpdError | None = None

    async def batches(
        self, concurrency: int, progress: Progress, note: str
    ) -> AsyncGenerator[Sequence[FetchedBars]]:
        """Yield batches; at most `concurrency` items are requested or waiting to be consumed at a time.

        The consumer closes the generator (`contextlib.aclosing`), which cancels what is still requested.
        """
        progress.begin(len(self._pending), note)
        rate = ProgressRate(self._clock, progress, note)
        slots = asyncio.Semaphore(concurrency)
        tasks = [
            asyncio.create_task(self._fetch_pending(slots, rate), name=f"fetch-{number}")
            for number in range(min(concurrency, len(self._pending)))
        ]
        for task in tasks:
            task.add_done_callback(lambda _: self._arrived.put_nowait(None))
        try:
            while batch := await self._next_batch(tasks):
                yield batch
                for _ in batch:
                    slots.release()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _next_batch(self, tasks: Sequence[asyncio.Task[None]]) -> list[FetchedBars]:
        """All that has arrived, at least one item; empty when every task has ended. Raises a task's error."""
        batch: list[FetchedBars] = []
        while not batch and not (self._arrived.empty() and all(task.done() for task in tasks)):
            arrived = [await self._arrived.get()]
            while not self._arrived.empty():
                arrived.append(self._arrived.get_nowait())
            batch = [bars for bars in arrived if bars is not None]
            for task in tasks:
                if task.done():
                    task.result()
        return batch

    async def _fetch_pending(self, slots: asyncio.Semaphore, rate: "ProgressRate") -> None:
        while self._pending and self.stopped is None:
            await slots.acquire()
            if not self._pending or self.stopped is not None:
                return
            bars = await self._fetch_one(self._pending.popleft())
            rate.step()
            if bars is None:
                slots.release()
            else:
                self._arrived.put_nowait(bars)

    async def _fetch_one(self, item: W) -> FetchedBars | None:
        """The item's bars; None where it failed, which is recorded."""
        try:
            bars = await self._fetch(item)
        except (NeedsLoginError, NotPublishedYetError) as error:
            self.stopped = error
            return None
        except VcpdError as error:
            self._record_failure(item, error)
            return None
        self._consecutive_failures = 0
        return bars

    def _record_failure(self, item: W, error: VcpdError) -> None:
        self.failures[item.symbol] = error
        self._consecutive_failures += 1
        if self.stopped is None and self._consecutive_failures >= self._max_consecutive_failures:
            text = f"{self._consecutive_failures} consecutive symbols failed, the last with: {error}"
            self.stopped = RetryableError(text) if is_transient(error) else PermanentError(text)


class ProgressRate:
    """Updates a progress and its note: symbols done, rate, time left."""

    def __init__(self, clock: Clock, progress: Progress, note: str) -> None:
        self._clock = clock
        self._progress = progress
        self._note = note
        self._started_s = clock.monotonic_s()

    def step(self) -> None:
        progress = self._progress
        progress.advance()
        elapsed_s = self._clock.monotonic_s() - self._started_s
        if elapsed_s >= MIN_RATE_WINDOW_S:
            rate = progress.done / elapsed_s
            left_s = (progress.total - progress.done) / rate
            progress.note = f"{self._note}: {rate:.1f} symbols/s, {_format_duration(left_s)} left"


def _format_duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@dataclass(frozen=True, slots=True)
class HistoryFetcher:
    """Fetches a gap; if the market has changed a stored final bar, the whole history instead."""

    market: MarketData
    writer: BarWriter
    finality: BarFinality
    clock: Clock

    async def fetch(self, gap: Gap) -> FetchedBars:
        """Fetch the bars of a gap. Raises RetryableError when a restated history has too few bars.

        Stored bars older than the market's (from an import, say) are kept, provided that the market has
        at least the configured history.
        """
        last_final = self.finality.last_final(self.clock.now())
        fetched = await self._fetch_span(gap, gap.span)
        if not gap.overlaps:
            return _fetched_bars(gap, fetched, gap.span)
        stored = (await self.writer.bars.series(gap.instrument.id, gap.span.first)).until(gap.span.last)
        changed = _restated_sessions(stored, fetched.accepted, last_final)
        if not len(changed):
            return _with_changes(_fetched_bars(gap, fetched, gap.span), stored, last_final)
        log.info("history.restated", symbol=gap.symbol, session=str(changed[0]), bars=len(changed))
        return await self._fetch_replacement(gap, changed[0].item())

    async def _fetch_replacement(self, gap: Gap, changed: date) -> FetchedBars:
        bars = await self.writer.bars.series(gap.instrument.id, gap.full_span.first)
        stored, fetched = bars.until(gap.full_span.last), await self._fetch_span(gap, gap.full_span)
        span, note = gap.full_span, f"{gap.symbol}: history restated, first seen at {changed}"
        if not _is_complete(fetched.accepted, stored):
            span = SessionSpan(self._first_available(fetched.accepted, gap), gap.full_span.last)
            if not _is_complete(fetched.accepted, _since(stored, span.first)):
                raise RetryableError(
                    f"the bar of {changed} has changed, but its new history has {len(fetched.accepted)} bars "
                    f"for {len(stored)} stored ones: the stored bars are kept"
                )
            note += f"; bars before {span.first} are kept, the market does not have them"
        return _fetched_bars(gap, fetched, span, replaces=True, notes=(note,))

    def _first_available(self, fetched: BarSeries, gap: Gap) -> date:
        """The first session that the market has; the first of the whole span where that is too late."""
        expected_by = self.finality.history_start(gap.full_span.last) + HISTORY_START_TOLERANCE
        first: date = fetched.sessions[0].item() if len(fetched) else date.max
        return first if first <= expected_by else gap.full_span.first

    async def _fetch_span(self, gap: Gap, span: SessionSpan) -> CheckedSeries:
        now = self.clock.now()
        candles = await self.market.daily_bars(gap.instrument.instrument, span.first, span.last)
        return self.writer.check(self.finality.mark_provisional(candles, now), now)


def _is_complete(fetched: BarSeries, stored: BarSeries) -> bool:
    return len(fetched) >= MIN_COMPLETE_SHARE * len(stored)


def _since(series: BarSeries, session: date) -> BarSeries:
    return BarSeries(series.symbol, series.records[series.sessions >= np.datetime64(session, "D")])


def _fetched_bars(
    gap: Gap,
    fetched: CheckedSeries,
    requested: SessionSpan,
    *,
    replaces: bool = False,
    notes: tuple[str, ...] = (),
) -> FetchedBars:
    return FetchedBars(gap.instrument.id, fetched.accepted, fetched.quarantined, requested, replaces, notes)


def _restated_sessions(stored: BarSeries, fetched: BarSeries, last_final: date) -> DateArray:
    """Final sessions whose prices changed, and provisional sessions that the market no longer has."""
    provisional = stored.until(last_final)
    provisional_sessions = provisional.sessions[provisional.provisional]
    missing = (
        np.setdiff1d(provisional_sessions, fetched.sessions) if len(fetched) else provisional_sessions[:0]
    )
    return np.sort(np.concatenate([restated_sessions(stored, fetched), missing]))


def _with_changes(bars: FetchedBars, stored: BarSeries, last_final: date) -> FetchedBars:
    """Add the changes to provisional bars that are final now."""
    fetched = bars.accepted
    provisional = BarSeries(stored.symbol, stored.records[stored.provisional]).until(last_final)
    comparison = compare_histories(provisional, fetched, exactly=True)
    repriced = tuple(_describe_change(provisional, fetched, session) for session in comparison.price_changed)
    for change in repriced:
        log.info("bar.repriced", symbol=bars.accepted.symbol, change=change)
    return replace(bars, repriced=repriced, revolumed=len(comparison.volume_changed))


def _describe_change(provisional: BarSeries, fetched: BarSeries, session: np.datetime64) -> str:
    before = provisional.records[np.searchsorted(provisional.sessions, session)]
    after = fetched.records[np.searchsorted(fetched.sessions, session)]
    changed = [
        f"{name} {before[name]:.2f} -> {after[name]:.2f}"
        for name in ("open", "high", "low", "close")
        if before[name] != after[name]
    ]
    return f"{provisional.symbol} {session}: {', '.join(changed)}"
