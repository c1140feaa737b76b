"""HTTP client of the running daemon.

What it needs is imported at the first request: most commands that may ask a daemon can do without one.
"""

import argparse
import os
import sys
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import msgspec

from vcpd.cli.command import configuration_path
from vcpd.core.errors import BadInputError, PermanentError, RetryableError, UnavailableError, VcpdError
from vcpd.core.secrets import Secret

if TYPE_CHECKING:
    from vcpd.config_file import DaemonAddress

TIMEOUT_S: Final = 30.0
GET_TRIES: Final = 3  # a daemon with too many connections closes one that it has not read from yet
BAD_REQUEST_STATUSES: Final = frozenset({400, 404})
RETRYABLE_STATUSES: Final = frozenset({409, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class DaemonClient:
    """HTTP client of a daemon. Every request raises UnavailableError when the daemon does not answer."""

    host: str
    port: int
    token: Secret | None = None

    def get(self, path: str, **query: object) -> Any:
        """The JSON of a response; BadInputError, RetryableError or PermanentError with its message."""
        return self._request("GET", path, query)

    def post(self, path: str, **query: object) -> Any:
        """The same for what changes something."""
        return self._request("POST", path, query)

    def send(self, path: str, body: msgspec.Struct | dict[str, Any]) -> Any:
        """The same with a body of JSON."""
        return self._request("POST", path, {}, msgspec.json.encode(body))

    def put(self, path: str, body: dict[str, Any]) -> Any:
        """The same for what replaces something."""
        return self._request("PUT", path, {}, msgspec.json.encode(body))

    def _request(self, method: str, path: str, query: dict[str, object], body: bytes = b"") -> Any:
        from http.client import HTTPException

        given = {name: value for name, value in query.items() if value is not None}
        target = f"{path}?{urlencode(given)}" if given else path
        tries = GET_TRIES if method == "GET" else 1
        while True:
            try:
                return self._request_once(method, target, body)
            except (OSError, HTTPException) as error:
                tries -= 1
                if tries == 0 or not isinstance(error, ConnectionResetError):
                    raise UnavailableError(self._unreachable_message(error)) from None

    def _request_once(self, method: str, target: str, body: bytes) -> Any:
        from http.client import HTTPConnection

        connection = HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)
        try:
            connection.request(method, target, body or None, headers=self._headers(method, len(body)))
            answer = connection.getresponse()
            return _decode_response(answer.status, answer.read())
        finally:
            connection.close()

    def _headers(self, method: str, body_bytes: int) -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if method != "GET":
            headers |= {"X-Vcpd-Request": "1", "Content-Length": str(body_bytes)}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token.reveal()}"
        return headers

    def _unreachable_message(self, error: Exception) -> str:
        why = getattr(error, "strerror", None) or type(error).__name__
        return (
            f"no vcpd answers at {self.host}:{self.port} ({why}): start it with `vcpd run`, "
            "or name its configuration with --config"
        )


def daemon_client(arguments: argparse.Namespace) -> DaemonClient:
    """The daemon of the configuration in use, of which only the daemon's address is read."""
    from vcpd.config_file import read_daemon_address

    return client_at(read_daemon_address(configuration_path(arguments), os.environ))


def client_at(address: "DaemonAddress") -> DaemonClient:
    """The client of the daemon at an address. Raises PermanentError if its port is not fixed."""
    from vcpd.app.credentials import find_secret, read_generated_token

    if address.port == 0:
        raise PermanentError("[web] port = 0 takes any free port: set a fixed port to reach the daemon")
    state = address.state_dir
    token = find_secret("web_token", state / "secrets", os.environ) or read_generated_token(state)
    return DaemonClient(address.host, address.port, token)


def note_used_session(asked: date | None, used: date | None) -> None:
    """Report on standard error that the session before was used, where the given day is not a session."""
    if asked is not None and used is not None and used != asked:
        print(f"vcpd: {asked} is not a session: the one before, {used}, is used", file=sys.stderr)


def quote_path_part(text: str) -> str:
    """A symbol or a name as one part of a path."""
    return quote(text, safe=":")


def _decode_response(status: int, body: bytes) -> Any:
    """The JSON of a response. Raises the error that its status means."""
    try:
        content = msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise UnavailableError(
            f"the server on that port is not vcpd (status {status}): see [web] port"
        ) from None
    if status < HTTPStatus.BAD_REQUEST:
        return content
    raise _error_from_status(
        status, str(content.get("error", status)) if isinstance(content, dict) else str(status)
    )


def _error_from_status(status: int, words: str) -> VcpdError:
    if status in BAD_REQUEST_STATUSES:
        return BadInputError(words)
    return RetryableError(words) if status in RETRYABLE_STATUSES else PermanentError(words)
