"""Layouts of bar files: which column means what, where the header stands, which symbol a file's name gives.

The names are those of exchanges, vendors and libraries; docs/import.md lists the layouts.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vcpd.core.errors import BadInputError
from vcpd.domain.instruments import EQUITY_SERIES, plain_symbol

PRICE_COLUMNS: Final = ("open", "high", "low", "close")
REQUIRED_COLUMNS: Final = ("symbol", "date", *PRICE_COLUMNS, "volume")
REQUIRED_INDEX_COLUMNS: Final = ("symbol", "date", "close")
SAMPLE_ROWS: Final = 30  # within which the header is looked for
MIN_HEADER_MATCHES: Final = 3
COLUMN_NAMES: Final[Mapping[str, tuple[str, ...]]] = {  # without case, blanks and punctuation; the best first
    "symbol": (
        "symbol", "ticker", "tckrsymb", "tradingsymbol", "chsymbol", "nsesymbol", "scrip", "scripname",
        "stock", "stockname", "stocksymbol", "instrument", "security", "sym", "scname", "indexname",
    ),
    "date": (
        "date", "tradedate", "tradingdate", "traddt", "date1", "timestamp", "chtimestamp", "mtimestamp",
        "datetime", "session", "historicaldate", "indexdate", "bizdt", "dtyyyymmdd", "dateutc", "day",
        "dt", "time", "t",
    ),
    "open": ("open", "openprice", "openingprice", "opnpric", "chopeningprice", "openindexvalue", "o"),
    "high": ("high", "highprice", "hghpric", "chtradehighprice", "highindexvalue", "dayhigh", "h"),
    "low": ("low", "lowprice", "lwpric", "chtradelowprice", "lowindexvalue", "daylow", "l"),
    "close": (
        "close", "closeprice", "closingprice", "clspric", "chclosingprice", "closingindexvalue", "price", "c",
    ),
    "volume": (
        "volume", "vol", "totaltradedquantity", "tottrdqty", "ttltrdqnty", "ttltradgvol", "chtottradedqty",
        "totaltradedvolume", "tradedquantity", "tradedqty", "tradedvolume", "totalvolume", "totalquantity",
        "quantity", "qty", "sharestraded", "noofshares", "noofshrs", "numberofshares", "v",
    ),
    "series": ("series", "sctysrs", "chseries"),
    "time": ("time", "tradetime"),
}  # fmt: skip
ADJUSTED_NAMES: Final[Mapping[str, str]] = {
    f"adj{name}": name for name in (*PRICE_COLUMNS, "volume")
} | {f"adjusted{name}": name for name in (*PRICE_COLUMNS, "volume")}  # fmt: skip
INDEX_NAMES: Final = frozenset({"", "unnamed0", "indexlevel0"})  # of a first column that pandas wrote
BHAVCOPY_VOLUMES: Final = frozenset({"tottrdqty", "ttltrdqnty", "ttltradgvol"})
OTHER_WIDE_NAMES: Final = frozenset({"dividends", "stocksplits", "capitalgains", "adjclose", "repaired"})
GENERIC_FILE_NAMES: Final = frozenset(
    {
        "BARS", "DATA", "PRICE", "PRICES", "OHLC", "OHLCV", "STOCK", "STOCKS", "EXPORT", "TABLE", "HISTORY",
        "HISTORICAL", "DOWNLOAD", "EOD", "DAILY", "INDEX", "INDICES", "ALL", "NSE", "MARKET", "QUOTES",
        "BHAVCOPY", "FILE", "RAW", "ADJUSTED", "OUT", "OUTPUT", "TEST", "SAMPLE", "BAD", "NEW", "OLD",
    }
)  # fmt: skip
_SERIES_NAMES: Final = "|".join(EQUITY_SERIES)
_FILE_NAME_FORMS: Final = (
    re.compile(rf"Quote-Equity-(.+?)-(?:{_SERIES_NAMES}|ALL)\b.*", re.IGNORECASE),
    re.compile(
        rf"\d\d-\d\d-\d{{4}}-TO-\d\d-\d\d-\d{{4}}[-_ ]?(.+?)[-_ ]?(?:{_SERIES_NAMES}|ALL)[-_ ]?N?",
        re.IGNORECASE,
    ),
    re.compile(r"(?:NSE|INDEX)_(?:DLY_)?(.+?), ?(?:1D|D|1W|\d+).*", re.IGNORECASE),
    re.compile(r"(.+?)[-_ ]\d\d-\d\d-\d{4}[-_ ]to[-_ ]\d\d-\d\d-\d{4}.*", re.IGNORECASE),
    re.compile(r"(.+?), ?(?:1D|D)\b.*", re.IGNORECASE),
)
_FILE_NAME_TAIL: Final = re.compile(
    r"(?:[-_ ](?:daily|day|1d|eod|hist|history|historical(?:[-_ ]data)?|data|prices?|ohlcv?|bars|adjusted|"
    r"raw|stock|nse|\d{4}(?:[-_ ]?\d\d[-_ ]?\d\d)?|to|max|\d+y)| ?\(\d+\))$",
    re.IGNORECASE,
)
_SYMBOL: Final = re.compile(r"[A-Z0-9^][A-Z0-9&\-_.^ ]{0,39}")
_PANDAS_TUPLE: Final = re.compile(r"\('([^']*)', '([^']*)'\)")


@dataclass(frozen=True, slots=True)
class Header:
    """Columns as the file names them; `rows` of the file come before the first bar.

    In a wide table, where each symbol has columns of its own, `tickers` names the symbol of each.
    """

    names: tuple[str, ...]
    rows: int
    tickers: tuple[str, ...] = ()


def normalized_name(name: str) -> str:
    """`openprice` for `Open Price (Rs.)` and `<OPEN_PRICE>`."""
    bare = re.sub(r"\([^)]*\)|^\s*\d+\.\s", "", name)
    return re.sub(r"[^a-z0-9]", "", bare.lower())


def match_columns(names: Sequence[str]) -> dict[str, int]:
    """The place of each column that is known by its name. BadInputError where two have one name.

    Adjusted prices are taken where all four are there; otherwise the adjusted close is left out.
    """
    plain = [normalized_name(name) for name in names]
    found: dict[str, int] = {}
    for column, known in COLUMN_NAMES.items():
        for name in known:
            if name in plain and plain.index(name) not in found.values():
                found[column] = _only_place(plain, name)
                break
    if "date" not in found and plain and plain[0] in INDEX_NAMES:
        found["date"] = 0
    adjusted = {ADJUSTED_NAMES[name]: at for at, name in enumerate(plain) if name in ADJUSTED_NAMES}
    if adjusted.keys() >= set(PRICE_COLUMNS) or "close" not in found:
        found |= adjusted
    return found


def _only_place(plain: Sequence[str], name: str) -> int:
    if plain.count(name) > 1:
        raise BadInputError(f"two columns are named `{name}`")
    return plain.index(name)


def find_header(sample: Sequence[Sequence[str]]) -> Header | None:
    """The header among the first rows of a table, None where no row names columns of bars."""
    for at, row in enumerate(sample):
        wide = _wide_header(sample, at)
        if wide is not None:
            return wide
        if _matches(row) >= MIN_HEADER_MATCHES:
            return Header(_without_blank_end(row), at + 1)
    return None


def header_matches(header: Header | None) -> int:
    """How many columns of bars a header names."""
    return 0 if header is None else _matches(header.names) + bool(header.tickers)


def _matches(row: Sequence[str]) -> int:
    try:
        found = match_columns(row)
    except BadInputError:
        return MIN_HEADER_MATCHES
    if {"date", "close"} <= found.keys() and any(row[found[name]].strip() for name in ("date", "close")):
        return max(MIN_HEADER_MATCHES, len(found))
    return sum(name in found for name in REQUIRED_COLUMNS)


def _without_blank_end(row: Sequence[str]) -> tuple[str, ...]:
    names = list(row)
    while names and not names[-1].strip():
        names.pop()
    return tuple(names)


def _wide_header(sample: Sequence[Sequence[str]], at: int) -> Header | None:
    """The two or three header rows of a table with columns for each symbol, as yfinance writes it."""
    if at + 1 >= len(sample):
        return None
    first, second = sample[at], sample[at + 1]
    for names, tickers in ((first, second), (second, first)):
        if _names_fields(names[1:]) and _names_tickers(tickers[1:]) and len(names) == len(tickers):
            rows = at + 2
            if rows < len(sample) and _is_index_row(sample[rows]):
                rows += 1
            return Header(("date", *names[1:]), rows, ("", *tickers[1:]))
    return None


def _names_fields(cells: Sequence[str]) -> bool:
    plain = [normalized_name(cell) for cell in cells]
    known = set(PRICE_COLUMNS) | {"volume"} | OTHER_WIDE_NAMES
    return "close" in plain and all(name in known for name in plain)


def _names_tickers(cells: Sequence[str]) -> bool:
    return all(re.search(r"[A-Za-z]", cell) for cell in cells) and not _names_fields(cells)


def _is_index_row(row: Sequence[str]) -> bool:
    """The row `Date,,,`, which names the index alone."""
    return bool(row) and normalized_name(row[0]) in COLUMN_NAMES["date"] and not any(map(str.strip, row[1:]))


def parquet_header(names: Sequence[str]) -> Header:
    """The header of a typed table; pandas writes a wide one as `('Close', 'INFY.NS')`."""
    pairs = [_PANDAS_TUPLE.fullmatch(name) for name in names]
    if sum(pair is not None for pair in pairs) < len(PRICE_COLUMNS):
        return Header(tuple(names), 0)
    cells = [(pair[1], pair[2]) if pair else (name, "") for pair, name in zip(pairs, names, strict=True)]
    if not _names_fields([field for field, ticker in cells if ticker]):
        cells = [(ticker, field) if ticker else (field, "") for field, ticker in cells]
    fields = tuple(field if ticker else "date" for field, ticker in cells)
    return Header(fields, 0, tuple(ticker for _, ticker in cells))


def file_symbol(stem: str) -> str | None:
    """The symbol that a file's name gives; None where the name is no symbol.

    `infy`, `INFY.NS`, `NSE_INFY, 1D`, `Quote-Equity-INFY-EQ-01-08-2024-..`, `NIFTY 50-01-07-2024-to-..`.
    """
    name = stem.strip()
    for form in _FILE_NAME_FORMS:
        if (match := form.fullmatch(name)) is not None:
            name = match[1]
            break
    while (shorter := _FILE_NAME_TAIL.sub("", name)) != name:
        name = shorter
    symbol = plain_symbol(re.sub(r"^NSE[-_ ](?=.)", "", name, flags=re.IGNORECASE))
    is_symbol = _SYMBOL.fullmatch(symbol) is not None and re.search(r"[A-Z]", symbol) is not None
    return symbol if is_symbol and symbol not in GENERIC_FILE_NAMES else None


def is_bhavcopy(names: Sequence[str]) -> bool:
    """Whether a header is one of the exchange's daily files, whose prices are not adjusted."""
    plain = {normalized_name(name) for name in names}
    return bool(plain & BHAVCOPY_VOLUMES) and bool(plain & set(COLUMN_NAMES["series"]))
