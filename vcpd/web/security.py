"""Request checks: Host, Origin, body size, token; security headers on every response."""

import asyncio
import hmac
import ipaddress
from typing import Final
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from vcpd.core.errors import ConfigurationError, RetryableError, UnavailableError
from vcpd.core.secrets import Secret
from vcpd.web.responses import HttpError, error_response
from vcpd.web.settings import WebSettings

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
STREAM_ATTRIBUTE: Final = "answers_as_stream"
TIMEOUT_ATTRIBUTE: Final = "answers_within_s"
SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
log = structlog.get_logger("vcpd.web")


def is_loopback(host: str) -> bool:
    """Whether binding `host` keeps the port on this machine."""
    if host in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def require_token_beyond_loopback(settings: WebSettings, token: Secret | None) -> None:
    """Raises ConfigurationError when the port would be open to others without a token."""
    if not is_loopback(settings.host) and token is None:
        opened = f"binding {settings.host} opens the port to other machines"
        raise ConfigurationError([f"web.host: {opened}: provide the secret `web_token` first"])


def security_middleware(settings: WebSettings, token: Secret | None) -> Middleware:
    """The middleware every request passes."""
    names = LOOPBACK_NAMES | {settings.host} | frozenset(settings.allowed_hosts)

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            _reject_foreign_host(request, names)
            _reject_foreign_origin(request)
            _reject_large_body(request, settings)
            _require_token(request, settings, token)
            async with asyncio.timeout(_timeout_of(request, settings)):
                response = await handler(request)
        except HttpError as refusal:
            response = error_response(refusal.status, str(refusal))
        except (RetryableError, UnavailableError) as error:
            response = error_response(503, str(error))
        except TimeoutError:
            response = error_response(503, "the answer took too long; try again")
        except web.HTTPException as error:
            response = error_response(error.status, error.reason)
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
        except Exception:
            log.exception("web.failed", path=request.path)
            response = error_response(500, "internal error; the log has the details")
        if not response.prepared:
            response.headers.update(SECURITY_HEADERS)
        return response

    return guarded


def _timeout_of(request: web.Request, settings: WebSettings) -> float | None:
    """A stream lasts as long as its page is open; a handler that acts may name a time of its own."""
    handler = request.match_info.handler
    if getattr(handler, STREAM_ATTRIBUTE, False):
        return None
    return max(settings.request_timeout_s, getattr(handler, TIMEOUT_ATTRIBUTE, 0.0))


def _reject_foreign_host(request: web.Request, names: frozenset[str]) -> None:
    """A rebinding name in Host is not ours, whatever address it leads to."""
    bare = _without_port(request.host.lower())
    if bare not in names:
        raise HttpError(421, "this name is not served here; ask by localhost or add it to web.allowed_hosts")


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _reject_foreign_origin(request: web.Request) -> None:
    """A page of another origin may neither read nor act."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
        raise HttpError(403, "requests from pages of another origin are refused")
    if (
        request.headers.get("Sec-Fetch-Site") in {"cross-site", "same-site"}
        and request.method not in SAFE_METHODS
    ):
        raise HttpError(403, "requests from pages of another site are refused")


def _reject_large_body(request: web.Request, settings: WebSettings) -> None:
    """Before a byte of it is read; nothing here needs a body whose length is not told."""
    if request.body_exists and request.content_length is None:
        raise HttpError(411, "a body needs its Content-Length")
    if (request.content_length or 0) > settings.body_limit_kb * 1024:
        raise HttpError(413, f"the body is larger than [web] body_limit_kb, {settings.body_limit_kb} KB")


def _require_token(request: web.Request, settings: WebSettings, token: Secret | None) -> None:
    needs = request.method not in SAFE_METHODS or not is_loopback(settings.host)
    same_page = (
        request.headers.get("Sec-Fetch-Site") == "same-origin" and request.headers.get("Origin") is not None
    )
    if not needs or (is_loopback(settings.host) and same_page):
        return
    if token is None:
        if "Origin" in request.headers or "X-Vcpd-Request" in request.headers:
            return
        raise HttpError(403, "a POST needs the header `X-Vcpd-Request: 1` (or the web token)")
    if not _bearer_matches(request, token):
        raise HttpError(401, "expected the header `Authorization: Bearer TOKEN` with the web token")


def _bearer_matches(request: web.Request, token: Secret) -> bool:
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return hmac.compare_digest(given.encode(), token.reveal().encode())
