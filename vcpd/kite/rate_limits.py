"""Client-side rate limits: spacing, a sliding window of arrivals, and slowing down after HTTP 429.

A request sent at `s` and answered at `a` arrived somewhere in between. With the fastest round trip seen
so far as the line's own delay, it arrived at most `(a - s) - fastest` later than a punctual one. The
request that could share its window waits that much longer, as long as an allowance of time lasts that
grows slowly: a stall, a cold connection or a lost packet is fully answered for, a line that is always
slow costs no more than its share of the rate.

Times are those of the host's monotonic clock: the exchange counts in real seconds, whatever time the
daemon lives in.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from math import floor
from typing import Final

from aiolimiter import AsyncLimiter
from prometheus_client import Counter, Gauge

from vcpd.kite.settings import LimitSettings

MAX_LATENESS_ALLOWANCE_S: Final = 0.3
MAX_TRACKED_REQUESTS: Final = 1024  # above every rate that can be set
MIN_ROUND_TRIPS: Final = 4
MAX_ROUND_TRIPS: Final = 64
TIMER_LATENESS_S: Final = 0.004
SLOWDOWN_FACTOR: Final = 2.0
SLOWDOWN_S: Final = 30.0
PASSED: Final = Counter("vcpd_limiter_passed", "Requests that a rate limit let through.", ["limit"])
WAITING: Final = Gauge("vcpd_limiter_waiting", "Requests that wait for a rate limit.", ["limit"])
WAIT_SECONDS: Final = Counter(
    "vcpd_limiter_wait_seconds", "Time that requests waited for a rate limit.", ["limit"]
)
THROTTLED: Final = Counter(
    "vcpd_limiter_slowed", "HTTP 429 responses of the market, by rate limit.", ["limit"]
)


class InFlightRequest:
    """One request on its way; all instants on one monotonic clock, in seconds."""

    __slots__ = ("closed_s", "sent_s")

    def __init__(self, sent_s: float) -> None:
        self.sent_s = sent_s
        self.closed_s: float | None = None


class RoundTrips:
    """The fastest of the last round trips."""

    def __init__(self) -> None:
        self._seen_s: deque[float] = deque(maxlen=MAX_ROUND_TRIPS)

    def add(self, duration_s: float) -> None:
        self._seen_s.append(duration_s)

    def fastest_s(self) -> float:
        """0 until a few were seen: the first ones open connections, so all their time counts as lateness."""
        return min(self._seen_s) if len(self._seen_s) >= MIN_ROUND_TRIPS else 0.0


class ArrivalWindow:
    """At most floor(rate) arrivals in any floor(rate) / rate seconds; below one a second, one in 1 / rate."""

    def __init__(self, rate_per_s: float, margin_pct: float, lateness_pct: float) -> None:
        self._requests: deque[InFlightRequest] = deque(maxlen=MAX_TRACKED_REQUESTS)
        self._allowance_s = MAX_LATENESS_ALLOWANCE_S
        self._charged_until_s = 0.0
        self.configure(rate_per_s, margin_pct, lateness_pct)

    def configure(self, rate_per_s: float, margin_pct: float, lateness_pct: float) -> None:
        """Take other figures; what was sent already still counts."""
        self.size = max(1, floor(rate_per_s))
        self._length_s = self.size / rate_per_s
        self._margin_s = self._length_s * margin_pct / 100
        self._lateness_share = lateness_pct / 100

    def earliest_s(self, now_s: float, fastest_s: float) -> float:
        """When the next request may leave, judged at `now_s`."""
        rival = self._blocking_request()
        if rival is None:
            return now_s
        return rival.sent_s + self._length_s + max(self._margin_s, self._lateness_s(rival, now_s, fastest_s))

    def charge_lateness(self, asked_s: float, released_s: float) -> None:
        """Take from the allowance what a request waited for lateness between asking and release."""
        rival = self._blocking_request()
        punctual_s = released_s if rival is None else rival.sent_s + self._length_s + self._margin_s
        cost_s = max(0.0, released_s - max(punctual_s, asked_s))
        growth_s = (released_s - self._charged_until_s) * self._lateness_share
        self._allowance_s = min(MAX_LATENESS_ALLOWANCE_S, max(0.0, self._allowance_s + growth_s - cost_s))
        self._charged_until_s = released_s

    @property
    def last_sent_s(self) -> float:
        return self._requests[-1].sent_s if self._requests else 0.0

    def record_request(self, in_flight: InFlightRequest) -> None:
        """Count a request that leaves now."""
        self._requests.append(in_flight)

    def _blocking_request(self) -> InFlightRequest | None:
        """The last request that must be out of the window before another may come into it."""
        return self._requests[-self.size] if len(self._requests) >= self.size else None

    def _lateness_s(self, rival: InFlightRequest, now_s: float, fastest_s: float) -> float:
        seen_s = (now_s if rival.closed_s is None else rival.closed_s) - rival.sent_s
        return min(seen_s - fastest_s, self._allowance_s)


class RequestKind(StrEnum):
    """The exchange's classes of requests, each with a limit of its own."""

    QUOTE = "quote"
    HISTORICAL = "historical"
    OTHER = "other"


