"""How the exchange wraps its answers: data, or an error with its type and HTTP status."""

from typing import Any, Final

import msgspec
from aiohttp import web

JSON: Final = "application/json"

ERROR_STATUS: Final = {
    "TokenException": 403,
    "PermissionException": 403,
    "InputException": 400,
    "NetworkException": 503,
    "DataException": 502,
    "GeneralException": 500,
}


class Refusal(Exception):  # noqa: N818 - an answer of the exchange, no error of the program
    """An error answer; `status` is by default the one that belongs to `error_type`."""

    def __init__(self, error_type: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.status = status if status is not None else ERROR_STATUS[error_type]


def success(data: Any) -> web.Response:
    """The answer that carries `data`; NaN becomes null."""
    return web.Response(body=msgspec.json.encode({"status": "success", "data": data}), content_type=JSON)


def refused(refusal: Refusal) -> web.Response:
    """The answer that says why not."""
    body = {
        "status": "error",
        "message": refusal.message,
        "data": None,
        "error_type": refusal.error_type,
    }
    return web.Response(status=refusal.status, body=msgspec.json.encode(body), content_type=JSON)
