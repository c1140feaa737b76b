"""Decodes the REST responses of Kite Connect, pure: bytes to values, error responses to exceptions.

The HTTP status of an error response decides first, then the error type of its envelope. Whatever does not
look like an answer of the exchange (a proxy's page, half a body, other types) is a RetryableError that names
the endpoint; an error payload under HTTP 200 raises the error it names. Nothing here fails in any other way.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from math import nan
from operator import attrgetter
from typing import Any, Final, NoReturn, TypeVar

import msgspec
import numpy as np

from vcpd.core.errors import BadInputError, NeedsLoginError, PermanentError, RetryableError, VcpdError
from vcpd.core.http import retry_after_s
from vcpd.core.secrets import Secret
from vcpd.domain.bars import BAR_DTYPE, EPOCH_ORDINAL, BarSeries, FloatArray, RecordArray
from vcpd.domain.instruments import Quote
from vcpd.domain.live import MinuteVolumes

TOO_MANY_REQUESTS: Final = 429
FORBIDDEN_STATUSES: Final = (401, 403)
MAX_MESSAGE_LENGTH: Final = 200
REMEDIES: Final = {
    "PermissionException": (
        "the Kite Connect plan of this app does not include this data: the free Personal plan has neither "
        "quotes nor candles; "
        'choose the plan Connect and log in again, or set market = "bhavcopy", which needs no account'
    ),
    "InputException": "this is a defect of vcpd or of its configuration; the same request will fail again",
}


class ErrorEnvelope(msgspec.Struct, frozen=True):
    """The exchange's error envelope."""

    message: str = ""
    error_type: str = ""
    status: str = "error"


def parse_error_envelope(body: bytes) -> ErrorEnvelope | None:
    """The envelope in `body`, or None where it is none of the exchange's (a proxy's page, for one)."""
    try:
        envelope = msgspec.json.decode(body, type=ErrorEnvelope)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return envelope if envelope.status == "error" and envelope.error_type else None


def error_for_response(status: int, body: bytes, endpoint: str, headers: Mapping[str, str]) -> VcpdError:
    """The error to raise for an answer of `status`; never a success."""
    envelope = parse_error_envelope(body)
    text = f"{endpoint}: the market answered {status}" + (f": {_summary(envelope)}" if envelope else "")
    if status == TOO_MANY_REQUESTS:
        return RetryableError(f"{text}; too many requests", retry_after_s=retry_after_s(headers))
    if status >= 500 or envelope is None:
        return RetryableError(text, retry_after_s=retry_after_s(headers))
    return _error_for_type(status, envelope, text)


def error_in_success(body: bytes, endpoint: str) -> VcpdError | None:
    """The error to raise for an error payload under a success status; None where the payload is none.

    The market's own words are left out: they may repeat credentials.
    """
    envelope = parse_error_envelope(body)
    if envelope is None:
        return None
    return _error_for_type(
        200, envelope, f"{endpoint}: the market answered 200 with {envelope.error_type[:40]}"
    )


def _error_for_type(status: int, envelope: ErrorEnvelope, text: str) -> VcpdError:
    if envelope.error_type == "TokenException":
        return NeedsLoginError(f"{text}; log in again")
    if step := REMEDIES.get(envelope.error_type):
        return PermanentError(f"{text}; {step}")
    if status in FORBIDDEN_STATUSES or 400 <= status < 500:
        return PermanentError(text)
    return RetryableError(text)


def _summary(envelope: ErrorEnvelope) -> str:
    return f"{envelope.error_type[:40]}: {envelope.message[:MAX_MESSAGE_LENGTH]}"


T = TypeVar("T")
CANDLE_VALUES: Final = ("open", "high", "low", "close", "volume")
DECODE_ERRORS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
IST_OFFSETS: Final = ("", "+0530", "+05:30")
_TOKEN_PATTERN: Final = re.compile(r"[!-~]+")


class Candle(msgspec.Struct, array_like=True, frozen=True):
    """One row of candles as sent: `[at, open, high, low, close, volume]`, then perhaps open interest."""

    at: str
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None


class CandlesData(msgspec.Struct, frozen=True):
    candles: list[Candle]


class Ohlc(msgspec.Struct, frozen=True):
    """`close` is the previous session's while the session runs."""

    open: float
    high: float
    low: float
    close: float


class FullQuote(msgspec.Struct, frozen=True):
    """The part of a `/quote` item that is used."""

    instrument_token: int
    last_price: float
    ohlc: Ohlc
    timestamp: str | None = None
    last_trade_time: str | None = None
    volume: float | None = None
    lower_circuit_limit: float | None = None
    upper_circuit_limit: float | None = None
    sell_quantity: float | None = None


class UserProfile(msgspec.Struct, frozen=True):
    """Whose account it is."""

    user_id: str
    user_name: str = ""
    broker: str = ""


class SessionGrant(msgspec.Struct, frozen=True):
    """What a login gives."""

    access_token: Secret
    user_id: str = ""


class _Envelope(msgspec.Struct, frozen=True):
    data: msgspec.Raw
    status: str = "success"


def decode_secret(kind: type, value: Any) -> Secret:
    """msgspec's hook for fields that are secrets."""
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError(f"expected text, was {type(value).__name__}")


_ENVELOPE_DECODER: Final = msgspec.json.Decoder(_Envelope)
_CANDLES_DECODER: Final = msgspec.json.Decoder(CandlesData)
_QUOTES_DECODER: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_QUOTE_DECODER: Final = msgspec.json.Decoder(FullQuote | None)
_PROFILE_DECODER: Final = msgspec.json.Decoder(UserProfile)
_GRANT_DECODER: Final = msgspec.json.Decoder(SessionGrant, dec_hook=decode_secret)


