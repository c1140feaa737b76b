"""Live watch: follow bases near their pivots during a session and record their events at once.

The live feed comes first; while it is away, `/quote` is asked every few seconds: `/quote/ohlc` knows no
volume, and a breakout without volume proves nothing. Whatever is seen is provisional until the evening.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import structlog

from vcpd.analysis.levels import LiveRules
from vcpd.analysis.thresholds import Thresholds
from vcpd.core.errors import VcpdError, root_error
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.facts import NO_PRICE_BANDS, PriceBands
from vcpd.domain.live import FeedState, LivePrices, WatchedCandidate, WatchStatus
from vcpd.domain.runs import Outcome, RunCause, RunContext, RunResult
from vcpd.jobs.quote_snapshot import prices_from_quotes
from vcpd.jobs.settings import WatchSettings
from vcpd.jobs.watch_events import SetupFactsReader, WatchEventWriter
from vcpd.jobs.watch_hours import WatchHours
from vcpd.jobs.watch_levels import LevelSources, LevelWatch
from vcpd.jobs.watch_limits import UpperLimits
from vcpd.jobs.watch_tracker import Candidate, CandidateLoader, CandidateTracker
from vcpd.jobs.watch_volume_curves import VolumeCurves, count_own_curves
from vcpd.ports import (
    Clock,
    LiveFeed,
    MarketData,
    MinuteVolumeSource,
    Notifier,
    RunStore,
    SetupStore,
    WatchStore,
)

POLL_INTERVAL_S: Final = 0.5
DRAIN_TIMEOUT_S: Final = 10.0
MAX_WATCHED_ROWS: Final = 500
log = structlog.get_logger(__name__)


class FeedDecision(NamedTuple):
    """Whether to request quotes, and whether the feed should reconnect."""

    polling: bool
    reconnect: bool


class FeedFallback:
    """Decides from feed observations whether to use quotes or to reconnect; instants in real seconds."""

    def __init__(self, now_s: float) -> None:
        self._live_s = now_s
        self._expected_s = now_s  # since when prices should come
        self._last_price_s = now_s
        self._reconnected_s = now_s

    def on_prices(self, now_s: float) -> None:
        """Record that the feed delivered a price."""
        self._last_price_s = now_s

    def decide(self, now_s: float, *, live: bool, expected: bool, settings: WatchSettings) -> FeedDecision:
        """Decides by `live`, the feed is connected, and `expected`: the session runs, bases are followed."""
        if live:
            self._live_s = now_s
        if not expected:
            self._expected_s = now_s
            return FeedDecision(polling=False, reconnect=False)
        away = now_s - max(self._live_s, self._expected_s) > settings.quote_fallback_after_s
        silent = live and now_s - max(self._last_price_s, self._expected_s) > settings.feed_timeout_s
        renew = silent and now_s - self._reconnected_s > settings.feed_timeout_s
        if renew:
            self._reconnected_s = now_s
        return FeedDecision(polling=away or silent, reconnect=renew)


class Watch:
    """Follows `context.session` until its close. `reconfigure` may be called meanwhile."""

    def __init__(  # noqa: PLR0913 - the wiring hands in each part by name
        self,
        *,
        market: MarketData,
        live: LiveFeed | None,
        minutes: MinuteVolumeSource | None,
        setups: SetupStore,
        store: WatchStore,
        runs: RunStore,
        clock: Clock,
        real_clock: Clock,
        calendar: TradingCalendar,
        price_bands: PriceBands = NO_PRICE_BANDS,
        notifier: Notifier | None,
        facts: SetupFactsReader | None = None,
        levels: LevelSources | None = None,
        settings: WatchSettings,
        thresholds: Thresholds,
    ) -> None:
        """`clock` is the market's time, `real_clock` measures pauses."""
        self.market, self.live = market, live
        self.setups, self.store, self.runs = setups, store, runs
        self.clock, self.real_clock, self.calendar = clock, real_clock, calendar
        self.price_bands, self.notifier, self.facts, self.levels = price_bands, notifier, facts, levels
        self.settings, self.thresholds = settings, thresholds
        self.curves = VolumeCurves(store, minutes)
        self._active_session: WatchSession | None = None

    def reconfigure(self, settings: WatchSettings, thresholds: Thresholds, calendar: TradingCalendar) -> None:
        """Use these from the next decision on; the calendar from the next session on."""
        self.settings, self.thresholds, self.calendar = settings, thresholds, calendar

    async def __call__(self, context: RunContext) -> RunResult:
        hours = WatchHours.of(self.calendar, context.session)
        if self.clock.now() >= hours.closes:
            return RunResult(outcome=Outcome.SKIPPED, reason=f"the session of {hours.session} is over")
        active = self._active_session = WatchSession(self, context, hours)
        try:
            await active.watch_until_close()
        except BaseExceptionGroup as group:
            raise root_error(group) from None
        finally:
            self._active_session = None
            if self.live is not None:
                self.live.subscribe([])
        return RunResult(counts=active.counts())

    def status(self) -> WatchStatus:
        active, live = self._active_session, self.live
        if active is None:
            return WatchStatus() if live is None else WatchStatus(feed=live.status())
        return active.status()

    def watched(self, most: int = MAX_WATCHED_ROWS) -> Sequence[WatchedCandidate]:
        """The candidates nearest to their pivots; empty while no session is watched."""
        active = self._active_session
        return [] if active is None else active.tracker.watched(self.clock.now(), most)

    def on_prices(self, prices: LivePrices) -> None:
        """Pass prices to the active session; the feed keeps no reference to a session that is over."""
        if self._active_session is not None:
            self._active_session.on_prices(prices)

    def rules(self) -> LiveRules:
        return LiveRules.of(self.thresholds, self.settings.hysteresis_pct)


