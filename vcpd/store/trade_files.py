"""Read executed trades from CSV files: the tradebook that Zerodha's Console exports, and a plain layout.

Columns are found by name; one that is not known is refused, because it could be a quantity or a price under
another name. A row that cannot be read is refused with its line and the reason; the others are taken.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date
from pathlib import Path
from typing import Final

import msgspec

from vcpd.core.csv_table import CsvTable, parse_number, read_csv_table
from vcpd.core.dates import EXPECTED_DATE, parse_date, read_date_column
from vcpd.core.errors import BadInputError
from vcpd.domain.portfolio import DEFAULT_RULES, Fill, RefusedFill, ShareAdjustment, Side

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "symbol": ("SYMBOL", "TRADINGSYMBOL", "INSTRUMENT"),
    "session": ("TRADE_DATE", "TRADE DATE", "DATE", "SESSION"),
    "side": ("TRADE_TYPE", "TRADE TYPE", "SIDE", "TYPE", "BUY/SELL"),
    "quantity": ("QUANTITY", "QTY", "SHARES"),
    "price": ("PRICE", "AVERAGE_PRICE", "AVERAGE PRICE", "RATE"),
    "trade_id": ("TRADE_ID", "TRADE ID"),
    "order_id": ("ORDER_ID", "ORDER ID"),
    "exchange": ("EXCHANGE",),
    "isin": ("ISIN",),
    "segment": ("SEGMENT",),
    "product": ("PRODUCT", "PRODUCT_TYPE"),
    "stop": ("STOP", "INITIAL_STOP", "STOP_LOSS"),
    "note": ("NOTE", "NOTES", "REMARKS"),
    "rules": ("RULES", "RULE_SET"),
}
IGNORED_COLUMNS: Final = frozenset(
    {"SERIES", "AUCTION", "EXPIRY_DATE", "ORDER_EXECUTION_TIME", "ORDER EXECUTION TIME"}
)
ACTION_COLUMNS: Final = ("SYMBOL", "SESSION", "RATIO")
REQUIRED: Final = ("symbol", "session", "side", "quantity", "price")
SIDES: Final[Mapping[str, Side]] = {
    "BUY": Side.BUY, "B": Side.BUY, "BOUGHT": Side.BUY, "SELL": Side.SELL, "S": Side.SELL, "SOLD": Side.SELL,
}  # fmt: skip
SHARE_SEGMENTS: Final = frozenset({"", "EQ", "EQUITY", "CASH"})
DELIVERY_PRODUCTS: Final = frozenset({"", "CNC", "DELIVERY"})
ISIN: Final = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]")
MAX_QUANTITY: Final = 10**9
MAX_PRICE: Final = 1e9
SymbolOf = Callable[[str, str, str], str]  # exchange, symbol, ISIN -> the symbol as the store names it


class TradeFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a file of trades holds: fills, refused rows, and rows that are no shares for delivery."""

    fills: tuple[Fill, ...]
    refused: tuple[RefusedFill, ...] = ()
    left_out: tuple[RefusedFill, ...] = ()


def with_exchange(exchange: str, symbol: str, _: str) -> str:
    """`NSE:INFY` of NSE and INFY; a symbol that names its exchange stays as it is."""
    return symbol if ":" in symbol or not exchange else f"{exchange}:{symbol}"


def read_trade_file(path: Path, symbol_of: SymbolOf = with_exchange) -> TradeFile:
    """The trades in a file. BadInputError where it cannot be read, or its columns are not those of trades."""
    try:
        body = path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}") from None
    return parse_trades(read_trade_table(body, str(path)), symbol_of)


def read_trade_table(body: bytes, name: str) -> CsvTable:
    """The table in a file of trades; a row whose cells cannot be separated is listed as damaged."""
    return read_csv_table(body, name, skips_damaged=True)


