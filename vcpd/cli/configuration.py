"""`vcpd check-config` and `vcpd show-config`: what an owner set, judged and resolved."""

import argparse
from pathlib import Path

import msgspec

from vcpd.cli.configuration_text import document
from vcpd.cli.verbs import EXIT_OK, add_verb
from vcpd.config import Configuration, Loaded, load

DEFAULT_PATH = Path("config.toml")


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    check = add_verb(
        subparsers,
        "check-config",
        "judge a configuration file; every problem with its path, exit code 78",
        "vcpd check-config --config config.toml",
        _check,
    )
    show = add_verb(
        subparsers,
        "show-config",
        "print the resolved configuration and where each value came from",
        "vcpd show-config --config config.toml",
        _show,
    )
    show.add_argument(
        "--defaults", action="store_true", help="print the commented defaults, ready to be a config.toml"
    )
    for parser in (check, show):
        add_config_argument(parser)


def add_config_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, default=DEFAULT_PATH, metavar="FILE", help="default: config.toml"
    )


def _check(arguments: argparse.Namespace) -> int:
    load(arguments.config)
    print(f"{arguments.config}: good")
    return EXIT_OK


def _show(arguments: argparse.Namespace) -> int:
    if arguments.defaults:
        print(document(Configuration()), end="")
        return EXIT_OK
    loaded = load(arguments.config)
    print(document(_masked(loaded), loaded.origins), end="")
    return EXIT_OK


def _masked(loaded: Loaded) -> Configuration:
    """The configuration with the one setting that may hold a password made unreadable."""
    configuration = loaded.configuration
    if configuration.store.dsn is None:
        return configuration
    store = msgspec.structs.replace(configuration.store, dsn="***")
    return msgspec.structs.replace(configuration, store=store)
