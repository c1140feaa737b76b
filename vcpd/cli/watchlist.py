"""`vcpd watchlist`: named lists of the daemon with closes, price levels and snoozes; files of them; notes."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
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
    set_action,
)
from vcpd.cli.output import number_text, print_data, print_json, print_table
from vcpd.cli.watchlist_changes import LIST_HELP
from vcpd.cli.watchlist_changes import add_watchlist_arguments as add_change_actions
from vcpd.core.atomic_file import write_atomic
from vcpd.domain.instruments import SymbolMark
from vcpd.domain.watchlist_files import ListFormat
from vcpd.domain.watchlists import LevelReading, WatchedSymbol, WatchlistView

NOTE_COLUMNS: Final = ("symbol", "star", "seen", "note")
STAR: Final = "*"
COLUMNS: Final = ("symbol", "lists", "close", "change %", "snoozed until", "levels")


def add_watchlist_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, watchlist, "vcpd watchlist\nvcpd watchlist show banks --csv")
    add_config_argument(parser)
    add_format_arguments(parser)
    parser.set_defaults(name=None)
    nested = parser.add_subparsers(title="actions", metavar="ACTION")
    _add_show(nested)
    add_change_actions(nested)
    _add_note_actions(nested)
    _add_export(nested)


def _add_show(nested: Subparsers) -> None:
    action = add_command(
        nested, "show", "the symbols of one list, or of all", "vcpd watchlist show banks", watchlist
    )
    action.add_argument("name", nargs="?", metavar="LIST", help="only this list")
    add_config_argument(action, nested=True)
    add_format_arguments(action, nested=True)


def _add_export(nested: Subparsers) -> None:
    action = add_command(
        nested,
        "export",
        "write a list as a TradingView list or as an order basket",
        "vcpd watchlist export banks --output banks.txt\n"
        "vcpd watchlist export banks --format basket --output banks.csv",
        export,
    )
    action.add_argument("name", metavar="LIST", help=LIST_HELP)
    action.add_argument(
        "--format",
        choices=[form.value for form in ListFormat],
        default=ListFormat.TRADINGVIEW.value,
        help="default: tradingview; a basket buys one share of each at the newest close",
    )
    action.add_argument("--output", type=Path, metavar="FILE", help="default: standard output")
    add_config_argument(action, nested=True)


def watchlist(arguments: argparse.Namespace) -> int:
    """A table of the watched symbols; of one list where the arguments name it."""
    answer = daemon_client(arguments).get("/api/watchlists", name=arguments.name)
    if not print_data(arguments, answer, list(_csv_rows(answer))):
        _print_view(msgspec.convert(answer, WatchlistView, strict=False))
    return EXIT_OK


def export(arguments: argparse.Namespace) -> int:
    """Write the file. BadInputError for an unknown list, RetryableError where it cannot be written."""
    answer = daemon_client(arguments).get(
        "/api/watchlists/export", name=arguments.name, format=arguments.format
    )
    if arguments.output is None:
        sys.stdout.write(answer["text"])
        return EXIT_OK
    write_atomic(arguments.output, answer["text"].encode())
    return EXIT_OK


def _csv_rows(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A row for each symbol and level; a symbol without levels has one row."""
    for item in answer["items"]:
        plain = {
            "symbol": item["symbol"],
            "name": item["name"],
            "lists": ";".join(item["lists"]),
            "session": item["session"],
            "close": item["close"],
            "change_pct": item["change_pct"],
            "snoozed_until": item["snoozed_until"],
        }
        for reading in item["levels"] or [{}]:
            level = reading.get("level", {})
            yield plain | {
                "level_id": reading.get("id"),
                "kind": level.get("kind"),
                "price": level.get("price"),
                "average": level.get("average"),
                "value": reading.get("value"),
                "distance_pct": reading.get("distance_pct"),
                "is_reached": reading.get("is_reached"),
                "note": level.get("note"),
            }


def _print_view(view: WatchlistView) -> None:
    if not view.items:
        print("no symbol is watched: add some with `vcpd watchlist add LIST SYMBOL`")
        return
    after = "" if view.session is None else f" after {view.session}"
    rows = [_row(item) for item in view.items]
    print_table(
        f"{view.count} watched symbols{after}", COLUMNS, rows, COLUMNS[2:4], least_needed=("snoozed until",)
    )
    print("lists: " + (", ".join(f"{entry.name} ({entry.count})" for entry in view.lists) or "none"))


def _row(item: WatchedSymbol) -> tuple[str, ...]:
    return (
        item.symbol,
        ", ".join(item.lists),
        number_text(item.close),
        number_text(item.change_pct, 1),
        "" if item.snoozed_until is None else str(item.snoozed_until),
        "; ".join(map(_level_text, item.levels)),
    )


def _level_text(reading: LevelReading) -> str:
    """Such as `7: above 1,500.00 (+2.1 %)`: its id, the level, how far the close must move."""
    text = f"{reading.id}: {reading.level.text}"
    if reading.is_reached:
        return f"{text} (reached)"
    return text if reading.distance_pct is None else f"{text} ({reading.distance_pct:+.1f} %)"


def _add_note_actions(nested: Subparsers) -> None:
    """The actions for notes, stars and the setups that were seen."""
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
        f"{len(marks)} symbols with a star, a note or a look",
        NOTE_COLUMNS,
        [_note_row(mark) for mark in marks],
    )


def _note_row(mark: SymbolMark) -> tuple[str, str, str, str]:
    seen = "" if mark.seen is None else mark.seen.isoformat()
    return mark.symbol, STAR if mark.starred else "", seen, mark.note
