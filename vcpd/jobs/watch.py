"""The live watch: while a session runs, follow the bases near their pivots and tell what happens at once.

The live feed comes first; while it is away, `/quote` is asked every few seconds: `/quote/ohlc` knows no
volume, and a breakout without volume proves nothing. Whatever is seen is provisional until the evening.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog

from vcpd.analysis.live_states import LiveRules
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.errors import VcpdError
from vcpd.domain.live import FeedState, LivePrices, Watched, WatchStatus
from vcpd.domain.runs import Outcome, RunContext, RunResult
from vcpd.domain.sessions import TradingCalendar
from vcpd.jobs.watch_board import Board, Hours
from vcpd.jobs.watch_candidates import Candidate
from vcpd.jobs.watch_curves import Curves, symbols_with_curves
from vcpd.jobs.watch_desk import Desk
from vcpd.jobs.watch_quotes import prices_of_quotes
from vcpd.jobs.watch_scouting import Scout
from vcpd.jobs.watch_settings import WatchSettings
from vcpd.jobs.watch_source import SourceWatch
from vcpd.ports import Clock, LiveMarket, MarketData, MinuteMarket, Notifier, RunStore, SetupStore, WatchStore

LOOK_EVERY_S: Final = 0.5
DRAIN_S: Final = 10.0
LINES_SHOWN: Final = 500

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class WatchMeans:
    """What the watch works with. `clock` is the market's time, `pace` counts real seconds."""

    market: MarketData
    live: LiveMarket | None
    minutes: MinuteMarket | None
    setups: SetupStore
    store: WatchStore
    runs: RunStore
    clock: Clock
    pace: Clock
    calendar: TradingCalendar
    notifier: Notifier | None = None
    heavy: Callable[[], str | None] = lambda: None  # the heavy job that runs


class Watch:
    """Follows `context.session` until its close. Settings and thresholds may be replaced meanwhile."""

    def __init__(self, means: WatchMeans, settings: WatchSettings, thresholds: Thresholds) -> None:
        self.means = means
        self.settings = settings
        self.thresholds = thresholds
        self.curves = Curves(means.store, means.minutes)
        self._vigil: Vigil | None = None

    async def __call__(self, context: RunContext) -> RunResult:
        hours = self._hours(context)
        if self.means.clock.now() >= hours.closes:
            return RunResult(outcome=Outcome.SKIPPED, reason=f"the session of {hours.session} is over")
        vigil = self._vigil = Vigil(self, context, hours)
        try:
            await vigil.keep()
        except BaseExceptionGroup as group:
            raise _first_of(group) from None
        finally:
            self._vigil = None
            if self.means.live is not None:
                self.means.live.follow([])
        return RunResult(counts=vigil.counts())

    def status(self) -> WatchStatus:
        vigil, live = self._vigil, self.means.live
        if vigil is None:
            return WatchStatus() if live is None else WatchStatus(feed=live.status())
        return vigil.status()

    def watched(self, most: int = LINES_SHOWN) -> Sequence[Watched]:
        """The candidates nearest to their pivots as they stand; nothing while no session is watched."""
        vigil = self._vigil
        return [] if vigil is None else vigil.board.watched(self.means.clock.now(), most)

    def heard(self, prices: LivePrices) -> None:
        """From the feed to whoever keeps watch: the feed itself never holds a vigil that is over."""
        if self._vigil is not None:
            self._vigil.hear(prices)

    def rules(self) -> LiveRules:
        return LiveRules.of(self.thresholds, self.settings.hysteresis_pct)

    def _hours(self, context: RunContext) -> Hours:
        calendar, session = self.means.calendar, context.session
        return Hours(session, calendar.previous(session), *calendar.open_close(session))


def _first_of(group: BaseExceptionGroup) -> BaseException:
    """The error that ended it all."""
    first = group.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first


