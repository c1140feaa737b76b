"""HTTP to the channels' servers: what a status means, and errors that keep addresses to themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from vcpd.domain.errors import PermanentError, RetryableError
from vcpd.ports import Clock

PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
READ_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    retry_after_s: float | None = None

    @property
    def good(self) -> bool:
        return self.status // 100 == 2


@dataclass(frozen=True, slots=True)
class HttpDoor:
    """Requests with a deadline each; an address may be secret and is never part of an error."""

    http: aiohttp.ClientSession
    timeout_s: float
    clock: Clock

    async def request(self, method: str, url: str, **options: Any) -> Answer:
        """RetryableError where nobody answers, PermanentError for an address that is none."""
        try:
            async with self.http.request(
                method,
                url,
                allow_redirects=False,  # a signed message goes where the owner said, nowhere else
                timeout=aiohttp.ClientTimeout(total=self.timeout_s),
                **options,
            ) as answer:
                body = await answer.content.read(READ_BYTES)
                return Answer(answer.status, body, retry_after_s(answer.headers, self.clock.now()))
        except aiohttp.InvalidURL:
            raise PermanentError("its address is none: expected http(s)://host/path") from None
        except aiohttp.ClientConnectorCertificateError:
            raise RetryableError("its certificate does not hold") from None
        except TimeoutError:
            raise RetryableError(f"no answer within {self.timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            words = getattr(error, "strerror", None) or type(error).__name__
            raise RetryableError(f"cannot be reached: {words}") from None


def require_good(answer: Answer, detail: str = "") -> None:
    """Raises what the status means: RetryableError for what passes, else PermanentError."""
    if answer.good:
        return
    words = f"it answers {answer.status}" + (f": {detail}" if detail else "")
    if answer.status in PASSING or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise RetryableError(words, retry_after_s=answer.retry_after_s)
    raise PermanentError(words)


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """The header Retry-After as seconds, whichever of its two forms it has."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError):
        return None
