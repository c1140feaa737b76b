"""`vcpd positions add|import|remove|stop|rules`: change the trades that the daemon stores."""

import argparse
from datetime import date
from pathlib import Path
from typing import Any, Final

from vcpd.cli.broker import add_broker_action
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
from vcpd.domain.portfolio import DEFAULT_RULES
from vcpd.runtime.clock import WallClock

SYMBOL_HELP: Final = "such as INFY or NSE:INFY"


def add_positions_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions below `vcpd positions`."""
    nested = parser.add_subparsers(title="actions", metavar="ACTION")
    adders = (_add_add, _add_import, _add_remove, _add_stop, _add_rules)
    for action in [add(nested) for add in adders]:
        add_config_argument(action, nested=True)
        add_json_argument(action, nested=True)
    add_broker_action(nested)


def _add_add(nested: Subparsers) -> argparse.ArgumentParser:
    action = add_command(
        nested,
        "add",
        "add a purchase, or with --sell a sale, to the daemon's store",
        "vcpd positions add INFY --date 2025-06-02 --price 1510 --quantity 60 --stop 1420\n"
        "vcpd positions add INFY --sell --date 2025-06-30 --price 1640 --quantity 30\n"
        "vcpd positions add TCS --date 2025-03-03 --stop 3150",
        add_fill,
    )
    action.add_argument("symbol", help=SYMBOL_HELP)
    action.add_argument("--date", type=date_argument, metavar="DATE", help="the session; default: today")
    action.add_argument(
        "--price",
        type=positive_number_argument,
        help="price of one share, without charges; without --price and --quantity they are those of a "
        "holding that the broker reports and of which no trade is stored",
    )
    action.add_argument("--quantity", type=positive_int_argument, help="number of shares")
    action.add_argument(
        "--stop", type=positive_number_argument, help="the initial stop; without one no result is given in R"
    )
    action.add_argument(
        "--rules", default=DEFAULT_RULES, metavar="SET", help="the set of sell rules to hold it by"
    )
    action.add_argument("--sell", action="store_true", help="a sale instead of a purchase")
    action.add_argument("--note", default="", help="a remark, for the journal")
    return action


def _add_import(nested: Subparsers) -> argparse.ArgumentParser:
    action = add_command(
        nested,
        "import",
        "add the trades of a CSV file to the daemon's store; trades that it has already are not added again",
        "vcpd positions import tradebook.csv\nvcpd positions import trades.csv --actions splits.csv",
        import_trades,
    )
    action.add_argument(
        "file",
        type=Path,
        help="a tradebook that Zerodha's Console exports, or a CSV file with the columns symbol, date, side, "
        "quantity, price",
    )
    action.add_argument(
        "--actions",
        type=Path,
        metavar="FILE",
        help="CSV of splits and bonuses since: symbol, session (the ex-date), ratio (shares after for each "
        "before)",
    )
    return action


def _add_remove(nested: Subparsers) -> argparse.ArgumentParser:
    action = add_command(
        nested,
        "remove",
        "remove trades of a symbol from the daemon's store",
        "vcpd positions remove INFY --date 2025-06-02",
        remove_trades,
    )
    action.add_argument("symbol", help=SYMBOL_HELP)
    action.add_argument("--date", type=date_argument, metavar="DATE", help="only trades of this session")
    action.add_argument("--trade-id", default="", metavar="ID", help="only this trade")
    return action


def _add_stop(nested: Subparsers) -> argparse.ArgumentParser:
    action = add_command(
        nested,
        "stop",
        "set the initial stop of purchases that the daemon stores",
        "vcpd positions stop INFY 1420",
        set_stop,
    )
    action.add_argument("symbol", help=SYMBOL_HELP)
    action.add_argument("price", type=positive_number_argument, help="in prices adjusted to today")
    action.add_argument("--date", type=date_argument, metavar="DATE", help="only this session's purchases")
    return action


def _add_rules(nested: Subparsers) -> argparse.ArgumentParser:
    action = add_command(
        nested,
        "rules",
        "choose the set of sell rules by which purchases are held",
        "vcpd positions rules INFY runner\nvcpd positions rules INFY default --date 2025-06-02",
        set_rules,
    )
    action.add_argument("symbol", help=SYMBOL_HELP)
    action.add_argument("rules", metavar="SET", help="a name of [positions] rule_sets, or default")
    action.add_argument("--date", type=date_argument, metavar="DATE", help="only this session's purchases")
    return action


def add_note_action(nested: Subparsers) -> None:
    """The action below `vcpd journal`."""
    action = add_command(
        nested,
        "note",
        "replace the note of a closed trade that the daemon stores",
        'vcpd journal note INFY "sold too early" --date 2025-06-30\n'
        'vcpd journal note INFY "bought over the pivot" --bought --date 2025-06-02',
        set_note,
    )
    action.add_argument("symbol", help=SYMBOL_HELP)
    action.add_argument("note", help='the text; "" removes it')
    action.add_argument(
        "--date", type=date_argument, metavar="DATE", help="day of the sale or purchase; default: the newest"
    )
    action.add_argument("--bought", action="store_true", help="on the purchase instead of the sale")
    add_config_argument(action, nested=True)
    add_json_argument(action, nested=True)


def add_fill(arguments: argparse.Namespace) -> int:
    """Add one trade. BadInputError for a price without a quantity, and the other way round."""
    if arguments.price is None and arguments.quantity is None and not arguments.sell:
        return _add_holding(arguments)
    if arguments.price is None or arguments.quantity is None:
        raise BadInputError("--price and --quantity: expected both, or neither for what the broker holds")
    body = {
        "symbol": arguments.symbol,
        "session": arguments.date or _today(),
        "side": "sell" if arguments.sell else "buy",
        "quantity": arguments.quantity,
        "price": arguments.price,
        "stop": arguments.stop,
        "note": arguments.note,
        "rules": arguments.rules,
    }
    return _send(arguments, "/api/positions", body)


def _add_holding(arguments: argparse.Namespace) -> int:
    """Add the purchase of a holding that has no stored trades."""
    body = {
        "symbol": arguments.symbol,
        "session": arguments.date or _today(),
        "stop": arguments.stop,
        "note": arguments.note,
        "rules": arguments.rules,
    }
    return _send(arguments, "/api/positions/holding", body)


def import_trades(arguments: argparse.Namespace) -> int:
    """Exit code 65 where a row was refused; the others are stored."""
    body = {
        "name": arguments.file.name,
        "trades": _text_of(arguments.file),
        "actions": "" if arguments.actions is None else _text_of(arguments.actions),
    }
    return _send(arguments, "/api/positions/import", body)


def remove_trades(arguments: argparse.Namespace) -> int:
    """Remove what the arguments name."""
    body = {"symbol": arguments.symbol, "session": arguments.date, "trade_id": arguments.trade_id}
    return _send(arguments, "/api/positions/remove", body)


def set_stop(arguments: argparse.Namespace) -> int:
    """Set the stop of all purchases of a symbol, or of a session's."""
    body = {"symbol": arguments.symbol, "stop": arguments.price, "session": arguments.date}
    return _send(arguments, "/api/positions/stop", body)


