"""Follows price levels of watch lists while a session runs; levels that change are read anew.

Which levels the prices reach is determined by token, without any input or output.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

import numpy as np
import structlog

from vcpd.core.batch_queue import BatchQueue
from vcpd.core.errors import VcpdError
from vcpd.domain.alerts import Alert
from vcpd.domain.bars import FloatArray, IntArray
from vcpd.domain.instruments import Instrument
from vcpd.domain.live import LivePrices
from vcpd.domain.watchlists import LevelKind, LevelReading, WatchlistBook
from vcpd.jobs.price_levels import LevelReader, WatchlistStore, level_alert, with_symbol_facts
from vcpd.jobs.settings import WatchSettings
from vcpd.jobs.watch_events import SetupFactsReader, known_facts
from vcpd.jobs.watch_hours import WatchHours
from vcpd.ports import Clock, Notifier, WatchStore

RETRY_DELAY_S: Final = 1.0
log = structlog.get_logger(__name__)


class ReachedLevel(NamedTuple):
    """A level, and the price of the running session that reached it."""

    reading: LevelReading
    price: float


class LevelTracker:
    """The levels that the session before had not reached, each reported at most once.

    `levels` are readings after the session before; those without an instrument or a value are left out.
    `reached` names levels that were reported already in this session.
    """

    def __init__(
        self,
        levels: Iterable[LevelReading],
        instruments: Mapping[str, Instrument],
        hours: WatchHours,
        max_previous_close_change_pct: float,
        reached: Iterable[int] = (),
    ) -> None:
        self._hours = hours
        self._max_change = max_previous_close_change_pct / 100
        self._day_start = np.datetime64(hours.opens.replace(tzinfo=None), "D").astype("M8[s]")
        self.reached = set(reached)
        self._levels: dict[int, list[LevelReading]] = {}
        for reading in levels:
            instrument = instruments.get(reading.level.symbol)
            if instrument is not None and _is_open(reading) and reading.id not in self.reached:
                self._levels.setdefault(instrument.token, []).append(reading)
        self.tokens: IntArray = np.array(sorted(self._levels), np.int64)
        self._lower: FloatArray = np.full(len(self.tokens), -np.inf)
        self._upper: FloatArray = np.full(len(self.tokens), np.inf)
        for place in range(len(self.tokens)):
            self._set_bounds(place)

    @property
    def symbols(self) -> list[str]:
        """The symbols of the open levels."""
        return sorted({reading.level.symbol for levels in self._levels.values() for reading in levels})

    @property
    def count(self) -> int:
        """How many levels are open."""
        return sum(map(len, self._levels.values()))

    def update(self, prices: LivePrices, now: datetime) -> list[ReachedLevel]:
        """The levels that these prices reach while the session runs, in order of arrival."""
        if not len(self.tokens) or not self._hours.is_open(now):
            return []
        places = np.minimum(np.searchsorted(self.tokens, prices.tokens), len(self.tokens) - 1)
        last = prices.last_price
        matters = (self.tokens[places] == prices.tokens) & (last > 0)
        matters &= ~(prices.traded_at < self._day_start)  # NaT: the source does not say, so it counts
        matters &= (last >= self._upper[places]) | (last <= self._lower[places])
        found: list[ReachedLevel] = []
        for number in np.flatnonzero(matters).tolist():
            previous_close = float(prices.previous_close[number])
            found += self._reached(int(places[number]), float(last[number]), previous_close)
        return found

    def _reached(self, place: int, price: float, previous_close: float) -> list[ReachedLevel]:
        token = int(self.tokens[place])
        levels = [
            reading for reading in self._levels[token] if not self._is_restated(reading, previous_close)
        ]
        found = [reading for reading in levels if _reaches(reading, price)]
        self.reached.update(reading.id for reading in found)
        self._levels[token] = [reading for reading in levels if reading.id not in self.reached]
        self._set_bounds(place)
        return [ReachedLevel(reading, price) for reading in found]

    def _is_restated(self, reading: LevelReading, previous_close: float) -> bool:
        """Whether the market's close of the session before is another than the stored one: after a split."""
        if reading.session != self._hours.previous_session or not previous_close > 0 or not reading.close:
            return False
        return abs(previous_close / reading.close - 1) > self._max_change

    def _set_bounds(self, place: int) -> None:
        """The prices between which no level of the token is reached."""
        levels = self._levels[int(self.tokens[place])]
        self._upper[place] = min((_threshold(level) for level in levels if _goes_up(level)), default=np.inf)
        self._lower[place] = max(
            (_threshold(level) for level in levels if not _goes_up(level)), default=-np.inf
        )


def _is_open(reading: LevelReading) -> bool:
    """An average can be crossed in every session, a price only while it is not reached."""
    if reading.next_value is None or reading.is_above is None:
        return False
    return reading.level.kind is LevelKind.CROSSES or not reading.is_reached


def _goes_up(reading: LevelReading) -> bool:
    """Whether a higher price reaches it."""
    if reading.level.kind is LevelKind.CROSSES:
        return not reading.is_above
    return reading.level.kind is LevelKind.ABOVE


def _threshold(reading: LevelReading) -> float:
    """The first price that reaches it; a price at the average is not above it."""
    value = reading.next_value or 0.0
    is_crossing_up = reading.level.kind is LevelKind.CROSSES and not reading.is_above
    return math.nextafter(value, math.inf) if is_crossing_up else value


def _reaches(reading: LevelReading, price: float) -> bool:
    threshold = _threshold(reading)
    return price >= threshold if _goes_up(reading) else price <= threshold


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