def parse_trades(table: CsvTable, symbol_of: SymbolOf = with_exchange) -> TradeFile:
    """The trades of a table; BadInputError for columns that are missing, unknown or there twice."""
    columns = _columns_of(table)
    texts = {field: table.texts(name) for field, name in columns.items()}
    sessions = _sessions(table.name, texts["session"])
    fills: dict[int, Fill] = {}
    refused = [RefusedFill(place, reason) for place, reason in table.damaged]
    left_out: list[RefusedFill] = []
    distinct = _DistinctTrades()
    for at, line in enumerate(table.lines):
        row = {field: column[at] for field, column in texts.items()}
        place = f"{table.name}, row {line}"
        if (reason := _why_no_delivery(row)) is not None:
            left_out.append(RefusedFill(place, reason))
            continue
        try:
            fills[line] = distinct.accept(_fill(row, sessions, symbol_of), line)
        except ValueError as error:
            refused.append(RefusedFill(place, str(error)))
    return TradeFile(fills=numbered_fills(fills.values()), refused=tuple(refused), left_out=tuple(left_out))


class _DistinctTrades:
    """The trades of a file by their identifiers."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, date, str], tuple[Fill, int]] = {}

    def accept(self, fill: Fill, line: int) -> Fill:
        """The fill. ValueError where the identifier was given to a row with other values."""
        if not fill.trade_id:
            return fill
        known, known_line = self._seen.setdefault(fill.key, (fill, line))
        if _values(known) != _values(fill):
            raise ValueError(
                f"trade id: row {known_line} has the same one, {fill.trade_id}, and other values"
            )
        return fill


def _values(fill: Fill) -> tuple[object, ...]:
    return fill.side, fill.quantity, fill.price, fill.order_id


def _sessions(name: str, texts: Sequence[str]) -> Mapping[str, date]:
    """The date of each readable text; a column whose dates can be read two ways is refused.

    Where some dates are written day first and others month first, only those that can mean one day are read.
    """
    column = read_date_column(dict.fromkeys(texts), UTC)
    if column.has_open_order:
        raise BadInputError(f"{name}, date: {column.open_readings()}; write dates such as 2025-06-30")
    if column.orders:
        return column.dates(column.orders[0])
    readings = {text: set(written.dates.values()) for text, written in column.readable.items()}
    return {text: days.pop() for text, days in readings.items() if len(days) == 1}


def _columns_of(table: CsvTable) -> Mapping[str, str]:
    """The file's name of each field that it has."""
    field_of = {name: field for field, names in COLUMNS.items() for name in names}
    found: dict[str, str] = {}
    for name in table.header:
        if name in IGNORED_COLUMNS:
            continue
        field = field_of.get(name)
        if field is None:
            known = ", ".join(names[0].lower() for names in COLUMNS.values())
            raise BadInputError(f"{table.name}: unknown column {name!r}; expected some of {known}")
        if field in found:
            raise BadInputError(f"{table.name}: columns {found[field]!r} and {name!r} both give the {field}")
        found[field] = name
    missing = [COLUMNS[field][0].lower() for field in REQUIRED if field not in found]
    if missing:
        raise BadInputError(
            f"{table.name}: no column {', '.join(missing)}; the first row must name the columns"
        )
    return found


def _why_no_delivery(row: Mapping[str, str]) -> str | None:
    """Why a row is no share that was bought to be held; None where it is one."""
    segment, product = row.get("segment", "").upper(), row.get("product", "").upper()
    if segment not in SHARE_SEGMENTS:
        return f"{row['symbol']}: segment {segment}, not shares"
    if product not in DELIVERY_PRODUCTS:
        return f"{row['symbol']}: product {product}, not delivery"
    return None


