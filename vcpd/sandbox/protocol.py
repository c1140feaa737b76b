"""Kite-compatible protocol: response envelope, request parameters, response payloads and CSV lists."""

import csv
import gzip
import io
from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from aiohttp import web

from vcpd.domain.bars import PRICE_FIELDS, BarSeries, RecordArray
from vcpd.sandbox.market import (
    ORDER_BOOK,
    ZONE,
    IntradayCandles,
    MarketListing,
    MarketQuote,
    average_prices,
    whole_shares,
)
from vcpd.sandbox.names import industry_from_name, sector_from_name
from vcpd.sandbox.settings import SIMULATED_EXCHANGE

JSON_CONTENT_TYPE: Final = "application/json"
ERROR_STATUS: Final = {
    "TokenException": 403,
    "PermissionException": 403,
    "InputException": 400,
    "NetworkException": 503,
    "DataException": 502,
    "GeneralException": 500,
}
MAX_SPAN_DAYS: Final = {
    "minute": 60,
    "3minute": 100,
    "5minute": 100,
    "10minute": 100,
    "15minute": 200,
    "30minute": 200,
    "60minute": 400,
    "day": 2000,
}
FUTURES_EXCHANGE: Final = "NFO"
SHARES_PER_FUTURE: Final = 5
FUTURE_TOKENS: Final = 1 << 28  # tokens of futures begin here
FUTURE_LOT: Final = 100
EXCHANGES: Final = frozenset({"NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX", "MF"})
MAX_FULL_QUOTES: Final = 500
MAX_SHORT_QUOTES: Final = 1000
SECTOR_COLUMNS: Final = ("Company Name", "Sector", "Industry", "Symbol", "Series", "ISIN Code")
INSTRUMENTS_HEADER: Final = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,"
    "tick_size,lot_size,instrument_type,segment,exchange\n"
)
BOOK_QUANTITY: Final = sum(quantity for _, quantity, _ in ORDER_BOOK)


