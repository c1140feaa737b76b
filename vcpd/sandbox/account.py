"""Customer account of the sandbox: login page, request tokens, the access token and its expiry."""

import hashlib
import hmac
import secrets
import time
from datetime import datetime
from html import escape
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from aiohttp import web

from vcpd.sandbox.market import ZONE, next_token_expiry
from vcpd.sandbox.protocol import ApiError
from vcpd.sandbox.settings import SIMULATED_EXCHANGE, SandboxSettings

LOGIN_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Simulated exchange</title>
<body style="font-family: sans-serif; max-width: 24rem; margin: 4rem auto">
<h1>Simulated exchange</h1>
<p>No real account, no real money. The button logs this application in until 06:00 {zone_name}.</p>
<form method="post" action="/connect/login">
<input type="hidden" name="api_key" value="{api_key}">
<input type="hidden" name="redirect_params" value="{redirect_params}">
<button type="submit">Log in</button>
</form>
</body>
</html>
"""
REQUEST_TOKEN_TTL_S: Final = 300.0
USER_PROFILE: Final = {
    "user_id": "SB0001",
    "user_type": "individual",
    "email": "owner@sandbox.invalid",
    "user_name": "Sandbox Owner",
    "user_shortname": "Owner",
    "broker": "SANDBOX",
    "exchanges": [SIMULATED_EXCHANGE.name],
    "products": ["CNC"],
    "order_types": ["MARKET", "LIMIT"],
    "avatar_url": None,
    "meta": {"demat_consent": "physical"},
}


def login_page(api_key: str, redirect_params: str) -> web.Response:
    """Returns the form that posts back the parameters of the link."""
    page = LOGIN_PAGE.format(
        api_key=escape(api_key, quote=True),
        redirect_params=escape(redirect_params, quote=True),
        zone_name=SIMULATED_EXCHANGE.zone_name,
    )
    return web.Response(text=page, content_type="text/html")


class SandboxAccount:
    """Issues tokens: request tokens are valid once and for five real minutes, one access token at a time.

    An access token dies at the next 06:00 of the market's own time, on logout, or on another login.
    """

    def __init__(self, settings: SandboxSettings) -> None:
        self._settings = settings
        self._request_tokens: dict[str, float] = {}  # token to the real second of its end
        self._access_token: str | None = None
        self._expires_at: datetime | None = None

    def issue_request_token(self, api_key: str) -> str:
        """Issues a request token to a customer who has pressed the button."""
        if api_key != self._settings.api_key:
            raise ApiError("InputException", "Invalid `api_key`.")
        token = secrets.token_hex(16)
        self._request_tokens[token] = time.monotonic() + REQUEST_TOKEN_TTL_S
        return token

    def redirect_url(self, request_token: str, redirect_params: str) -> str:
        """Returns the application's address with the request token and the parameters that it wants back."""
        parts = urlsplit(self._settings.redirect_url)
        query = [
            *parse_qsl(parts.query),
            ("action", "login"),
            ("type", "login"),
            ("status", "success"),
            ("request_token", request_token),
            *parse_qsl(redirect_params),
        ]
        return urlunsplit(parts._replace(query=urlencode(query)))

    def create_session(
        self, api_key: str, request_token: str, checksum: str, at: datetime
    ) -> dict[str, object]:
        """Creates a session for a request token and its checksum, SHA-256 of key + token + secret, in hex."""
        if api_key != self._settings.api_key:
            raise ApiError("TokenException", "Invalid `api_key`.")
        if self._request_tokens.pop(request_token, 0.0) < time.monotonic():
            raise ApiError("TokenException", "Token is invalid or has expired.")
        signed = f"{api_key}{request_token}{self._settings.api_secret}".encode()
        if not hmac.compare_digest(hashlib.sha256(signed).hexdigest(), checksum):
            raise ApiError("TokenException", "Invalid `checksum`.")
        self._access_token = secrets.token_hex(16)
        self._expires_at = next_token_expiry(at)
        return self._session(api_key, at)

    def require_token(self, authorization: str | None, at: datetime) -> None:
        """Raises a TokenException unless the header names the valid access token."""
        api_key, _, access_token = (authorization or "").removeprefix("token ").partition(":")
        if not (authorization or "").startswith("token ") or not self.is_valid_token(
            api_key, access_token, at
        ):
            raise ApiError("TokenException", "Incorrect `api_key` or `access_token`.")

    def is_valid_token(self, api_key: str, access_token: str, at: datetime) -> bool:
        """Returns whether this is the valid access token of the key."""
        if self._expires_at is not None and at >= self._expires_at:
            self.end_session()
        expected = f"{self._settings.api_key}:{self._access_token}"
        given = f"{api_key}:{access_token}"
        return self._access_token is not None and hmac.compare_digest(expected.encode(), given.encode())

    def log_out(self, api_key: str, access_token: str) -> None:
        if api_key != self._settings.api_key or access_token != self._access_token:
            raise ApiError("TokenException", "Incorrect `api_key` or `access_token`.")
        self.end_session()

    def end_session(self) -> None:
        """Ends the valid session now."""
        self._access_token = self._expires_at = None

    def _session(self, api_key: str, at: datetime) -> dict[str, object]:
        return {
            **USER_PROFILE,
            "api_key": api_key,
            "access_token": self._access_token,
            "public_token": secrets.token_hex(16),
            "enctoken": "",
            "refresh_token": "",
            "silo": "",
            "login_time": at.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S"),
        }
