"""`vcpd watchlist note` and `vcpd watchlist notes`: what a user keeps of symbols, as the page shows it."""

import argparse
from typing import Any, Final

import msgspec

from vcpd.cli.client import daemon_client, quote_path_part
from vcpd.cli.command import (
    EXIT_OK,
    Subparsers,
    add_command,
    add_config_argument,
    add_format_arguments,
    add_json_argument,
)
from vcpd.cli.output import print_data, print_json
from vcpd.cli.tables import print_table
from vcpd.domain.instruments import SymbolMark

COLUMNS: Final = ("symbol", "star", "seen", "note")
STAR: Final = "*"


def add_watchlist_arguments(nested: Subparsers) -> None:
    """The actions below `vcpd watchlist` for notes, stars and the setups that were seen."""
    note = add_command(
        nested,
        "note",
        "write a note about a symbol, or remove it with an empty text",
        'vcpd watchlist note INFY "wait for volume"\nvcpd watchlist note INFY ""',
        write_note,
    )
    note.add_argument("symbol", metavar="SYMBOL", help="such as INFY or NSE:INFY")
    note.add_argument("text", metavar="TEXT", help="at most 2,000 characters; it replaces the note before")
    add_config_argument(note, nested=True)
    add_json_argument(note, nested=True)
    notes = add_command(
        nested,
        "notes",
        "symbols with a star or a note, and the session whose setup was looked at",
        "vcpd watchlist notes\nvcpd watchlist notes --csv",
        list_notes,
    )
    add_config_argument(notes, nested=True)
    add_format_arguments(notes, nested=True)


def write_note(arguments: argparse.Namespace) -> int:
    """Replace the symbol's note; its star stays."""
    path = f"/api/marks/{quote_path_part(arguments.symbol)}"
    answer = daemon_client(arguments).put(path, {"note": arguments.text})
    if arguments.json:
        print_json(answer)
    else:
        print(_written_text(msgspec.convert(answer, SymbolMark, strict=False)))
    return EXIT_OK


def _written_text(mark: SymbolMark) -> str:
    return f"{mark.symbol}: {mark.note}" if mark.note else f"{mark.symbol}: the note is removed"


def list_notes(arguments: argparse.Namespace) -> int:
    """A table of every symbol of which something is kept."""
    answer = daemon_client(arguments).get("/api/marks")
    if not print_data(arguments, answer, answer["items"]):
        _print_marks(answer)
    return EXIT_OK


def _print_marks(answer: dict[str, Any]) -> None:
    if not answer["items"]:
        print("nothing is kept of any symbol: write a note with `vcpd watchlist note SYMBOL TEXT`")
        return
    marks = msgspec.convert(answer["items"], list[SymbolMark], strict=False)
    print_table(
        f"{len(marks)} symbols with a star, a note or a look", COLUMNS, [_row(mark) for mark in marks]
    )


def _row(mark: SymbolMark) -> tuple[str, str, str, str]:
    seen = "" if mark.seen is None else mark.seen.isoformat()
    return mark.symbol, STAR if mark.starred else "", seen, mark.note
