"""What a verb of the command line is, and how errors become exit codes."""

import argparse
import contextlib
import sys
from collections.abc import Callable
from datetime import date, datetime
from typing import Final

from vcpd.domain.errors import (
    BadInputError,
    ConfigurationError,
    NeedsLoginError,
    RetryableError,
    UnavailableError,
    VcpdError,
)

Verb = Callable[[argparse.Namespace], int]

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_BAD_INPUT: Final = 65
EXIT_TRY_AGAIN: Final = 75
EXIT_NEEDS_LOGIN: Final = 77
EXIT_BAD_CONFIGURATION: Final = 78
EXIT_INTERRUPTED: Final = 130

EXIT_CODES: Final[tuple[tuple[type[VcpdError], int], ...]] = (
    (ConfigurationError, EXIT_BAD_CONFIGURATION),
    (BadInputError, EXIT_BAD_INPUT),
    (UnavailableError, EXIT_TRY_AGAIN),
    (RetryableError, EXIT_TRY_AGAIN),
    (NeedsLoginError, EXIT_NEEDS_LOGIN),
)


def exit_code(error: VcpdError) -> int:
    """The exit code that tells a script what to do next."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), EXIT_FAILED)


def say_error(error: VcpdError) -> None:
    """The error's own sentence on standard error; several problems stand one a line."""
    for line in str(error).splitlines():
        print(f"vcpd: {line}", file=sys.stderr)


def add_verb(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    text: str,
    example: str,
    verb: Verb,
) -> argparse.ArgumentParser:
    """A sub-command whose --help shows an example."""
    parser = subparsers.add_parser(
        name,
        help=text,
        description=text,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(verb=verb)
    return parser


def a_date(text: str) -> date:
    """An argument such as 2025-06-30."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a date such as 2025-06-30, was {text!r}") from None


def an_instant(text: str) -> datetime:
    """An argument such as 2025-06-30T18:30:00+05:30; without an offset it is refused."""
    instant: datetime | None = None
    with contextlib.suppress(ValueError):
        instant = datetime.fromisoformat(text)
    if instant is None or instant.tzinfo is None:
        raise argparse.ArgumentTypeError(
            f"expected an instant such as 2025-06-30T18:30:00+05:30, was {text!r}"
        )
    return instant
