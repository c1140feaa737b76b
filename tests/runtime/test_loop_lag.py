"""Loop lag: what is measured is what happened."""

import asyncio
import time

from hypothesis import given
from hypothesis import strategies as st

from vcpd.runtime.resources import LAG_BUCKETS_MS, LoopLag


@given(st.lists(st.floats(-1.0, 2_000.0), min_size=1, max_size=200))
def test_quantiles_and_histogram_agree_with_the_samples(samples_ms: list[float]) -> None:
    lag = LoopLag()
    for sample in samples_ms:
        lag.record(sample)
    clipped = [max(0.0, sample) for sample in samples_ms]
    shown = lag.snapshot()
    assert shown.samples == sum(shown.counts) == len(samples_ms)
    assert shown.counts[0] == sum(sample <= LAG_BUCKETS_MS[0] for sample in clipped)
    assert shown.max_ms == max(clipped)
    assert sum(sample <= shown.p99_ms for sample in clipped) >= 0.99 * len(clipped)
    assert shown.p50_ms <= shown.p99_ms <= shown.max_ms


async def test_a_blocked_loop_is_seen() -> None:
    lag = LoopLag(interval_s=0.01)
    ticker = asyncio.create_task(lag.run())
    await asyncio.sleep(0)
    time.sleep(0.08)  # noqa: ASYNC251 - blocking the loop is what is measured
    async with asyncio.timeout(5):
        while not lag.snapshot().samples:  # noqa: ASYNC110 - the ticker sets no event
            await asyncio.sleep(0.001)
    ticker.cancel()
    assert lag.snapshot().max_ms >= 60.0


def test_no_samples_yet() -> None:
    assert LoopLag().snapshot().max_ms == 0.0
