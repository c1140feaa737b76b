"""Watch lists as files: the text lists of TradingView and order baskets as CSV.

TradingView writes a list as symbols between commas, perhaps over several lines and with sections
(`###Banks,NSE:HDFCBANK,NSE:ICICIBANK`). A basket has one order a row; only symbol and exchange are read.
"""

import csv
import io
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
MAX_SHOWN_CHARACTERS: Final = 40
TRADING_VIEW_NAMES: Final = str.maketrans("&-", "__")
FindSymbol = Callable[
    [str], str | None
]  # a symbol as a file writes it -> as the store names it, if it is listed


class ListFormat(StrEnum):
    """A format of a watch list's file."""

    TRADINGVIEW = "tradingview"
    BASKET = "basket"


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
    """The symbols of a file of either format. BadInputError for a file that names no symbol at all."""
    entries = list(_basket_entries(name, text) if _is_basket(text) else _trading_view_entries(name, text))
    if not entries:
        raise BadInputError(
            f"{name}: expected symbols such as NSE:INFY between commas, or a CSV with a column tradingsymbol"
        )
    symbols: dict[str, None] = {}
    refused = []
    for place, written in entries:
        symbol = find(written)
        if symbol is None:
            shown = written.strip()[:MAX_SHOWN_CHARACTERS]
            refused.append(NotTaken(place, f"{shown!r}: no such symbol is listed" if shown else "no symbol"))
        else:
            symbols[symbol] = None
    return SymbolFile(symbols=tuple(symbols), refused=tuple(refused))


def _is_basket(text: str) -> bool:
    """Whether the first row names the column of the symbols."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    names = {" ".join(cell.strip(' "').split()).upper() for cell in header.split(",")}
    return not names.isdisjoint(SYMBOL_COLUMNS)


def _basket_entries(name: str, text: str) -> Iterator[tuple[str, str]]:
    table = parse_csv_table(text, name, pads_rows=True)
    column = next(column for column in SYMBOL_COLUMNS if table.has(column))
    rows = zip(table.texts(column), table.texts(EXCHANGE_COLUMN), table.lines, strict=True)
    for symbol, exchange, line in rows:
        written = symbol if ":" in symbol or not exchange or not symbol else f"{exchange}:{symbol}"
        yield f"{name}, row {line}", written


def _trading_view_entries(name: str, text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        for entry in line.split(","):
            written = entry.strip()
            if written and not written.startswith(SECTION_PREFIX):
                yield f"{name}, line {number}", written


def write_symbol_file(symbols: Iterable[str], closes: Mapping[str, float], form: ListFormat) -> str:
    """The symbols as a file; a basket's orders each buy one share at the newest close, 0 if unknown."""
    if form is ListFormat.TRADINGVIEW:
        return ",".join(trading_view_name(symbol) for symbol in symbols) + "\n"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(BASKET_COLUMNS)
    for symbol in symbols:
        exchange, _, name = symbol.partition(":")
        price = f"{closes.get(symbol, 0.0):.2f}"
        writer.writerow((name, exchange, "BUY", 1, "LIMIT", "CNC", price, "DAY"))
    return text.getvalue()
