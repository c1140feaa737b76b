"""A finished run is followed at once; without the call, within a minute."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from tests.metrics import value
from tests.schedule.virtual_time import LoopClock, run_virtually
from vcpd.app import monitor
from vcpd.app.alert_monitor import AlertMonitor
from vcpd.app.monitor import Monitor
from vcpd.core.errors import RetryableError
from vcpd.domain.runs import Outcome, Run
from vcpd.runtime.resources import ResourceMonitor

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def ended(number: int) -> Run:
    return Run(number, "collect", NOON, NOON.date(), NOON, NOON, Outcome.DONE)


class Daemon:
    """A monitor and an alert monitor over a run table in memory; `checks` notes (time, runs seen)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = LoopClock(NOON)
        self.runs: list[Run] = []
        self.away = False
        self.checks: list[tuple[float, int]] = []
        storage: Any = SimpleNamespace(
            leadership=SimpleNamespace(leading=True), runs=SimpleNamespace(recent=self._recent)
        )
        scheduler: Any = SimpleNamespace(snapshot=lambda: SimpleNamespace(clock_error=None))
        rest: Any = None
        web = SimpleNamespace(page_url="http://x/")
        live: Any = SimpleNamespace(configuration=SimpleNamespace(web=web))
        monkeypatch.setattr(monitor, "WallClock", lambda: clock)
        self.monitor = Monitor(rest, clock, storage, scheduler, ResourceMonitor())
        alerts = AlertMonitor(live, clock, self.monitor, rest, scheduler, storage, rest, rest, rest, rest)

        async def count_rows(*_: object) -> None: ...

        async def check(_: AlertMonitor) -> None:
            self.checks.append((round(clock.monotonic_s()), len(self.monitor.recent)))

        monkeypatch.setattr(Monitor, "_count_rows", count_rows)
        monkeypatch.setattr(AlertMonitor, "check", check)
        self.tasks = [
            asyncio.create_task(self.monitor.follow_runs()),
            asyncio.create_task(alerts.run()),
        ]

    async def _recent(self, limit: int) -> list[Run]:
        if self.away:
            raise RetryableError("away")
        return self.runs[:limit]

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def test_alerts_are_checked_when_a_run_finishes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        daemon = Daemon(monkeypatch)
        await asyncio.sleep(10)
        daemon.runs = [ended(1)]
        done = value("vcpd_runs_total", job="collect", outcome="done")
        daemon.monitor.on_run_finished(ended(1))
        await asyncio.sleep(1)
        assert daemon.checks[-1] == (10, 1)
        assert value("vcpd_runs_total", job="collect", outcome="done") == done + 1
        await daemon.stop()

    run_virtually(scene())


def test_a_run_of_another_daemon_is_found_within_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        daemon = Daemon(monkeypatch)
        await asyncio.sleep(10)
        daemon.runs = [ended(1)]
        await asyncio.sleep(49)
        assert {seen for _, seen in daemon.checks} == {0}
        await asyncio.sleep(2)
        assert daemon.checks[-1] == (60, 1)
        await daemon.stop()

    run_virtually(scene())


def test_a_store_that_was_away_is_asked_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        daemon = Daemon(monkeypatch)
        await asyncio.sleep(10)
        daemon.away, daemon.runs = True, [ended(1)]
        daemon.monitor.on_run_finished(ended(1))
        await asyncio.sleep(1)
        daemon.away = False
        await asyncio.sleep(5)
        assert daemon.checks[-1] == (15, 1)
        await daemon.stop()

    run_virtually(scene())
