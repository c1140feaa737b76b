"""JSON responses, HTTP errors and query parameters."""

import asyncio
from datetime import date
from typing import Any, Final

import msgspec
from aiohttp import web

ITEMS_PER_YIELD: Final = 200
MAX_TEXT_LENGTH: Final = 64
_encoder = msgspec.json.Encoder(order=None)


class HttpError(Exception):
    """A request that cannot be answered: status, and a sentence for whoever asked."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def encode_json(value: Any) -> bytes:
    """`value` as JSON; of a mapping with long `items`, a few at a time so that the loop keeps ticking."""
    items = value.get("items") if isinstance(value, dict) else None
    if not isinstance(items, list | tuple) or len(items) <= ITEMS_PER_YIELD:
        return _encoder.encode(value)
    head = _encoder.encode({name: part for name, part in value.items() if name != "items"})
    texts = []
    for start in range(0, len(items), ITEMS_PER_YIELD):
        texts.append(_encoder.encode(items[start : start + ITEMS_PER_YIELD])[1:-1])
        await asyncio.sleep(0)
    separator = b"," if len(head) > 2 else b""
    return head[:-1] + separator + b'"items":[' + b",".join(texts) + b"]}"


def json_response(value: Any, *, status: int = 200) -> web.Response:
    """`value` (structs, dates and enums included) as a JSON answer."""
    return web.Response(
        body=_encoder.encode(value), status=status, content_type="application/json", charset="utf-8"
    )


def error_response(status: int, message: str) -> web.Response:
    return json_response({"error": message, "status": status}, status=status)


def date_parameter(request: web.Request, name: str) -> date | None:
    """The query parameter `name` as a date; refuses anything else with what was expected."""
    text = request.query.get(name)
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise HttpError(400, f"{name}: expected a date such as 2025-06-30, was {text[:40]!r}") from None


def int_parameter(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    """The query parameter `name` as a whole number within [low, high]."""
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not low <= int(text[:12]) <= high:
        raise HttpError(400, f"{name}: expected a whole number from {low} to {high}, was {text[:40]!r}")
    return int(text)


def choice_parameter(request: web.Request, name: str, choices: tuple[str, ...]) -> str | None:
    """The query parameter `name` as one of `choices`."""
    text = request.query.get(name)
    if text is None:
        return None
    if text not in choices:
        raise HttpError(400, f"{name}: expected one of {', '.join(choices)}, was {text[:40]!r}")
    return text


def flag_parameter(request: web.Request, name: str) -> bool:
    """The query parameter `name` as yes or no; absent is no."""
    return choice_parameter(request, name, ("0", "1", "false", "true")) in {"1", "true"}


def text_parameter(request: web.Request, name: str) -> str:
    """The query parameter `name` as a short text; absent is empty."""
    text = request.query.get(name, "")
    if len(text) > MAX_TEXT_LENGTH:
        raise HttpError(400, f"{name}: expected at most {MAX_TEXT_LENGTH} characters, was {len(text)}")
    return text
