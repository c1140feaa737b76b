"""Layouts of bhavcopy files and of the index file: detects the layout and decodes bytes to rows.

A share is named once a session, by the most ordinary of the series it traded in; debt, blocks, T+0 and
other windows beside the market are left out. Blanks and dashes in prices are NaN: the bars are judged
where they enter the store.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import msgspec
import numpy as np

from vcpd.core.csv_table import CsvTable, read_csv_table
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import FloatArray
from vcpd.domain.instruments import EQUITY_SERIES

FIELDS: Final = ("open", "high", "low", "close", "previous_close", "volume")
INDEX_SERIES: Final = "INDEX"
INDEX_FIELDS: Final = {
    "open": "OPEN INDEX VALUE",
    "high": "HIGH INDEX VALUE",
    "low": "LOW INDEX VALUE",
    "close": "CLOSING INDEX VALUE",
}
# The file's name of an index where brokers, and so our symbols, write another one.
INDEX_NAMES: Final = {
    "S&P CNX NIFTY": "NIFTY 50",
    "CNX NIFTY": "NIFTY 50",
    "S&P CNX 500": "NIFTY 500",
    "CNX 500": "NIFTY 500",
    "NIFTY CONSUMER DURABLES": "NIFTY CONSR DURBL",
    "NIFTY FINANCIAL SERVICES": "NIFTY FIN SERVICE",
    "NIFTY HEALTHCARE INDEX": "NIFTY HEALTHCARE",
    "NIFTY INDIA CONSUMPTION": "NIFTY CONSUMPTION",
    "NIFTY INFRASTRUCTURE": "NIFTY INFRA",
    "NIFTY LARGEMIDCAP 250": "NIFTY LARGEMID250",
    "NIFTY MICROCAP 250": "NIFTY MICROCAP250",
    "NIFTY MIDSMALLCAP 400": "NIFTY MIDSML 400",
    "NIFTY OIL & GAS": "NIFTY OIL AND GAS",
    "NIFTY PRIVATE BANK": "NIFTY PVT BANK",
    "NIFTY SERVICES SECTOR": "NIFTY SERV SECTOR",
    "NIFTY SMALLCAP 50": "NIFTY SMLCAP 50",
    "NIFTY SMALLCAP 100": "NIFTY SMLCAP 100",
    "NIFTY SMALLCAP 250": "NIFTY SMLCAP 250",
    "NIFTY TOTAL MARKET": "NIFTY TOTAL MKT",
}


class BhavcopyLayout(msgspec.Struct, frozen=True):
    """Where a layout keeps what is wanted; `prices` in the order of FIELDS; blank: not in this layout."""

    name: str
    symbol: str
    series: str
    session: str
    prices: tuple[str, ...]
    isin: str = ""
    company: str = ""

    @property
    def required(self) -> tuple[str, ...]:
        return (self.symbol, self.series, self.session, *self.prices)


LEGACY: Final = BhavcopyLayout(
    "legacy",
    "SYMBOL",
    "SERIES",
    "TIMESTAMP",
    ("OPEN", "HIGH", "LOW", "CLOSE", "PREVCLOSE", "TOTTRDQTY"),
    isin="ISIN",
)


FULL: Final = BhavcopyLayout(
    "full",
    "SYMBOL",
    "SERIES",
    "DATE1",
    ("OPEN_PRICE", "HIGH_PRICE", "LOW_PRICE", "CLOSE_PRICE", "PREV_CLOSE", "TTL_TRD_QNTY"),
)


UDIFF: Final = BhavcopyLayout(
    "UDiFF",
    "TCKRSYMB",
    "SCTYSRS",
    "TRADDT",
    ("OPNPRIC", "HGHPRIC", "LWPRIC", "CLSPRIC", "PRVSCLSGPRIC", "TTLTRADGVOL"),
    isin="ISIN",
    company="FININSTRMNM",
)


LAYOUTS: Final = (UDIFF, FULL, LEGACY)


@dataclass(frozen=True, slots=True, eq=False)
class BhavcopyTable:
    """One session of a market: n names, and `values` (n, 6) in the order of FIELDS, rupees and shares."""

    session: date
    symbols: Sequence[str]
    series: Sequence[str]
    isins: Sequence[str]
    companies: Sequence[str]
    values: FloatArray

    def __len__(self) -> int:
        return len(self.symbols)


def decode_bhavcopy(body: bytes, name: str, session: date) -> BhavcopyTable:
    """The shares of a file that should be of `session`.

    The archive at times serves another session's file under this one's name. BadInputError, naming
    file, row and field, for that, for a layout or a value that cannot be understood, and for a file
    without any share.
    """
    sheet = read_csv_table(body, name)
    layout = detect_layout(sheet)
    sheet.require_date(session, layout.session)
    kept = _primary_series_rows(sheet.texts(layout.symbol), sheet.texts(layout.series))
    if not kept:
        raise BadInputError(f"{name}: no share in {len(sheet.rows)} rows")
    shares = sheet.select_rows(kept)
    return BhavcopyTable(
        session,
        shares.texts(layout.symbol),
        shares.texts(layout.series),
        shares.texts(layout.isin),
        shares.texts(layout.company),
        np.column_stack([shares.numbers(field) for field in layout.prices]),
    )


def detect_layout(sheet: CsvTable) -> BhavcopyLayout:
    """The layout whose fields the header has. BadInputError naming what the nearest one lacks."""
    for layout in LAYOUTS:
        if sheet.has(*layout.required):
            return layout
    nearest = max(LAYOUTS, key=lambda layout: sum(sheet.has(field) for field in layout.required))
    missing = [field for field in nearest.required if not sheet.has(field)]
    raise BadInputError(
        f"{sheet.name}, row 1: not a bhavcopy header; nearest is {nearest.name}, without {', '.join(missing)}"
    )


def decode_indices(body: bytes, name: str, session: date) -> BhavcopyTable:
    """The indices of `session` as published at its end; BadInputError as for shares."""
    sheet = read_csv_table(body, name)
    if missing := [field for field in ("INDEX NAME", *INDEX_FIELDS.values()) if not sheet.has(field)]:
        raise BadInputError(f"{name}, row 1: no header of index values, without {', '.join(missing)}")
    sheet.require_date(session, "INDEX DATE")
    symbols = [_index_symbol(text) for text in sheet.texts("INDEX NAME")]
    columns = {field: sheet.numbers(column) for field, column in INDEX_FIELDS.items()}
    columns["previous_close"] = columns["close"] - _numbers_if_any(sheet, "POINTS CHANGE")
    columns["volume"] = _numbers_if_any(sheet, "VOLUME")
    values = np.column_stack([columns[field] for field in FIELDS])
    kinds, blank = [INDEX_SERIES] * len(symbols), [""] * len(symbols)
    return BhavcopyTable(session, symbols, kinds, blank, symbols, values)


def _numbers_if_any(sheet: CsvTable, field: str) -> FloatArray:
    return sheet.numbers(field) if sheet.has(field) else np.full(len(sheet.rows), np.nan)


def _primary_series_rows(symbols: Sequence[str], series: Sequence[str]) -> list[int]:
    """The rows to keep: of each symbol those of its most ordinary series, in the order of the file."""
    best: dict[str, int] = {}
    ranks = [EQUITY_SERIES.index(name) if name in EQUITY_SERIES else None for name in series]
    for symbol, rank in zip(symbols, ranks, strict=True):
        if rank is not None and symbol:
            best[symbol] = min(rank, best.get(symbol, rank))
    return [
        row
        for row, rank in enumerate(ranks)
        if rank is not None and symbols[row] and best[symbols[row]] == rank
    ]


def _index_symbol(text: str) -> str:
    name = " ".join(text.split()).upper()
    return INDEX_NAMES.get(name, name)