def decode_daily_bars(body: bytes, symbol: str) -> BarSeries:
    """Daily candles, oldest first, none of them provisional; a null price becomes NaN.

    The timestamps must be Indian time: a session read in another zone would be another day.
    """
    endpoint = f"/instruments/historical ({symbol})"
    candles = decode_data(endpoint, body, _CANDLES_DECODER).candles
    return BarSeries(symbol, decode_or_raise(endpoint, lambda: _bar_records(candles)))


def decode_minute_volumes(body: bytes) -> MinuteVolumes:
    """Minute volumes in exchange-local time, oldest first; a null volume counts as 0."""
    endpoint = "/instruments/historical (minute)"
    candles = decode_data(endpoint, body, _CANDLES_DECODER).candles
    return decode_or_raise(endpoint, lambda: _minute_volumes(candles))


def decode_quotes(body: bytes) -> dict[str, Quote]:
    """Quotes by symbol; names that the exchange does not know are absent.

    So is a single one that cannot be read: it does not keep the others away.
    """
    items = decode_data("/quote", body, _QUOTES_DECODER)
    found: dict[str, Quote] = {}
    unreadable = ""
    for symbol, raw in items.items():
        try:
            item = _QUOTE_DECODER.decode(raw)
        except DECODE_ERRORS as error:
            unreadable = f"{symbol[:40]}: {error}"
            continue
        if item is not None:
            found[symbol] = _quote(symbol, item)
    if unreadable and not found:
        raise_malformed("/quote", unreadable)
    return found


def decode_profile(body: bytes) -> UserProfile:
    return decode_data("/user/profile", body, _PROFILE_DECODER)


def decode_grant(body: bytes) -> SessionGrant:
    """The answer to a login; RetryableError also where it holds no usable token."""
    granted = decode_data("/session/token", body, _GRANT_DECODER)
    if not _TOKEN_PATTERN.fullmatch(granted.access_token.reveal()):
        raise_malformed("/session/token", "an access token with unexpected characters")
    return granted


def decode_data(endpoint: str, body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """The envelope's `data` as the decoder's type."""
    try:
        answer = _ENVELOPE_DECODER.decode(body)
        if answer.status == "success":
            return decoder.decode(answer.data)
        what = f"status {answer.status[:40]!r} in a response that should report success"
    except DECODE_ERRORS as error:
        what = _describe_malformed(body, error)
    raise error_in_success(body, endpoint) or _malformed_error(endpoint, what)


def decode_or_raise(endpoint: str, decode: Callable[[], T]) -> T:
    """What `decode` gives; RetryableError naming the endpoint where it finds the answer unreadable."""
    try:
        return decode()
    except (ValueError, OverflowError, BadInputError) as error:
        raise_malformed(endpoint, str(error) or type(error).__name__)


def raise_malformed(endpoint: str, what: str) -> NoReturn:
    """RetryableError: `what` was answered cannot be read."""
    raise _malformed_error(endpoint, what) from None


def _malformed_error(endpoint: str, what: str) -> RetryableError:
    return RetryableError(f"{endpoint}: the market's answer cannot be read: {what}")


def _describe_malformed(body: bytes, error: Exception) -> str:
    if body.lstrip()[:1] == b"<":
        return "a web page instead of JSON"
    return f"{error}" if body else "nothing at all"


def _bar_records(candles: Sequence[Candle]) -> RecordArray:
    """The candles (n,) as records of `BAR_DTYPE` (n,), oldest first."""
    count = len(candles)
    records = np.zeros(count, BAR_DTYPE)
    ordinals = np.fromiter((_session_date(candle.at).toordinal() for candle in candles), np.int64, count)
    records["session"] = (ordinals - EPOCH_ORDINAL).view("M8[D]")
    for name in CANDLE_VALUES:
        records[name] = _column(candles, name)
    if (ordinals[1:] < ordinals[:-1]).any():
        records = records[np.argsort(ordinals, kind="stable")]
    return records


def _column(candles: Sequence[Candle], name: str) -> FloatArray:
    values = map(attrgetter(name), candles)
    try:
        return np.fromiter(values, np.float64, len(candles))
    except TypeError:  # a null among them
        return np.array([getattr(candle, name) for candle in candles], np.float64)


def _minute_volumes(candles: Sequence[Candle]) -> MinuteVolumes:
    for candle in candles:
        _session_date(candle.at)  # Indian time, or these are other minutes
    minutes = np.array([candle.at[:16] for candle in candles], "M8[m]")
    volume = np.fromiter((candle.volume or 0.0 for candle in candles), np.float64, len(candles))
    order = np.argsort(minutes, kind="stable")
    return MinuteVolumes(minutes[order], volume[order])


def _session_date(at: str) -> date:
    """The date of `2025-06-30T00:00:00+0530`."""
    if at[10:11] not in ("T", " ", "") or at[19:] not in IST_OFFSETS:
        raise ValueError(f"a candle at {at[:40]!r}, expected Indian time")
    return date.fromisoformat(at[:10])


def _quote(symbol: str, item: FullQuote) -> Quote:
    return Quote(
        symbol=symbol,
        token=item.instrument_token,
        at=item.last_trade_time or item.timestamp or "",
        last_price=item.last_price,
        open=item.ohlc.open,
        high=item.ohlc.high,
        low=item.ohlc.low,
        previous_close=item.ohlc.close,
        volume=nan if item.volume is None else item.volume,
        upper_limit=item.upper_circuit_limit or None,
        shares_on_sale=item.sell_quantity,
        lower_limit=item.lower_circuit_limit or None,
    )
