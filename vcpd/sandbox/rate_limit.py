"""Server-side rate limits over a sliding second, and request statistics."""

from collections import deque
from typing import Final, Literal

import msgspec

from vcpd.sandbox.settings import RateSettings

WINDOW_S: Final = 1.0
RequestClass = Literal["quote", "historical", "other"]


class RequestCounts(msgspec.Struct):
    """Arrivals of one class, refused ones included; seconds are of the monotonic clock."""

    requests: int = 0
    refused: int = 0
    max_in_one_second: int = 0
    first_s: float | None = None
    last_s: float | None = None

    @property
    def rate_per_s(self) -> float | None:
        """Returns the mean arrivals a second between the first and the last; None for fewer than two."""
        if self.first_s is None or self.last_s is None or self.last_s <= self.first_s:
            return None
        return (self.requests - 1) / (self.last_s - self.first_s)


class _SlidingWindow:
    """Keeps the instants within the last second, newest last."""

    def __init__(self) -> None:
        self._instants: deque[float] = deque()

    def count(self, now_s: float) -> int:
        """Counts the instants in (now - 1 s, now]."""
        while self._instants and self._instants[0] <= now_s - WINDOW_S:
            self._instants.popleft()
        return len(self._instants)

    def add(self, now_s: float) -> None:
        self._instants.append(now_s)


class _Bucket:
    """One limit: the requests that it admitted, and those that arrived."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.counts = RequestCounts()
        self._passed = _SlidingWindow()
        self._arrived = _SlidingWindow()

    def record_arrival(self, now_s: float) -> None:
        self._arrived.add(now_s)
        counts = self.counts
        counts.requests += 1
        counts.max_in_one_second = max(counts.max_in_one_second, self._arrived.count(now_s))
        counts.first_s = now_s if counts.first_s is None else counts.first_s
        counts.last_s = now_s

    def has_capacity(self, now_s: float) -> bool:
        return self._passed.count(now_s) < self.limit

    def record_outcome(self, now_s: float, *, passed: bool) -> None:
        if passed:
            self._passed.add(now_s)
        else:
            self.counts.refused += 1


class RequestLimiter:
    """Admits requests by class and, for GETs, by the limit over all of them; no tolerance is given."""

    def __init__(self, rates: RateSettings) -> None:
        self._rates = rates
        self.reset()

    def reset(self) -> None:
        """Deletes every arrival and count."""
        self._buckets = {
            "quote": _Bucket(self._rates.quote_per_s),
            "historical": _Bucket(self._rates.historical_per_s),
            "other": _Bucket(self._rates.other_per_s),
            "all_gets": _Bucket(self._rates.all_gets_per_s),
        }

    def admit(self, kind: RequestClass, *, is_get: bool, now_s: float) -> bool:
        """Counts one arrival at `now_s` (monotonic) and returns whether the limits admit it."""
        lanes = [self._buckets[kind], *([self._buckets["all_gets"]] if is_get else [])]
        for lane in lanes:
            lane.record_arrival(now_s)
        passed = all(lane.has_capacity(now_s) for lane in lanes)
        for lane in lanes:
            lane.record_outcome(now_s, passed=passed)
        return passed

    def statistics(self) -> dict[str, dict[str, float | int | None]]:
        """Returns the counts by class, with the limit and the mean rate."""
        return {
            name: {
                **msgspec.structs.asdict(lane.counts),
                "limit": lane.limit,
                "rate_per_s": lane.counts.rate_per_s,
            }
            for name, lane in self._buckets.items()
        }


def request_class(path: str) -> RequestClass:
    """Returns the limit that a path of the exchange counts against."""
    if path.startswith("/quote"):
        return "quote"
    return "historical" if path.startswith("/instruments/historical/") else "other"
