"""SIGHUP: what a new configuration changes live, and what must wait for a restart."""

from pathlib import Path
from typing import Final

import msgspec
import structlog

from vcpd.app.jobs import Means, build_jobs
from vcpd.app.parts import Parts, Reloads
from vcpd.config import Configuration, load
from vcpd.domain.errors import ConfigurationError
from vcpd.runtime import logs

FIXED: Final = ("daemon", "sandbox", "kite", "bhavcopy", "store", "web")

log = structlog.get_logger("vcpd.reload")


def reload(parts: Parts, path: Path, means: Means) -> None:
    """Take the file at `path` as it is now. A file with problems changes nothing and is remembered."""
    try:
        configuration = _with_fixed_sections(load(path).configuration, parts.configuration)
        jobs = build_jobs(configuration, means)
        parts.scheduler.reload(jobs, configuration.schedule)
    except ConfigurationError as error:
        parts.reloads = msgspec.structs.replace(parts.reloads, refused=tuple(error.problems))
        log.error("reload.refused", problems=error.problems)  # noqa: TRY400 - the sentences are all there is to say
        return
    restart = needs_restart(load(path).configuration, parts.configuration)
    parts.market.reconfigure(configuration.limits)
    parts.workers.apply(configuration.workers)
    logs.set_level(configuration.log.level)
    parts.configuration = configuration
    parts.reloads = Reloads(
        path=parts.reloads.path,
        loaded_at=parts.clock.now(),
        reloads=parts.reloads.reloads + 1,
        needs_restart=restart,
    )
    log.info("reload.done", needs_restart=restart)


def needs_restart(new: Configuration, old: Configuration) -> tuple[str, ...]:
    """The sections that differ and cannot change live."""
    return tuple(name for name in FIXED if getattr(new, name) != getattr(old, name))


def _with_fixed_sections(new: Configuration, old: Configuration) -> Configuration:
    """`new`, but what cannot change live stays as it is running."""
    return msgspec.structs.replace(new, **{name: getattr(old, name) for name in FIXED})
