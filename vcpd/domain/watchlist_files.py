"""Watch lists as files: the text lists of TradingView, and order baskets as CSV or JSON.

TradingView writes a list as symbols between commas, perhaps over several lines and with sections
(`###Banks,NSE:HDFCBANK,NSE:ICICIBANK`). A basket has one order a row, or one
object an order; only symbol and exchange are read.
"""

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Final

import msgspec

from vcpd.core.csv_table import parse_csv_table
from vcpd.core.errors import BadInputError
from vcpd.domain.position_notes import NotTaken

SECTION_PREFIX: Final = "###"
SYMBOL_COLUMNS: Final = ("TRADINGSYMBOL", "TRADING SYMBOL", "INSTRUMENT", "SYMBOL")
EXCHANGE_COLUMN: Final = "EXCHANGE"
BASKET_COLUMNS: Final = (
    "tradingsymbol", "exchange", "transaction_type", "quantity", "order_type", "product", "price", "validity",
)  # fmt: skip
JSON_STARTS: Final = ("[", "{")  # no symbol begins so
JSON_EXPECTED: Final = "expected a basket as a JSON array of orders"
JSON_BYTE: Final = re.compile(r" \(byte (\d+)\)")  # how msgspec names a place
MAX_SHOWN_KEYS: Final = 5
MAX_SHOWN_CHARACTERS: Final = 40
TRADING_VIEW_NAMES: Final = str.maketrans("&-", "__")
Entry = tuple[str, str, str]  # place, symbol as it is written, why it cannot be read or ""
FindSymbol = Callable[
    [str], str | None
]  # a symbol as a file writes it -> as the store names it, if it is listed


class ListFormat(StrEnum):
    """A format of a watch list's file."""

    TRADINGVIEW = "tradingview"
    BASKET = "basket"
    BASKET_JSON = "basket-json"

    @property
    def has_prices(self) -> bool:
        """Whether its orders name prices."""
        return self is not ListFormat.TRADINGVIEW

    @property
    def ending(self) -> str:
        """The ending of its files' names."""
        return {ListFormat.BASKET: "csv", ListFormat.BASKET_JSON: "json"}.get(self, "txt")


