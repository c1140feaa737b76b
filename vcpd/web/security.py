"""Request checks: Host, Origin, characters, body, credentials; security headers on every response."""

import asyncio
import hmac
import re
import time
from collections import OrderedDict
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from vcpd.core.errors import ConfigurationError, RetryableError, UnavailableError
from vcpd.core.secrets import Secret
from vcpd.web.connections import ConnectionHandler, is_trusted
from vcpd.web.context import WebContext
from vcpd.web.responses import RETRY_AFTER, SECURITY_HEADERS, HttpError, error_response
from vcpd.web.routes import check_query_names, operation_of
from vcpd.web.settings import LOOPBACK_NAMES, WebSettings, is_loopback
from vcpd.web.sign_in import SIGN_IN, SignIn

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
HOST_REGEX: Final = re.compile(r"(\[[0-9a-f:.%]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")
FORBIDDEN_CHARACTERS: Final = re.compile("[\x00-\x1f\x7f-\x9f]")  # PostgreSQL refuses some
MIN_TOKEN_CHARACTERS: Final = 16
MAX_AT_WORK: Final = 64  # handlers, of unknown clients and as many of trusted ones
BODY_TIMEOUT_S: Final = 5.0
FIRST_DELAY_S: Final = 0.1
MAX_DELAY_S: Final = 2.0
ATTEMPTS_PER_MINUTE: Final = 20
FORGET_AFTER_S: Final = 60.0
MAX_TRACKED_ADDRESSES: Final = 1024
log = structlog.get_logger("vcpd.web")


def require_token_beyond_loopback(settings: WebSettings, context: WebContext) -> None:
    """Raises ConfigurationError for a token that is too short, or where the port would be open to others."""
    given = None if context.token_is_generated else context.token
    if problems := exposure_problems(settings, given):
        raise ConfigurationError(problems)


def exposure_problems(settings: WebSettings, given: Secret | None) -> list[str]:
    """Why the port must not open with the token that the user gives; nothing where it may."""
    if given is not None and len(given.reveal()) < MIN_TOKEN_CHARACTERS:
        expected = (
            f"expected at least {MIN_TOKEN_CHARACTERS} characters, such as `openssl rand -hex 32` gives"
        )
        return [f"web_token: {expected}"]
    if not is_loopback(settings.host) and given is None:
        opened = f"binding {settings.host} opens the port to other machines"
        return [f"web.host: {opened}: provide the secret `web_token` first"]
    return []


class HandlersAtWork:
    """How many handlers are at work, those included whose client has gone."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._number = 0

    def __enter__(self) -> None:
        """HttpError 503 when as many as permitted are at work."""
        if self._number >= self._most:
            raise HttpError(503, "too many requests are being answered; try again", RETRY_AFTER)
        self._number += 1

    def __exit__(self, *_: object) -> None:
        self._number -= 1


def security_middleware(settings: WebSettings, context: WebContext) -> Middleware:
    """The middleware every request passes."""
    checks = RequestChecks(settings, context.token)
    at_work = {trusted: HandlersAtWork(MAX_AT_WORK) for trusted in (True, False)}

    @web.middleware
    async def secured(request: web.Request, handler: Handler) -> web.StreamResponse:
        set_busy(request, busy=True)
        try:
            await checks.check(request)
            operation = operation_of(request)
            check_query_names(request, operation)
            if operation.stream:
                set_busy(request, busy=False)
                return await handler(request)
            async with asyncio.timeout(max(settings.request_timeout_s, operation.timeout_s)):
                if operation.public:
                    return await handler(request)
                with at_work[is_trusted(request)]:
                    return await handler(request)
        except Exception as error:  # noqa: BLE001 - each kind has its answer
            return response_for_error(error, request)

    return secured


async def add_security_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Signal handler of aiohttp: runs before any response is sent."""
    response.headers.update(SECURITY_HEADERS)


