"""The configuration as commented TOML: for config.toml, `show-config` and the documentation."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from vcpd.config import Configuration


def document(configuration: Configuration, origins: Mapping[str, str] | None = None) -> str:
    """Every setting with its one-line meaning; with `origins`, also where each value came from."""
    lines: list[str] = []
    for section in configuration.__struct_fields__:
        value = getattr(configuration, section)
        if isinstance(value, Mapping):
            for name, table in value.items():
                lines += _table(f"{section}.{name}", table, origins, commented=origins is None)
        else:
            lines += _table(section, value, origins, commented=True)
    return "\n".join(lines).lstrip("\n") + "\n"


def settings(kind: type[msgspec.Struct]) -> Iterator[tuple[str, Any, str, Any]]:
    """Each field of a settings struct: name, declared type, one-line meaning, default."""
    hints = get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
        yield field.name, hints[field.name], meaning(hints[field.name]), default


def meaning(annotation: Any) -> str:
    """The description that the type carries."""
    if get_origin(annotation) is Annotated:
        for extra in get_args(annotation)[1:]:
            if isinstance(extra, msgspec.Meta) and extra.description:
                return " ".join(extra.description.split())
    return ""


def _table(
    path: str, value: msgspec.Struct, origins: Mapping[str, str] | None, *, commented: bool
) -> Iterator[str]:
    yield ""
    if commented and type(value).__doc__:
        yield f"# {first_line(type(value).__doc__ or '')}"
    yield f"[{path}]"
    inner: list[str] = []
    for name, _, text, _ in settings(type(value)):
        field = getattr(value, name)
        if isinstance(field, msgspec.Struct):
            inner += _table(f"{path}.{name}", field, origins, commented=commented)
            continue
        origin = (origins or {}).get(f"{path}.{name}", "default")
        if origins is None and commented and text:
            yield f"# {text}"
        yield _line(name, field) + (f"  # {origin}" if origins is not None else "")
    yield from inner


def first_line(text: str) -> str:
    return text.strip().splitlines()[0]


def _line(name: str, value: Any) -> str:
    return f"# {name} =" if value is None else f"{name} = {toml_value(value)}"


def toml_value(value: Any) -> str:
    """A plain value as TOML writes it."""
    plain = msgspec.to_builtins(value)
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in plain) + "]"
    if isinstance(plain, dict):
        return "{ " + ", ".join(f"{key} = {toml_value(item)}" for key, item in plain.items()) + " }"
    return json.dumps(plain, ensure_ascii=False)
