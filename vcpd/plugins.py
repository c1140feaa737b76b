"""Plug-ins: markets and alert channels that installed distributions register as entry points.

One more needs no change here: a distribution names it in its own metadata, below `vcpd.markets` or
`vcpd.channels`, and is installed beside vcpd.
"""

import sys
import tomllib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, get_args, get_origin

import msgspec

from vcpd.core.errors import ConfigurationError
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.exchange import Exchange
from vcpd.ports import Clock

MARKET_GROUP: Final = "vcpd.markets"
CHANNEL_GROUP: Final = "vcpd.channels"
CACHED_READINGS: Final = 8  # search paths of a process, by group
PROJECT_FILE: Final = Path(__file__).resolve().parents[1] / "pyproject.toml"


@dataclass(frozen=True, slots=True)
class PluginTables:
    """Marks a setting that holds one table per plug-in of `group`; the plug-in declares its struct."""

    group: str
    noun: str  # for error messages: "market"
    elsewhere: tuple[str, ...] = ()  # plug-ins whose settings have a section of their own


@dataclass(frozen=True, slots=True)
class MarketRequest:
    """What a market is opened with. `settings` is the struct of its own table below [markets].

    `loaded` is the whole LoadedConfiguration, `compute` runs a module-level function in a worker.
    """

    settings: Any
    loaded: Any
    calendar: TradingCalendar
    clock: Clock
    state_dir: Path
    compute: Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class MarketPlugin:
    """A market as an entry point of `vcpd.markets` refers to it.

    `open` gives a `vcpd.app.market.MarketConnection`. `settings` is the struct of its table
    [markets.NAME], every field with a default; `job_defaults` changes the default schedule, by job.
    """

    exchange: Exchange
    open: Callable[[MarketRequest], Awaitable[Any]]
    settings: type[msgspec.Struct] | None = None
    job_defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def load_market_plugin(name: str) -> MarketPlugin:
    """ConfigurationError for an unknown name and for an entry point that refers to something else."""
    plugin = load_plugin(MARKET_GROUP, name)
    if not isinstance(plugin, MarketPlugin):
        raise ConfigurationError(
            [f"the plug-in `{name}` of {MARKET_GROUP}: expected a MarketPlugin, was {type(plugin).__name__}"]
        )
    return plugin


def plugin_names(group: str) -> tuple[str, ...]:
    """Names of the plug-ins of `group`, ascending. Reads metadata only, imports nothing of theirs."""
    return tuple(sorted(_registered(group)))


def load_plugin(group: str, name: str) -> Any:
    """The object that the entry point `name` refers to.

    ConfigurationError where no distribution registers that name, or where importing it fails.
    """
    registered = _registered(group)
    if name not in registered:
        raise ConfigurationError([f"expected one of {', '.join(sorted(registered))}, was {name!r}"])
    try:
        return registered[name].load()
    except Exception as error:  # any code may run at the import of another distribution's module
        reason = f"{type(error).__name__}: {error}"
        raise ConfigurationError([f"the plug-in `{name}` of {group} cannot be loaded: {reason}"]) from error


def plugin_tables(kind: Any) -> PluginTables | None:
    """The mark of a setting that holds one table per plug-in."""
    marks = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    return next((mark for mark in marks if isinstance(mark, PluginTables)), None)


def plugin_settings(mark: PluginTables, name: str) -> type[msgspec.Struct]:
    """The settings struct that the plug-in `name` declares.

    ConfigurationError, with the known names, where no plug-in of that name has a table here.
    """
    with_tables = {known: _declared_settings(mark, known) for known in plugin_names(mark.group)}
    settings = with_tables.get(name)
    if settings is None:
        names = [known for known, declared in with_tables.items() if declared is not None]
        expected = f"expected one of {', '.join(names)}" if names else "no plug-in has settings here"
        raise ConfigurationError([f"no such {mark.noun}; {expected}"])
    return settings


def _declared_settings(mark: PluginTables, name: str) -> type[msgspec.Struct] | None:
    if name in mark.elsewhere:
        return None
    try:
        settings: type[msgspec.Struct] | None = getattr(load_plugin(mark.group, name), "settings", None)
    except ConfigurationError:  # it is named where it is used: another plug-in's table is read all the same
        return None
    return settings


def find_plugin_settings(kind: Any, name: str) -> type[msgspec.Struct] | None:
    """The settings struct of the plug-in `name` in a field of type `kind`; None where it has none."""
    mark = plugin_tables(kind)
    return None if mark is None else _declared_settings(mark, name)


def _registered(group: str) -> Mapping[str, EntryPoint]:
    """Entry points by name; a name of this project is not replaced by another distribution's."""
    return _read_registered(group, tuple((entry, _changed_ns(entry)) for entry in sys.path))


@lru_cache(maxsize=CACHED_READINGS)
def _read_registered(group: str, _search_path: tuple[tuple[str, int], ...]) -> Mapping[str, EntryPoint]:
    """Reads the metadata of all distributions; again only when a folder of the search path has changed."""
    return MappingProxyType({point.name: point for point in (*entry_points(group=group), *_own(group))})


def _changed_ns(entry: str) -> int:
    """Instant at which an entry of the search path last changed; an installation changes its folder."""
    try:
        return Path(entry).stat().st_mtime_ns
    except OSError:
        return 0


@cache
def _own(group: str) -> tuple[EntryPoint, ...]:
    """The project's own entry points as its source tree declares them; empty where it is installed.

    A program that runs from its source tree may have been installed before an entry point was added, or
    not at all; the file is the one that the metadata is made from.
    """
    if not PROJECT_FILE.is_file():
        return ()
    project = tomllib.loads(PROJECT_FILE.read_text(encoding="utf-8")).get("project", {})
    declared = project.get("entry-points", {}).get(group, {}) if project.get("name") == "vcpd" else {}
    return tuple(EntryPoint(name, value, group) for name, value in declared.items())
