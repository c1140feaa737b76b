"""What the exchange's answers look like: the list as CSV, candles, quotes."""

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import numpy as np

from vcpd.domain.arrays import RecordArray
from vcpd.domain.bars import PRICE_FIELDS, BarSeries
from vcpd.sandbox.market import DEPTH, Candles, Listing, MarketQuote, average_prices, shares
from vcpd.sandbox.moment import IST

HEADER: Final = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,"
    "tick_size,lot_size,instrument_type,segment,exchange\n"
)
BAND: Final = 0.20
WAITING: Final = sum(quantity for _, quantity, _ in DEPTH)


def listing_csv(listings: Iterable[Listing]) -> bytes:
    """The instruments file, header first."""
    text = io.StringIO()
    text.write(HEADER)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(_row(listing) for listing in listings)
    return text.getvalue().encode()


def _row(listing: Listing) -> tuple[object, ...]:
    return (
        listing.token,
        listing.exchange_token,
        listing.trading_symbol,
        listing.name,
        0.0,
        "",
        0.0,
        listing.tick_size,
        listing.lot_size,
        "EQ",
        listing.segment,
        "NSE",
    )


def candles(series: BarSeries, *, open_interest: bool) -> list[tuple[Any, ...]]:
    """Rows of [timestamp, open, high, low, close, volume], with a 0 for open interest if asked for."""
    stamps = [f"{day}T00:00:00+0530" for day in np.datetime_as_string(series.sessions).tolist()]
    return _rows(stamps, series.records, open_interest=open_interest)


def intraday_candles(found: Candles, *, open_interest: bool) -> list[tuple[Any, ...]]:
    """The same rows, stamped with the wall time at which each candle begins."""
    stamps = [f"{start}+0530" for start in np.datetime_as_string(found.records["start"]).tolist()]
    return _rows(stamps, found.records, open_interest=open_interest)


def _rows(stamps: list[str], records: RecordArray, *, open_interest: bool) -> list[tuple[Any, ...]]:
    columns = [records[name].tolist() for name in PRICE_FIELDS]
    columns.append([shares(volume) for volume in records["volume"].tolist()])
    if open_interest:
        columns.append([0] * len(records))
    return list(zip(stamps, *columns, strict=True))


def price_only(quote: MarketQuote) -> dict[str, Any]:
    return {"instrument_token": quote.token, "last_price": quote.last}


def with_ohlc(quote: MarketQuote) -> dict[str, Any]:
    """`close` is the previous session's close, as the vendor has it."""
    ohlc = {"open": quote.open, "high": quote.high, "low": quote.low, "close": quote.previous_close}
    return {**price_only(quote), "ohlc": ohlc}


def full_quote(quote: MarketQuote) -> dict[str, Any]:
    """Everything of a quote; orders wait on both sides, tick by tick from the last price."""
    stamp = _stamp(quote.traded_at)
    return {
        **with_ohlc(quote),
        "timestamp": stamp,
        "last_trade_time": stamp,
        "last_quantity": min(quote.volume, 1),
        "buy_quantity": WAITING,
        "sell_quantity": WAITING,
        "volume": quote.volume,
        "average_price": _average(quote),
        "oi": 0,
        "oi_day_high": 0,
        "oi_day_low": 0,
        "net_change": 0,
        "lower_circuit_limit": round(quote.previous_close * (1 - BAND), 2),
        "upper_circuit_limit": round(quote.previous_close * (1 + BAND), 2),
        "depth": _depth(quote.last),
    }


def _average(quote: MarketQuote) -> float:
    return float(average_prices(*(np.array(price) for price in (quote.high, quote.low, quote.last))))


def _depth(last: float) -> Mapping[str, list[dict[str, Any]]]:
    return {
        side: [
            {"price": max(round(last + sign * away, 2), 0.0), "quantity": quantity, "orders": orders}
            for away, quantity, orders in DEPTH
        ]
        for side, sign in (("buy", -1), ("sell", 1))
    }


def _stamp(at: datetime) -> str:
    return at.astimezone(IST).strftime("%Y-%m-%d %H:%M:%S")
