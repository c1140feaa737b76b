"""The exchange's rate limits, kept on this side: every request waits here for its turn.

Times are those of the host's monotonic clock: the exchange counts in real seconds, whatever time the
daemon lives in.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Final

from aiolimiter import AsyncLimiter
from msgspec import Struct

from vcpd.kite.settings import LimitSettings
from vcpd.kite.window import Passage, RoundTrips, Window

TIMER_LATENESS_S: Final = 0.004
SLOW_FACTOR: Final = 2.0
SLOW_FOR_S: Final = 30.0


class Kind(StrEnum):
    """The exchange's classes of requests, each with a limit of its own."""

    QUOTE = "quote"
    HISTORICAL = "historical"
    OTHER = "other"


class PaceCounts(Struct, frozen=True):
    """What a limit did so far."""

    passed: int
    waiting: int
    waited_s: float
    slowed: int  # times the exchange asked for less


class Pace:
    """One limit: first come, first served, spaced, and never more in a window than allowed."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._trips = RoundTrips()
        self._window = Window(1.0, 0.0, 0.0)
        self._spacing = AsyncLimiter(1, 1.0)
        self._spacing_s = 1.0
        self._blocked_until_s = 0.0
        self._slow_until_s = 0.0
        self._passed = self._waiting = self._slowed = 0
        self._waited_s = 0.0

    def configure(self, rate_per_s: float, settings: LimitSettings) -> None:
        """Take another rate; requests that wait already go by it too."""
        self._window.configure(rate_per_s, settings.margin_pct, settings.lateness_pct)
        spacing_s = (1 + settings.margin_pct / 100) / rate_per_s
        if spacing_s != self._spacing_s:
            self._spacing, self._spacing_s = _spacing(spacing_s), spacing_s

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold the head of the queue until the request may leave."""
        began_s = time.monotonic()
        self._waiting += 1
        try:
            async with self._turn:
                await self._ready()
                yield
                self._passed += 1
        finally:
            self._waiting -= 1
            self._waited_s += time.monotonic() - began_s

    def leave(self, passage: Passage) -> None:
        self._window.leave(passage)

    def answered(self, duration_s: float) -> None:
        self._trips.add(duration_s)

    def slow_down(self, pause_s: float) -> None:
        """Send nothing for `pause_s`, then at half the rate for a while."""
        now_s = time.monotonic()
        self._slowed += 1
        self._blocked_until_s = max(self._blocked_until_s, now_s + pause_s)
        self._slow_until_s = self._blocked_until_s + SLOW_FOR_S

    def counts(self) -> PaceCounts:
        return PaceCounts(self._passed, self._waiting, self._waited_s, self._slowed)

    async def _ready(self) -> None:
        await self._spacing.acquire()
        asked_s = time.monotonic()
        while (left_s := self._earliest_s() - time.monotonic()) > 0:  # noqa: ASYNC110  # a 429 may move the time meanwhile
            await asyncio.sleep(left_s)
        self._window.pay(max(asked_s, self._blocked_until_s), time.monotonic())

    def _earliest_s(self) -> float:
        now_s = time.monotonic()
        earliest_s = max(self._window.earliest_s(now_s, self._trips.fastest_s()), self._blocked_until_s)
        if now_s < self._slow_until_s:
            earliest_s = max(earliest_s, self._window.last_sent_s + SLOW_FACTOR * self._spacing_s)
        return earliest_s


class Limits:
    """A pace for each kind of request, and one over all GETs together."""

    def __init__(self, settings: LimitSettings) -> None:
        self._kinds = {kind: Pace() for kind in Kind}
        self._gets = Pace()
        self.reconfigure(settings)

    def reconfigure(self, settings: LimitSettings) -> None:
        """Take other limits from the next request on."""
        rates = {
            Kind.QUOTE: settings.quote_per_s,
            Kind.HISTORICAL: settings.historical_per_s,
            Kind.OTHER: settings.other_per_s,
        }
        for kind, rate_per_s in rates.items():
            self._kinds[kind].configure(rate_per_s, settings)
        self._gets.configure(settings.all_gets_per_s, settings)

    @asynccontextmanager
    async def admit(self, kind: Kind, *, is_get: bool = True) -> AsyncIterator["Admission"]:
        """Wait for the turn of one request; inside, send it at once and say when it was answered."""
        paces = [self._kinds[kind], self._gets] if is_get else [self._kinds[kind]]
        admission = Admission(await self._pass(paces), paces)
        try:
            yield admission
        finally:
            admission.close()

    def slow_down(self, kind: Kind, pause_s: float) -> None:
        """The exchange answered 429: leave this kind alone for `pause_s`, then go gently."""
        self._kinds[kind].slow_down(pause_s)

    def counts(self) -> Mapping[str, PaceCounts]:
        """Figures by kind, and `gets` for the limit over all of them."""
        return {
            **{str(kind): pace.counts() for kind, pace in self._kinds.items()},
            "gets": self._gets.counts(),
        }

    async def _pass(self, paces: list[Pace]) -> Passage:
        async with paces[0].turn():
            if len(paces) == 1:
                return _leave(paces)
            async with paces[1].turn():
                return _leave(paces)


class Admission:
    """The right to send one request now."""

    def __init__(self, passage: Passage, paces: list[Pace]) -> None:
        self._passage = passage
        self._paces = paces

    def answered(self) -> None:
        """The first byte of the answer is here."""
        if self._passage.closed_s is None:
            self._passage.closed_s = time.monotonic()
            for pace in self._paces:
                pace.answered(self._passage.closed_s - self._passage.sent_s)

    def close(self) -> None:
        """The request is over, answered or not."""
        if self._passage.closed_s is None:
            self._passage.closed_s = time.monotonic()


def _spacing(spacing_s: float) -> AsyncLimiter:
    """One request every `spacing_s`; one that a timer woke late does not push back all that follow."""
    depth = 1 + TIMER_LATENESS_S / spacing_s
    return AsyncLimiter(depth, depth * spacing_s)


def _leave(paces: list[Pace]) -> Passage:
    passage = Passage(time.monotonic())
    for pace in paces:
        pace.leave(passage)
    return passage
