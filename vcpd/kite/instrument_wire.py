"""Decodes the instrument lists of Kite Connect: shares and indices, and what futures stand for."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from vcpd.core.csv_table import read_csv_table
from vcpd.domain.instruments import Instrument, is_underlying
from vcpd.kite.wire import decode_or_raise, raise_malformed

INSTRUMENT_COLUMNS: Final = (
    "instrument_token",
    "exchange_token",
    "tradingsymbol",
    "name",
    "last_price",
    "expiry",
    "strike",
    "tick_size",
    "lot_size",
    "instrument_type",
    "segment",
    "exchange",
)
INDEX_SEGMENT: Final = "INDICES"
INDEX_SERIES: Final = "INDEX"
FUTURES_ENDPOINT: Final = "/instruments/NFO"
FUTURES_SEGMENT: Final = "NFO-FUT"
_SERIES_SUFFIX: Final = re.compile(r".-([A-Z0-9]{2})$")


def decode_instruments(
    body: bytes, exchange: str, default_tick_size: float, underlyings: frozenset[str] = frozenset()
) -> list[Instrument]:
    """The instruments of `exchange`, from CSV that may be gzipped; other exchanges' rows are left out.

    An instrument listed with a tick size of 0, as indices are, gets `default_tick_size`. `underlyings` are
    the names of what futures stand for, empty where unknown.

    The series is the two-character suffix of the trading symbol (`CENTRALBK-BE`), `EQ` without one,
    `INDEX` for an index, the instrument type itself for anything that is no equity.
    """
    endpoint = f"/instruments/{exchange}"
    listed = decode_or_raise(
        endpoint, lambda: list(_instruments(body, exchange, default_tick_size, underlyings))
    )
    if not listed:
        raise_malformed(endpoint, f"a list without any instrument of {exchange}")
    return listed


def decode_underlyings(body: bytes) -> frozenset[str]:
    """The names of what futures stand for, `INFY` and `NIFTY`, from the list of derivatives."""
    return decode_or_raise(FUTURES_ENDPOINT, lambda: frozenset(_future_names(body)))


def _future_names(body: bytes) -> Iterator[str]:
    table = read_csv_table(body, FUTURES_ENDPOINT, is_utf8=True)
    if not table.has("NAME", "SEGMENT"):
        raise ValueError("no column name or segment")
    name, segment = table.header["NAME"], table.header["SEGMENT"]
    return (row[name] for row in table.rows if row[segment] == FUTURES_SEGMENT)


def _instruments(
    body: bytes, exchange: str, default_tick_size: float, underlyings: frozenset[str]
) -> Iterator[Instrument]:
    table = read_csv_table(body, f"/instruments/{exchange}", is_utf8=True)
    columns = [name.upper() for name in INSTRUMENT_COLUMNS]
    if missing := [name.lower() for name in columns if not table.has(name)]:
        raise ValueError(f"no column {', '.join(missing)}")
    at = {name: table.header[column] for name, column in zip(INSTRUMENT_COLUMNS, columns, strict=True)}
    rows = (row for row in table.rows if row[at["exchange"]] == exchange)
    return (_instrument(row, at, default_tick_size, underlyings) for row in rows)


def _instrument(
    row: Sequence[str], at: dict[str, int], default_tick_size: float, underlyings: frozenset[str]
) -> Instrument:
    trading_symbol, segment = row[at["tradingsymbol"]], row[at["segment"]]
    if not trading_symbol:
        raise ValueError("an instrument without a trading symbol")
    return Instrument(
        symbol=f"{row[at['exchange']]}:{trading_symbol}",
        token=int(row[at["instrument_token"]]),
        name=row[at["name"]],
        tick_size=_tick_size(row[at["tick_size"]], default_tick_size),
        lot_size=max(1, int(row[at["lot_size"]])),
        segment=segment,
        series=series_of(trading_symbol, segment, row[at["instrument_type"]]),
        has_futures=None if segment == INDEX_SEGMENT else is_underlying(trading_symbol, underlyings),
    )


def series_of(trading_symbol: str, segment: str, instrument_type: str) -> str:
    """`BE` for `CENTRALBK-BE`, `EQ` for `INFY` and `BAJAJ-AUTO`."""
    if segment == INDEX_SEGMENT:
        return INDEX_SERIES
    if instrument_type != "EQ":
        return instrument_type
    suffix = _SERIES_SUFFIX.search(trading_symbol)
    return suffix.group(1) if suffix else "EQ"


def _tick_size(text: str, otherwise: float) -> float:
    """Indices are listed with a tick of 0, which divides nothing."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(f"a tick size of {text}")
    return value or otherwise
