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
    "PermissionException": "check that the Kite Connect plan of this app includes the data, and is paid",
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
        refusal = msgspec.json.decode(body, type=ErrorEnvelope)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return refusal if refusal.status == "error" and refusal.error_type else None


def error_for_response(status: int, body: bytes, endpoint: str, headers: Mapping[str, str]) -> VcpdError:
    """The error to raise for an answer of `status`; never a success."""
    refusal = parse_error_envelope(body)
    said = f"{endpoint}: the market answered {status}" + (f": {_summary(refusal)}" if refusal else "")
    if status == TOO_MANY_REQUESTS:
        return RetryableError(f"{said}; too many requests", retry_after_s=retry_after_s(headers))
    if status >= 500 or refusal is None:
        return RetryableError(said, retry_after_s=retry_after_s(headers))
    return _error_for_type(status, refusal, said)


def error_in_success(body: bytes, endpoint: str) -> VcpdError | None:
    """The error to raise for a refusal that came with the status of a success; None where it is none.

    The market's own words are left out: they may repeat credentials.
    """
    refusal = parse_error_envelope(body)
    if refusal is None:
        return None
    return _error_for_type(
        200, refusal, f"{endpoint}: the market answered 200 with {refusal.error_type[:40]}"
    )


def _error_for_type(status: int, refusal: ErrorEnvelope, said: str) -> VcpdError:
    if refusal.error_type == "TokenException":
        return NeedsLoginError(f"{said}; log in again")
    if step := REMEDIES.get(refusal.error_type):
        return PermanentError(f"{said}; {step}")
    if status in FORBIDDEN_STATUSES or 400 <= status < 500:
        return PermanentError(said)
    return RetryableError(said)


def _summary(refusal: ErrorEnvelope) -> str:
    return f"{refusal.error_type[:40]}: {refusal.message[:MAX_MESSAGE_LENGTH]}"
