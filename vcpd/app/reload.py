"""SIGHUP: what a new configuration changes live, and what must wait for a restart."""

import dataclasses
from pathlib import Path
from typing import Final

import msgspec
import structlog

from vcpd.app.channels import find_alert_secrets
from vcpd.app.jobs import Means, build_jobs
from vcpd.app.parts import Parts, Reloads
from vcpd.app.vitals import state_folder
from vcpd.config import Configuration, load
from vcpd.domain.errors import BadInputError, ConfigurationError
from vcpd.domain.nse_sessions import NSE
from vcpd.domain.sessions import TradingCalendar
from vcpd.runtime import logs

FIXED: Final = ("daemon", "sandbox", "kite", "bhavcopy", "store", "web")

log = structlog.get_logger("vcpd.reload")


def reload(parts: Parts, path: Path, means: Means) -> None:
    """Take the file at `path` as it is now. A file with problems changes nothing and is remembered."""
    try:
        wanted = load(path).configuration
        configuration = _with_fixed_sections(wanted, parts.configuration)
        calendar = configuration.schedule.calendar(NSE)
        jobs = build_jobs(configuration, dataclasses.replace(means, calendar=calendar))
        secrets = find_alert_secrets(state_folder(parts), parts.masker)
        parts.scheduler.reload(jobs, configuration.schedule)
    except (ConfigurationError, BadInputError) as error:
        problems = tuple(str(error).splitlines())
        parts.reloads = msgspec.structs.replace(parts.reloads, refused=problems)
        log.error("reload.refused", problems=problems)  # noqa: TRY400 - the sentences are all there is to say
        return
    _apply(parts, configuration, calendar)
    parts.alerts.change(parts.channels.plan(configuration.alerts, calendar.zone, secrets))
    restart = needs_restart(wanted, configuration)
    parts.reloads = Reloads(
        path=parts.reloads.path,
        loaded_at=parts.clock.now(),
        reloads=parts.reloads.reloads + 1,
        needs_restart=restart,
    )
    log.info("reload.done", needs_restart=restart)


def _apply(parts: Parts, configuration: Configuration, calendar: TradingCalendar) -> None:
    """What reads its settings anew at its next turn."""
    parts.market.reconfigure(configuration.limits, configuration.ticker, calendar)
    parts.watch.settings, parts.watch.thresholds = configuration.watch, configuration.screen
    parts.watch.means.calendar = calendar
    parts.workers.apply(configuration.workers)
    parts.panels.universe.settings = configuration.universe
    logs.set_level(configuration.log.level)
    parts.calendar = calendar
    parts.configuration = configuration


def needs_restart(wanted: Configuration, running: Configuration) -> tuple[str, ...]:
    """The sections, and the settings in others, that differ and cannot change live."""
    sections = [name for name in (*FIXED, "jobs") if getattr(wanted, name) != getattr(running, name)]
    return (*sections, "log.sink") if wanted.log.sink != running.log.sink else tuple(sections)


def _with_fixed_sections(new: Configuration, old: Configuration) -> Configuration:
    """`new`, but what cannot change live stays as it is running; with another market, its day as well."""
    names = FIXED if new.daemon.market == old.daemon.market else (*FIXED, "jobs")
    log_settings = msgspec.structs.replace(new.log, sink=old.log.sink)
    return msgspec.structs.replace(new, log=log_settings, **{name: getattr(old, name) for name in names})
