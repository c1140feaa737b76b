"""What to do about an answer that is no success: decided by the HTTP status first, then by its type."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Final

import msgspec

from vcpd.domain.errors import NeedsLoginError, PermanentError, RetryableError, VcpdError

TOO_MANY: Final = 429
FORBIDDEN: Final = (401, 403)
MESSAGE_LIMIT: Final = 200
NEXT_STEP: Final = {
    "PermissionException": "check that the Kite Connect plan of this app includes the data, and is paid",
    "InputException": "this is a mistake in vcpd or in its configuration, the same request will fail again",
}


class Refusal(msgspec.Struct, frozen=True):
    """The exchange's error envelope."""

    message: str = ""
    error_type: str = ""
    status: str = "error"


def refusal_of(body: bytes) -> Refusal | None:
    """The envelope in `body`, or None where it is none of the exchange's (a proxy's page, for one)."""
    try:
        refusal = msgspec.json.decode(body, type=Refusal)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return refusal if refusal.status == "error" and refusal.error_type else None


def error_of(status: int, body: bytes, endpoint: str, headers: Mapping[str, str]) -> VcpdError:
    """The error to raise for an answer of `status`; never a success."""
    refusal = refusal_of(body)
    said = f"{endpoint}: the market answered {status}" + (f": {_short(refusal)}" if refusal else "")
    if status == TOO_MANY:
        return RetryableError(f"{said}; too many requests", retry_after_s=retry_after_s(headers))
    if status >= 500 or refusal is None:
        return RetryableError(said, retry_after_s=retry_after_s(headers))
    return _by_type(status, refusal, said)


def refusal_as_success(body: bytes, endpoint: str) -> VcpdError | None:
    """The error to raise for a refusal that came with the status of a success; None where it is none.

    The market's own words are left out: they may repeat credentials.
    """
    refusal = refusal_of(body)
    if refusal is None:
        return None
    return _by_type(200, refusal, f"{endpoint}: the market answered 200 with {refusal.error_type[:40]}")


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds of `Retry-After`, a date in it being read against the answer's own `Date`."""
    text = headers.get("Retry-After", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        return _seconds_between(headers.get("Date", ""), text)
    return seconds if isfinite(seconds) and seconds >= 0 else None


def _by_type(status: int, refusal: Refusal, said: str) -> VcpdError:
    if refusal.error_type == "TokenException":
        return NeedsLoginError(f"{said}; log in again")
    if step := NEXT_STEP.get(refusal.error_type):
        return PermanentError(f"{said}; {step}")
    if status in FORBIDDEN or 400 <= status < 500:
        return PermanentError(said)
    return RetryableError(said)


def _short(refusal: Refusal) -> str:
    return f"{refusal.error_type[:40]}: {refusal.message[:MESSAGE_LIMIT]}"


def _seconds_between(earlier: str, later: str) -> float | None:
    try:
        seconds = (parsedate_to_datetime(later) - parsedate_to_datetime(earlier)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, seconds)
