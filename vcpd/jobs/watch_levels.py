"""Follows price levels of watch lists while a session runs; levels that change are read anew."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from vcpd.core.batch_queue import BatchQueue
from vcpd.core.errors import VcpdError
from vcpd.domain.alerts import Alert
from vcpd.domain.live import LivePrices
from vcpd.domain.watchlists import WatchlistBook
from vcpd.jobs.price_levels import LevelReader, WatchlistStore, level_alert, with_symbol_facts
from vcpd.jobs.settings import WatchSettings
from vcpd.jobs.watch_events import SetupFactsReader, known_facts
from vcpd.jobs.watch_hours import WatchHours
from vcpd.jobs.watch_level_tracker import LevelTracker
from vcpd.ports import Clock, Notifier, WatchStore

RETRY_DELAY_S: Final = 1.0
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LevelSources:
    """Where levels come from; `link` gives the page's address of a symbol, `facts` what is known of it."""

    store: WatchlistStore
    read: LevelReader
    link: Callable[[str], str]
    facts: SetupFactsReader | None = None


class LevelWatch:
    """The price levels of one session. `clock` is the market's time, `real_clock` measures pauses."""

    def __init__(  # noqa: PLR0913 - the session hands in each part by name
        self,
        sources: LevelSources | None,
        *,
        instruments: WatchStore,
        notifier: Notifier | None,
        hours: WatchHours,
        clock: Clock,
        real_clock: Clock,
    ) -> None:
        """Follows nothing without `sources` or `notifier`."""
        self._sources, self._instruments, self._notifier = sources, instruments, notifier
        self._hours, self._clock, self._real_clock = hours, clock, real_clock
        self._book = WatchlistBook()
        self._version: object = None
        self._queue: BatchQueue[Alert] = BatchQueue(self._publish, self._log_and_wait)
        self.tracker = LevelTracker([], {}, hours, 0.0)

    @property
    def tokens(self) -> list[int]:
        """What the live feed must follow for the open levels."""
        tokens: list[int] = self.tracker.tokens.tolist()
        return tokens

    @property
    def symbols(self) -> Sequence[str]:
        return self.tracker.symbols

    async def refresh(self, settings: WatchSettings) -> bool:
        """Read levels and snoozes anew if they changed; True where that changed what is followed."""
        if self._sources is None or self._notifier is None:
            return False
        version = (await self._sources.store.version(), settings.max_previous_close_change_pct)
        if version == self._version:
            return False
        book, before = await self._sources.store.book(), self.tokens
        session = self._hours.session
        audible = [stored for stored in book.levels if not book.is_snoozed(stored.level.symbol, session)]
        heard = WatchlistBook(lists=book.lists, levels=tuple(audible))
        prices = await self._sources.read(heard, self._hours.previous_session)
        instruments = await self._instruments.instruments([stored.level.symbol for stored in audible])
        self.tracker = LevelTracker(
            prices.readings,
            instruments,
            self._hours,
            settings.max_previous_close_change_pct,
            self.tracker.reached,
        )
        self._book, self._version = book, version
        return self.tokens != before

    def submit(self, prices: LivePrices) -> None:
        """Evaluate prices in the event loop as they arrive."""
        if self._sources is None or self._notifier is None:
            return
        now, session = self._clock.now(), self._hours.session
        self._queue.add(
            level_alert(
                reached.reading,
                self._book,
                reached.price,
                session,
                now,
                link=self._sources.link,
                provisional=True,
            )
            for reached in self.tracker.update(prices, now)
        )

    async def run(self) -> None:
        """Publish what was reached, in order, with retries; runs until cancelled."""
        await self._queue.run()

    async def wait_until_idle(self, deadline_s: float) -> None:
        """Wait until everything is published, or until the deadline."""
        if not await self._queue.wait_until_idle(deadline_s):
            log.warning("watch.levels_unpublished", alerts=len(self._queue))

    async def _publish(self, batch: Sequence[Alert]) -> None:
        """Publish a batch with what is known of its symbols; the same alert is kept once."""
        if self._sources is None or self._notifier is None:
            return
        symbols = {alert.symbol for alert in batch if alert.symbol is not None}
        facts = await known_facts(self._sources.facts, self._hours.previous_session, symbols)
        await self._notifier.publish([with_symbol_facts(alert, facts) for alert in batch])

    async def _log_and_wait(self, _: Sequence[Alert], error: Exception) -> None:
        log.warning("watch.levels_failed", reason=str(error), retry_in_s=RETRY_DELAY_S)
        await self._real_clock.sleep(RETRY_DELAY_S)

    async def refresh_or_log(self, settings: WatchSettings) -> bool:
        """The same as `refresh`; where levels cannot be read, those before stay followed."""
        try:
            return await self.refresh(settings)
        except VcpdError as error:
            log.warning("watch.levels_unreadable", reason=str(error))
            return False
