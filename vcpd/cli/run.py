"""`vcpd run`: the daemon in the foreground, on the wall's time or on a virtual one."""

import argparse
from datetime import datetime
from pathlib import Path

import uvloop

from vcpd.app.channels import ALERT_SECRETS
from vcpd.app.credentials import SECRET_NAMES, take_from_environment
from vcpd.app.daemon import run_daemon
from vcpd.cli.verbs import configuration_path, exit_code, say_error
from vcpd.config import Loaded, load
from vcpd.domain.errors import VcpdError
from vcpd.ports import Clock
from vcpd.runtime.clock import VirtualClock, WallClock
from vcpd.runtime.farewell import take_leave


def clock_of(now: datetime | None, speed: float, since: datetime | None) -> Clock:
    """The wall clock, or the virtual one that the arguments describe."""
    return WallClock() if now is None else VirtualClock(now, speed, since)


def run(arguments: argparse.Namespace) -> int:
    take_from_environment((*SECRET_NAMES, *ALERT_SECRETS))
    path = configuration_path(arguments)
    loaded = load(path)
    clock = clock_of(arguments.now, arguments.speed, arguments.since)
    code: int = uvloop.run(_live(loaded, path, clock))
    return code


async def _live(loaded: Loaded, path: Path, clock: Clock) -> int:
    """The daemon's life; then nothing that does not listen keeps the process, whatever the end was."""
    try:
        code = await run_daemon(loaded, path, clock)
    except VcpdError as error:
        say_error(error)
        code = exit_code(error)
    return await take_leave(code)
