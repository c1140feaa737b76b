"""`vcpd VERB ...`: finds the verb, runs it, turns errors into sentences and exit codes."""

import argparse
import os
import sys
from collections.abc import Sequence

from vcpd import __version__
from vcpd.cli.grammar import bars, daemon, house
from vcpd.cli.verbs import EXIT_INTERRUPTED, EXIT_OK, exit_code, find_verb, say_error
from vcpd.domain.errors import VcpdError
from vcpd.runtime.threads import keep_few_threads

ROOMS = (daemon, bars, house)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; each room adds its verbs."""
    parser = argparse.ArgumentParser(
        prog="vcpd",
        description="Daily bars, Volatility Contraction Patterns and risk scores for swing traders.",
    )
    parser.add_argument("--version", action="version", version=f"vcpd {__version__}")
    subparsers = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for room in ROOMS:
        room.add(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; gives the exit code."""
    keep_few_threads()
    parsed = build_parser().parse_args(arguments)
    try:
        code = find_verb(parsed.verb)(parsed)
        sys.stdout.flush()
    except VcpdError as error:
        say_error(error)
        return exit_code(error)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    return code