def set_rules(arguments: argparse.Namespace) -> int:
    """Choose the rules of all purchases of a symbol, or of a session's."""
    body = {"symbol": arguments.symbol, "rules": arguments.rules, "session": arguments.date}
    return _send(arguments, "/api/positions/rules", body)


def set_note(arguments: argparse.Namespace) -> int:
    """Replace the note of a sale or a purchase."""
    body = {
        "symbol": arguments.symbol,
        "note": arguments.note,
        "side": "buy" if arguments.bought else "sell",
        "session": arguments.date,
    }
    return _send(arguments, "/api/journal/note", body)


def _today() -> date:
    return WallClock().now().astimezone().date()


def _text_of(path: Path) -> str:
    try:
        return decode_csv(path.read_bytes(), str(path))
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}") from None


def _send(arguments: argparse.Namespace, path: str, body: dict[str, Any]) -> int:
    change = daemon_client(arguments).send(path, body)
    if arguments.json:
        print_json(change)
    else:
        _print_change(change)
    return EXIT_BAD_INPUT if change["refused"] else EXIT_OK


def _print_change(change: dict[str, Any]) -> None:
    counts = (
        f"{change[name]} {word}"
        for name, word in (
            ("added", "added"),
            ("known", "stored already"),
            ("removed", "removed"),
            ("changed", "changed"),
        )
        if change[name]
    )
    print(", ".join(counts) or "nothing changed")
    if change["judged"]:
        print(f"evaluated again after {change['judged']}: see `vcpd positions`")
    for word, rows in (("refused", change["refused"]), ("left out", change["left_out"])):
        print_not_taken(rows, word, f"rows {word}")
