"""Configuration reload on SIGHUP: what changes live, and what needs a restart."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import msgspec
import structlog

from vcpd.alerts.service import AlertService
from vcpd.app.alert_channels import ChannelFactory, find_alert_secrets
from vcpd.app.jobs import JobFactory
from vcpd.app.live_configuration import LiveConfiguration
from vcpd.app.monitor import Monitor
from vcpd.config import Configuration, deprecation_warning, load_configuration
from vcpd.core.errors import BadInputError, ConfigurationError, VcpdError
from vcpd.domain.calendar import TradingCalendar
from vcpd.ports import Clock
from vcpd.runtime import logs
from vcpd.runtime.engine_workers import EngineWorkers, check_engine
from vcpd.runtime.logs import Redactor
from vcpd.runtime.settings import LogSettings
from vcpd.runtime.worker_pool import WorkerPool
from vcpd.schedule.job import Job
from vcpd.schedule.kept_calendar import with_calendar_files
from vcpd.schedule.scheduler import Scheduler

TABLES_BY_NAME: Final = ("jobs", "markets")  # sections that hold one table per name
log = structlog.get_logger("vcpd.reload")


@dataclass(frozen=True, slots=True)
class ConfigurationReloader:
    """Puts the configuration file in force again, as far as it can change while the daemon runs."""

    live: LiveConfiguration
    clock: Clock
    scheduler: Scheduler
    jobs: JobFactory
    monitor: Monitor
    channels: ChannelFactory
    alerts: AlertService
    workers: WorkerPool
    engine: EngineWorkers
    redactor: Redactor

    def reload(self, path: Path) -> None:
        """Take the file at `path` as it is now. A file with problems changes nothing and is remembered."""
        try:
            loaded = load_configuration(path)
            wanted = loaded.configuration
            configuration = _with_running_sections(wanted, self.live.configuration)
            calendar = configuration.calendar
            check_engine(configuration.workers)
            jobs = self.jobs.build(configuration)
            secrets = find_alert_secrets(self.live.state_dir, self.redactor)
            self.scheduler.reload(jobs, configuration.schedule)
        except (ConfigurationError, BadInputError) as error:
            problems = tuple(str(error).splitlines())
            self.live.refuse(problems)
            log.error("reload.refused", problems=problems)  # noqa: TRY400 - the sentences are all there is to say
            return
        self._apply(configuration, calendar)
        self.alerts.apply_plan(self.channels.plan(configuration.alerts, calendar.zone, secrets))
        restart = needs_restart(wanted, configuration)
        self.live.replace(configuration, self.clock.now(), restart)
        self.monitor.changed.set()  # the new settings may make an alert due
        if loaded.deprecated:
            log.warning("configuration.deprecated_names", names=deprecation_warning(loaded.deprecated))
        log.info("reload.done", needs_restart=restart)

    async def follow_calendar(self) -> None:
        """Put the calendar in force again whenever a day was learned or a list was kept; does not return."""
        await self.live.market_days.load()
        changed = self.live.market_days.changed
        while True:
            await changed.wait()
            changed.clear()
            await self._follow_calendar()

    async def _follow_calendar(self) -> None:
        running = self.live.configuration
        try:
            schedule = await asyncio.to_thread(
                with_calendar_files, running.schedule, self.live.state_dir, running.daemon.market
            )
            configuration = msgspec.structs.replace(running, schedule=schedule)
            calendar, jobs = configuration.calendar, self.jobs.build(configuration)
            self.scheduler.reload(jobs, schedule)
        except (ConfigurationError, BadInputError) as error:
            log.error("calendar.refused", reason=str(error))  # noqa: TRY400 - the sentence says it all
            return
        self._apply(configuration, calendar)
        self.live.follow_calendar(configuration)
        self.monitor.changed.set()  # what was learned is said
        opened = calendar.open_session_at(self.clock.now())
        if opened is not None and not running.calendar.is_session(opened):
            await self._begin_session(jobs, opened)
        log.info("calendar.in_force", valid_until=str(calendar.valid_until))

    async def _begin_session(self, jobs: Mapping[str, Job], session: date) -> None:
        """Start the jobs of a session that the former calendar did not contain."""
        for name in [name for name, job in jobs.items() if job.ends_with_session and job.policy.enabled]:
            try:
                await self.scheduler.run_now(name, session)
            except VcpdError as error:
                log.warning("calendar.session_not_followed", job=name, reason=str(error))

    def _apply(self, configuration: Configuration, calendar: TradingCalendar) -> None:
        """Give the new settings to the parts that keep a copy."""
        self.jobs.market.reconfigure(configuration)
        self.jobs.watch.reconfigure(configuration.watch, configuration.screen, calendar)
        self.workers.apply(configuration.workers)
        self.engine.apply(configuration.workers, configuration.dask)
        self.jobs.panels.universe.reconfigure(configuration.universe)
        logs.set_level(configuration.log.level)


def restart_sections() -> tuple[str, ...]:
    """The sections whose settings struct says that it cannot change while the daemon runs."""
    sections = [field for field in msgspec.structs.fields(Configuration) if field.name not in TABLES_BY_NAME]
    return (*(section.name for section in sections if not section.type.reloadable), "markets")


def needs_restart(wanted: Configuration, running: Configuration) -> tuple[str, ...]:
    """The sections, and the settings in others, that differ and cannot change live."""
    sections = [
        name for name in (*restart_sections(), "jobs") if getattr(wanted, name) != getattr(running, name)
    ]
    fixed = [
        name for name in LogSettings.fixed_settings if getattr(wanted.log, name) != getattr(running.log, name)
    ]
    return (*sections, *(f"log.{name}" for name in fixed))


def _with_running_sections(new: Configuration, old: Configuration) -> Configuration:
    """`new`, but what cannot change live stays as it is running; with another market, its day as well."""
    names = restart_sections() if new.daemon.market == old.daemon.market else (*restart_sections(), "jobs")
    fixed = {name: getattr(old.log, name) for name in LogSettings.fixed_settings}
    log_settings = msgspec.structs.replace(new.log, **fixed)
    return msgspec.structs.replace(new, log=log_settings, **{name: getattr(old, name) for name in names})