def response_for_error(error: Exception, request: web.Request) -> web.Response:
    """The JSON answer to a request that failed, which says no more than the client should know."""
    if isinstance(error, HttpError):
        response = error_response(error.status, str(error))
        response.headers.update(error.headers)
        return response
    if isinstance(error, RetryableError | UnavailableError):
        return error_response(503, str(error))
    if isinstance(error, TimeoutError):
        return error_response(503, "the response took too long; try again")
    if isinstance(error, web.HTTPException):
        response = error_response(error.status, error.reason)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    if is_disconnected(request):  # the client has gone
        return error_response(400, "the client closed the connection")
    log.error("web.request_failed", path=request.path, exc_info=error)
    return error_response(500, "internal error; the log has the details")


def is_disconnected(request: web.Request) -> bool:
    """Whether the client is gone, or lost its connection to another one."""
    return request.transport is None or request.transport.is_closing()


def set_busy(request: web.Request, *, busy: bool) -> None:
    """Note on the connection whether a handler is at work for it."""
    protocol = request.protocol
    if isinstance(protocol, ConnectionHandler):
        protocol.table.touch(protocol.connection, busy=busy)


def _keep_place(request: web.Request) -> None:
    """The client proved who it is: its connection gets one of the places kept for such."""
    protocol = request.protocol
    if isinstance(protocol, ConnectionHandler):
        protocol.table.authenticate(protocol.connection)


class RequestChecks:
    """Everything that a request must satisfy before its handler is called."""

    def __init__(self, settings: WebSettings, token: Secret | None) -> None:
        self._settings = settings
        self._token = token
        names = {settings.host, settings.public_host, *settings.allowed_hosts} - {""}
        self._names = LOOPBACK_NAMES | {name.lower() for name in names}
        self._wrong_tokens = WrongTokens()

    async def check(self, request: web.Request) -> None:
        """Raises HttpError, or aiohttp's own 404 and 405."""
        _reject_foreign_host(request, self._names)
        _reject_forbidden_characters(request)
        _reject_foreign_origin(request, self._settings.public_origin)
        if self._settings.is_published and not operation_of(request).public:
            await self._require_credentials(request)
        if request.match_info.http_exception is not None:
            raise request.match_info.http_exception
        _reject_large_body(request, self._settings)
        if request.method not in SAFE_METHODS and not operation_of(request).public:
            await self._authorize_change(request)
        if request.body_exists:
            await _receive_body(request)

    async def _authorize_change(self, request: web.Request) -> None:
        """A request that changes something needs credentials, or our header where that is switched off."""
        if self._settings.require_authentication or "Authorization" in request.headers:
            await self._require_credentials(request)
        elif "Origin" not in request.headers and "X-Vcpd-Request" not in request.headers:
            raise HttpError(403, "a POST needs the header `X-Vcpd-Request: 1` (or the web token)")

    async def _require_credentials(self, request: web.Request) -> None:
        """The token, or the session of a page."""
        given = bearer_token(request)
        if given is None:
            _require_session(request)
        elif self._token is None or not hmac.compare_digest(given, _as_bytes(self._token.reveal())):
            set_busy(request, busy=False)
            await self._wrong_tokens.slow_down(request.app[SIGN_IN].address_of(request))
            raise HttpError(401, "wrong token: expected `Authorization: Bearer TOKEN` with the web token")
        _keep_place(request)


