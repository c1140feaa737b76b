"""Convert tables of a configuration file to structs; every problem is collected with its dotted path."""

import difflib
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from vcpd.core.errors import ConfigurationError
from vcpd.plugins import PluginTables, plugin_settings, plugin_tables

S = TypeVar("S", bound=msgspec.Struct)


def is_struct(kind: Any) -> bool:
    """Whether a declared type is a struct."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _unwrap_annotated(kind: Any) -> Any:
    """The type below `Annotated[...]`."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def mapping_of_structs(kind: Any) -> Any:
    """The struct of a mapping from names to structs; None for any other type."""
    bare = _unwrap_annotated(kind)
    arguments = get_args(bare)
    if get_origin(bare) is not None and len(arguments) == 2 and is_struct(arguments[1]):
        return arguments[1]
    return None


def struct_fields(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The declared type of each field by its name."""
    return get_type_hints(kind, include_extras=True)


class StructReader:
    """Converts raw tables to structs; collects every problem instead of stopping at the first."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems

    def struct(self, kind: type[S], raw: Any, path: str) -> S | None:
        """The struct that a table holds; None where there is a problem, which is noted."""
        if not isinstance(raw, dict):
            self.problems.append(f"{path or 'file'}: expected a table, was {_display_value(raw, path)}")
            return None
        before = len(self.problems)
        fields = struct_fields(kind)
        self._report_unknown(raw, fields, path)
        values = {
            name: self._value(fields[name], raw[name], _join_path(path, name))
            for name in raw
            if name in fields
        }
        return self._build(kind, values, path) if len(self.problems) == before else None

    def _report_unknown(self, raw: dict[str, Any], fields: Mapping[str, Any], path: str) -> None:
        for name in raw:
            if name not in fields:
                near = difflib.get_close_matches(name, fields, n=1)
                hint = f"; did you mean `{near[0]}`?" if near else ""
                self.problems.append(f"{_join_path(path, name)}: unknown key{hint}")

    def _value(self, kind: Any, raw: Any, path: str) -> Any:
        if is_struct(kind):
            return self.struct(kind, raw, path)
        if mark := plugin_tables(kind):
            return self._plugin_tables(mark, raw, path)
        if inner := mapping_of_structs(kind):
            return self._tables(inner, raw, path)
        try:
            return msgspec.convert(raw, kind)
        except msgspec.ValidationError as error:
            self.problems.append(
                f"{path}: {_describe_expected(error, kind)}, was {_display_value(raw, path)}"
            )
            return None

    def _tables(self, kind: type[S], raw: Any, path: str) -> dict[str, S | None] | None:
        if not isinstance(raw, dict):
            self.problems.append(f"{path}: expected a table of tables, was {_display_value(raw, path)}")
            return None
        return {name: self.struct(kind, table, _join_path(path, name)) for name, table in raw.items()}

    def _plugin_tables(self, mark: PluginTables, raw: Any, path: str) -> dict[str, Any]:
        """One table per plug-in, each read as the struct that its plug-in declares."""
        if not isinstance(raw, dict):
            self.problems.append(f"{path}: expected a table of tables, was {_display_value(raw, path)}")
            return {}
        found: dict[str, Any] = {}
        for name, table in raw.items():
            try:
                found[name] = self.struct(plugin_settings(mark, name), table, f"{path}.{name}")
            except ConfigurationError as error:
                self.problems += [f"{path}.{name}: {problem}" for problem in error.problems]
        return found

    def _build(self, kind: type[S], values: dict[str, Any], path: str) -> S | None:
        try:
            return kind(**values)
        except ValueError as error:
            self.problems.append(f"{path}: {error}" if path else str(error))
            return None


def _join_path(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _describe_expected(error: msgspec.ValidationError, kind: Any) -> str:
    """Describe what was expected; for an enumeration, list its values."""
    text = str(error)
    names = ", ".join(_allowed_values(kind))
    if names and text.startswith("Invalid enum value"):
        return f"expected one of {names}"
    return text[:1].lower() + text[1:]


def _allowed_values(kind: Any) -> Iterator[str]:
    """The values that a declared type allows: those of its literals and enumerations."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        yield from (str(member.value) for member in kind)
    elif get_origin(kind) is Literal:
        yield from map(str, get_args(kind))
    else:
        for inner in get_args(kind):
            yield from _allowed_values(inner)


def _display_value(raw: Any, path: str) -> str:
    """The value as written; a database address may hold a password and is never shown."""
    if path.endswith(("dsn", "secret", "token", "password")):
        return "***"
    return repr(raw)
