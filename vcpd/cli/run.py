"""`vcpd run`: the daemon in the foreground, on the wall's time or on a virtual one."""

import argparse
from datetime import datetime

import uvloop

from vcpd.app.daemon import run_daemon
from vcpd.cli.configuration import add_config_argument
from vcpd.cli.verbs import add_verb, an_instant
from vcpd.config import load
from vcpd.ports import Clock
from vcpd.runtime.clock import VirtualClock, WallClock


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = add_verb(
        subparsers,
        "run",
        "run the daemon in the foreground; SIGHUP reloads the configuration",
        "vcpd run --config config.toml",
        _run,
    )
    add_config_argument(parser)
    add_clock_arguments(parser)


def add_clock_arguments(parser: argparse.ArgumentParser) -> None:
    """--now, --speed and, between our own processes, the real instant at which --now held."""
    parser.add_argument(
        "--now", type=an_instant, metavar="INSTANT", help="run on a virtual clock that begins at this instant"
    )
    parser.add_argument("--speed", type=float, default=1.0, metavar="N", help="virtual seconds a real second")
    parser.add_argument("--since", type=an_instant, help=argparse.SUPPRESS)


def clock_of(now: datetime | None, speed: float, since: datetime | None) -> Clock:
    """The wall clock, or the virtual one that the arguments describe."""
    return WallClock() if now is None else VirtualClock(now, speed, since)


def _run(arguments: argparse.Namespace) -> int:
    loaded = load(arguments.config)
    clock = clock_of(arguments.now, arguments.speed, arguments.since)
    code: int = uvloop.run(run_daemon(loaded, arguments.config, clock))
    return code