def _fill(row: Mapping[str, str], sessions: Mapping[str, date], symbol_of: SymbolOf) -> Fill:
    """Raises ValueError with the field and what was expected."""
    symbol, session = row["symbol"].upper(), sessions.get(row["session"])
    if not symbol:
        raise ValueError("symbol: expected a symbol such as INFY, was empty")
    if session is None:
        raise ValueError(f"date: expected {EXPECTED_DATE}, was {row['session'][:40]!r}")
    stop, side, isin = row.get("stop", ""), _side(row["side"]), row.get("isin", "").upper()
    if isin and not ISIN.fullmatch(isin):
        raise ValueError(f"isin: expected 12 characters such as INE009A01021, was {isin[:40]!r}")
    price = _price("price", row["price"])
    if side is Side.SELL and not price:
        raise ValueError(f"price: expected a price above 0 for a sale, was {row['price'][:40]!r}")
    initial_stop = _price("stop", stop) if stop else None
    if side is Side.BUY and initial_stop is not None and 0 < price <= initial_stop:
        raise ValueError(f"stop: expected a price below the purchase's {price:g}, was {stop[:40]!r}")
    exchange = row.get("exchange", "").upper()
    named = symbol_of(exchange, symbol, isin)
    return Fill(
        symbol=named,
        session=session,
        side=side,
        quantity=_quantity(row["quantity"]),
        price=price,
        trade_id=_trade_id(row.get("trade_id", ""), exchange, named),
        order_id=row.get("order_id", ""),
        stop=initial_stop,
        note=row.get("note", ""),
        rules=row.get("rules", "") or DEFAULT_RULES,
    )


def _trade_id(text: str, exchange: str, symbol: str) -> str:
    """The identifier, with the exchange where that is not the symbol's: each exchange counts for itself.

    It depends on the row alone, so that a trade has the same one in every file.
    """
    is_own = not exchange or symbol.startswith(f"{exchange}:")
    return text if is_own or not text else f"{text} {exchange}"


def _side(text: str) -> Side:
    side = SIDES.get(text.upper())
    if side is None:
        raise ValueError(f"side: expected buy or sell, was {text[:40]!r}")
    return side


def _quantity(text: str) -> int:
    number = _number("quantity", text)
    if not 0 < number <= MAX_QUANTITY or number != int(number):
        raise ValueError(f"quantity: expected a whole number above 0, was {text[:40]!r}")
    return int(number)


def _price(field: str, text: str) -> float:
    number = _number(field, text)
    if not 0 <= number <= MAX_PRICE:
        raise ValueError(f"{field}: expected a price of 0 or more, was {text[:40]!r}")
    return number


def _number(field: str, text: str) -> float:
    try:
        return parse_number(text)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from None


def numbered_fills(fills: Iterable[Fill]) -> tuple[Fill, ...]:
    """Give fills without an identifier one made of their values and the number of equal rows before.

    So two equal purchases in one file are two, and the same file read again adds none.
    """
    said: Counter[tuple[object, ...]] = Counter()
    numbered = []
    for fill in fills:
        if not fill.trade_id:
            content = (fill.symbol, fill.session, fill.side, fill.quantity, fill.price)
            said[content] += 1
            name = f"{fill.side}-{fill.quantity}-{fill.price:.10g}-{said[content]}"
            numbered.append(msgspec.structs.replace(fill, trade_id=name))
        else:
            numbered.append(fill)
    return tuple(numbered)


def parse_actions(table: CsvTable, spelled: Callable[[str], str]) -> list[ShareAdjustment]:
    """Splits and bonuses of a table. BadInputError, naming row and field, for what cannot be read."""
    if not table.has(*ACTION_COLUMNS):
        raise BadInputError(f"{table.name}: expected the columns {', '.join(ACTION_COLUMNS).lower()}")
    actions = []
    ratios = table.numbers("RATIO")
    texts = zip(table.texts("SYMBOL"), table.texts("SESSION"), ratios.tolist(), table.lines, strict=True)
    for symbol, session, ratio, line in texts:
        if not ratio > 0:
            raise BadInputError(
                f"{table.name}, row {line}, field RATIO: expected a number above 0, was {ratio:g}"
            )
        try:
            actions.append(ShareAdjustment(spelled(symbol.upper()), parse_date(session), ratio))
        except ValueError as error:
            raise BadInputError(f"{table.name}, row {line}, field SESSION: {error}") from None
    return actions
