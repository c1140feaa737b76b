"""The reference of all settings as Markdown, made from their types."""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import msgspec

from vcpd.cli.configuration_text import first_line, settings, toml_value
from vcpd.config import Configuration

HEAD = (
    "# Configuration",
    "",
    "One TOML file, `config.toml`; every setting has a default. `vcpd check-config` judges a file,",
    "`vcpd show-config` prints what holds and where each value came from. A variable `VCPD_SECTION__KEY`",
    "(for a job `VCPD_JOBS__NAME__KEY`) wins over the file. `vcpd show-config --markdown` prints this page.",
    "",
    "Secrets are never settings. `kite_api_secret`, `web_token` and `store_dsn` are looked for in the",
    "service manager's credentials, then in files of mode 0600 in `secrets/` below the state directory,",
    "then in the variables `VCPD_KITE_API_SECRET`, `VCPD_WEB_TOKEN` and `VCPD_STORE_DSN`; those of alerts,",
    "such as `alerts_telegram_token`, in the same places.",
)
WORDS: Final = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def markdown(configuration: Configuration) -> str:
    """Every setting with its type, default and meaning, one table a section."""
    lines = [*HEAD]
    for section in configuration.__struct_fields__:
        value = getattr(configuration, section)
        if isinstance(value, Mapping):
            lines += _jobs_markdown(section, value)
        else:
            lines += _section_markdown(section, value)
    return "\n".join(lines) + "\n"


def _section_markdown(path: str, value: msgspec.Struct) -> Iterator[str]:
    yield from ("", f"## [{path}]", first_line(type(value).__doc__ or ""), "")
    yield from ("| setting | type | default | meaning |", "|---|---|---|---|")
    inner: list[str] = []
    for name, kind, text, _ in settings(type(value)):
        field = getattr(value, name)
        if isinstance(field, msgspec.Struct):
            inner += _section_markdown(f"{path}.{name}", field)
        else:
            default = "unset" if field is None else f"`{toml_value(field)}`"
            yield f"| `{name}` | {type_words(kind)} | {_cell(default)} | {_cell(text)} |"
    yield from inner


def _jobs_markdown(section: str, jobs: Mapping[str, msgspec.Struct]) -> Iterator[str]:
    """What a job's table may hold, then what the default day says."""
    kind = type(next(iter(jobs.values())))
    yield from _section_markdown(f"{section}.NAME", kind())
    yield from ("", "### The default day", "", "| job | settings that differ |", "|---|---|")
    plain = kind()
    for name, job in jobs.items():
        own = [
            f"`{field} = {toml_value(getattr(job, field))}`"
            for field in kind.__struct_fields__
            if getattr(job, field) != getattr(plain, field)
        ]
        yield f"| `{name}` | {_cell(', '.join(own))} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def type_words(kind: Any) -> str:
    """A declared type and its bounds in words."""
    if get_origin(kind) is Annotated:
        bare, *extras = get_args(kind)
        bounds = [words for extra in extras if isinstance(extra, msgspec.Meta) for words in _bounds(extra)]
        return " ".join([type_words(bare), *bounds])
    arguments = get_args(kind)
    if choices := _choices(kind):
        return " or ".join(f"`{choice}`" for choice in choices)
    if type(None) in arguments:
        return type_words(next(one for one in arguments if one is not type(None)))
    if get_origin(kind) is tuple:
        return f"list of {type_words(arguments[0])}"
    if arguments:
        return f"table of {type_words(arguments[-1])}"
    return WORDS.get(kind, getattr(kind, "__name__", str(kind)))


def _choices(kind: Any) -> tuple[Any, ...]:
    """The values of a literal or an enumeration."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return tuple(choice.value for choice in kind)
    return get_args(kind) if get_origin(kind) is Literal else ()


def _bounds(meta: msgspec.Meta) -> Iterator[str]:
    for sign, bound in ((">", meta.gt), (">=", meta.ge), ("<", meta.lt), ("<=", meta.le)):
        if bound is not None:
            yield f"{sign} {bound:g}"
