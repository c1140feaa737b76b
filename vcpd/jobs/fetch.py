"""Fetch the bars of many instruments concurrently, compare them with stored history, pass them on."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final, Generic, Protocol, TypeVar

import numpy as np
import structlog

from vcpd.core.errors import NeedsLoginError, PermanentError, RetryableError, VcpdError, is_transient
from vcpd.domain.bars import BarSeries, DateArray
from vcpd.domain.quality_rules import CheckedSeries, compare_histories
from vcpd.domain.runs import Progress
from vcpd.jobs.gaps import BarFinality, Gap
from vcpd.jobs.ingest import BarWriter, FetchedBars
from vcpd.ports import Clock, MarketData, SessionSpan

MIN_RATE_WINDOW_S: Final = 1.0
MIN_COMPLETE_SHARE: Final = 0.9  # of the stored bars that a restated history must bring again
HISTORY_START_TOLERANCE: Final = timedelta(days=14)  # no market trades on every day
log = structlog.get_logger("vcpd.jobs")


class HasSymbol(Protocol):
    """Whatever can be fetched for a symbol."""

    @property
    def symbol(self) -> str: ...


W = TypeVar("W", bound=HasSymbol)


FetchFunction = Callable[[W], Awaitable[FetchedBars]]


BatchHandler = Callable[[Sequence[FetchedBars]], Awaitable[None]]


class ConcurrentFetcher(Generic[W]):
    """Fetches what is pending; a symbol's failure is noted and does not stop the others.

    A missing login, a store that refuses, or too many failures in a row stop everything: `stopped`
    tells which. What has been stored until then stays.
    """

    def __init__(
        self,
        pending: Iterable[W],
        fetch: FetchFunction[W],
        take: BatchHandler,
        clock: Clock,
        give_up_after: int,
    ) -> None:
        self._pending = deque(pending)
        self._fetch = fetch
        self._on_batch = take
        self._clock = clock
        self._give_up_after = give_up_after
        self._consecutive_failures = 0
        self._unwritten: list[FetchedBars] = []
        self._write_lock = asyncio.Lock()
        self.failures: dict[str, VcpdError] = {}
        self.stopped: VcpdError | None = None

    async def run(self, concurrency: int, progress: Progress, note: str) -> None:
        """Fetch everything, `concurrency` requests at once."""
        progress.begin(len(self._pending), note)
        shown = ProgressRate(self._clock, progress, note)
        workers = min(concurrency, len(self._pending))
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(self._fetch_pending(shown), name=f"gathering-{number}")

    async def _fetch_pending(self, pace: "ProgressRate") -> None:
        while self._pending and self.stopped is None:
            wanted = self._pending.popleft()
            try:
                await self._fetch_one(wanted)
            except NeedsLoginError as error:
                self.stopped = error
            pace.step()

    async def _fetch_one(self, wanted: W) -> None:
        try:
            delivery = await self._fetch(wanted)
        except NeedsLoginError:
            raise
        except VcpdError as error:
            self._record_failure(wanted, error)
            return
        self._consecutive_failures = 0
        await self._store(delivery)

    async def _store(self, delivery: FetchedBars) -> None:
        """Whoever's turn it is writes everything that has come meanwhile, as one batch."""
        self._unwritten.append(delivery)
        async with self._write_lock:
            batch, self._unwritten = self._unwritten, []
            if not batch or self.stopped is not None:
                return
            try:
                await self._on_batch(batch)
            except VcpdError as error:
                self.stopped = error

    def _record_failure(self, wanted: W, error: VcpdError) -> None:
        self.failures[wanted.symbol] = error
        self._consecutive_failures += 1
        if self._consecutive_failures >= self._give_up_after:
            what = f"{self._consecutive_failures} symbols in a row failed, the last one with: {error}"
            self.stopped = RetryableError(what) if is_transient(error) else PermanentError(what)


class ProgressRate:
    """Keeps a progress and its note: symbols done, rate, time left."""

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
    """Fetches a gap. A stored final bar that the market gives otherwise makes it fetch the whole history."""

    market: MarketData
    writer: BarWriter
    finality: BarFinality
    clock: Clock

    async def __call__(self, gap: Gap) -> FetchedBars:
        """Raises RetryableError when a restated history comes back with too few bars.

        Bars older than any that the market tells (an import's, say) stay as they are, if it tells at least
        what is wished for.
        """
        last_final = self.finality.last_final(self.clock.now())
        fetched = await self._fetch(gap, gap.span)
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
        stored, fetched = bars.until(gap.full_span.last), await self._fetch(gap, gap.full_span)
        span, note = gap.full_span, f"{gap.symbol}: history restated, first seen at {changed}"
        if not _is_complete(fetched.accepted, stored):
            span = SessionSpan(self._first_available(fetched.accepted, gap), gap.full_span.last)
            if not _is_complete(fetched.accepted, _since(stored, span.first)):
                raise RetryableError(
                    f"the bar of {changed} has changed, but its new history has {len(fetched.accepted)} bars "
                    f"for {len(stored)} stored ones: the stored ones stay"
                )
            note += f"; bars before {span.first} stay as they were, the market does not tell them"
        return _fetched_bars(gap, fetched, span, replaces=True, notes=(note,))

    def _first_available(self, fetched: BarSeries, gap: Gap) -> date:
        """The first session that the market tells; the whole span's first where that is too late."""
        wished = self.finality.history_start(gap.full_span.last) + HISTORY_START_TOLERANCE
        first: date = fetched.sessions[0].item() if len(fetched) else date.max
        return first if first <= wished else gap.full_span.first

    async def _fetch(self, gap: Gap, span: SessionSpan) -> CheckedSeries:
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
    asked: SessionSpan,
    *,
    replaces: bool = False,
    notes: tuple[str, ...] = (),
) -> FetchedBars:
    return FetchedBars(gap.instrument.id, fetched.accepted, fetched.quarantined, asked, replaces, notes)


def _restated_sessions(stored: BarSeries, fetched: BarSeries, last_final: date) -> DateArray:
    """Final sessions with other prices now, and provisional ones that turned out to be no bar at all."""
    final = BarSeries(stored.symbol, stored.records[~stored.provisional])
    guessed = stored.until(last_final)
    guessed_sessions = guessed.sessions[guessed.provisional]
    vanished = np.setdiff1d(guessed_sessions, fetched.sessions) if len(fetched) else guessed_sessions[:0]
    return np.sort(np.concatenate([compare_histories(final, fetched).price_changed, vanished]))


def _with_changes(delivery: FetchedBars, stored: BarSeries, last_final: date) -> FetchedBars:
    """The delivery with what it changes of the provisional bars that are final now."""
    fetched = delivery.accepted
    guessed = BarSeries(stored.symbol, stored.records[stored.provisional]).until(last_final)
    comparison = compare_histories(guessed, fetched, exactly=True)
    repriced = tuple(_describe_change(guessed, fetched, session) for session in comparison.price_changed)
    for line in repriced:
        log.info("bar.repriced", symbol=delivery.accepted.symbol, change=line)
    return replace(delivery, repriced=repriced, revolumed=len(comparison.volume_changed))


def _describe_change(guessed: BarSeries, fetched: BarSeries, session: np.datetime64) -> str:
    before = guessed.records[np.searchsorted(guessed.sessions, session)]
    after = fetched.records[np.searchsorted(fetched.sessions, session)]
    changed = [
        f"{name} {before[name]:.2f} -> {after[name]:.2f}"
        for name in ("open", "high", "low", "close")
        if before[name] != after[name]
    ]
    return f"{guessed.symbol} {session}: {', '.join(changed)}"
