"""HTTP transport: sends one request within the rate limits, retries it, counts the responses."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from random import SystemRandom
from typing import Final, TypeVar

import aiohttp
import structlog
from msgspec import Struct
from prometheus_client import Counter

from vcpd.core.backoff import Backoff
from vcpd.core.errors import RetryableError, VcpdError
from vcpd.core.http import limited_body
from vcpd.core.secrets import MASK, Secret
from vcpd.kite.rate_limits import RateLimits, RequestKind
from vcpd.kite.settings import KiteSettings
from vcpd.kite.wire import TOO_MANY_REQUESTS, error_for_response

T = TypeVar("T")
REQUEST_HEADERS: Final = {"X-Kite-Version": "3", "User-Agent": "vcpd"}
REQUESTS: Final = Counter(
    "vcpd_requests",
    "Requests to the market, by endpoint and status; status 0 without a response.",
    ["endpoint", "status"],
)
RETRIES: Final = Counter("vcpd_request_retries", "Requests to the market that were repeated after a failure.")
ENDPOINTS: Final = (
    *("/instruments", "/instruments/historical", "/quote", "/session/token", "/user/profile"),
    *("/portfolio/holdings", "/portfolio/positions"),
)
NO_RESPONSE_STATUS: Final = 0  # the status counted where none came
PAUSE_AFTER_429_S: Final = 1.0
_log = structlog.get_logger(__name__)
_random = SystemRandom()


class ApiRequest(Struct, frozen=True):
    """What to send. `endpoint` names it in texts and figures, without tokens in it."""

    endpoint: str
    path: str
    kind: RequestKind = RequestKind.OTHER
    method: str = "GET"
    query: tuple[tuple[str, str], ...] = ()
    form: tuple[tuple[str, Secret], ...] = ()


class Transport:
    """Sends calls within the limits, again where that may help."""

    def __init__(self, http: aiohttp.ClientSession, settings: KiteSettings, limits: RateLimits) -> None:
        self._http = http
        self._settings = settings
        self._limits = limits
        for endpoint in ENDPOINTS:  # begins at 0: `increase` in an alert rule misses a first sample of 1
            REQUESTS.labels(endpoint, str(TOO_MANY_REQUESTS))

    async def fetch(
        self,
        call: ApiRequest,
        decode: Callable[[bytes], Awaitable[T]],
        authorization: Callable[[], Mapping[str, str]] = dict,
    ) -> T:
        """The decoded answer to `call`, tried as often as the settings allow.

        `authorization` is asked before each try. A response in which `decode` finds a temporary failure
        is requested again. Raises RetryableError when the tries are used up, other errors at once.
        """
        tries = 1
        while True:
            try:
                return await decode(await self.send_once(call, authorization))
            except RetryableError as error:
                if tries >= self._settings.max_attempts or self._retry_after_too_long(error):
                    raise
                pause_s = self._retry_delay_s(tries, error)
                _log.info(
                    "kite.retry", endpoint=call.endpoint, reason=str(error), tries=tries, pause_s=pause_s
                )
            tries += 1
            RETRIES.inc()
            await asyncio.sleep(pause_s)

    async def send_once(
        self, call: ApiRequest, authorization: Callable[[], Mapping[str, str]] = dict
    ) -> bytes:
        """The body of a success; RetryableError, NeedsLoginError or PermanentError for anything else."""
        authorization()  # a call that may not be sent does not queue
        async with self._limits.acquire(call.kind, is_get=call.method == "GET") as admission:
            headers = {**REQUEST_HEADERS, **authorization()}
            try:
                async with self._request(call, headers) as response:
                    admission.mark_answered()
                    return await self._checked_body(call, response)
            except VcpdError as error:
                raise _redacted(error, call, headers) from None
            except TimeoutError:
                raise self._connection_error(
                    call, f"no complete response within {self._settings.timeout_s:g} s"
                ) from None
            except (aiohttp.ClientError, OSError) as error:
                raise self._connection_error(call, _describe_connection_error(error)) from None

    def _request(
        self, call: ApiRequest, headers: Mapping[str, str]
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

    async def _checked_body(self, call: ApiRequest, response: aiohttp.ClientResponse) -> bytes:
        body = await self._read_body(call, response)
        REQUESTS.labels(call.endpoint, str(response.status)).inc()
        if response.status < 300:
            return body
        error = error_for_response(response.status, body, call.endpoint, response.headers)
        if response.status == TOO_MANY_REQUESTS:
            asked_s = getattr(error, "retry_after_s", None) or 0.0
            pause_s = min(asked_s, self._settings.retry_after_max_s)
            self._limits.slow_down(call.kind, max(pause_s, PAUSE_AFTER_429_S))
        raise error

    async def _read_body(self, call: ApiRequest, response: aiohttp.ClientResponse) -> bytes:
        chunks, limit_mb = response.content.iter_any(), self._settings.body_limit_mb
        return await limited_body(chunks, limit_mb, call.endpoint, "response")

    def _connection_error(self, call: ApiRequest, what: str) -> RetryableError:
        REQUESTS.labels(call.endpoint, str(NO_RESPONSE_STATUS)).inc()
        return RetryableError(f"{call.endpoint}: {what}")

    def _retry_after_too_long(self, error: RetryableError) -> bool:
        return (error.retry_after_s or 0.0) > self._settings.retry_after_max_s

    def _retry_delay_s(self, attempts: int, error: RetryableError) -> float:
        settings = self._settings
        return Backoff(settings.backoff_s, settings.backoff_max_s).pause_s(attempts, error.retry_after_s)


def _describe_connection_error(error: Exception) -> str:
    return f"the connection failed: {type(error).__name__}: {error}"


def _redacted(error: VcpdError, call: ApiRequest, headers: Mapping[str, str]) -> VcpdError:
    """The same error, should the market have repeated a credential in its message."""
    text = str(error)
    sent = headers.get("Authorization", "").replace(":", " ").split()[1:]
    for word in (*sent, *(value.reveal() for _, value in call.form)):
        text = text.replace(word, MASK)
    error.args = (text,)
    return error