class ApiError(Exception):
    """An error answer; `status` is by default the one that belongs to `error_type`."""

    def __init__(self, error_type: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.status = status if status is not None else ERROR_STATUS[error_type]


def success_response(data: Any) -> web.Response:
    """Returns the answer with `data`; NaN becomes null."""
    return web.Response(
        body=msgspec.json.encode({"status": "success", "data": data}), content_type=JSON_CONTENT_TYPE
    )


def error_response(error: ApiError) -> web.Response:
    """Returns the response that names the error."""
    body = {
        "status": "error",
        "message": error.message,
        "data": None,
        "error_type": error.error_type,
    }
    return web.Response(status=error.status, body=msgspec.json.encode(body), content_type=JSON_CONTENT_TYPE)


class CandleRequest(NamedTuple):
    """A request for candles that start in [first, last], naive wall time; `step_minutes` is None for days."""

    token: int
    step_minutes: int | None
    first: datetime
    last: datetime
    open_interest: bool


def parse_candle_request(token: str, interval: str, query: Mapping[str, str]) -> CandleRequest:
    """ApiError with an InputException for anything that the vendor would reject."""
    if interval not in MAX_SPAN_DAYS:
        raise ApiError("InputException", "invalid interval")
    if not token.isdigit():
        raise ApiError("InputException", "invalid token")
    first, last = _instant(query, "from"), _instant(query, "to")
    if first > last:
        raise ApiError("InputException", "from date cannot be after to date")
    if (last - first).days > MAX_SPAN_DAYS[interval]:
        raise ApiError("InputException", f"interval exceeds max limit: {MAX_SPAN_DAYS[interval]} days")
    if _flag(query, "continuous"):
        raise ApiError("InputException", "continuous data is for futures, not for equities")
    step = None if interval == "day" else int(interval.removesuffix("minute") or 1)
    return CandleRequest(int(token), step, first, last, _flag(query, "oi"))


def parse_day_span(query: Mapping[str, str], today: date) -> tuple[date, date]:
    """Reads the days `from` and `to` of a query, each today if not given."""
    days = [query.get(name, today.isoformat()) for name in ("from", "to")]
    try:
        first, last = (date.fromisoformat(day) for day in days)
    except ValueError:
        raise ApiError("InputException", "invalid from or to date") from None
    return first, last


def parse_quote_symbols(symbols: Sequence[str], limit: int) -> Sequence[str]:
    """Reads the symbols asked for, EXCHANGE:NAME each, at most `limit`."""
    if not symbols:
        raise ApiError("InputException", "Missing or empty field `i`")
    if len(symbols) > limit:
        raise ApiError("InputException", f"expected at most {limit} instruments, was {len(symbols)}")
    return symbols


def parse_exchange(exchange: str) -> str:
    if exchange not in EXCHANGES:
        raise ApiError("InputException", "invalid exchange")
    return exchange


def form_field(form: Mapping[str, object], name: str) -> str:
    """Reads a required field of a form or query."""
    value = form.get(name)
    if not isinstance(value, str) or not value:
        raise ApiError("InputException", f"Missing or empty field `{name}`")
    return value


def _instant(query: Mapping[str, str], name: str) -> datetime:
    """`yyyy-mm-dd HH:MM:SS` or `yyyy-mm-dd`, wall time of the exchange."""
    text = query.get(name, "")
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - the exchange's wall time
        except ValueError:
            continue
    raise ApiError("InputException", f"invalid {name} date")


def _flag(query: Mapping[str, str], name: str) -> bool:
    value = query.get(name, "0")
    if value not in ("0", "1"):
        raise ApiError("InputException", f"invalid value for `{name}`: expected 0 or 1")
    return value == "1"


def sector_list(listings: Iterable[MarketListing]) -> str:
    """Writes a line for each company whose name gives sector and industry; bonds and indices have none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(SECTOR_COLUMNS)
    for listing in listings:
        if (sector := sector_from_name(listing.name)) is not None:
            industry = industry_from_name(listing.name) or ""
            writer.writerow((listing.name, sector, industry, listing.trading_symbol, "EQ", ""))
    return text.getvalue()


def listing_csv(listings: Iterable[MarketListing]) -> bytes:
    """Writes the instruments file, header first."""
    text = io.StringIO()
    text.write(INSTRUMENTS_HEADER)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(_row(listing) for listing in listings)
    return text.getvalue().encode()


def with_gzip(plain: bytes) -> tuple[bytes, bytes]:
    """Returns a file, plain and packed."""
    return plain, gzip.compress(plain, mtime=0)


def futures_csv(listings: Iterable[MarketListing], exchange: str, day: date) -> bytes:
    """Writes the list of derivatives: a future of about every fifth share, none for another exchange."""
    text = io.StringIO()
    text.write(INSTRUMENTS_HEADER)
    expiry = day.replace(day=monthrange(day.year, day.month)[1])
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(_future_row(listing, expiry) for listing in listings if has_future(listing, exchange))
    return text.getvalue().encode()


def has_future(listing: MarketListing, exchange: str = FUTURES_EXCHANGE) -> bool:
    return exchange == FUTURES_EXCHANGE and not listing.is_index and listing.token % SHARES_PER_FUTURE == 0


def _future_row(listing: MarketListing, expiry: date) -> tuple[object, ...]:
    return (
        listing.token + FUTURE_TOKENS,
        listing.exchange_token + FUTURE_TOKENS,
        f"{listing.trading_symbol}{expiry:%y%b}FUT".upper(),
        listing.trading_symbol,
        0.0,
        expiry,
        0.0,
        listing.tick_size,
        FUTURE_LOT,
        "FUT",
        f"{FUTURES_EXCHANGE}-FUT",
        FUTURES_EXCHANGE,
    )


def _row(listing: MarketListing) -> tuple[object, ...]:
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
        SIMULATED_EXCHANGE.name,
    )


def daily_candles(series: BarSeries, *, open_interest: bool) -> list[tuple[Any, ...]]:
    """Returns rows of [timestamp, open, high, low, close, volume], and 0 for open interest if asked for."""
    stamps = [f"{day}T00:00:00+0530" for day in np.datetime_as_string(series.sessions).tolist()]
    return _rows(stamps, series.records, open_interest=open_interest)


def intraday_candles(found: IntradayCandles, *, open_interest: bool) -> list[tuple[Any, ...]]:
    """Returns the same rows with the local time at which each candle begins."""
    stamps = [f"{start}+0530" for start in np.datetime_as_string(found.records["start"]).tolist()]
    return _rows(stamps, found.records, open_interest=open_interest)


def _rows(stamps: list[str], records: RecordArray, *, open_interest: bool) -> list[tuple[Any, ...]]:
    columns = [records[name].tolist() for name in PRICE_FIELDS]
    columns.append([whole_shares(volume) for volume in records["volume"].tolist()])
    if open_interest:
        columns.append([0] * len(records))
    return list(zip(stamps, *columns, strict=True))


def ltp_quote(quote: MarketQuote) -> dict[str, Any]:
    return {"instrument_token": quote.token, "last_price": quote.last}


def ohlc_quote(quote: MarketQuote) -> dict[str, Any]:
    """`close` is the previous session's close, as the vendor has it."""
    ohlc = {"open": quote.open, "high": quote.high, "low": quote.low, "close": quote.previous_close}
    return {**ltp_quote(quote), "ohlc": ohlc}


def full_quote(quote: MarketQuote, *, is_locked: bool = False) -> dict[str, Any]:
    """Returns all of a quote; orders wait on both sides, tick by tick from the last price.

    A locked share stands at its upper limit, and nobody sells.
    """
    stamp = _timestamp(quote.traded_at)
    lowest, highest = SIMULATED_EXCHANGE.price_limits(quote.previous_close)
    return {
        **ohlc_quote(quote),
        "timestamp": stamp,
        "last_trade_time": stamp,
        "last_quantity": min(quote.volume, 1),
        "buy_quantity": BOOK_QUANTITY,
        "sell_quantity": 0 if is_locked else BOOK_QUANTITY,
        "volume": quote.volume,
        "average_price": _average(quote),
        "oi": 0,
        "oi_day_high": 0,
        "oi_day_low": 0,
        "net_change": 0,
        "lower_circuit_limit": lowest,
        "upper_circuit_limit": quote.last if is_locked else highest,
        "depth": _depth(quote.last, is_locked=is_locked),
    }


def _average(quote: MarketQuote) -> float:
    return float(average_prices(*(np.array(price) for price in (quote.high, quote.low, quote.last))))


def _depth(last: float, *, is_locked: bool) -> Mapping[str, list[dict[str, Any]]]:
    """Returns the orders on both sides; an empty level is all zeroes, as the vendor has it."""
    book = {
        side: [
            {"price": max(round(last + sign * away, 2), 0.0), "quantity": quantity, "orders": orders}
            for away, quantity, orders in ORDER_BOOK
        ]
        for side, sign in (("buy", -1), ("sell", 1))
    }
    nothing = {"price": 0, "quantity": 0, "orders": 0}
    return {**book, "sell": [nothing for _ in ORDER_BOOK]} if is_locked else book


def _timestamp(at: datetime) -> str:
    return at.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S")
