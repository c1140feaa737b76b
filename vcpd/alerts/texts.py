"""Texts with named facts: `{pivot:.2f}`. Nothing in them is ever run: a name, a plain format, no more."""

import re
from collections.abc import Iterator
from string import Formatter
from typing import Final

from vcpd.alerts.facts import Facts
from vcpd.domain.alerts import Fact

UNKNOWN: Final = "-"
NAME: Final = re.compile(r"[a-z_]+")
PLAIN_FORMAT: Final = re.compile(r"[<>^]?\+?\d{0,2},?(\.\d{1,2})?[dfgs%]?")


def problems_of(text: str, known: Facts) -> Iterator[str]:
    """Why a text cannot be filled in: broken braces, an unknown fact, a format that does not fit it."""
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        yield f"cannot be read ({error}); a brace itself is written twice"
        return
    for _, name, spec, conversion in parts:
        if name is not None:
            yield from _part_problems(name, spec or "", conversion, known)


def _part_problems(name: str, spec: str, conversion: str | None, known: Facts) -> Iterator[str]:
    if not NAME.fullmatch(name) or name not in known:
        yield f"there is no fact `{name}`; known are {', '.join(sorted(known))}"
        return
    if conversion is None and PLAIN_FORMAT.fullmatch(spec):
        try:
            format(known[name], spec)
        except ValueError:
            pass
        else:
            return
    written = f"{f'!{conversion}' if conversion else ''}:{spec}"
    yield f"`{name}` cannot be written as `{written}`; a format is such as `:.2f`, `:,.0f` or `:>8`"


def filled(text: str, facts: Facts) -> str:
    """The text with its facts; a line that names only unknown ones is left out."""
    lines = [_line(line, facts) for line in text.splitlines()]
    return "\n".join(line for line in lines if line is not None)


def one_line(text: str) -> str:
    """The same without line ends and other control characters: for titles and headers."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _line(line: str, facts: Facts) -> str | None:
    parts = list(Formatter().parse(line))
    named = [name for _, name, _, _ in parts if name is not None]
    if named and all(facts.get(name) in (None, "") for name in named):
        return None
    return "".join(
        before + ("" if name is None else written(facts.get(name), spec or ""))
        for before, name, spec, _ in parts
    )


def written(value: Fact, spec: str) -> str:
    """One fact as its format says; an unknown one as a dash, one of another type in plain words."""
    if value is None:
        return UNKNOWN
    if not spec and isinstance(value, float):
        spec = ".2f"
    try:
        return format(value, spec)
    except ValueError:
        return str(value)
