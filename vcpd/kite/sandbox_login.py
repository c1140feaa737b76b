"""Automatic login at the sandbox exchange; refuses any address outside this machine."""

from typing import Final
from urllib.parse import parse_qs, parse_qsl, urljoin, urlsplit

import aiohttp

from vcpd.core.errors import PermanentError, RetryableError
from vcpd.core.secrets import Secret
from vcpd.kite.settings import LOOPBACK_HOSTS

MAX_REDIRECTS: Final = 5
TIMEOUT_S: Final = 10.0


class SandboxLogin:
    """Walks through the sandbox's login page. Refuses any address outside this machine."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    async def __call__(self, login_url: str) -> tuple[Secret, str]:
        """The request token and the state value that the sandbox hands back."""
        method, url = "GET", login_url
        for _ in range(MAX_REDIRECTS):
            if urlsplit(url).hostname not in LOOPBACK_HOSTS:
                raise PermanentError("only the sandbox on this machine can be logged in to without its owner")
            onward = await self._step(method, url)
            if onward is None and method == "POST":
                break
            method, url = ("GET", onward) if onward else ("POST", url)
            if found := _callback_values(url):
                return found
        raise RetryableError("the sandbox's login page leads nowhere")

    async def _step(self, method: str, url: str) -> str | None:
        """Where the page sends us, or None where it waits for its form to be sent."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        form = dict(parse_qsl(urlsplit(url).query)) if method == "POST" else None
        try:
            async with self._http.request(
                method, url, data=form, allow_redirects=False, timeout=timeout
            ) as response:
                if response.status >= 400:
                    raise RetryableError(f"the sandbox's login page answered {response.status}")
                onward = response.headers.get("Location")
                return urljoin(url, onward) if onward else None
        except (aiohttp.ClientError, OSError) as error:
            raise RetryableError(f"the sandbox's login page: {type(error).__name__}") from None


def _callback_values(url: str) -> tuple[Secret, str] | None:
    query = parse_qs(urlsplit(url).query)
    token = query.get("request_token", [""])[0]
    return (Secret(token), query.get("state", [""])[0]) if token else None
