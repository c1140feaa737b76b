"""HTTP responses: reads a body up to a limit, and the Retry-After header."""

from collections.abc import AsyncIterable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Final

from vcpd.core.errors import RetryableError

BYTES_PER_MB: Final = 1024 * 1024


async def limited_body(chunks: AsyncIterable[bytes], limit_mb: float, name: str, kind: str) -> bytes:
    """The whole body. RetryableError naming `name` and `kind` as soon as it is larger than `limit_mb`.

    A body that never ends would otherwise fill the memory.
    """
    limit = int(limit_mb * BYTES_PER_MB)
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise RetryableError(f"{name}: the {kind} is larger than {limit} bytes")
    return bytes(body)


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """The seconds of the header Retry-After; None without it, or for a value of neither form.

    A date in it is read against the response's own `Date`, else against `now` (aware).
    """
    text = headers.get("Retry-After", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        return _seconds_until(text, headers.get("Date", ""), now)
    return seconds if isfinite(seconds) and seconds >= 0 else None


def _seconds_until(date_text: str, sent_text: str, now: datetime | None) -> float | None:
    try:
        until = parsedate_to_datetime(date_text)
        sent = parsedate_to_datetime(sent_text) if sent_text or now is None else now
        return max(0.0, (until - sent).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None