class WatchSession:
    """Watches the bases of one session live."""

    def __init__(self, watch: Watch, context: RunContext, hours: WatchHours) -> None:
        self._watch = watch
        self._calendar = watch.calendar
        self._context = context
        self._hours = hours
        self._limits = UpperLimits(watch.market, watch.price_bands)
        self._loader = CandidateLoader(watch.setups, watch.store, watch.curves, hours, self._limits.note)
        self._event_writer = WatchEventWriter(
            watch.store, watch.notifier, watch.real_clock, watch.facts, hours.previous_session
        )
        self._levels = LevelWatch(
            watch.levels,
            instruments=watch.store,
            notifier=watch.notifier,
            hours=hours,
            clock=watch.clock,
            real_clock=watch.real_clock,
        )
        self.tracker: CandidateTracker = self._loader.tracker([], watch.settings, watch.rules())
        self._polling = False
        self._feed_fallback = FeedFallback(watch.real_clock.monotonic_s())
        self._last_price_s: float | None = None
        self._skip_reason: str | None = None
        self._prices = self._polls = self._skips = 0

    async def watch_until_close(self) -> None:
        """Run until the close. Raises an ExceptionGroup of unexpected errors."""
        works: Mapping[str, Any] = {
            "event_writer": self._event_writer.run(),
            "levels": self._levels.run(),
            "scout": self._refresh_candidates(),
            "quotes": self._poll_quotes(),
            "curves": self._learn_curves(),
            "limits": self._follow_limits(),
        }
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work, name=f"watch {name}") for name, work in works.items()]
            if self._watch.live is not None:
                tasks.append(
                    group.create_task(self._watch.live.run(self._watch.on_prices), name="watch feed")
                )
            await self._until_close()
            await self._event_writer.wait_until_idle(DRAIN_TIMEOUT_S)
            await self._levels.wait_until_idle(DRAIN_TIMEOUT_S)
            for task in tasks:
                task.cancel()

    def counts(self) -> dict[str, int]:
        return {
            "candidates": len(self.tracker.rows),
            "events": self._event_writer.stored_count,
            "prices": self._prices,
            "polls": self._polls,
            "skips": self._skips,
        }

    def status(self) -> WatchStatus:
        live = self._watch.live
        symbols = [row.candidate.base.symbol for row in self.tracker.rows]
        return WatchStatus(
            running=True,
            session=self._hours.session,
            source=self._source(),
            candidates=len(symbols),
            levels=self._levels.tracker.count,
            left_out=self._loader.left_out + self.tracker.restated,
            events=self._event_writer.stored_count,
            last_tick_age_s=self._price_age_s(),
            skipped_because=self._skip_reason,
            own_curves=count_own_curves(self._watch.curves, symbols),
            **({} if live is None else {"feed": live.status()}),
        )

    def _source(self) -> str:
        if self._polling:
            return "quotes"
        return "ticker" if self._is_live() else "none"

    def _price_age_s(self) -> float | None:
        if self._last_price_s is None:
            return None
        return round(self._watch.real_clock.monotonic_s() - self._last_price_s, 1)

    def on_prices(self, prices: LivePrices) -> None:
        """Handle prices of the live feed."""
        if len(prices):
            self._feed_fallback.on_prices(self._watch.real_clock.monotonic_s())
            self._process_prices(prices)

    def _process_prices(self, prices: LivePrices) -> None:
        """Evaluate prices in the event loop as they arrive."""
        self._prices += len(prices)
        self._last_price_s = self._watch.real_clock.monotonic_s()
        if self._skip_reason is None:
            self._event_writer.submit(self.tracker.update(prices, self._watch.clock.now()))
            self._levels.submit(prices)

    async def _until_close(self) -> None:
        session = self._hours.session
        while self._watch.clock.now() < self._hours.closes and self._watch.calendar.is_session(session):
            await self._check_heavy_job()
            self._check_feed()
            self._show_progress()
            await self._watch.real_clock.sleep(POLL_INTERVAL_S)

    def _show_progress(self) -> None:
        status, progress = self.status(), self._context.progress
        minutes = self._hours.minutes
        progress.done, progress.total = (
            int(minutes * self._hours.fraction(self._watch.clock.now())),
            minutes,
        )
        progress.note = f"{status.candidates} candidates by {status.source}, {status.events} events" + (
            f"; skipped: {self._skip_reason}" if self._skip_reason else ""
        )

    async def _check_heavy_job(self) -> None:
        """Skip while a heavy job runs, if configured so; each skip is recorded as a run."""
        wants_skip = self._watch.settings.during_heavy == "skip"
        heavy = self._context.running_heavy_job() if wants_skip else None
        reason = None if heavy is None else f"the heavy job {heavy} is running"
        if reason is not None and self._skip_reason is None:
            self._skips += 1
            self._skip_reason = reason
            try:
                await self._watch.runs.record(
                    self._context.job,
                    self._watch.clock.now(),
                    self._hours.session,
                    Outcome.SKIPPED,
                    reason,
                    cause=RunCause.INTERRUPTION,
                )
            except VcpdError as error:
                log.warning("watch.skip_record_failed", reason=str(error))
        self._skip_reason = reason

    def _check_feed(self) -> None:
        expected = self._hours.is_open(self._watch.clock.now()) and self._has_symbols()
        advice = self._feed_fallback.decide(
            self._watch.real_clock.monotonic_s(),
            live=self._is_live(),
            expected=expected,
            settings=self._watch.settings,
        )
        if advice.reconnect and self._watch.live is not None:
            log.warning("watch.feed_timed_out")
            self._watch.live.reconnect()
        if advice.polling is not self._polling:
            log.info("watch.source", source="quotes" if advice.polling else "ticker")
            self._polling = advice.polling

    def _is_live(self) -> bool:
        live = self._watch.live
        return live is not None and live.status().state is FeedState.LIVE

    async def _refresh_candidates(self) -> None:
        """Refresh the followed bases repeatedly: bases and settings change during the session."""
        known: object = None
        while True:
            settings = self._watch.settings
            try:
                if known is None:
                    await self._watch.curves.load()
                    await self._event_writer.resume(await self._watch.store.events_of(self._hours.session))
                version = (await self._watch.store.version(), settings, self._watch.thresholds)
                if version != known:
                    self._replace_tracker(await self._loader.candidates(settings))
                    known = version
            except VcpdError as error:
                log.warning("watch.candidates_failed", reason=str(error))
            if await self._levels.refresh_or_log(settings):
                self._subscribe()
            await self._watch.real_clock.sleep(settings.candidate_refresh_s)

    def _replace_tracker(self, candidates: Sequence[Candidate]) -> None:
        tracker = self._loader.tracker(candidates, self._watch.settings, self._watch.rules())
        tracker.carry_over(self.tracker)
        self.tracker = tracker
        log.info("watch.candidates", candidates=len(candidates), left_out=self._loader.left_out)
        self._subscribe()

    def _subscribe(self) -> None:
        """Follow every candidate and every symbol with an open price level."""
        if self._watch.live is not None:
            self._watch.live.subscribe(sorted({*self.tracker.tokens.tolist(), *self._levels.tokens}))

    def _has_symbols(self) -> bool:
        return bool(self.tracker.rows or self._levels.tokens)

    def _symbols(self) -> list[str]:
        candidates = [row.candidate.base.symbol for row in self.tracker.rows]
        return [*dict.fromkeys([*candidates, *self._levels.symbols])]

    async def _poll_quotes(self) -> None:
        while True:
            if self._polling and self._has_symbols():
                await self._fetch_quotes_once()
                await self._watch.real_clock.sleep(self._watch.settings.quote_interval_s)
            else:
                await self._watch.real_clock.sleep(POLL_INTERVAL_S)

    async def _fetch_quotes_once(self) -> None:
        instruments = [row.candidate.instrument for row in self.tracker.rows]
        try:
            quotes = await self._watch.market.quotes(self._symbols())
        except VcpdError as error:
            log.info("watch.quotes_failed", reason=str(error))
            return
        self._polls += 1
        self._limits.take(instruments, quotes)
        self._process_prices(prices_from_quotes(quotes.values(), self._calendar.zone))

    async def _follow_limits(self) -> None:
        """Reads upper circuits and remaining sellers from polled quotes while the session runs."""
        while True:
            await self._watch.real_clock.sleep(POLL_INTERVAL_S)
            if self._hours.is_open(self._watch.clock.now()) and self.tracker.rows and not self._polling:
                await self._limits.refresh([row.candidate.instrument for row in self.tracker.rows])
                if self._limits.reason:
                    log.info("watch.limits_failed", reason=self._limits.reason)
                await self._watch.real_clock.sleep(self._watch.settings.candidate_refresh_s)

    async def _learn_curves(self) -> None:
        """Estimate missing volume curves in the background; ends if the market has no minute bars."""
        while True:
            await self._watch.real_clock.sleep(POLL_INTERVAL_S)
            settings = self._watch.settings
            instruments = {row.candidate.base.symbol: row.candidate.instrument for row in self.tracker.rows}
            try:
                await self._watch.curves.learn(
                    instruments,
                    self._calendar,
                    self._hours.session,
                    settings.volume_curve_days,
                    settings.volume_curve_max_age_days,
                )
            except VcpdError as error:
                log.info("watch.curves_failed", reason=str(error))
            await self._watch.real_clock.sleep(settings.candidate_refresh_s)
