"""The configuration file before it is checked: where it may lie, its tables, the daemon's address."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from vcpd.core.deprecated_names import ENVIRONMENT_PREFIX, SECTION_SEPARATOR
from vcpd.core.errors import ConfigurationError
from vcpd.runtime.settings import DaemonSettings
from vcpd.web.settings import WebSettings

ADDRESS_KEYS: Final[Mapping[str, Mapping[str, type]]] = {
    "web": {"host": str, "port": int},
    "daemon": {"state_dir": str},
}


@dataclass(frozen=True, slots=True)
class DaemonAddress:
    """Host and port at which this machine reaches the daemon, and the absolute path of its state folder."""

    host: str
    port: int
    state_dir: Path


def read_daemon_address(path: Path, environment: Mapping[str, str]) -> DaemonAddress:
    """The address that `path` and the variables name; nothing else of the file is read or checked.

    A command that only asks the daemon needs no more: it answers sooner, and also while another setting of
    the file is wrong. Raises ConfigurationError for a file that is no TOML, and for a wrong address.
    """
    raw = read_toml(path)
    found = {section: _address_values(raw, section, environment) for section in ADDRESS_KEYS}
    web, daemon = WebSettings(**found["web"]), DaemonSettings(**found["daemon"])
    return DaemonAddress(web.local_host, web.port, (path.resolve().parent / daemon.state_dir).resolve())


def _address_values(raw: Mapping[str, Any], section: str, environment: Mapping[str, str]) -> dict[str, Any]:
    table = raw.get(section)
    values: dict[str, Any] = {}
    for key, kind in ADDRESS_KEYS[section].items():
        variable = f"{ENVIRONMENT_PREFIX}{section}{SECTION_SEPARATOR}{key}".upper()
        given = environment.get(variable, table.get(key) if isinstance(table, dict) else None)
        if given is None:
            continue
        try:
            values[key] = msgspec.convert(given, kind, strict=variable not in environment)
        except msgspec.ValidationError:
            expected = "a whole number" if kind is int else "a text"
            raise ConfigurationError([f"{section}.{key}: expected {expected}, was {given!r}"]) from None
    return values


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a configuration file; none where it is the one file that may be missing.

    Raises ConfigurationError for a file that is missing, cannot be read or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # as some editors write it, with a BOM
    except FileNotFoundError:
        if path == optional_config_path():
            return {}
        raise ConfigurationError(
            [f"{path}: no such file; name one with --config, or write one with `vcpd init`"]
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"{path}: cannot be read: {error}"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([f"{path}: not valid TOML: {error}"]) from None


def optional_config_path() -> Path:
    """The one file that may be missing: /var/lib/vcpd/config.toml for root, else below XDG_STATE_HOME."""
    if os.geteuid() == 0:
        return Path("/var/lib/vcpd/config.toml")
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "vcpd" / "config.toml"
