"""Arguments of commands that run or query the daemon."""

import argparse

from vcpd.cli.command import (
    Subparsers,
    add_command,
    add_config_argument,
    add_json_argument,
    date_argument,
    instant_argument,
    positive_int_argument,
)

STATES = ("FORMING", "NEAR_PIVOT", "BREAKOUT", "EXTENDED", "SQUAT", "FAILED", "EXPIRED")


def add(subparsers: Subparsers) -> None:
    for one in (_run, _status, _setups, _jobs, _alerts, _collect, _login, _sandbox):
        one(subparsers)


def _run(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "run",
        "run the daemon in the foreground; SIGHUP reloads the configuration",
        "vcpd run --config config.toml",
        "vcpd.cli.run:run",
    )
    add_config_argument(parser)
    _add_clock_arguments(parser)


def _status(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "status",
        "how the running daemon is, in a few lines; exit code 1 while it is not ready",
        "vcpd status",
        "vcpd.cli.status:status",
    )
    add_config_argument(parser)
    add_json_argument(parser)


def _setups(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "setups",
        "the setups that the daemon follows, filtered and sorted",
        "vcpd setups --state NEAR_PIVOT --min-rating 80 --sort rs_rating",
        "vcpd.cli.screen:setups",
    )
    parser.add_argument(
        "--as-of", type=date_argument, metavar="DATE", help="default: the last judged session"
    )
    parser.add_argument("--state", choices=STATES)
    parser.add_argument("--min-score", type=int, metavar="N", help="0 to 100")
    parser.add_argument("--min-rating", type=int, metavar="N", help="0 to 99")
    parser.add_argument("--text", help="only symbols that hold this text")
    parser.add_argument("--sector", help="only companies of this sector, such as 'Financial Services'")
    parser.add_argument("--sort", choices=("score", "rs_rating", "symbol", "risk_pct", "close"))
    parser.add_argument("--order", choices=("asc", "desc"))
    parser.add_argument(
        "--limit", type=positive_int_argument, metavar="N", help="at most so many; default: 500"
    )
    parser.add_argument("--all", action="store_true", help="every symbol, also those that are no setup")
    parser.add_argument("--crowding", action="store_true", help="which of them are one and the same bet")
    add_config_argument(parser)
    add_json_argument(parser)


def _jobs(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "jobs",
        "each job with its next and last run, outcome, duration and misses",
        "vcpd jobs\nvcpd jobs next --days 7\nvcpd jobs run screen --session 2025-06-30\nvcpd jobs pause risk",
        "vcpd.cli.jobs:list_jobs",
    )
    add_config_argument(parser)
    add_json_argument(parser)
    nested = parser.add_subparsers(title="what to do with them", metavar="ACTION")
    _jobs_next(nested)
    _jobs_run(nested)
    for name, text in (
        ("pause", "skip the job's runs until it is resumed, over restarts too"),
        ("resume", "let the job run by itself again"),
    ):
        action = add_command(nested, name, text, f"vcpd jobs {name} screen", f"vcpd.cli.jobs:{name}_job")
        _add_job_argument(action)


def _jobs_next(nested: Subparsers) -> None:
    parser = add_command(
        nested,
        "next",
        "what will run in the coming days, and why a day has nothing; needs no daemon",
        "vcpd jobs next --days 7",
        "vcpd.cli.jobs:list_upcoming_runs",
    )
    parser.add_argument("--days", type=positive_int_argument, default=7, metavar="N", help="default: 7")
    parser.add_argument("--from", dest="first", type=date_argument, metavar="DATE", help="default: today")
    add_config_argument(parser, nested=True)
    add_json_argument(parser, nested=True)


def _jobs_run(nested: Subparsers) -> None:
    parser = add_command(
        nested,
        "run",
        "start a job now and wait for its end; exit code 0 done, 1 failed, 75 otherwise",
        "vcpd jobs run screen --session 2025-06-30",
        "vcpd.cli.jobs:run_job",
    )
    _add_job_argument(parser)
    _add_run_arguments(parser)


def _alerts(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "alerts",
        "what was told to you, and what became of it on each channel",
        "vcpd alerts --limit 50\nvcpd alerts test --channel telegram",
        "vcpd.cli.alerts:list_alerts",
    )
    parser.add_argument(
        "--limit", type=positive_int_argument, metavar="N", help="the newest so many; default: 20"
    )
    add_config_argument(parser)
    add_json_argument(parser)
    nested = parser.add_subparsers(title="what to do with them", metavar="ACTION")
    test = add_command(
        nested,
        "test",
        "send a test through every channel at once; exit code 1 where one fails; needs no daemon",
        "vcpd alerts test\nvcpd alerts test --channel mail",
        "vcpd.cli.alerts:send_test_alerts",
    )
    test.add_argument("--channel", metavar="NAME", help="only this one")
    add_config_argument(test, nested=True)
    add_json_argument(test, nested=True)


def _collect(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "collect",
        "have the daemon fetch every missing bar now, and wait for it",
        "vcpd collect --session 2025-06-30",
        "vcpd.cli.jobs:run_job",
    )
    parser.set_defaults(job="collect")
    add_config_argument(parser)
    _add_run_arguments(parser)


def _login(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "login",
        "log in to the market by pasting the address that its login page ends on",
        "vcpd login",
        "vcpd.cli.run:login",
    )
    add_config_argument(parser)


def _sandbox(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "sandbox",
        "run a Kite-compatible exchange on localhost, with a simulated market or with your own bars",
        "vcpd sandbox --symbols 500 --speed 60 --session breakout",
        "vcpd.cli.sandbox:sandbox",
    )
    parser.add_argument(
        "--bars", metavar="FILE_OR_FOLDER", help="serve these bars instead of a simulated market"
    )
    parser.add_argument("--index", metavar="FILE", help="bars of the indices, beside --bars")
    parser.add_argument("--port", type=int, help="port on 127.0.0.1, 0 for any free one; default: 8788")
    parser.add_argument("--seed", type=int, help="the simulated market depends on this number only")
    parser.add_argument("--symbols", type=int, help="equities of the simulated market")
    _add_clock_arguments(parser)
    parser.add_argument(
        "--session", metavar="last|breakout|DATE", help="the session that a market at --speed begins with"
    )
    parser.add_argument(
        "--start", metavar="pre_open|HH:MM", help="when it begins; default: ten minutes before the open"
    )
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)


def _add_clock_arguments(parser: argparse.ArgumentParser) -> None:
    """--now, --speed and, between our own processes, the real instant at which --now held."""
    parser.add_argument(
        "--now",
        type=instant_argument,
        metavar="INSTANT",
        help="run on a virtual clock that begins at this instant",
    )
    parser.add_argument("--speed", type=float, default=1.0, metavar="N", help="virtual seconds a real second")
    parser.add_argument("--since", type=instant_argument, help=argparse.SUPPRESS)


def _add_job_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="NAME", help="as `vcpd jobs` lists it")
    add_config_argument(parser, nested=True)


def _add_run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--session", type=date_argument, metavar="DATE", help="the session to work for; default: the last one"
    )
    parser.add_argument("--no-wait", action="store_true", help="start it and go")
