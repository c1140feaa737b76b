"""`vcpd show-config`: the configuration as TOML, JSON or Markdown; configuration of commands."""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec

from vcpd.cli.command import EXIT_OK, add_config_argument, add_json_argument, configuration_path, set_action
from vcpd.cli.output import print_json
from vcpd.config import (
    Configuration,
    LoadedConfiguration,
    deprecation_warning,
    load_configuration,
)
from vcpd.core.errors import ConfigurationError
from vcpd.core.secrets import Secret
from vcpd.plugins import plugin_tables
from vcpd.schedule.kept_calendar import own_settings
from vcpd.store.settings import dsn_location

MARKDOWN_HEADER = (
    "# Configuration",
    "",
    "One TOML file, `config.toml`; every setting has a default. `vcpd check-config` checks a file,",
    "`vcpd show-config` prints the resolved values and where each came from. A variable `VCPD_SECTION__KEY`",
    "(for a job `VCPD_JOBS__NAME__KEY`) overrides the file. `vcpd show-config --markdown` prints this page.",
    "",
    "Secrets are never settings. `kite_api_secret`, `web_token` and `store_dsn` are read from the",
    "service manager's credentials, then from files of mode 0600 in `secrets/` below the state directory,",
    "then from the variables `VCPD_KITE_API_SECRET`, `VCPD_WEB_TOKEN` and `VCPD_STORE_DSN`; those of alerts,",
    "such as `alerts_telegram_token`, from the same places.",
)
TOML_HEADER: Final = (
    "# Every setting with its meaning and default. To change one, remove its `#`: what stays commented out",
    "# follows the defaults of the market and of later releases. `vcpd init` writes a short file.",
)
TYPE_NAMES: Final = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def config_toml(configuration: Configuration, origins: Mapping[str, str] | None = None) -> str:
    """Every setting: with `origins` its value and origin, else its meaning, defaults commented out.

    A setting that is commented out follows the market's and a later release's default.
    """
    defaults = Configuration()
    lines: list[str] = [] if origins is not None else [*TOML_HEADER]
    for section in configuration.__struct_fields__:
        value = getattr(configuration, section)
        if isinstance(value, Mapping):
            for name, table in value.items():
                default = getattr(defaults, section).get(name)
                lines += _toml_table(f"{section}.{name}", table, default, origins, commented=origins is None)
        else:
            lines += _toml_table(section, value, getattr(defaults, section), origins, commented=True)
    return "\n".join(lines).lstrip("\n") + "\n"


def setting_fields(kind: type[msgspec.Struct]) -> Iterator[tuple[str, Any, str, Any]]:
    """Each field of a settings struct: name, declared type, one-line meaning, default."""
    hints = get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
        yield field.name, hints[field.name], setting_description(hints[field.name]), default


def setting_description(annotation: Any) -> str:
    """The description that the type carries."""
    if get_origin(annotation) is Annotated:
        for extra in get_args(annotation)[1:]:
            if isinstance(extra, msgspec.Meta) and extra.description:
                return " ".join(extra.description.split())
    return ""


def _toml_table(
    path: str,
    value: msgspec.Struct,
    default: msgspec.Struct | None,
    origins: Mapping[str, str] | None,
    *,
    commented: bool,
) -> Iterator[str]:
    yield ""
    if commented and type(value).__doc__:
        yield f"# {first_line(type(value).__doc__ or '')}"
    yield f"[{path}]" if origins is not None or _may_be_empty(path, value, default) else f"#[{path}]"
    inner: list[str] = []
    for name, kind, text, _ in setting_fields(type(value)):
        field, usual = getattr(value, name), getattr(default, name, None)
        if isinstance(field, msgspec.Struct):
            inner += _toml_table(f"{path}.{name}", field, usual, origins, commented=commented)
            continue
        if plugin_tables(kind):
            for plugin, table in field.items():
                inner += _toml_table(f"{path}.{name}.{plugin}", table, None, origins, commented=commented)
            continue
        origin = (origins or {}).get(f"{path}.{name}", "default")
        if origins is None and commented and text:
            yield f"# {text}"
        line = _toml_line(name, field)
        if origins is not None:
            yield f"{line}  # {origin}"
        else:
            yield f"#{line.removeprefix('# ')}" if field == usual else line
    yield from inner


def _may_be_empty(path: str, value: msgspec.Struct, default: msgspec.Struct | None) -> bool:
    """Whether a table without keys means the default: jobs are merged, others take their type's defaults.

    A table whose defaults depend on where it stands, such as an alert's template, is used as a whole.
    """
    return path.startswith("jobs.") or value != default or type(value)() == value


def first_line(text: str) -> str:
    return text.strip().splitlines()[0]


def _toml_line(name: str, value: Any) -> str:
    return f"# {name} =" if value is None else f"{name} = {toml_value(value)}"


def toml_value(value: Any) -> str:
    """A plain value as TOML writes it."""
    plain = msgspec.to_builtins(value)
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in plain) + "]"
    if isinstance(plain, dict):
        return (
            "{ " + ", ".join(f"{_toml_key(key)} = {toml_value(item)}" for key, item in plain.items()) + " }"
        )
    return json.dumps(plain, ensure_ascii=False)


