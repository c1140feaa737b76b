"""Commands: registration with example, exit codes, common arguments and argument types."""

import argparse
import contextlib
import sys
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Final, TypeAlias

from vcpd.core.errors import (
    BadInputError,
    ConfigurationError,
    IncompatibleStoreError,
    NeedsLoginError,
    RetryableError,
    UnavailableError,
    VcpdError,
)

CommandAction: TypeAlias = Callable[[argparse.Namespace], int]
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no other name
LOCAL_CONFIG_PATH: Final = Path("config.toml")
INSTALLED_CONFIG_PATH: Final = Path("/etc/vcpd/config.toml")
EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_BAD_INPUT: Final = 65
EXIT_TEMPORARY_FAILURE: Final = 75
EXIT_NEEDS_LOGIN: Final = 77
EXIT_BAD_CONFIGURATION: Final = 78
EXIT_INTERRUPTED: Final = 130
EXIT_CODE_TEXTS: Final = (
    (EXIT_OK, "done"),
    (EXIT_FAILED, "failed, or `status` while not ready, or `doctor` with a problem"),
    (EXIT_USAGE, "the command line is invalid"),
    (EXIT_BAD_INPUT, "a file or an argument is invalid"),
    (EXIT_TEMPORARY_FAILURE, "a temporary failure, or the daemon does not answer: try again"),
    (EXIT_NEEDS_LOGIN, "login required: `vcpd login`"),
    (EXIT_BAD_CONFIGURATION, "the configuration is invalid"),
    (EXIT_INTERRUPTED, "interrupted"),
)
EXIT_CODES: Final[tuple[tuple[type[VcpdError], int], ...]] = (
    (ConfigurationError, EXIT_BAD_CONFIGURATION),
    (IncompatibleStoreError, EXIT_BAD_CONFIGURATION),
    (BadInputError, EXIT_BAD_INPUT),
    (UnavailableError, EXIT_TEMPORARY_FAILURE),
    (RetryableError, EXIT_TEMPORARY_FAILURE),
    (NeedsLoginError, EXIT_NEEDS_LOGIN),
)


def exit_code(error: VcpdError) -> int:
    """The exit code of an error, which a script can act on."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), EXIT_FAILED)


def print_error(error: VcpdError) -> None:
    """Print an error on standard error, one line per problem."""
    for line in str(error).splitlines():
        print(f"vcpd: {line}", file=sys.stderr)


def set_action(parser: argparse.ArgumentParser, action: CommandAction, example: str) -> None:
    """Set the function that the command calls, and the example that its --help shows."""
    parser.epilog = "example:\n" + "\n".join(f"  {line}" for line in example.splitlines())
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.set_defaults(action=action)


def add_command(
    subparsers: Subparsers, name: str, summary: str, example: str, action: CommandAction
) -> argparse.ArgumentParser:
    """Add a command below another one, such as `vcpd jobs run`."""
    parser = subparsers.add_parser(name, help=summary, description=summary)
    set_action(parser, action, example)
    return parser


def add_config_argument(parser: argparse.ArgumentParser, *, nested: bool = False) -> None:
    """--config; a nested command keeps the value given before it."""
    parser.add_argument(
        "--config",
        type=Path,
        default=argparse.SUPPRESS if nested else None,
        metavar="FILE",
        help=f"default: {LOCAL_CONFIG_PATH} here, else {INSTALLED_CONFIG_PATH}, else the built-in defaults",
    )


def add_group_argument(parser: argparse.ArgumentParser) -> None:
    """--group, for every command that lists setups."""
    parser.add_argument(
        "--group",
        choices=("setup", "followed", "above_pivot", "ended", "all"),
        help="which followed bases; default: setup, those that are open and hold their gates",
    )


def add_json_argument(parser: argparse.ArgumentParser, *, nested: bool = False) -> None:
    """--json, for every command that prints data."""
    parser.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS if nested else False,
        help="print JSON instead of text",
    )


def add_format_arguments(parser: argparse.ArgumentParser, *, nested: bool = False) -> None:
    """--json and --csv, for every command that lists."""
    default = argparse.SUPPRESS if nested else False
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--json", action="store_true", default=default, help="print JSON instead of text")
    group.add_argument("--csv", action="store_true", default=default, help="print CSV, one line per item")


def configuration_path(arguments: argparse.Namespace) -> Path:
    """The file of --config, or the default file that exists; else the place where none is needed."""
    if arguments.config is not None:
        given: Path = arguments.config
        return given
    for path in (LOCAL_CONFIG_PATH, INSTALLED_CONFIG_PATH):
        if path.exists():
            return path
    from vcpd.config_file import optional_config_path  # noqa: PLC0415 - `--help` needs no settings

    return optional_config_path()


def date_argument(text: str) -> date:
    """An argument such as 2025-06-30."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a date such as 2025-06-30, was {text!r}") from None


def instant_argument(text: str) -> datetime:
    """An argument such as 2025-06-30T18:30:00+05:30; without an offset it is refused."""
    instant: datetime | None = None
    with contextlib.suppress(ValueError):
        instant = datetime.fromisoformat(text)
    if instant is None or instant.tzinfo is None:
        raise argparse.ArgumentTypeError(
            f"expected an instant such as 2025-06-30T18:30:00+05:30, was {text!r}"
        )
    return instant


def positive_number_argument(text: str) -> float:
    """An argument such as 0.5."""
    with contextlib.suppress(ValueError):
        number = float(text)
        if 0 < number < float("inf"):
            return number
    raise argparse.ArgumentTypeError(f"expected a number above 0, was {text!r}")


def non_negative_number_argument(text: str) -> float:
    """An argument such as 0.3, or 0."""
    return 0.0 if text in {"0", "0.0"} else positive_number_argument(text)


def positive_int_argument(text: str) -> int:
    """An argument such as 7."""
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a whole number above 0, was {text!r}")


def add_clock_arguments(parser: argparse.ArgumentParser) -> None:
    """--now, --speed, and for child processes --since: the real instant of --now."""
    parser.add_argument(
        "--now",
        type=instant_argument,
        metavar="INSTANT",
        help="run on a virtual clock that starts at this instant",
    )
    parser.add_argument(
        "--speed", type=float, default=1.0, metavar="N", help="virtual seconds per real second"
    )
    parser.add_argument("--since", type=instant_argument, help=argparse.SUPPRESS)
