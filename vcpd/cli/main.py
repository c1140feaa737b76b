"""The command line: every command with its summary; only the chosen command's module is imported."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from vcpd import __version__
from vcpd.cli.command import EXIT_INTERRUPTED, EXIT_OK, exit_code, print_error
from vcpd.cli.parser import CommandParser, reading_ahead, require_files
from vcpd.core.errors import VcpdError
from vcpd.runtime.process_tuning import hold_early_reload, limit_native_threads, open_standard_streams

RUN_COMMAND: Final = "run"
PRIVATE_UMASK: Final = 0o077  # whatever the umask was: the state belongs to the daemon alone


class Command(NamedTuple):
    """A command: name, summary, and the function that imports its module and adds its arguments."""

    name: str
    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None]


def build_parser(words: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """The parser of the whole command line.

    With `words`, only the command that they name has its arguments: importing the modules of all
    commands would make `vcpd --help` slow and a worker process, which imports this module, large.
    """
    parser = CommandParser(
        prog="vcpd",
        description="Daily bars, Volatility Contraction Patterns and risk scores for swing traders.",
    )
    parser.add_argument("--version", action="version", version=f"vcpd {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        child = subparsers.add_parser(command.name, help=command.summary, description=command.summary)
        if words is None or command.name in words[:1]:
            command.add_arguments(child)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    open_standard_streams()
    limit_native_threads()
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == [RUN_COMMAND]:  # its imports take a second, in which a SIGHUP would end it
        hold_early_reload()
        os.umask(PRIVATE_UMASK)
    try:
        require_files(words)
        with reading_ahead(words):
            parsed = build_parser(words).parse_args(words)
            code: int = parsed.action(parsed)
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


def _add_run(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.run import add_run_arguments

    add_run_arguments(parser)


def _add_init(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.init import add_init_arguments

    add_init_arguments(parser)


def _add_status(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.status import add_status_arguments

    add_status_arguments(parser)


def _add_setups(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.screen import add_setups_arguments

    add_setups_arguments(parser)


def _add_jobs(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.jobs import add_jobs_arguments

    add_jobs_arguments(parser)


def _add_alerts(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.alerts import add_alerts_arguments

    add_alerts_arguments(parser)


def _add_collect(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.jobs import add_collect_arguments

    add_collect_arguments(parser)


def _add_login(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.run import add_login_arguments

    add_login_arguments(parser)


def _add_sandbox(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.sandbox import add_sandbox_arguments

    add_sandbox_arguments(parser)


def _add_screen(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.screen import add_screen_arguments

    add_screen_arguments(parser)


def _add_explain(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.screen import add_explain_arguments

    add_explain_arguments(parser)


def _add_scan(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.scan import add_scan_arguments

    add_scan_arguments(parser)


def _add_risk(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.risk import add_risk_arguments

    add_risk_arguments(parser)


def _add_size(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.risk import add_size_arguments

    add_size_arguments(parser)


def _add_regime(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.regime import add_regime_arguments

    add_regime_arguments(parser)


def _add_sectors(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.sectors import add_sectors_arguments

    add_sectors_arguments(parser)


def _add_chart(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.chart import add_chart_arguments

    add_chart_arguments(parser)


def _add_history(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.history import add_history_arguments

    add_history_arguments(parser)


def _add_study(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.study import add_study_arguments

    add_study_arguments(parser)


def _add_import(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.store import add_import_arguments

    add_import_arguments(parser)


def _add_export(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.export import add_export_arguments

    add_export_arguments(parser)


def _add_record(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.record import add_record_arguments

    add_record_arguments(parser)


def _add_positions(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.positions import add_positions_arguments

    add_positions_arguments(parser)


def _add_journal(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.journal import add_journal_arguments

    add_journal_arguments(parser)


def _add_watchlist(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.watchlist import add_watchlist_arguments

    add_watchlist_arguments(parser)


def _add_backup(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.backup import add_backup_arguments

    add_backup_arguments(parser)


def _add_restore(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.backup import add_restore_arguments

    add_restore_arguments(parser)


def _add_store(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.store_upgrade import add_store_arguments

    add_store_arguments(parser)


def _add_migrate(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.store import add_migrate_arguments

    add_migrate_arguments(parser)


def _add_calendar(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.calendar import add_calendar_arguments

    add_calendar_arguments(parser)


def _add_check_config(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.doctor import add_check_config_arguments

    add_check_config_arguments(parser)


def _add_show_config(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.config import add_show_config_arguments

    add_show_config_arguments(parser)


def _add_password(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.run import add_password_arguments

    add_password_arguments(parser)


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.doctor import add_doctor_arguments

    add_doctor_arguments(parser)


def _add_completion(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.reference import add_completion_arguments

    add_completion_arguments(parser)


def _add_manual(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.reference import add_manual_arguments

    add_manual_arguments(parser)


COMMANDS: Final = (
    Command("run", "run the daemon in the foreground; SIGHUP reloads the configuration", _add_run),
    Command("init", "ask five questions, write a short configuration, and check it", _add_init),
    Command(
        "status", "state of the running daemon in a few lines; exit code 1 while it is not ready", _add_status
    ),
    Command("setups", "setups, or with --group other bases that the daemon follows", _add_setups),
    Command("jobs", "each job with its next and last run, outcome, duration and missed runs", _add_jobs),
    Command("alerts", "latest alerts, and their delivery on each channel", _add_alerts),
    Command("collect", "fetch every missing bar now and wait for the end of the run", _add_collect),
    Command("login", "log in to the market by pasting the address on which its login page ends", _add_login),
    Command(
        "sandbox",
        "run a Kite-compatible exchange on localhost, with a simulated market or with your own bars",
        _add_sandbox,
    ),
    Command(
        "screen",
        "find setups after one session: in a file of bars, or, without --bars, as the daemon found them",
        _add_screen,
    ),
    Command(
        "explain",
        "every gate of one symbol with its value and threshold, the nearest miss first",
        _add_explain,
    ),
    Command(
        "scan",
        "symbols that match an expression or a preset, and for a symbol the clause that fails first",
        _add_scan,
    ),
    Command(
        "risk",
        "score risk on 252 sessions: over a file of bars, or, without --bars, as the daemon scored",
        _add_risk,
    ),
    Command(
        "size", "how many shares of a setup the risk budget and every cap allow, each step shown", _add_size
    ),
    Command(
        "positions",
        "open positions: result in R, the stop, the sell rule that fires or is nearest, heat of the account",
        _add_positions,
    ),
    Command(
        "journal",
        "closed trades with R and excursions, and their statistics, with intervals",
        _add_journal,
    ),
    Command("watchlist", "named lists of symbols, price levels that alert, snoozes, files", _add_watchlist),
    Command(
        "chart", "draw a symbol with its contractions, pivot, stop and buy zone, as SVG or PNG", _add_chart
    ),
    Command(
        "regime",
        "the market's regime: distribution days, follow-through day, breadth; of files or of the daemon",
        _add_regime,
    ),
    Command(
        "sectors",
        "sectors ranked by relative strength and breadth, with their leaders; of files or of the daemon",
        _add_sectors,
    ),
    Command(
        "history",
        "backtest over every session of a file of bars: each setup's course and outcome, and the base rates",
        _add_history,
    ),
    Command(
        "study",
        "try thresholds, entries, stops, exits and sizes over bars, after costs, against random choice",
        _add_study,
    ),
    Command(
        "import",
        "check bars from files and import them into the database, each file completely or not at all",
        _add_import,
    ),
    Command(
        "export", "write stored bars, setups and other followed bases, or risk scores to a file", _add_export
    ),
    Command("record", "the record of every setup that was reported, with what was known then", _add_record),
    Command("backup", "write everything that is stored to one file, also while the daemon runs", _add_backup),
    Command("restore", "replace what is stored by a backup, completely or not at all", _add_restore),
    Command("store", "move the embedded store to the newest PostgreSQL that vcpd ships", _add_store),
    Command("migrate", "upgrade the database schema; `vcpd run` does so at start-up", _add_migrate),
    Command(
        "calendar",
        "sessions, holidays and special sessions of a year, your own additions included",
        _add_calendar,
    ),
    Command(
        "check-config",
        "check a configuration file; every problem with its path, exit code 78",
        _add_check_config,
    ),
    Command(
        "show-config", "print the resolved configuration and where each value came from", _add_show_config
    ),
    Command(
        "password",
        "set the password for the login on the page; without one the page is read-only",
        _add_password,
    ),
    Command(
        "doctor",
        "check everything that vcpd needs, each problem with its remedy; exit code 1 if there is one",
        _add_doctor,
    ),
    Command("completion", "print the script that completes this command line in your shell", _add_completion),
    Command("manual", "print the manual of the whole command line", _add_manual),
)
