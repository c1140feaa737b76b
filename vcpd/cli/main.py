"""Command line: parses the arguments, runs the command, turns errors into messages and exit codes."""

import argparse
import os
import sys
from collections.abc import Sequence

from vcpd import __version__
from vcpd.cli import arguments_admin, arguments_daemon, arguments_market
from vcpd.cli.command import EXIT_INTERRUPTED, EXIT_OK, exit_code, load_action, print_error
from vcpd.core.errors import VcpdError
from vcpd.runtime.process_tuning import limit_native_threads

ARGUMENT_MODULES = (arguments_daemon, arguments_market, arguments_admin)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; each room adds its verbs."""
    parser = argparse.ArgumentParser(
        prog="vcpd",
        description="Daily bars, Volatility Contraction Patterns and risk scores for swing traders.",
    )
    parser.add_argument("--version", action="version", version=f"vcpd {__version__}")
    subparsers = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for room in ARGUMENT_MODULES:
        room.add(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; gives the exit code."""
    limit_native_threads()
    parsed = build_parser().parse_args(arguments)
    try:
        code = load_action(parsed.verb)(parsed)
        sys.stdout.flush()
    except VcpdError as error:
        print_error(error)
        return exit_code(error)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    return code
