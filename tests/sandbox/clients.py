"""A bare HTTP client that knows the exchange's key and keeps its access token."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import msgspec

from tests.sandbox.conftest import SETTINGS
from vcpd.sandbox.settings import RateSettings

WIDE = RateSettings(quote_per_s=1000, historical_per_s=1000, other_per_s=1000, all_gets_per_s=1000)


class SandboxClient:
    """Sends requests as a Kite client does; `access_token` may be spoilt by a test."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self.url = url
        self.access_token = ""

    @property
    def headers(self) -> dict[str, str]:
        return {
            "X-Kite-Version": "3",
            "Authorization": f"token {SETTINGS.api_key}:{self.access_token}",
            "Accept-Encoding": "identity",
        }

    async def request_token(self) -> str:
        """What the login page hands to the application."""
        login = f"{self.url}/connect/login?v=3&api_key={SETTINGS.api_key}"
        async with self._http.get(login, allow_redirects=False) as response:
            assert response.status == 302
            return parse_qs(urlsplit(response.headers["Location"]).query)["request_token"][0]

    async def log_in(self) -> None:
        token = await self.request_token()
        signed = f"{SETTINGS.api_key}{token}{SETTINGS.api_secret}".encode()
        form = {
            "api_key": SETTINGS.api_key,
            "request_token": token,
            "checksum": hashlib.sha256(signed).hexdigest(),
        }
        async with self._http.post(f"{self.url}/session/token", data=form) as response:
            self.access_token = (await response.json())["data"]["access_token"]

    async def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        """Status and body as sent, packed if packed."""
        merged = {**self.headers, **headers}
        async with self._http.get(
            f"{self.url}{path}", headers=merged, timeout=aiohttp.ClientTimeout(total=5)
        ) as response:
            return response.status, await response.read()

    async def data(self, path: str) -> Any:
        """The data of a successful answer."""
        status, body = await self.get(path)
        assert status == 200, body
        return msgspec.json.decode(body)["data"]

    async def error(self, path: str, **headers: str) -> tuple[int, str]:
        """Status and error type of an error answer."""
        status, body = await self.get(path, **headers)
        answer = msgspec.json.decode(body)
        assert answer["status"] == "error"
        assert answer["message"]
        return status, answer["error_type"]

    async def post(self, path: str, body: object) -> int:
        headers = {"X-Sandbox-Request": "1"}
        async with self._http.post(
            f"{self.url}{path}", data=msgspec.json.encode(body), headers=headers
        ) as response:
            return response.status


@asynccontextmanager
async def sandbox_client(url: str) -> AsyncIterator[SandboxClient]:
    """A logged-in door to the exchange at `url`."""
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        opened = SandboxClient(http, url)
        await opened.log_in()
        yield opened
