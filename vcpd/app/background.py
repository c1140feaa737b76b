"""What the daemon does all the time besides jobs: heartbeats, measuring, watching its children, telling."""

import asyncio
import os
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, Final

from vcpd.app.parts import Parts
from vcpd.app.reporter import Reporter
from vcpd.app.view import look_at_panel
from vcpd.domain.errors import UnavailableError
from vcpd.runtime.system import System
from vcpd.runtime.systemd import ServiceManager, Watchdog, watchdog_interval_s

BEAT_EVERY_S: Final = 1.0
LOOK_EVERY_S: Final = 1.0
MEASURE_EVERY_S: Final = 5.0
LOOP_LATE_AFTER_S: Final = 15.0
SCHEDULER_LATE_AFTER_S: Final = 180.0


class Background:
    """The coroutines that live as long as the daemon."""

    def __init__(self, parts: Parts, manager: ServiceManager) -> None:
        self._parts = parts
        self._manager = manager

    def works(self) -> dict[str, Coroutine[Any, Any, None]]:
        """Every background task by name."""
        works: dict[str, Coroutine[Any, Any, None]] = {
            "heartbeat": self._beat(),
            "loop-lag": self._parts.lag.run(),
            "measuring": self._measure(),
            "telling": self._tell(),
            "scheduler-watch": self._watch_scheduler(),
            "alert-delivery": self._parts.alerts.work(),
            "alert-reporter": Reporter(self._parts).work(),
            "login-watch": self._watch_login(),
        }
        interval_s = watchdog_interval_s(os.environ, os.getpid())
        if interval_s is not None:
            works["watchdog"] = Watchdog(self._manager, self._parts.heartbeats, interval_s).run()
        if self._parts.storage.embedded is not None:
            works["embedded-store"] = self._parts.storage.embedded.watch()
        if self._parts.market.sandbox is not None:
            works["sandbox"] = self._watch_sandbox()
        return works

    def words(self) -> str:
        """The daemon in one line, for the service manager."""
        jobs = self._parts.scheduler.snapshot().jobs
        running = [job.name for job in jobs if job.running is not None]
        upcoming = min(((job.next_at, job.name) for job in jobs if job.next_at is not None), default=None)
        now = f"running: {', '.join(running)}" if running else "idle"
        then = "" if upcoming is None else f"; next: {upcoming[1]} {self._local(upcoming[0])}"
        return f"{now}{then}; {self._data_words()}"

    def _local(self, instant: datetime) -> str:
        return instant.astimezone(self._parts.calendar.zone).strftime("%a %H:%M %Z")

    def _data_words(self) -> str:
        panel = self._parts.current_panel.last_seen
        if panel is None or not len(panel.sessions):
            return "no bars yet"
        return f"{len(panel.symbols):,} symbols to {panel.sessions[-1]}"

    async def _beat(self) -> None:
        heart = self._parts.heartbeats.register("event-loop", LOOP_LATE_AFTER_S)
        while True:
            heart()
            await asyncio.sleep(BEAT_EVERY_S)

    async def _measure(self) -> None:
        system = System()
        while True:
            self._parts.system = await system.snapshot()
            await self._parts.vitals.measure(self._parts)
            await asyncio.sleep(MEASURE_EVERY_S)

    async def _tell(self) -> None:
        while True:
            await look_at_panel(self._parts)
            self._manager.status(self._words_with_refusal())
            await asyncio.sleep(LOOK_EVERY_S)

    def _words_with_refusal(self) -> str:
        refused = self._parts.reloads.refused
        return self.words() + (f"; the last reload was refused: {refused[0]}" if refused else "")

    async def _watch_scheduler(self) -> None:
        """The scheduler's pulse counts as the daemon's; its death is the daemon's."""
        heart = self._parts.heartbeats.register("scheduler", SCHEDULER_LATE_AFTER_S)
        seen = -1.0
        task = self._parts.scheduler.task
        while task is not None and not task.done():
            if self._parts.scheduler.looked_at_s != seen:
                seen = self._parts.scheduler.looked_at_s
                heart()
            await asyncio.sleep(BEAT_EVERY_S)
        if task is not None and not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def _watch_login(self) -> None:
        """A login, on the page or by `vcpd login`, makes up for what failed for want of it."""
        was_due = False
        while True:
            due = self._parts.market.session.status().login_due
            if was_due and not due:
                self._parts.scheduler.make_up()
            was_due = due
            await asyncio.sleep(LOOK_EVERY_S)

    async def _watch_sandbox(self) -> None:
        sandbox = self._parts.market.sandbox
        if sandbox is not None:
            code = await sandbox.wait()
            raise UnavailableError(f"the sandbox exchange ended by itself ({code})")
