"""Arguments of commands on store, configuration and installation."""

from pathlib import Path

from vcpd.cli.command import Subparsers, add_command, add_config_argument, add_json_argument, date_argument

EXPORTS = ("bars", "setups", "risk")


def add(subparsers: Subparsers) -> None:
    for one in (
        _import,
        _export,
        _record,
        _migrate,
        _calendar,
        _configuration,
        _doctor,
        _completion,
        _manual,
    ):
        one(subparsers)


def _import(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "import",
        "check bars from files and put them into the store, each file whole or not at all",
        "vcpd import bars.parquet more.csv\nvcpd import --indices indices.parquet",
        "vcpd.cli.store:import_bars",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="parquet or CSV, or a folder")
    parser.add_argument("--indices", action="store_true", help="the symbols are indices, not shares")
    add_config_argument(parser)
    add_json_argument(parser)


def _export(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "export",
        "write stored bars, setups or risk scores to a file",
        "vcpd export bars --format parquet -o bars.parquet --from 2025-01-01\n"
        "vcpd export setups --format tradingview -o watchlist.txt",
        "vcpd.cli.store:export",
    )
    parser.add_argument("what", choices=EXPORTS)
    parser.add_argument(
        "--format",
        choices=("parquet", "csv", "tradingview"),
        help="default: by the file's name; tradingview is a watchlist, for setups only",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="written whole or not at all"
    )
    parser.add_argument("--from", dest="first", type=date_argument, metavar="DATE", help="first session")
    parser.add_argument("--to", dest="last", type=date_argument, metavar="DATE", help="last session")
    parser.add_argument("--symbols", metavar="A,B,C", help="only these")
    add_config_argument(parser)


def _record(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "record",
        "the record of every setup that was reported, with what was known then",
        "vcpd record verify",
        "vcpd.cli.record:verify",
    )
    parser.set_defaults(head=None)
    add_config_argument(parser)
    add_json_argument(parser)
    nested = parser.add_subparsers(title="what to do with it", metavar="ACTION", required=True)
    check = add_command(
        nested,
        "verify",
        "check that no entry was changed, and compare each with the history on final bars; exit code 1 "
        "where the chain is broken",
        "vcpd record verify --head 5d0c1f...",
        "vcpd.cli.record:verify",
    )
    check.add_argument(
        "--head", metavar="HASH", help="a hash that a digest gave: every entry up to it must be as it was"
    )
    add_config_argument(check, nested=True)
    add_json_argument(check, nested=True)


def _migrate(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "migrate",
        "bring the store's schema up to date; `vcpd run` does so by itself",
        "vcpd migrate",
        "vcpd.cli.store:migrate",
    )
    add_config_argument(parser)


def _calendar(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "calendar",
        "sessions, holidays and special sessions of a year, your own additions included",
        "vcpd calendar 2026",
        "vcpd.cli.calendar:calendar",
    )
    parser.add_argument("year", type=int, metavar="YEAR", help="such as 2026")
    add_config_argument(parser)
    add_json_argument(parser)


def _configuration(subparsers: Subparsers) -> None:
    check = add_command(
        subparsers,
        "check-config",
        "judge a configuration file; every problem with its path, exit code 78",
        "vcpd check-config --config config.toml",
        "vcpd.cli.doctor:check_config",
    )
    show = add_command(
        subparsers,
        "show-config",
        "print the resolved configuration and where each value came from",
        "vcpd show-config --config config.toml",
        "vcpd.cli.config:show_config",
    )
    form = show.add_mutually_exclusive_group()
    form.add_argument(
        "--defaults", action="store_true", help="print the commented defaults, ready to be a config.toml"
    )
    form.add_argument(
        "--markdown", action="store_true", help="print every setting with type, default and meaning"
    )
    add_json_argument(show)
    for parser in (check, show):
        add_config_argument(parser)


def _doctor(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "doctor",
        "check everything vcpd needs, each trouble with its remedy; exit code 1 where there is one",
        "vcpd doctor",
        "vcpd.cli.doctor:doctor",
    )
    add_config_argument(parser)
    add_json_argument(parser)


def _completion(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "completion",
        "print the script that completes this command line in your shell",
        "vcpd completion bash > ~/.local/share/bash-completion/completions/vcpd\n"
        "vcpd completion zsh > ~/.zfunc/_vcpd",
        "vcpd.cli.reference:completion",
    )
    parser.add_argument("shell", choices=("bash", "zsh"))


def _manual(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "manual",
        "print the manual of the whole command line",
        "vcpd manual --format man | man -l -",
        "vcpd.cli.reference:manual",
    )
    parser.add_argument("--format", choices=("man", "markdown"), default="man")