def _toml_key(key: str) -> str:
    """A key as TOML writes it: quoted unless it is a bare key."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


def config_markdown(configuration: Configuration) -> str:
    """Every setting with its type, default and meaning, one table a section."""
    lines = [*MARKDOWN_HEADER]
    for section in configuration.__struct_fields__:
        value = getattr(configuration, section)
        if section == "markets":
            lines += ["", "## [markets]", "One table per market plug-in that has settings: `[markets.NAME]`."]
        elif isinstance(value, Mapping):
            lines += _jobs_markdown(section, value)
        else:
            lines += _section_markdown(section, value)
    return "\n".join(lines) + "\n"


def _section_markdown(path: str, value: msgspec.Struct) -> Iterator[str]:
    yield from ("", f"## [{path}]", first_line(type(value).__doc__ or ""), "")
    yield from ("| setting | type | default | meaning |", "|---|---|---|---|")
    inner: list[str] = []
    for name, kind, text, _ in setting_fields(type(value)):
        field = getattr(value, name)
        if isinstance(field, msgspec.Struct):
            inner += _section_markdown(f"{path}.{name}", field)
        else:
            default = "unset" if field is None else f"`{toml_value(field)}`"
            yield f"| `{name}` | {type_text(kind)} | {_escape_cell(default)} | {_escape_cell(text)} |"
    yield from inner


def _jobs_markdown(section: str, jobs: Mapping[str, msgspec.Struct]) -> Iterator[str]:
    """The settings of a job, then the default schedule."""
    kind = type(next(iter(jobs.values())))
    yield from _section_markdown(f"{section}.NAME", kind())
    yield from ("", "### The default schedule", "", "| job | settings that differ |", "|---|---|")
    plain = kind()
    for name, job in jobs.items():
        own = [
            f"`{field} = {toml_value(getattr(job, field))}`"
            for field in kind.__struct_fields__
            if getattr(job, field) != getattr(plain, field)
        ]
        yield f"| `{name}` | {_escape_cell(', '.join(own))} |"


def _escape_cell(text: str) -> str:
    return text.replace("|", "\\|")


def type_text(kind: Any) -> str:
    """Describe a declared type and its bounds."""
    if get_origin(kind) is Annotated:
        bare, *extras = get_args(kind)
        bounds = [
            words for extra in extras if isinstance(extra, msgspec.Meta) for words in _bound_texts(extra)
        ]
        return " ".join([type_text(bare), *bounds])
    arguments = get_args(kind)
    if choices := _choices(kind):
        return " or ".join(f"`{choice}`" for choice in choices)
    if type(None) in arguments:
        return type_text(next(argument for argument in arguments if argument is not type(None)))
    if get_origin(kind) is tuple:
        return f"list of {type_text(arguments[0])}"
    if arguments:
        return f"table of {type_text(arguments[-1])}"
    return TYPE_NAMES.get(kind, getattr(kind, "__name__", str(kind)))


def _choices(kind: Any) -> tuple[Any, ...]:
    """The values of a literal or an enumeration."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return tuple(choice.value for choice in kind)
    return get_args(kind) if get_origin(kind) is Literal else ()


def _bound_texts(meta: msgspec.Meta) -> Iterator[str]:
    for sign, bound in ((">", meta.gt), (">=", meta.ge), ("<", meta.lt), ("<=", meta.le)):
        if bound is not None:
            yield f"{sign} {bound:g}"


def add_show_config_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, show_config, "vcpd show-config --config config.toml")
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--defaults",
        action="store_true",
        help="print a config.toml with every default, commented out",
    )
    form.add_argument(
        "--markdown", action="store_true", help="print every setting with type, default and meaning"
    )
    add_json_argument(parser)
    add_config_argument(parser)


def show_config(arguments: argparse.Namespace) -> int:
    """The resolved configuration with origins, the commented defaults, or the reference of all settings."""
    if arguments.markdown:
        print(config_markdown(Configuration()), end="")
    elif arguments.defaults:
        print(config_toml(Configuration()), end="")
    else:
        loaded = load_named(arguments)
        _show_loaded(loaded, as_json=arguments.json)
    return EXIT_OK


def _show_loaded(loaded: LoadedConfiguration, *, as_json: bool) -> None:
    masked = _mask_dsn(loaded)
    if as_json:
        print_json({"configuration": masked, "origins": loaded.origins, "folder": str(loaded.folder)})
    else:
        print(config_toml(masked, loaded.origins), end="")


def _mask_dsn(loaded: LoadedConfiguration) -> Configuration:
    """The user's settings, with the database address masked: it may hold a password."""
    schedule = own_settings(loaded.configuration.schedule)
    configuration = msgspec.structs.replace(loaded.configuration, schedule=schedule)
    if configuration.store.dsn is None:
        return configuration
    place = dsn_location(Secret(configuration.store.dsn))
    store = msgspec.structs.replace(configuration.store, dsn=f"postgresql://***@{place}")
    return msgspec.structs.replace(configuration, store=store)


def load_named(arguments: argparse.Namespace) -> LoadedConfiguration:
    """The configuration that --config names; old names of settings are reported on standard error."""
    loaded = load_configuration(configuration_path(arguments))
    if loaded.deprecated:
        print(f"vcpd: warning: {deprecation_warning(loaded.deprecated)}", file=sys.stderr)
    return loaded


def load_or_default(arguments: argparse.Namespace) -> Configuration:
    """The configuration, or the defaults without a file. Raises ConfigurationError for a bad file."""
    path = configuration_path(arguments)
    if arguments.config is None and not path.exists():
        return Configuration()
    return load_named(arguments).configuration


def analysis_configuration(arguments: argparse.Namespace) -> Configuration:
    """The whole configuration of an analysis: for files the defaults, unless --config is given."""
    if arguments.bars is not None and arguments.config is None:
        return Configuration()
    return load_or_default(arguments)


def time_zone_name(arguments: argparse.Namespace) -> str:
    """The schedule's time zone; the default while the file cannot be used."""
    try:
        return load_or_default(arguments).time_zone
    except ConfigurationError:
        return Configuration().time_zone