def bearer_token(request: web.Request) -> bytes | None:
    """The token of the Authorization header; None without the header. HttpError 401 for any other form."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or len(token) < MIN_TOKEN_CHARACTERS:
        raise HttpError(
            401,
            "expected the header `Authorization: Bearer TOKEN`, "
            f"with a token of at least {MIN_TOKEN_CHARACTERS} characters",
        )
    return _as_bytes(token)


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _require_session(request: web.Request) -> None:
    sign_in: SignIn = request.app[SIGN_IN]
    accepts = sign_in.may_read if request.method in SAFE_METHODS else sign_in.accepts
    if not accepts(request):
        raise HttpError(401, "log in on the page, or send the header `Authorization: Bearer TOKEN`")


class WrongTokens:
    """Slows down whoever sends wrong tokens, by address, and logs them once a minute at most."""

    def __init__(self) -> None:
        self._attempts: OrderedDict[str, tuple[float, int]] = OrderedDict()  # begin of the minute, count
        self._unlogged = 0
        self._logged_s = float("-inf")

    async def slow_down(self, address: str) -> None:
        """Wait longer with each attempt of a minute. HttpError 429 when there were too many."""
        now_s = time.monotonic()
        count = self._count(address, now_s)
        self._log(address, now_s)
        if count > ATTEMPTS_PER_MINUTE:
            raise HttpError(429, "too many wrong tokens; wait a minute", {"Retry-After": "60"})
        await asyncio.sleep(min(MAX_DELAY_S, FIRST_DELAY_S * 2 ** (count - 1)))

    def _count(self, address: str, now_s: float) -> int:
        began_s, count = self._attempts.pop(address, (now_s, 0))
        if now_s - began_s > FORGET_AFTER_S:
            began_s, count = now_s, 0
        self._attempts[address] = (began_s, count + 1)
        if len(self._attempts) > MAX_TRACKED_ADDRESSES:
            self._attempts.popitem(last=False)
        return count + 1

    def _log(self, address: str, now_s: float) -> None:
        self._unlogged += 1
        if now_s - self._logged_s >= FORGET_AFTER_S:
            log.warning("web.wrong_token", address=address, attempts=self._unlogged)
            self._logged_s, self._unlogged = now_s, 0


def _reject_foreign_host(request: web.Request, names: frozenset[str]) -> None:
    """Another name in Host (DNS rebinding) is refused, whatever address it leads to."""
    hosts = request.headers.getall("Host", [])
    if len(hosts) != 1:
        raise HttpError(400, "expected one Host header")
    match = HOST_REGEX.fullmatch(hosts[0].lower())
    if match is None:
        raise HttpError(400, "the Host header is not a name or an address with an optional port")
    if match[1] not in names:
        raise HttpError(421, "this name is not served here; use localhost or add it to web.allowed_hosts")


def _reject_forbidden_characters(request: web.Request) -> None:
    """Control characters and broken UTF-8 mean nothing in any parameter, and the store refuses some."""
    try:
        text = unquote_to_bytes(request.raw_path).decode()
    except UnicodeDecodeError:
        raise HttpError(400, "the path or a parameter is not valid UTF-8") from None
    if FORBIDDEN_CHARACTERS.search(text):
        raise HttpError(400, "the path or a parameter holds a control character")


def _reject_foreign_origin(request: web.Request, public_origin: str) -> None:
    """A page of another origin may neither read nor act. A proxy may send another Host than its own."""
    origin = request.headers.get("Origin")
    same_host = origin is None or urlsplit(origin).netloc.lower() == request.host.lower()
    if origin is not None and not same_host and origin.lower() != public_origin:
        raise HttpError(403, "requests from pages of another origin are refused")
    if (
        request.headers.get("Sec-Fetch-Site") in {"cross-site", "same-site"}
        and request.method not in SAFE_METHODS
    ):
        raise HttpError(403, "requests from pages of another site are refused")


def _reject_large_body(request: web.Request, settings: WebSettings) -> None:
    """Rejects a large body before any of it is read; no endpoint needs one of unknown length."""
    if request.body_exists and request.content_length is None:
        raise HttpError(411, "a body needs its Content-Length")
    own_kb = operation_of(request).body_limit_kb
    if (request.content_length or 0) > max(settings.body_limit_kb, own_kb) * 1024:
        limit = f"{own_kb} KB" if own_kb else f"[web] body_limit_kb, {settings.body_limit_kb} KB"
        raise HttpError(413, f"the body is larger than {limit}")


async def _receive_body(request: web.Request) -> None:
    """Wait for the body; meanwhile the connection counts as idle, so a slow client may lose it."""
    set_busy(request, busy=False)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            await request.read()
    except TimeoutError:
        raise HttpError(408, f"the body did not arrive within {BODY_TIMEOUT_S:.0f} s") from None
    set_busy(request, busy=True)
