"""`vcpd show-config`, and how verbs come by their configuration."""

import argparse

import msgspec

from vcpd.cli.configuration_markdown import markdown
from vcpd.cli.configuration_text import document
from vcpd.cli.output import print_json
from vcpd.cli.verbs import EXIT_OK, configuration_path
from vcpd.config import Configuration, Loaded, load
from vcpd.domain.errors import ConfigurationError
from vcpd.domain.secrets import Secret
from vcpd.store.settings import place_of


def show(arguments: argparse.Namespace) -> int:
    """The resolved configuration with origins, the commented defaults, or the reference of all settings."""
    if arguments.markdown:
        print(markdown(Configuration()), end="")
    elif arguments.defaults:
        print(document(Configuration()), end="")
    else:
        loaded = load(configuration_path(arguments))
        _show_loaded(loaded, as_json=arguments.json)
    return EXIT_OK


def _show_loaded(loaded: Loaded, *, as_json: bool) -> None:
    masked = _masked(loaded)
    if as_json:
        print_json({"configuration": masked, "origins": loaded.origins, "folder": str(loaded.folder)})
    else:
        print(document(masked, loaded.origins), end="")


def _masked(loaded: Loaded) -> Configuration:
    """The configuration with the one setting that may hold a password made unreadable."""
    configuration = loaded.configuration
    if configuration.store.dsn is None:
        return configuration
    place = place_of(Secret(configuration.store.dsn))
    store = msgspec.structs.replace(configuration.store, dsn=f"postgresql://***@{place}")
    return msgspec.structs.replace(configuration, store=store)


def loaded_or_defaults(arguments: argparse.Namespace) -> Configuration:
    """The configuration for verbs that also work without a file. ConfigurationError for a bad one."""
    path = configuration_path(arguments)
    if arguments.config is None and not path.exists():
        return Configuration()
    return load(path).configuration


def judging_settings(arguments: argparse.Namespace) -> Configuration:
    """What verdicts are made with: over files the defaults, unless --config names others.

    So that a verdict on a file does not depend on the folder one stands in.
    """
    if arguments.bars is not None and arguments.config is None:
        return Configuration()
    return loaded_or_defaults(arguments)


def zone_name(arguments: argparse.Namespace) -> str:
    """The schedule's time zone; the default one while the file cannot be used."""
    try:
        return loaded_or_defaults(arguments).schedule.time_zone
    except ConfigurationError:
        return Configuration().schedule.time_zone