class SymbolFile(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of a file: listed symbols, each once in its order, and entries that name none."""

    symbols: tuple[str, ...]
    refused: tuple[NotTaken, ...] = ()


def trading_view_name(symbol: str) -> str:
    """`NSE:M_M` of `NSE:M&M`: TradingView writes an underscore for an ampersand and for a hyphen."""
    return symbol.translate(TRADING_VIEW_NAMES)


def symbol_finder(symbols: Iterable[str], exchange: str) -> FindSymbol:
    """Finds the listed symbol that a file names, by its own or TradingView's spelling, any case.

    A name without an exchange is one of `exchange`.
    """
    listed = frozenset(symbols)
    by_name = {trading_view_name(symbol): symbol for symbol in sorted(listed)}

    def find(written: str) -> str | None:
        name = written.strip().upper()
        full = name if ":" in name else f"{exchange}:{name}"
        return full if full in listed else by_name.get(trading_view_name(full))

    return find


def read_symbol_file(name: str, text: str, find: FindSymbol) -> SymbolFile:
    """The symbols of a file of any format. BadInputError for a file that names no symbol at all."""
    entries = list(_entries(name, text.removeprefix("\ufeff")))
    if not entries:
        raise BadInputError(
            f"{name}: expected symbols such as NSE:INFY between commas, or a basket with "
            "`tradingsymbol` as CSV or JSON"
        )
    symbols: dict[str, None] = {}
    refused = []
    for place, written, problem in entries:
        symbol = None if problem else find(written)
        if problem:
            refused.append(NotTaken(place, problem))
        elif symbol is None:
            shown = written.strip()[:MAX_SHOWN_CHARACTERS]
            refused.append(NotTaken(place, f"{shown!r}: no such symbol is listed" if shown else "no symbol"))
        else:
            symbols[symbol] = None
    return SymbolFile(symbols=tuple(symbols), refused=tuple(refused))


def _entries(name: str, text: str) -> Iterator[Entry]:
    """The entries by the format that the text has."""
    if text.lstrip().startswith(JSON_STARTS):
        return _json_entries(name, text)
    return _basket_entries(name, text) if _is_basket(text) else _trading_view_entries(name, text)


def _json_entries(name: str, text: str) -> Iterator[Entry]:
    orders = _decode_json(name, text)
    if not isinstance(orders, list):
        raise BadInputError(f"{name}: {JSON_EXPECTED}, was a single object")
    if not orders:
        raise BadInputError(f"{name}: {JSON_EXPECTED}, was an empty array")
    for number, order in enumerate(orders, 1):
        place = f"{name}, order {number}"
        try:
            yield place, _ordered_symbol(order), ""
        except BadInputError as error:
            yield place, "", str(error)


def _decode_json(name: str, text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except RecursionError:
        raise BadInputError(f"{name}: {JSON_EXPECTED}, was nested too deeply") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        found = JSON_BYTE.search(str(error))
        known = text.encode(errors="replace")[: None if found is None else int(found[1])]
        reason = JSON_BYTE.sub("", str(error))
        line = known.count(b"\n") + 1
        raise BadInputError(f"{name}, line {line}: {JSON_EXPECTED}: {reason}") from None


def _ordered_symbol(order: object) -> str:
    """The symbol of an order, which names it itself or in an object `instrument`.

    BadInputError, naming the field, where it names none.
    """
    own = order.get("instrument", order) if isinstance(order, dict) else order
    if not isinstance(own, dict):
        raise BadInputError(f"expected an object with `tradingsymbol`, was {_shown(own)}")
    symbol, exchange = own.get("tradingsymbol"), own.get("exchange", "")
    if symbol is None:
        keys = ", ".join(f"`{key[:MAX_SHOWN_CHARACTERS]}`" for key in list(own)[:MAX_SHOWN_KEYS]) or "nothing"
        raise BadInputError(f"no symbol: expected `tradingsymbol`, found {keys}")
    for field, value in (("tradingsymbol", symbol), ("exchange", exchange)):
        if not isinstance(value, str):
            raise BadInputError(f"{field}: expected text, was {_shown(value)}")
    return _full_name(str(exchange), str(symbol))


def _shown(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}..."


def _full_name(exchange: str, symbol: str) -> str:
    return symbol if ":" in symbol or not exchange or not symbol else f"{exchange}:{symbol}"


def _is_basket(text: str) -> bool:
    """Whether the first row names the column of the symbols."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    names = {" ".join(cell.strip(' "').split()).upper() for cell in header.split(",")}
    return not names.isdisjoint(SYMBOL_COLUMNS)


def _basket_entries(name: str, text: str) -> Iterator[Entry]:
    table = parse_csv_table(text, name, pads_rows=True, skips_damaged=True)
    column = next(column for column in SYMBOL_COLUMNS if table.has(column))
    rows = zip(table.texts(column), table.texts(EXCHANGE_COLUMN), table.lines, strict=True)
    for symbol, exchange, line in rows:
        yield f"{name}, row {line}", _full_name(exchange, symbol), ""
    yield from ((place, "", reason) for place, reason in table.damaged)


def _trading_view_entries(name: str, text: str) -> Iterator[Entry]:
    for number, line in enumerate(text.splitlines(), 1):
        for entry in line.split(","):
            written = entry.strip()
            if written and not written.startswith(SECTION_PREFIX):
                yield f"{name}, line {number}", written, ""


def write_symbol_file(symbols: Iterable[str], closes: Mapping[str, float], form: ListFormat) -> str:
    """The symbols as a file; a basket's orders each buy one share at the newest close, 0 if unknown."""
    if form is ListFormat.TRADINGVIEW:
        return ",".join(trading_view_name(symbol) for symbol in symbols) + "\n"
    orders = [_order(symbol, _limit(closes.get(symbol))) for symbol in symbols]
    if form is ListFormat.BASKET_JSON:
        made = [{"variety": "regular", **order, "readonly": False} for order in orders]
        return msgspec.json.format(msgspec.json.encode(made)).decode() + "\n"
    text = io.StringIO()
    writer = csv.DictWriter(text, BASKET_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**order, "price": f"{order['price']:.2f}"} for order in orders)
    return text.getvalue()


def _limit(close: float | None) -> float:
    """The close rounded to the paisa; 0 for one that is not known, so that no file holds another value."""
    return round(close, 2) if close is not None and math.isfinite(close) and close > 0 else 0.0


def _order(symbol: str, price: float) -> dict[str, str | int | float]:
    """To buy one share for delivery, as Kite's documentation names the fields of an order."""
    exchange, _, name = symbol.partition(":")
    values = (name, exchange, "BUY", 1, "LIMIT", "CNC", price, "DAY")
    return dict(zip(BASKET_COLUMNS, values, strict=True))
