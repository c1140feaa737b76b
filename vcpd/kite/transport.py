"""One request to the exchange: its turn, its bounds, its tries, and what was counted on the way."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from random import SystemRandom
from typing import Final, TypeVar

import aiohttp
import structlog
from msgspec import Struct

from vcpd.domain.errors import RetryableError, VcpdError
from vcpd.domain.secrets import MASK, Secret
from vcpd.kite.limits import Kind, Limits, PaceCounts
from vcpd.kite.refusals import TOO_MANY, error_of
from vcpd.kite.settings import KiteSettings

T = TypeVar("T")

VERSION_HEADER: Final = {"X-Kite-Version": "3", "User-Agent": "vcpd"}
NO_ANSWER: Final = 0  # the status counted where none came
PAUSE_AFTER_429_S: Final = 1.0
BYTES_PER_MB: Final = 1024 * 1024

_log = structlog.get_logger(__name__)
_dice = SystemRandom()


class Call(Struct, frozen=True):
    """What to send. `endpoint` names it in texts and figures, without tokens in it."""

    endpoint: str
    path: str
    kind: Kind = Kind.OTHER
    method: str = "GET"
    query: tuple[tuple[str, str], ...] = ()
    form: tuple[tuple[str, Secret], ...] = ()


class TransportCounts(Struct, frozen=True):
    """Answers by (endpoint, status), status 0 where none came; tries beyond the first; waits by limit."""

    answers: Mapping[tuple[str, int], int]
    retries: int
    limits: Mapping[str, PaceCounts]


class Transport:
    """Sends calls within the limits, again where that may help."""

    def __init__(self, http: aiohttp.ClientSession, settings: KiteSettings, limits: Limits) -> None:
        self._http = http
        self._settings = settings
        self._limits = limits
        self._answers: Counter[tuple[str, int]] = Counter()
        self._retries = 0

    async def fetch(
        self,
        call: Call,
        decode: Callable[[bytes], Awaitable[T]],
        authorization: Callable[[], Mapping[str, str]] = dict,
    ) -> T:
        """The decoded answer to `call`, tried as often as the settings allow.

        `authorization` is asked before each try. An answer that `decode` finds passing trouble in is
        asked for again. Raises RetryableError when the tries are used up, other errors at once.
        """
        tries = 1
        while True:
            try:
                return await decode(await self.once(call, authorization))
            except RetryableError as error:
                if tries >= self._settings.tries or self._asks_too_long(error):
                    raise
                pause_s = self._pause_s(tries, error)
                _log.info(
                    "kite.retry", endpoint=call.endpoint, reason=str(error), tries=tries, pause_s=pause_s
                )
            tries += 1
            self._retries += 1
            await asyncio.sleep(pause_s)

    async def once(self, call: Call, authorization: Callable[[], Mapping[str, str]] = dict) -> bytes:
        """The body of a success; RetryableError, NeedsLoginError or PermanentError for anything else."""
        authorization()  # a call that may not be sent does not queue
        async with self._limits.admit(call.kind, is_get=call.method == "GET") as admission:
            headers = {**VERSION_HEADER, **authorization()}
            try:
                async with self._request(call, headers) as response:
                    admission.answered()
                    return await self._accepted(call, response)
            except VcpdError as error:
                raise _masked(error, call, headers) from None
            except TimeoutError:
                raise self._unanswered(
                    call, f"no whole answer within {self._settings.timeout_s:g} s"
                ) from None
            except (aiohttp.ClientError, OSError) as error:
                raise self._unanswered(call, _plain(error)) from None

    def counts(self) -> TransportCounts:
        return TransportCounts(dict(self._answers), self._retries, self._limits.counts())

    def _request(
        self, call: Call, headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        timeout = aiohttp.ClientTimeout(
            total=self._settings.timeout_s, connect=self._settings.connect_timeout_s
        )
        return self._http.request(
            call.method,
            self._settings.api_root.rstrip("/") + call.path,
            params=call.query or None,
            data={name: value.reveal() for name, value in call.form} or None,
            headers=headers,
            timeout=timeout,
            allow_redirects=False,
        )

    async def _accepted(self, call: Call, response: aiohttp.ClientResponse) -> bytes:
        body = await self._body(call, response)
        self._answers[call.endpoint, response.status] += 1
        if response.status < 300:
            return body
        error = error_of(response.status, body, call.endpoint, response.headers)
        if response.status == TOO_MANY:
            asked_s = getattr(error, "retry_after_s", None) or 0.0
            pause_s = min(asked_s, self._settings.retry_after_max_s)
            self._limits.slow_down(call.kind, max(pause_s, PAUSE_AFTER_429_S))
        raise error

    async def _body(self, call: Call, response: aiohttp.ClientResponse) -> bytes:
        limit = int(self._settings.body_limit_mb * BYTES_PER_MB)
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > limit:
                raise RetryableError(f"{call.endpoint}: the answer is larger than {limit} bytes")
        return bytes(body)

    def _unanswered(self, call: Call, what: str) -> RetryableError:
        self._answers[call.endpoint, NO_ANSWER] += 1
        return RetryableError(f"{call.endpoint}: {what}")

    def _asks_too_long(self, error: RetryableError) -> bool:
        return (error.retry_after_s or 0.0) > self._settings.retry_after_max_s

    def _pause_s(self, tries: int, error: RetryableError) -> float:
        """What the market asks for, else a random share of a pause that doubles from try to try."""
        longest_s = min(self._settings.backoff_max_s, self._settings.backoff_s * 2 ** (tries - 1))
        return (error.retry_after_s or 0.0) + _dice.uniform(longest_s / 2, longest_s)


def _plain(error: Exception) -> str:
    return f"the connection failed: {type(error).__name__}: {error}"


def _masked(error: VcpdError, call: Call, headers: Mapping[str, str]) -> VcpdError:
    """The same error, should the market have repeated a credential in its message."""
    text = str(error)
    sent = headers.get("Authorization", "").replace(":", " ").split()[1:]
    for word in (*sent, *(value.reveal() for _, value in call.form)):
        text = text.replace(word, MASK)
    error.args = (text,)
    return error
