"""Output of commands: JSON and CSV for programs, formatted numbers and instants for readers."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

NOT_TAKEN_SHOWN: Final = 20


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
