"""`vcpd run`: the daemon in the foreground, on the wall's time or on a virtual one."""

import argparse
from datetime import datetime

import uvloop

from vcpd.app.daemon import run_daemon
from vcpd.cli.verbs import configuration_path
from vcpd.config import load
from vcpd.ports import Clock
from vcpd.runtime.clock import VirtualClock, WallClock


def clock_of(now: datetime | None, speed: float, since: datetime | None) -> Clock:
    """The wall clock, or the virtual one that the arguments describe."""
    return WallClock() if now is None else VirtualClock(now, speed, since)


def run(arguments: argparse.Namespace) -> int:
    path = configuration_path(arguments)
    loaded = load(path)
    clock = clock_of(arguments.now, arguments.speed, arguments.since)
    code: int = uvloop.run(run_daemon(loaded, path, clock))
    return code
