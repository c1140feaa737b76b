"""Maps error responses to exceptions: by HTTP status first, then by the error type of the envelope."""

from collections.abc import Mapping
from typing import Final

import msgspec

from vcpd.core.backoff import retry_after_s
from vcpd.core.errors import NeedsLoginError, PermanentError, RetryableError, VcpdError

TOO_MANY_REQUESTS: Final = 429
FORBIDDEN_STATUSES: Final = (401, 403)
MAX_MESSAGE_LENGTH: Final = 200
REMEDIES: Final = {
    "PermissionException": (
        "the Kite Connect plan of this app does not include this data: the free Personal plan has neither "
        "quotes nor candles; "
        'choose the plan Connect and log in again, or set market = "bhavcopy", which needs no account'
    ),
    "InputException": "this is a mistake in vcpd or in its configuration, the same request will fail again",
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
