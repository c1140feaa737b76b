"""HTTP: requests with a timeout, bodies up to a limit, the Retry-After header, what a status means."""

from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from math import isfinite
from typing import Any, Final, Protocol

import aiohttp

from vcpd.core.errors import PermanentError, RetryableError

BYTES_PER_MB: Final = 1024 * 1024
MAX_RESPONSE_BYTES: Final = 64 << 10  # that are read of the response to a short request
RETRYABLE_STATUSES: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)


class DateClock(Protocol):
    """The part of a clock that reading a date needs."""

    def now(self) -> datetime: ...


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


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """Status, body and requested pause of a response."""

    status: int
    body: bytes
    retry_after_s: float | None = None

    @property
    def is_success(self) -> bool:
        return self.status // 100 == 2


@dataclass(frozen=True, slots=True)
class HttpClient:
    """HTTP requests with a timeout; an address may be secret and is never part of an error.

    The errors' sentences follow the name of the server that is asked.
    """

    session: aiohttp.ClientSession
    timeout_s: float
    clock: DateClock

    async def request(self, method: str, url: str, **options: Any) -> HttpResponse:
        """RetryableError where there is no response, PermanentError for an invalid address."""
        try:
            async with self.session.request(
                method,
                url,
                allow_redirects=False,  # a signed message goes to the configured address only
                timeout=aiohttp.ClientTimeout(total=self.timeout_s),
                **options,
            ) as answer:
                body = await answer.content.read(MAX_RESPONSE_BYTES)
                return HttpResponse(answer.status, body, retry_after_s(answer.headers, self.clock.now()))
        except aiohttp.InvalidURL:
            raise PermanentError("its address is invalid: expected http(s)://host/path") from None
        except aiohttp.ClientConnectorCertificateError:
            raise RetryableError("its certificate is not valid") from None
        except TimeoutError:
            raise RetryableError(f"no answer within {self.timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            words = getattr(error, "strerror", None) or type(error).__name__
            raise RetryableError(f"cannot be reached: {words}") from None


def raise_for_status(answer: HttpResponse, detail: str = "") -> None:
    """Raises what the status means: RetryableError for what passes, else PermanentError."""
    if answer.is_success:
        return
    words = f"it answers {answer.status}" + (f": {detail}" if detail else "")
    if answer.status in RETRYABLE_STATUSES or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise RetryableError(words, retry_after_s=answer.retry_after_s)
    raise PermanentError(words)
