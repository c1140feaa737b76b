"""How many requests can have reached the exchange within one window, told from this side of the line.

A request sent at `s` and answered at `a` arrived somewhere in between. With the fastest round trip seen
so far as the line's own delay, it arrived at most `(a - s) - fastest` later than a punctual one. The
request that could share its window waits that much longer, as long as an allowance of time lasts that
grows slowly: a stall, a cold connection or a lost packet is fully answered for, a line that is always
slow costs no more than its share of the rate.
"""

from collections import deque
from math import floor
from typing import Final

ALLOWANCE_MAX_S: Final = 0.3
SENDS_REMEMBERED: Final = 1024  # above every rate that can be set
ROUND_TRIPS_NEEDED: Final = 4
ROUND_TRIPS_REMEMBERED: Final = 64


class Passage:
    """One request on its way; all instants on one monotonic clock, in seconds."""

    __slots__ = ("closed_s", "sent_s")

    def __init__(self, sent_s: float) -> None:
        self.sent_s = sent_s
        self.closed_s: float | None = None


class RoundTrips:
    """The fastest of the last round trips."""

    def __init__(self) -> None:
        self._seen_s: deque[float] = deque(maxlen=ROUND_TRIPS_REMEMBERED)

    def add(self, duration_s: float) -> None:
        self._seen_s.append(duration_s)

    def fastest_s(self) -> float:
        """0 until a few were seen: the first ones open connections, so all their time counts as lateness."""
        return min(self._seen_s) if len(self._seen_s) >= ROUND_TRIPS_NEEDED else 0.0


class Window:
    """At most floor(rate) arrivals in any floor(rate) / rate seconds; below one a second, one in 1 / rate."""

    def __init__(self, rate_per_s: float, margin_pct: float, lateness_pct: float) -> None:
        self._passages: deque[Passage] = deque(maxlen=SENDS_REMEMBERED)
        self._allowance_s = ALLOWANCE_MAX_S
        self._paid_until_s = 0.0
        self.configure(rate_per_s, margin_pct, lateness_pct)

    def configure(self, rate_per_s: float, margin_pct: float, lateness_pct: float) -> None:
        """Take other figures; what was sent already still counts."""
        self.size = max(1, floor(rate_per_s))
        self._length_s = self.size / rate_per_s
        self._margin_s = self._length_s * margin_pct / 100
        self._lateness_share = lateness_pct / 100

    def earliest_s(self, now_s: float, fastest_s: float) -> float:
        """When the next request may leave, judged at `now_s`."""
        rival = self._rival()
        if rival is None:
            return now_s
        return rival.sent_s + self._length_s + max(self._margin_s, self._lateness_s(rival, now_s, fastest_s))

    def pay(self, asked_s: float, released_s: float) -> None:
        """Take from the allowance what a request waited for lateness between asking and release."""
        rival = self._rival()
        punctual_s = released_s if rival is None else rival.sent_s + self._length_s + self._margin_s
        cost_s = max(0.0, released_s - max(punctual_s, asked_s))
        growth_s = (released_s - self._paid_until_s) * self._lateness_share
        self._allowance_s = min(ALLOWANCE_MAX_S, max(0.0, self._allowance_s + growth_s - cost_s))
        self._paid_until_s = released_s

    @property
    def last_sent_s(self) -> float:
        return self._passages[-1].sent_s if self._passages else 0.0

    def leave(self, passage: Passage) -> None:
        """Count a request that leaves now."""
        self._passages.append(passage)

    def _rival(self) -> Passage | None:
        """The last request that must be out of the window before another may come into it."""
        return self._passages[-self.size] if len(self._passages) >= self.size else None

    def _lateness_s(self, rival: Passage, now_s: float, fastest_s: float) -> float:
        seen_s = (now_s if rival.closed_s is None else rival.closed_s) - rival.sent_s
        return min(seen_s - fastest_s, self._allowance_s)
