"""Configuration reload on SIGHUP: what changes live, and what needs a restart."""

import dataclasses
from pathlib import Path
from typing import Final

import msgspec
import structlog

from vcpd.app.alert_channels import find_alert_secrets
from vcpd.app.jobs import JobDependencies, build_jobs
from vcpd.app.monitor import state_dir_of
from vcpd.app.services import ReloadStatus, Services
from vcpd.config import Configuration, deprecation_warning, load_configuration
from vcpd.core.errors import BadInputError, ConfigurationError
from vcpd.domain.calendar import TradingCalendar
from vcpd.runtime import logs
from vcpd.runtime.settings import LogSettings

TABLES_BY_NAME: Final = ("jobs", "markets")  # sections that hold one table per name
log = structlog.get_logger("vcpd.reload")


def reload_configuration(parts: Services, path: Path, means: JobDependencies) -> None:
    """Take the file at `path` as it is now. A file with problems changes nothing and is remembered."""
    try:
        loaded = load_configuration(path)
        wanted = loaded.configuration
        configuration = _with_running_sections(wanted, parts.configuration)
        calendar = configuration.calendar
        jobs = build_jobs(configuration, dataclasses.replace(means, calendar=calendar))
        secrets = find_alert_secrets(state_dir_of(parts), parts.redactor)
        parts.scheduler.reload(jobs, configuration.schedule)
    except (ConfigurationError, BadInputError) as error:
        problems = tuple(str(error).splitlines())
        parts.reloads = msgspec.structs.replace(parts.reloads, refused=problems)
        log.error("reload.refused", problems=problems)  # noqa: TRY400 - the sentences are all there is to say
        return
    _apply(parts, configuration, calendar)
    parts.alerts.apply_plan(parts.channels.plan(configuration.alerts, calendar.zone, secrets))
    restart = needs_restart(wanted, configuration)
    parts.monitor.changed.set()  # the new settings may make an alert due
    parts.reloads = ReloadStatus(
        path=parts.reloads.path,
        loaded_at=parts.clock.now(),
        reloads=parts.reloads.reloads + 1,
        needs_restart=restart,
    )
    if loaded.deprecated:
        log.warning("configuration.deprecated_names", names=deprecation_warning(loaded.deprecated))
    log.info("reload.done", needs_restart=restart)


def _apply(parts: Services, configuration: Configuration, calendar: TradingCalendar) -> None:
    """What reads its settings anew at its next turn."""
    parts.market.reconfigure(configuration.limits, configuration.ticker, calendar)
    parts.watch.reconfigure(configuration.watch, configuration.screen, calendar)
    parts.workers.apply(configuration.workers)
    parts.panels.universe.reconfigure(configuration.universe)
    logs.set_level(configuration.log.level)
    parts.calendar = calendar
    parts.configuration = configuration


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
