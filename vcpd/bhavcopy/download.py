"""One file from a web server: its turn, its bounds, its tries.

Pauses are real seconds, whatever time the daemon lives in: the server counts in those.
"""

import asyncio
from contextlib import suppress
from random import SystemRandom
from typing import Final

import aiohttp
import structlog
from aiolimiter import AsyncLimiter

from vcpd.bhavcopy.settings import BhavcopySettings
from vcpd.domain.errors import RetryableError

NOT_FOUND: Final = frozenset({404, 410})
OK: Final = 200
BYTES_PER_MB: Final = 1024 * 1024
RETRY_AFTER_MAX_S: Final = 120.0
_log = structlog.get_logger(__name__)
_dice = SystemRandom()


class Download:
    """Fetches files one after another at the agreed pace, again where that may help."""

    def __init__(self, http: aiohttp.ClientSession, settings: BhavcopySettings) -> None:
        self._http = http
        self._settings = settings
        self._pace = AsyncLimiter(1, 1 / settings.requests_per_s)
        self.requests = 0

    async def fetch(self, url: str, name: str) -> bytes | None:
        """The file's bytes, None where the server has no such file.

        Raises RetryableError, naming the file, once the tries are used up.
        """
        tries = 1
        while True:
            try:
                return await self._once(url, name)
            except RetryableError as error:
                if tries >= self._settings.tries:
                    raise
                pause_s = self._pause_s(tries, error)
                _log.info("bulletin.retry", file=name, reason=str(error), tries=tries, pause_s=pause_s)
            tries += 1
            await asyncio.sleep(pause_s)

    async def visit(self, url: str) -> None:
        """Take up a site's cookies, whatever its page says."""
        with suppress(RetryableError):
            await self._once(url, "front page")

    async def _once(self, url: str, name: str) -> bytes | None:
        await self._pace.acquire()
        self.requests += 1
        try:
            async with self._http.get(
                url,
                headers={"User-Agent": self._settings.user_agent, "Accept": "*/*"},
                timeout=aiohttp.ClientTimeout(total=self._settings.timeout_s),
                allow_redirects=False,
            ) as response:
                return await self._accepted(response, name)
        except TimeoutError:
            waited_s = self._settings.timeout_s
            raise RetryableError(f"{name}: no whole file within {waited_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise RetryableError(f"{name}: the connection failed: {type(error).__name__}: {error}") from None

    async def _accepted(self, response: aiohttp.ClientResponse, name: str) -> bytes | None:
        if response.status in NOT_FOUND:
            return None
        if response.status != OK:
            raise RetryableError(
                f"{name}: the server answers {response.status} instead of the file",
                retry_after_s=_retry_after_s(response.headers.get("Retry-After", "")),
            )
        limit = int(self._settings.body_limit_mb * BYTES_PER_MB)
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > limit:
                raise RetryableError(f"{name}: the file is larger than {limit} bytes")
        if not body or body.lstrip().startswith(b"<"):
            raise RetryableError(f"{name}: {'a web page' if body else 'nothing'} instead of the file")
        return bytes(body)

    def _pause_s(self, tries: int, error: RetryableError) -> float:
        """What the server asks for, else a random share of a pause that doubles from try to try."""
        longest_s = self._settings.backoff_s * 2 ** (tries - 1)
        return min(error.retry_after_s or 0.0, RETRY_AFTER_MAX_S) + _dice.uniform(longest_s / 2, longest_s)


def _retry_after_s(text: str) -> float | None:
    return float(text) if text.isdigit() else None
