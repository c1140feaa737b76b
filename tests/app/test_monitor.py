"""What is measured every few seconds, when the store keeps silent."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.runtime.test_worker_pool import until
from vcpd.app import monitor
from vcpd.app.monitor import Monitor, observe_repeatedly
from vcpd.core.errors import RetryableError
from vcpd.runtime.clock import WallClock
from vcpd.runtime.resources import ResourceMonitor


class Store:
    """Answers, fails, or keeps silent even when it is called off."""

    def __init__(self) -> None:
        self.requested = 0
        self.answer = asyncio.Event()
        self.error: RetryableError | None = None

    async def ping(self) -> float:
        self.requested += 1
        while not self.answer.is_set():
            try:
                await self.answer.wait()
            except asyncio.CancelledError:
                continue
        if self.error is not None:
            raise self.error
        return 0.001


async def test_a_silent_store_is_reported_and_not_queried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Health names it while it lasts; one question stays open, not one more at every measuring."""
    monkeypatch.setattr(monitor, "STORE_TIMEOUT_S", 0.05)
    store = Store()

    async def ask(self: Monitor) -> None:
        self.ping_s = await store.ping()

    monkeypatch.setattr(Monitor, "_query_store", ask)
    live: Any = SimpleNamespace(state_dir=tmp_path)
    scheduler: Any = SimpleNamespace(snapshot=lambda: SimpleNamespace(jobs=()))
    storage: Any = None
    measured = Monitor(live, WallClock(), storage, scheduler, ResourceMonitor())
    for _ in range(3):
        await measured.measure()
        assert measured.database_error == "no answer within 0 s"
    assert store.requested == 1
    store.answer.set()
    await until(lambda: measured._store_query is not None and measured._store_query.done())
    await measured.measure()
    assert (measured.database_error, measured.ping_s) == (None, 0.001)
    store.error = RetryableError("away")
    await measured.measure()
    assert (measured.database_error, measured.ping_s) == ("away", None)


@pytest.mark.parametrize(
    "error", [OSError(24, "Too many open files"), ValueError("odd"), ExceptionGroup("", [OSError()])]
)
async def test_an_observation_that_fails_ends_nothing(error: Exception) -> None:
    """It is logged, at most once a minute, and tried again."""
    seen = 0
    recovered = asyncio.Event()

    async def observe() -> None:
        nonlocal seen
        seen += 1
        if seen <= 3:
            raise error
        recovered.set()

    with capture_logs() as logged:
        task = asyncio.create_task(observe_repeatedly("measuring", observe, 0.0))
        async with asyncio.timeout(5):
            await recovered.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [line["event"] for line in logged] == ["daemon.observation_failed"]
