"""How late the event loop is: a ticker's delays, as a histogram that fits /metrics."""

import asyncio
import time
from bisect import bisect_left
from collections import deque
from typing import Final

import msgspec

BUCKETS_MS: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 40.0, 100.0, 500.0, 1_000.0)
WINDOW: Final = 6_000  # samples for the quantiles: ten minutes of 0.1 s


class LagSnapshot(msgspec.Struct, frozen=True):
    """Quantiles over the window; `counts` since the start, one more than buckets, not cumulative."""

    samples: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    sum_ms: float
    counts: tuple[int, ...]


class LoopLag:
    """A ticker in the loop that measures how much later than asked it wakes up."""

    def __init__(self, interval_s: float = 0.1, window: int = WINDOW) -> None:
        self.interval_s = interval_s
        self._recent_ms: deque[float] = deque(maxlen=window)
        self._counts = [0] * (len(BUCKETS_MS) + 1)
        self._sum_ms = 0.0

    async def run(self) -> None:
        """For ever; the owner cancels it."""
        while True:
            due_s = time.perf_counter() + self.interval_s
            await asyncio.sleep(self.interval_s)
            self.record((time.perf_counter() - due_s) * 1_000)

    def record(self, lag_ms: float) -> None:
        lag_ms = max(0.0, lag_ms)
        self._recent_ms.append(lag_ms)
        self._counts[bisect_left(BUCKETS_MS, lag_ms)] += 1
        self._sum_ms += lag_ms

    def snapshot(self) -> LagSnapshot:
        ordered = sorted(self._recent_ms)
        return LagSnapshot(
            samples=sum(self._counts),
            p50_ms=_quantile(ordered, 0.5),
            p99_ms=_quantile(ordered, 0.99),
            max_ms=ordered[-1] if ordered else 0.0,
            sum_ms=self._sum_ms,
            counts=tuple(self._counts),
        )


def _quantile(ordered: list[float], share: float) -> float:
    """The value that `share` of the samples do not exceed."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
