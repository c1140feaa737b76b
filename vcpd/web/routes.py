"""Route declarations: method, path, parameters and response, for the handler and for OpenAPI alike."""

import difflib
import inspect
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, Generic, TypeVar

import msgspec
from aiohttp import web

from vcpd.core.errors import BadInputError
from vcpd.domain.exchange import Exchange
from vcpd.web.responses import HttpError

T = TypeVar("T")
Schema = Mapping[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
API_PREFIX: Final = "/api/"
JSON: Final = "application/json"
MAX_TEXT_LENGTH: Final = 64
TEXT_PATTERN: Final = "^[^\\x00-\\x1f\\x7f-\\x9f]*$"  # no control characters
SYMBOL_PATTERN: Final = "^[A-Za-z0-9][A-Za-z0-9&:._ -]{0,63}$"
SYMBOL_REGEX: Final = re.compile(SYMBOL_PATTERN)
EXCHANGE: Final = web.AppKey("exchange", Exchange)
SESSION_ON: Final[web.AppKey[Callable[[date], date]]] = web.AppKey("session_on")
NO_RESPONSE: Final = type(None)


@dataclass(frozen=True, slots=True)
class Parameter(ABC):
    """A parameter of a query or, with `in_path`, of the path; reads itself from a request."""

    name: str
    description: str
    required: bool = field(default=False, kw_only=True)
    in_path: bool = field(default=False, kw_only=True)

    @property
    @abstractmethod
    def schema(self) -> Schema:
        """Its JSON schema."""

    def text(self, request: web.Request) -> str | None:
        """The value as it was sent; None where it is absent. HttpError 400 where it is required."""
        text = request.match_info[self.name] if self.in_path else request.query.get(self.name)
        if self.required and not text:
            raise HttpError(400, f"{self.name}: expected a value: {self.description}")
        return text

    def describe(self) -> Schema:
        """The parameter in OpenAPI's form."""
        return {
            "name": self.name,
            "in": "path" if self.in_path else "query",
            "required": self.required or self.in_path,
            "schema": self.schema,
            "description": self.description,
        }

    def refusal(self, expected: str, text: str) -> HttpError:
        return HttpError(400, f"{self.name}: expected {expected}, was {text[:40]!r}")


class DateParameter(Parameter):
    """A date such as 2025-06-30."""

    @property
    def schema(self) -> Schema:
        return {"type": "string", "format": "date"}

    def read(self, request: web.Request) -> date | None:
        if (text := self.text(request)) is None:
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise self.refusal("a date such as 2025-06-30", text) from None


class SessionParameter(DateParameter):
    """A date that names the session of that day, or the last before it; a future day is rejected."""

    def read(self, request: web.Request) -> date | None:
        day = super().read(request)
        if day is None:
            return None
        try:
            return request.app[SESSION_ON](day)
        except BadInputError as error:
            raise HttpError(400, f"{self.name}: {error}") from None


@dataclass(frozen=True, slots=True)
class IntParameter(Parameter):
    """A whole number from `low` to `high`."""

    low: int
    high: int
    default: int

    @property
    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.low, "maximum": self.high, "default": self.default}

    def read(self, request: web.Request) -> int:
        return self.read_or(request, self.default)

    def read_or(self, request: web.Request, default: int) -> int:
        """The same with another default."""
        if (text := self.text(request)) is None:
            return default
        if not text.isascii() or not text.isdigit() or not self.low <= int(text[:12]) <= self.high:
            raise self.refusal(f"a whole number from {self.low} to {self.high}", text)
        return int(text)


@dataclass(frozen=True, slots=True)
class NumberParameter(Parameter):
    """A number above 0; empty is absent."""

    high: float

    @property
    def schema(self) -> Schema:
        return {"type": "number", "exclusiveMinimum": 0, "maximum": self.high}

    def read(self, request: web.Request) -> float | None:
        if not (text := self.text(request)):
            return None
        try:
            number = float(text[:40])
        except ValueError:
            number = math.nan
        if not 0 < number <= self.high:
            raise self.refusal(f"a number above 0, at most {self.high:g}", text)
        return number


@dataclass(frozen=True, slots=True)
class ChoiceParameter(Parameter):
    """One of `choices`, in upper or lower case."""

    choices: Sequence[str]

    @property
    def schema(self) -> Schema:
        return {"type": "string", "enum": list(self.choices)}

    def read(self, request: web.Request) -> str | None:
        if (text := self.text(request)) is None:
            return None
        for choice in self.choices:
            if choice.casefold() == text.casefold():
                return choice
        raise self.refusal(f"one of {', '.join(self.choices)}", text)


