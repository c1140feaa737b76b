"""JSON responses, HTTP errors and the security headers of every response."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

ITEMS_PER_YIELD: Final = 200
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; manifest-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "vcpd",
}
INTERNAL_ERROR: Final = 500
RETRY_AFTER: Final = {"Retry-After": "5"}  # of a response that is refused because too many are at work
_encoder = msgspec.json.Encoder(order=None)


class HttpError(Exception):
    """A request that is refused: status, a sentence for the client, and further headers."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


class ErrorBody(msgspec.Struct, frozen=True):
    """The JSON body of every error."""

    error: str
    status: int


async def encode_json(value: Any) -> bytes:
    """`value` as JSON; long `items` in slices, so that the event loop is not blocked."""
    fields = msgspec.structs.asdict(value) if isinstance(value, msgspec.Struct) else value
    items = fields.get("items") if isinstance(fields, dict) else None
    if not isinstance(items, list | tuple) or len(items) <= ITEMS_PER_YIELD:
        return _encoder.encode(value)
    head = _encoder.encode({name: part for name, part in fields.items() if name != "items"})
    texts = []
    for start in range(0, len(items), ITEMS_PER_YIELD):
        texts.append(_encoder.encode(items[start : start + ITEMS_PER_YIELD])[1:-1])
        await asyncio.sleep(0)
    separator = b"," if len(head) > 2 else b""
    return head[:-1] + separator + b'"items":[' + b",".join(texts) + b"]}"


def json_response(value: Any, *, status: int = 200) -> web.Response:
    """`value` (structs, dates and enums included) as a JSON response."""
    return web.Response(
        body=_encoder.encode(value), status=status, content_type="application/json", charset="utf-8"
    )


def error_response(status: int, message: str) -> web.Response:
    """The JSON response of an error."""
    return json_response(ErrorBody(message, status), status=status)


def malformed_request_response(status: int) -> web.Response:
    """The answer to what is no HTTP request; repeats nothing of it."""
    message = (
        "not a valid HTTP request" if status < INTERNAL_ERROR else "internal error; the log has the details"
    )
    response = error_response(status, message)
    response.headers.update(SECURITY_HEADERS)
    response.force_close()
    return response
