"""`vcpd watchlist add|remove|rename|delete|import|level|remove-level|snooze`: change watch lists."""

import argparse
from pathlib import Path
from typing import Any, Final

from vcpd.cli.client import daemon_client
from vcpd.cli.command import (
    EXIT_BAD_INPUT,
    EXIT_OK,
    Subparsers,
    add_command,
    add_config_argument,
    add_json_argument,
    date_argument,
    positive_int_argument,
    positive_number_argument,
)
from vcpd.cli.output import print_json, print_not_taken
from vcpd.core.csv_table import decode_csv
from vcpd.core.errors import BadInputError

LIST_HELP: Final = "name of a list; `starred` is the list of the stars"
SYMBOL_HELP: Final = "such as INFY or NSE:INFY"


def add_watchlist_arguments(nested: Subparsers) -> None:
    """The actions below `vcpd watchlist` that change something."""
    for action in (*_list_actions(nested), *_symbol_actions(nested)):
        add_config_argument(action, nested=True)
        add_json_argument(action, nested=True)


def _list_actions(nested: Subparsers) -> list[argparse.ArgumentParser]:
    add = add_command(
        nested, "add", "add symbols to a list; a name that is new makes a list",
        "vcpd watchlist add banks HDFCBANK ICICIBANK", add_symbols,
    )  # fmt: skip
    remove = add_command(
        nested, "remove", "remove symbols from a list; a list without symbols is deleted",
        "vcpd watchlist remove banks ICICIBANK", remove_symbols,
    )  # fmt: skip
    rename = add_command(
        nested, "rename", "give a list another name", "vcpd watchlist rename banks lenders", rename_list
    )
    delete = add_command(
        nested, "delete", "delete a list; price levels of its symbols stay",
        "vcpd watchlist delete banks", delete_list,
    )  # fmt: skip
    read = add_command(
        nested, "import",
        "add the symbols of a TradingView list, or of an order basket as CSV or JSON, to a list",
        "vcpd watchlist import banks banks.txt", import_file,
    )  # fmt: skip
    for action in (add, remove, rename, delete, read):
        action.add_argument("name", metavar="LIST", help=LIST_HELP)
    for action in (add, remove):
        action.add_argument("symbols", nargs="+", metavar="SYMBOL", help=SYMBOL_HELP)
    rename.add_argument("new_name", metavar="NEW", help="the new name")
    read.add_argument("file", type=Path, metavar="FILE", help="the list as text, the basket as CSV or JSON")
    return [add, remove, rename, delete, read]


def _symbol_actions(nested: Subparsers) -> list[argparse.ArgumentParser]:
    level = add_command(
        nested, "level", "set a price level of a symbol; a session that reaches it is an alert",
        'vcpd watchlist level INFY --above 1500 --note "above the base"\n'
        "vcpd watchlist level INFY --average 50", set_level,
    )  # fmt: skip
    level.add_argument("symbol", metavar="SYMBOL", help=SYMBOL_HELP)
    kind = level.add_mutually_exclusive_group(required=True)
    kind.add_argument(
        "--above", type=positive_number_argument, metavar="PRICE", help="at this price or above"
    )
    kind.add_argument(
        "--below", type=positive_number_argument, metavar="PRICE", help="at this price or below"
    )
    kind.add_argument(
        "--average", type=positive_int_argument, metavar="SESSIONS",
        help="the price changes sides of the moving average of so many sessions, 2 to 400",
    )  # fmt: skip
    level.add_argument("--note", default="", help="a remark, which the alert repeats")
    remove = add_command(
        nested, "remove-level", "remove a price level by the id that `vcpd watchlist` shows",
        "vcpd watchlist remove-level 7", remove_level,
    )  # fmt: skip
    remove.add_argument("id", type=positive_int_argument, metavar="ID", help="id of the level")
    snooze = add_command(
        nested, "snooze", "silence the price levels of a symbol until a date, or with --end no longer",
        "vcpd watchlist snooze INFY --until 2026-01-15", snooze_symbol,
    )  # fmt: skip
    snooze.add_argument("symbol", metavar="SYMBOL", help=SYMBOL_HELP)
    ends = snooze.add_mutually_exclusive_group(required=True)
    ends.add_argument(
        "--until", type=date_argument, metavar="DATE", help="from this session on its levels alert again"
    )
    ends.add_argument("--end", action="store_true", help="its levels alert again from now on")
    return [level, remove, snooze]


def add_symbols(arguments: argparse.Namespace) -> int:
    """Exit code 65 where a symbol was refused; the others are added."""
    return _send(arguments, "", {"name": arguments.name, "add": arguments.symbols})


def remove_symbols(arguments: argparse.Namespace) -> int:
    """Take the named symbols out of the list."""
    return _send(arguments, "", {"name": arguments.name, "remove": arguments.symbols})


def rename_list(arguments: argparse.Namespace) -> int:
    """Give the list its new name."""
    return _send(arguments, "/rename", {"name": arguments.name, "new_name": arguments.new_name})


def delete_list(arguments: argparse.Namespace) -> int:
    """Delete the list."""
    return _send(arguments, "/delete", {"name": arguments.name})


def import_file(arguments: argparse.Namespace) -> int:
    """Exit code 65 where an entry was refused; the others are added."""
    try:
        text = decode_csv(arguments.file.read_bytes(), str(arguments.file))
    except OSError as error:
        raise BadInputError(f"{arguments.file}: {error.strerror}") from None
    body = {"name": arguments.name, "file_name": arguments.file.name, "text": text}
    return _send(arguments, "/import", body)


def set_level(arguments: argparse.Namespace) -> int:
    """Set the one level that the arguments give."""
    body = {name: getattr(arguments, name) for name in ("symbol", "above", "below", "average", "note")}
    return _send(arguments, "/levels", body)


def remove_level(arguments: argparse.Namespace) -> int:
    """Remove the level with this id."""
    return _send(arguments, "/levels/remove", {"id": arguments.id})


def snooze_symbol(arguments: argparse.Namespace) -> int:
    """Begin or end the snooze of a symbol."""
    return _send(arguments, "/snooze", {"symbol": arguments.symbol, "until": arguments.until})


def _send(arguments: argparse.Namespace, path: str, body: dict[str, Any]) -> int:
    change = daemon_client(arguments).send(f"/api/watchlists{path}", body)
    if arguments.json:
        print_json(change)
    else:
        _print_change(change)
    return EXIT_BAD_INPUT if change["refused"] else EXIT_OK


def _print_change(change: dict[str, Any]) -> None:
    counts = [
        f"{change[name]} {word}"
        for name, word in (("added", "added"), ("known", "in the list already"), ("removed", "removed"),
                           ("changed", "changed"))
        if change[name]
    ]  # fmt: skip
    number = change["level_id"]
    print(f"level {number} is set" if number else ", ".join(counts) or "nothing changed")
    print_not_taken(change["refused"], "refused", "refused")