class FlagParameter(Parameter):
    """Yes or no; absent is no."""

    @property
    def schema(self) -> Schema:
        return {"type": "string", "enum": ["0", "1", "false", "true"]}

    def read(self, request: web.Request) -> bool:
        text = self.text(request) or "0"
        if text not in {"0", "1", "false", "true"}:
            raise self.refusal("one of 0, 1, false, true", text)
        return text in {"1", "true"}


class TextParameter(Parameter):
    """A short text; absent is empty."""

    @property
    def schema(self) -> Schema:
        least = {"minLength": 1} if self.in_path or self.required else {}
        return {"type": "string", "maxLength": MAX_TEXT_LENGTH, "pattern": TEXT_PATTERN, **least}

    def read(self, request: web.Request) -> str:
        text = self.text(request) or ""
        if len(text) > MAX_TEXT_LENGTH:
            raise HttpError(
                400, f"{self.name}: expected at most {MAX_TEXT_LENGTH} characters, was {len(text)}"
            )
        return text


class StringParameter(Parameter):
    """A text of any length that the handler checks itself."""

    @property
    def schema(self) -> Schema:
        return {"type": "string", "pattern": TEXT_PATTERN}


class SymbolParameter(Parameter):
    """A symbol, read with its exchange: the configured one where it names none. Absent is empty."""

    @property
    def schema(self) -> Schema:
        return {"type": "string", "pattern": SYMBOL_PATTERN}

    def read(self, request: web.Request) -> str:
        if (text := self.text(request)) is None:
            return ""
        symbol = text.strip().upper()
        if SYMBOL_REGEX.fullmatch(symbol) is None:
            raise self.refusal("a symbol such as INFY or NSE:M&M", symbol)
        return request.app[EXCHANGE].full_symbol(symbol)


SYMBOL: Final = SymbolParameter("symbol", "With or without its exchange: `INFY`, `NSE:INFY`.", in_path=True)
AS_OF: Final = SessionParameter(
    "as_of",
    "The session of this day, or the last before it; absent: the latest. A future day is rejected.",
)


class Listing(msgspec.Struct, Generic[T], frozen=True):
    """`count` items."""

    count: int
    items: Sequence[T]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path: what it takes, what it answers, and how long that may take.

    `response` is a type that msgspec knows; `public` needs no credentials where others do;
    a `stream` lasts as long as its client stays; `body_limit_kb` may exceed that of the settings.
    """

    method: str = "GET"
    path: str = ""
    summary: str = ""
    parameters: Sequence[Parameter] = ()
    response: Any = NO_RESPONSE
    body: Any = None
    media: str = JSON
    status: int = 200
    errors: Sequence[int] = ()
    body_limit_kb: int = 0
    timeout_s: float = 0.0
    stream: bool = False
    public: bool = False

    @property
    def plain_path(self) -> str:
        """The path without the patterns of its parts."""
        return re.sub(r"\{(\w+):[^}]*\}", r"{\1}", self.path)


UNKNOWN: Final = Operation()
OPERATION_ATTRIBUTE: Final = "vcpd_operation"


def route(method: str, path: str, **declared: Any) -> Callable[[Handler], web.RouteDef]:
    """Declare a handler; its docstring is the summary. Gives aiohttp's definition of the route."""

    def declare(handler: Handler) -> web.RouteDef:
        summary = inspect.getdoc(handler) or ""
        operation = Operation(method=method, path=path, summary=summary, **declared)
        setattr(handler, OPERATION_ATTRIBUTE, operation)
        allow_head = {"allow_head": not operation.stream} if method == "GET" else {}
        return web.RouteDef(method, path, handler, allow_head)

    return declare


def declared_operation(definition: web.RouteDef) -> Operation:
    """What was declared for a route."""
    operation: Operation = getattr(definition.handler, OPERATION_ATTRIBUTE)
    return operation


async def read_body(request: web.Request, kind: type[T]) -> T:
    """The body of a request. HttpError 400 that names the field and what was expected of it."""
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise HttpError(400, f"the body is not as described in /openapi.json: {error}") from None


def check_query_names(request: web.Request, operation: Operation) -> None:
    """Refuse a parameter that an API path does not take: a misspelled filter would filter nothing."""
    if not operation.plain_path.startswith(API_PREFIX):
        return
    known = [parameter.name for parameter in operation.parameters if not parameter.in_path]
    for name in request.query:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            listed = f"expected one of {', '.join(known)}" if known else "this path takes none"
            hint = f"did you mean {near[0]}?" if near else listed
            raise HttpError(400, f"{name[:40]!r}: no such parameter; {hint}")


def operation_of(request: web.Request) -> Operation:
    """What was declared for the route of a request; an empty declaration where there is none."""
    operation: Operation = getattr(request.match_info.handler, OPERATION_ATTRIBUTE, UNKNOWN)
    return operation
