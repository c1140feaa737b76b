"""Reads a study plan from a TOML file; every problem is named with its dotted path."""

import tomllib
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any, Final

import msgspec

from vcpd.analysis.thresholds import Thresholds
from vcpd.core.errors import BadInputError, ConfigurationError
from vcpd.struct_reader import StructReader
from vcpd.studies.plan import MAX_CELLS, StudyPlan

LISTS: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("entry", "holding_sessions"),
    "stop": ("percent", "atr"),
    "exit": ("target_r", "time_sessions", "average_sessions", "chandelier_atr", "half_r"),
    "portfolio": ("risk_pct", "positions", "heat_pct"),
    "universe": ("series",),
    "fills": ("limits_pct",),
}


def read_plan(path: Path, thresholds: Thresholds) -> StudyPlan:
    """The plan in `path`; what its `[screen]` does not name is as in `thresholds`.

    Raises BadInputError for a file that cannot be read, ConfigurationError with every problem of a plan.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: is no TOML file: {error}") from None
    return parse_plan(raw, thresholds, str(path))


def parse_plan(raw: Mapping[str, Any], thresholds: Thresholds, source: str = "plan") -> StudyPlan:
    """The plan in tables as TOML has them; a single value stands for a list of itself."""
    problems: list[str] = []
    tables = _with_lists(raw)
    screen = tables.pop("screen", {})
    made = ("settings", "varied", "facts")  # from [screen] and other files: no keys of this one
    problems += [f"{name}: unknown key; thresholds belong in [screen]" for name in made if name in tables]
    tables = {name: value for name, value in tables.items() if name not in made}
    plan = StructReader(problems).struct(StudyPlan, tables, "")
    settings, varied = _settings(screen, thresholds, problems)
    if problems or plan is None:
        raise ConfigurationError([f"{source}: {problem}" for problem in problems])
    return msgspec.structs.replace(plan, settings=settings, varied=varied)


def _with_lists(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The tables with every axis as a list."""
    tables = {name: dict(value) if isinstance(value, dict) else value for name, value in raw.items()}
    for section, names in LISTS.items():
        table = tables.get(section, {}) if section else tables
        if isinstance(table, dict):
            table.update({name: _as_list(table[name]) for name in names if name in table})
    return tables


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _settings(
    screen: Any, thresholds: Thresholds, problems: list[str]
) -> tuple[tuple[Thresholds, ...], tuple[str, ...]]:
    """The thresholds of every combination of `[screen]`, and the names with several values."""
    if not isinstance(screen, dict):
        problems.append(f"screen: expected a table, was {screen!r}")
        return (), ()
    values = {name: _as_list(value) for name, value in screen.items()}
    problems += [f"screen.{name}: expected at least one value" for name, own in values.items() if not own]
    combinations = 1
    for own in values.values():
        combinations *= len(own)
    if combinations > MAX_CELLS:
        problems.append(f"screen: {combinations:,} combinations, expected at most {MAX_CELLS:,}")
        return (), ()
    found = [_combined(dict(zip(values, combination, strict=True)), thresholds, problems)
             for combination in product(*values.values())]  # fmt: skip
    problems[:] = dict.fromkeys(problems)  # the same problem of several combinations once
    settings = tuple(setting for setting in found if setting is not None)
    return settings, tuple(name for name, own in values.items() if len(own) > 1)


def _combined(values: dict[str, Any], thresholds: Thresholds, problems: list[str]) -> Thresholds | None:
    names = Thresholds.__struct_fields__
    same = {name: getattr(thresholds, name) for name in names if name not in values}
    return StructReader(problems).struct(Thresholds, {**same, **values}, "screen")
