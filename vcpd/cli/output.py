"""Output of commands: JSON and CSV for programs, numbers, instants and tables for readers.

A table fits the terminal: no symbol is split, and a column left out is named below. Rich is imported by what
prints with it: commands such as `vcpd status` print plain lines and are quick.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from rich.console import Console

NOT_TAKEN_SHOWN: Final = 20
PIPED_WIDTH: Final = 160
GAP: Final = 2  # blanks between two columns
LONGEST_UNFOLDED: Final = 24  # characters; a longer text may be folded between its words


def print_json(value: Any) -> None:
    """Formats a value as indented JSON."""
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_data(arguments: argparse.Namespace, document: Any, items: Sequence[Any]) -> bool:
    """Print the document for --json, or its items for --csv; False where neither is given.

    In CSV a table within an item becomes columns such as `components_trend`, a list numbered ones.
    """
    if arguments.json:
        print_json(document)
    elif arguments.csv:
        from vcpd.store.table_files import rows_frame  # noqa: PLC0415 - heavy, for CSV alone

        rows = [msgspec.to_builtins(item) for item in items]
        sys.stdout.write(rows_frame(rows).write_csv() if rows else "")
    return bool(arguments.json or arguments.csv)


def print_not_taken(rows: Sequence[Mapping[str, str]], verdict: str, more: str) -> None:
    """Name on standard error the first rows of a file that were not taken, each with its place and reason.

    `verdict` is such as `refused`; `more` says in the last line what the others are, such as `rows refused`.
    """
    for row in rows[:NOT_TAKEN_SHOWN]:
        print(f"vcpd: {verdict} {row['place']}: {row['reason']}", file=sys.stderr)
    if len(rows) > NOT_TAKEN_SHOWN:
        print(f"vcpd: and {len(rows) - NOT_TAKEN_SHOWN} more {more}", file=sys.stderr)


def number_text(value: float | None, places: int = 2) -> str:
    """A number with its thousands apart; nothing for an unknown one."""
    return "" if value is None else f"{value:,.{places}f}"


def local_text(instant: str | datetime | None, zone: Any) -> str:
    """An instant in the exchange's time, `Mon 2025-06-30 15:35`."""
    if instant is None:
        return ""
    known = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
    return known.astimezone(zone).strftime("%a %Y-%m-%d %H:%M")


def console() -> "Console":
    """Standard output; as wide as the terminal, or wide enough for a file."""
    from rich.console import Console  # noqa: PLC0415 - see the module's docstring

    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    numbers: Sequence[str] = (),
    *,
    least_needed: Sequence[str] = (),
) -> None:
    """A table; the columns named in `numbers` stand to the right.

    Where the terminal is too narrow, columns are left out: those of `least_needed` in their order, then
    from the right. A line below names them.
    """
    from rich import box  # noqa: PLC0415 - see the module's docstring
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    out, cells = console(), [tuple(row) for row in rows]
    widths = {name: _least_width(name, [row[at] for row in cells]) for at, name in enumerate(columns)}
    shown = fitting_columns(widths, out.width, least_needed)
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in shown:
        right = name in numbers
        table.add_column(name, justify="right" if right else "left", min_width=widths[name], overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell) for name, cell in zip(columns, row, strict=True) if name in shown))
    out.print(table)
    if left_out := [name for name in columns if name not in shown]:
        print(f"not shown: {', '.join(left_out)} (a wider terminal, --csv or --json shows them)")


def fitting_columns(widths: dict[str, int], width: int, least_needed: Sequence[str]) -> tuple[str, ...]:
    """The columns that fit `width`, whose own least widths are given in their order; the first one always."""
    shown = list(widths)
    candidates = [name for name in least_needed if name in widths] + list(reversed(list(widths)[1:]))
    for name in dict.fromkeys(candidates):
        if sum(widths[column] + GAP for column in shown) - GAP <= width:
            break
        shown.remove(name)
    return tuple(shown)


def _least_width(name: str, cells: Sequence[str]) -> int:
    """The least width at which no word of the column is split; short texts stay on one line."""
    words = [len(word) for text in (name, *cells) for word in text.split()]
    whole = [len(cell) for cell in cells if len(cell) <= LONGEST_UNFOLDED]
    return max([*words, *whole, 1])