class Vigil:
    """The watch over one session."""

    def __init__(self, watch: Watch, context: RunContext, hours: Hours) -> None:
        self._watch = watch
        self._means = watch.means
        self._context = context
        self._hours = hours
        self._scout = Scout(watch.means.setups, watch.means.store, watch.curves, hours)
        self._desk = Desk(watch.means.store, watch.means.notifier, watch.means.pace)
        self.board: Board = self._scout.board([], watch.settings, watch.rules())
        self._polling = False
        self._feed = SourceWatch(watch.means.pace.monotonic_s())
        self._priced_s: float | None = None
        self._skipping: str | None = None
        self._prices = self._polls = self._skips = 0

    async def keep(self) -> None:
        """Until the close. Raises an ExceptionGroup of what should not have happened."""
        works: Mapping[str, Any] = {
            "desk": self._desk.run(),
            "scout": self._follow_bases(),
            "quotes": self._ask_for_quotes(),
            "curves": self._learn(),
        }
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work, name=f"watch {name}") for name, work in works.items()]
            if self._means.live is not None:
                tasks.append(group.create_task(self._means.live.run(self._watch.heard), name="watch feed"))
            await self._until_close()
            await self._desk.drained(DRAIN_S)
            for task in tasks:
                task.cancel()

    def counts(self) -> dict[str, int]:
        return {
            "candidates": len(self.board.rows),
            "events": self._desk.kept,
            "prices": self._prices,
            "polls": self._polls,
            "skips": self._skips,
        }

    def status(self) -> WatchStatus:
        live = self._means.live
        symbols = [row.candidate.base.symbol for row in self.board.rows]
        return WatchStatus(
            running=True,
            session=self._hours.session,
            source=self._source(),
            candidates=len(symbols),
            left_out=self._scout.left_out + self.board.restated,
            events=self._desk.kept,
            last_tick_age_s=self._price_age_s(),
            skipped_because=self._skipping,
            own_curves=symbols_with_curves(self._watch.curves, symbols),
            **({} if live is None else {"feed": live.status()}),
        )

    def _source(self) -> str:
        if self._polling:
            return "quotes"
        return "ticker" if self._is_live() else "none"

    def _price_age_s(self) -> float | None:
        if self._priced_s is None:
            return None
        return round(self._means.pace.monotonic_s() - self._priced_s, 1)

    def hear(self, prices: LivePrices) -> None:
        """What the live feed tells."""
        if len(prices):
            self._feed.heard(self._means.pace.monotonic_s())
            self._on_prices(prices)

    def _on_prices(self, prices: LivePrices) -> None:
        """The way of every price: in the loop, at once."""
        self._prices += len(prices)
        self._priced_s = self._means.pace.monotonic_s()
        if self._skipping is None:
            self._desk.put(self.board.see(prices, self._means.clock.now()))

    async def _until_close(self) -> None:
        while self._means.clock.now() < self._hours.closes:
            await self._mind_heavy_work()
            self._mind_source()
            self._show_progress()
            await self._means.pace.sleep(LOOK_EVERY_S)

    def _show_progress(self) -> None:
        status, progress = self.status(), self._context.progress
        minutes = self._hours.minutes
        progress.done, progress.total = int(minutes * self._hours.fraction(self._means.clock.now())), minutes
        progress.note = f"{status.candidates} candidates by {status.source}, {status.events} events" + (
            f"; skipped: {self._skipping}" if self._skipping else ""
        )

    async def _mind_heavy_work(self) -> None:
        """Skip while a heavy job runs, if the owner wants it so; each skip is a row of its own."""
        wants_skip = self._watch.settings.during_heavy == "skip"
        heavy = self._means.heavy() if wants_skip else None
        reason = None if heavy is None else f"the heavy job {heavy} is running"
        if reason is not None and self._skipping is None:
            self._skips += 1
            self._skipping = reason
            try:
                await self._means.runs.record(
                    self._context.job, self._instant(), self._hours.session, Outcome.SKIPPED, reason
                )
            except VcpdError as error:
                log.warning("watch.skip_not_recorded", reason=str(error))
        self._skipping = reason

    def _instant(self) -> datetime:
        """Now, never on a whole second: no tick of the schedule."""
        now = self._means.clock.now()
        return now if now.microsecond else now.replace(microsecond=1)

    def _mind_source(self) -> None:
        expected = self._hours.runs_at(self._means.clock.now()) and bool(self.board.rows)
        advice = self._feed.advise(
            self._means.pace.monotonic_s(),
            live=self._is_live(),
            expected=expected,
            settings=self._watch.settings,
        )
        if advice.renew and self._means.live is not None:
            log.warning("watch.feed_silent")
            self._means.live.renew()
        if advice.polling is not self._polling:
            log.info("watch.source", source="quotes" if advice.polling else "ticker")
            self._polling = advice.polling

    def _is_live(self) -> bool:
        live = self._means.live
        return live is not None and live.status().state is FeedState.LIVE

    async def _follow_bases(self) -> None:
        """Look whom to follow, again and again: bases and settings change while the session runs."""
        known: object = None
        while True:
            settings = self._watch.settings
            try:
                if known is None:
                    await self._watch.curves.load()
                    await self._desk.resume(await self._means.store.seen(self._hours.session))
                version = (await self._means.store.version(), settings, self._watch.thresholds)
                if version != known:
                    self._put_on_board(await self._scout.candidates(settings))
                    known = version
            except VcpdError as error:
                log.warning("watch.no_candidates", reason=str(error))
            await self._means.pace.sleep(settings.look_again_s)

    def _put_on_board(self, candidates: Sequence[Candidate]) -> None:
        board = self._scout.board(candidates, self._watch.settings, self._watch.rules())
        board.take_over(self.board)
        self.board = board
        log.info("watch.candidates", candidates=len(candidates), left_out=self._scout.left_out)
        if self._means.live is not None:
            self._means.live.follow([one.instrument.token for one in candidates])

    async def _ask_for_quotes(self) -> None:
        while True:
            if self._polling and self.board.rows:
                await self._poll()
                await self._means.pace.sleep(self._watch.settings.quotes_every_s)
            else:
                await self._means.pace.sleep(LOOK_EVERY_S)

    async def _poll(self) -> None:
        symbols = [row.candidate.base.symbol for row in self.board.rows]
        try:
            quotes = await self._means.market.quotes(symbols)
        except VcpdError as error:
            log.info("watch.no_quotes", reason=str(error))
            return
        self._polls += 1
        self._on_prices(prices_of_quotes(quotes.values(), self._means.calendar.zone))

    async def _learn(self) -> None:
        """Learn volume curves beside everything else; a market without minute bars ends it."""
        while True:
            await self._means.pace.sleep(LOOK_EVERY_S)
            settings = self._watch.settings
            instruments = {row.candidate.base.symbol: row.candidate.instrument for row in self.board.rows}
            try:
                await self._watch.curves.learn(
                    instruments,
                    self._means.calendar,
                    self._hours.session,
                    settings.learn_days,
                    settings.learn_again_days,
                )
            except VcpdError as error:
                log.info("watch.curves_not_learned", reason=str(error))
            await self._means.pace.sleep(settings.look_again_s)
