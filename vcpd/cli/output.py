"""Output of commands: tables for people, JSON for programs; warnings only on standard error.

Rich is imported by what prints with it: commands such as `vcpd status` print plain lines and are quick.
"""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from rich.console import Console

PIPED_WIDTH: Final = 160


def console() -> "Console":
    """Standard output; as wide as the terminal, or wide enough for a file."""
    from rich.console import Console  # noqa: PLC0415 - see the module's docstring

    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)


def print_json(value: Any) -> None:
    """A value as JSON, indented so that people can read it too."""
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[str] = ()
) -> None:
    """A table; the columns named in `numbers` stand to the right."""
    from rich import box  # noqa: PLC0415 - see the module's docstring
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        right = name in numbers
        table.add_column(name, justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console().print(table)


def number_text(value: float | None, places: int = 2) -> str:
    """A number with its thousands apart; nothing for an unknown one."""
    return "" if value is None else f"{value:,.{places}f}"


def local_text(instant: str | datetime | None, zone: Any) -> str:
    """An instant in the exchange's time, `Mon 2025-06-30 15:35`."""
    if instant is None:
        return ""
    known = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
    return known.astimezone(zone).strftime("%a %Y-%m-%d %H:%M")