class RateLimiter:
    """One limit: first come, first served, spaced, and never more in a window than allowed."""

    def __init__(self, name: str) -> None:
        self._passed = PASSED.labels(name)
        self._waiting = WAITING.labels(name)
        self._waited_s = WAIT_SECONDS.labels(name)
        self._throttled = THROTTLED.labels(name)
        self._lock = asyncio.Lock()
        self._round_trips = RoundTrips()
        self._window = ArrivalWindow(1.0, 0.0, 0.0)
        self._spacing = AsyncLimiter(1, 1.0)
        self._spacing_s = 1.0
        self._blocked_until_s = 0.0
        self._slow_until_s = 0.0

    def configure(self, rate_per_s: float, settings: LimitSettings) -> None:
        """Take another rate; requests that wait already go by it too."""
        self._window.configure(rate_per_s, settings.margin_pct, settings.late_arrival_pct)
        spacing_s = (1 + settings.margin_pct / 100) / rate_per_s
        if spacing_s != self._spacing_s:
            self._spacing, self._spacing_s = _spacing_limiter(spacing_s), spacing_s

    @asynccontextmanager
    async def wait_turn(self) -> AsyncIterator[None]:
        """Hold the head of the queue until the request may leave."""
        began_s = time.monotonic()
        self._waiting.inc()
        try:
            async with self._lock:
                await self._wait_until_allowed()
                yield
                self._passed.inc()
        finally:
            self._waiting.dec()
            self._waited_s.inc(time.monotonic() - began_s)

    def record_request(self, in_flight: InFlightRequest) -> None:
        self._window.record_request(in_flight)

    def mark_answered(self, duration_s: float) -> None:
        self._round_trips.add(duration_s)

    def slow_down(self, pause_s: float) -> None:
        """Send nothing for `pause_s`, then at half the rate for a while."""
        now_s = time.monotonic()
        self._throttled.inc()
        self._blocked_until_s = max(self._blocked_until_s, now_s + pause_s)
        self._slow_until_s = self._blocked_until_s + SLOWDOWN_S

    async def _wait_until_allowed(self) -> None:
        await self._spacing.acquire()
        asked_s = time.monotonic()
        while (left_s := self._earliest_s() - time.monotonic()) > 0:  # noqa: ASYNC110  # a 429 may move the time meanwhile
            await asyncio.sleep(left_s)
        self._window.charge_lateness(max(asked_s, self._blocked_until_s), time.monotonic())

    def _earliest_s(self) -> float:
        now_s = time.monotonic()
        earliest_s = max(self._window.earliest_s(now_s, self._round_trips.fastest_s()), self._blocked_until_s)
        if now_s < self._slow_until_s:
            earliest_s = max(earliest_s, self._window.last_sent_s + SLOWDOWN_FACTOR * self._spacing_s)
        return earliest_s


class RateLimits:
    """One rate limiter per kind of request, and one for all GET requests together."""

    def __init__(self, settings: LimitSettings) -> None:
        self._by_kind = {kind: RateLimiter(kind) for kind in RequestKind}
        self._all_gets = RateLimiter("gets")
        self.reconfigure(settings)

    def reconfigure(self, settings: LimitSettings) -> None:
        """Take other limits from the next request on."""
        rates = {
            RequestKind.QUOTE: settings.quote_per_s,
            RequestKind.HISTORICAL: settings.historical_per_s,
            RequestKind.OTHER: settings.other_per_s,
        }
        for kind, rate_per_s in rates.items():
            self._by_kind[kind].configure(rate_per_s, settings)
        self._all_gets.configure(settings.all_gets_per_s, settings)

    @asynccontextmanager
    async def acquire(self, kind: RequestKind, *, is_get: bool = True) -> AsyncIterator["Permit"]:
        """Wait until one request may be sent; inside, send it at once and report when it was answered."""
        limiters = [self._by_kind[kind], self._all_gets] if is_get else [self._by_kind[kind]]
        permit = Permit(await self._wait_turn(limiters), limiters)
        try:
            yield permit
        finally:
            permit.close()

    def slow_down(self, kind: RequestKind, pause_s: float) -> None:
        """The exchange answered 429: leave this kind alone for `pause_s`, then go gently."""
        self._by_kind[kind].slow_down(pause_s)

    async def _wait_turn(self, paces: list[RateLimiter]) -> InFlightRequest:
        async with paces[0].wait_turn():
            if len(paces) == 1:
                return _record_request(paces)
            async with paces[1].wait_turn():
                return _record_request(paces)


class Permit:
    """The right to send one request now."""

    def __init__(self, in_flight: InFlightRequest, limiters: list[RateLimiter]) -> None:
        self._in_flight = in_flight
        self._limiters = limiters

    def mark_answered(self) -> None:
        """The first byte of the answer is here."""
        if self._in_flight.closed_s is None:
            self._in_flight.closed_s = time.monotonic()
            for limiter in self._limiters:
                limiter.mark_answered(self._in_flight.closed_s - self._in_flight.sent_s)

    def close(self) -> None:
        """The request is over, answered or not."""
        if self._in_flight.closed_s is None:
            self._in_flight.closed_s = time.monotonic()


def _spacing_limiter(spacing_s: float) -> AsyncLimiter:
    """One request every `spacing_s`; one that a timer woke late does not push back all that follow."""
    depth = 1 + TIMER_LATENESS_S / spacing_s
    return AsyncLimiter(depth, depth * spacing_s)


def _record_request(limiters: list[RateLimiter]) -> InFlightRequest:
    in_flight = InFlightRequest(time.monotonic())
    for limiter in limiters:
        limiter.record_request(in_flight)
    return in_flight
