"""The daemon's background tasks: heartbeats, measurements, status line, alerts, login, scheduler, sandbox."""

import asyncio
import os
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, Final

import structlog

from vcpd.alerts.service import AlertService
from vcpd.app.alert_monitor import AlertMonitor
from vcpd.app.live_configuration import LiveConfiguration
from vcpd.app.market import MarketConnection
from vcpd.app.monitor import Monitor, observe_repeatedly
from vcpd.app.panels import PanelReader
from vcpd.app.reload import ConfigurationReloader
from vcpd.app.storage import Storage
from vcpd.app.terminal import progress_line
from vcpd.core.errors import UnavailableError
from vcpd.domain.runs import RunCause
from vcpd.jobs.panel_refresh import UniversePanels
from vcpd.runtime.systemd import Heartbeats, ServiceManager, Watchdog, watchdog_interval_s
from vcpd.schedule.scheduler import Scheduler

HEARTBEAT_INTERVAL_S: Final = 1.0
POLL_INTERVAL_S: Final = 1.0
MEASURE_INTERVAL_S: Final = 5.0
LOOP_LATE_AFTER_S: Final = 15.0
SCHEDULER_LATE_AFTER_S: Final = 180.0
log = structlog.get_logger("vcpd.daemon")


class DaemonTasks:
    """The coroutines that run as long as the daemon."""

    def __init__(  # noqa: PLR0913, PLR0917 - each part by itself, of a type of its own
        self,
        manager: ServiceManager,
        live: LiveConfiguration,
        scheduler: Scheduler,
        monitor: Monitor,
        heartbeats: Heartbeats,
        storage: Storage,
        market: MarketConnection,
        panels: UniversePanels,
        current_panel: PanelReader,
        alerts: AlertService,
        alert_monitor: AlertMonitor,
        reloader: ConfigurationReloader,
    ) -> None:
        self._manager, self._heartbeats = manager, heartbeats
        self._live, self._scheduler, self._monitor = live, scheduler, monitor
        self._storage, self._market = storage, market
        self._panels, self._current_panel = panels, current_panel
        self._alerts, self._alert_monitor, self._reloader = alerts, alert_monitor, reloader

    def coroutines(self) -> dict[str, Coroutine[Any, Any, None]]:
        """Every background task by name."""
        works: dict[str, Coroutine[Any, Any, None]] = {
            "heartbeat": self._send_heartbeats(),
            "loop-lag": self._monitor.lag.run(),
            "measuring": self._measure(),
            "run-follower": self._monitor.follow_runs(),
            "panel-recovery": self._recover_panel(),
            "telling": self._report_status(),
            "scheduler-watch": self._watch_scheduler(),
            "alert-delivery": self._alerts.run(),
            "alert-reporter": self._alert_monitor.run(),
            "login-watch": self._watch_login(),
            "calendar-follower": self._reloader.follow_calendar(),
            "engine-status": observe_repeatedly("engine", self._reloader.engine.look, MEASURE_INTERVAL_S),
        }
        interval_s = watchdog_interval_s(os.environ, os.getpid())
        if interval_s is not None:
            works["watchdog"] = Watchdog(self._manager, self._heartbeats, interval_s).run()
        if self._storage.embedded is not None:
            works["embedded-store"] = self._storage.embedded.watch()
        if self._market.sandbox is not None:
            works["sandbox"] = self._watch_sandbox()
        return works

    def status_line(self) -> str:
        """The daemon in one line, for the service manager."""
        scheduler = self._scheduler.snapshot()
        if scheduler.clock_error is not None:
            return scheduler.clock_error
        jobs = scheduler.jobs
        running = [job.name for job in jobs if job.running is not None]
        upcoming = min(((job.next_at, job.name) for job in jobs if job.next_at is not None), default=None)
        now = f"running: {', '.join(running)}" if running else "idle"
        then = "" if upcoming is None else f"; next: {upcoming[1]} {self._local(upcoming[0])}"
        return f"{now}{then}; {self._data_summary()}"

    def progress(self) -> str:
        """What a person on the terminal sees: the running jobs' progress, else the line above."""
        return progress_line(self._scheduler.snapshot(), self.status_line)

    def _local(self, instant: datetime) -> str:
        return instant.astimezone(self._live.calendar.zone).strftime("%a %H:%M %Z")

    def _data_summary(self) -> str:
        panel = self._current_panel.last_loaded
        if panel is None or not len(panel.sessions):
            return "no bars yet"
        return f"{len(panel.symbols):,} symbols to {panel.sessions[-1]}"

    async def _send_heartbeats(self) -> None:
        heart = self._heartbeats.register("event-loop", LOOP_LATE_AFTER_S)
        while True:
            heart()
            await asyncio.sleep(HEARTBEAT_INTERVAL_S)

    async def _measure(self) -> None:
        await observe_repeatedly("measuring", self._monitor.observe, MEASURE_INTERVAL_S)

    async def _recover_panel(self) -> None:
        """Make the panel from the stored bars where it is missing: after a restore, or a deletion."""

        async def recover() -> None:
            running = any(job.running is not None for job in self._scheduler.snapshot().jobs)
            if running or self._current_panel.last_loaded is not None or not self._scheduler.is_leading:
                return
            if await self._panels.current() is None and await self._storage.bars.newest_session() is not None:
                reference = await self._panels.refresh()
                log.info("daemon.panel_recovered", symbols=reference.n_symbols)

        await observe_repeatedly("panel", recover, MEASURE_INTERVAL_S)

    async def _report_status(self) -> None:
        async def report() -> None:
            await self._current_panel.load_if_any()
            self._manager.status(self._status_with_reload_error())

        await observe_repeatedly("status", report, POLL_INTERVAL_S)

    def _status_with_reload_error(self) -> str:
        refused = self._live.status.refused
        return self.status_line() + (f"; the last reload was refused: {refused[0]}" if refused else "")

    async def _watch_scheduler(self) -> None:
        """The scheduler's pulse counts as the daemon's; its death is the daemon's."""
        heart = self._heartbeats.register("scheduler", SCHEDULER_LATE_AFTER_S)
        seen = -1.0
        task = self._scheduler.task
        while task is not None and not task.done():
            if self._scheduler.last_poll_s != seen:
                seen = self._scheduler.last_poll_s
                heart()
            await asyncio.sleep(HEARTBEAT_INTERVAL_S)
        if task is not None and not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def _watch_login(self) -> None:
        """Runs again what failed without a login, after one on the page or by `vcpd login`."""
        was_due = False
        while True:
            due = self._market.session.status().login_due
            if was_due is not due:
                self._monitor.changed.set()  # an alert may be due
            if was_due and not due:
                self._scheduler.retry_failed(RunCause.LOGIN)
            was_due = due
            await asyncio.sleep(POLL_INTERVAL_S)

    async def _watch_sandbox(self) -> None:
        sandbox = self._market.sandbox
        if sandbox is not None:
            code = await sandbox.wait()
            raise UnavailableError(f"the sandbox exchange ended by itself ({code})")
