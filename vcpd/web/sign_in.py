"""Login on the page: a password, sessions by cookie, and a second value against forged requests.

The cookie alone is not enough: browsers send it to every port of a host. The page keeps the second value,
which only the answer to a login holds, in storage of its own origin and sends it with each request.
"""

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import msgspec
from aiohttp import web
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from vcpd.web.context import WebContext
from vcpd.web.responses import HttpError, json_response
from vcpd.web.routes import route

COOKIE: Final = "vcpd_session"
CSRF_HEADER: Final = "X-Vcpd-Csrf"
SESSION_S: Final = 12 * 3600
MAX_SESSIONS: Final = 64
MIN_PASSWORD_CHARACTERS: Final = 10
MAX_PASSWORD_CHARACTERS: Final = 256
FAILURES_PER_MINUTE: Final = 5
MINUTE_S: Final = 60.0
MAX_TRACKED_ADDRESSES: Final = 1024
MAX_WAITING: Final = 4
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)  # OWASP's choice for argon2id


def hash_password(password: str) -> str:
    """The argon2id hash that is stored. Takes some 50 ms."""
    return _hasher.hash(password)


def matches(password: str, stored_hash: str) -> bool:
    """Whether `password` is the one that was hashed; False for a hash that cannot be read."""
    try:
        return _hasher.verify(stored_hash, password)
    except (VerificationError, InvalidHashError):
        return False


class SessionStatus(msgspec.Struct, frozen=True):
    """`required`: changes need a login; `password_set`: there is a password to log in with."""

    required: bool
    password_set: bool
    logged_in: bool


class LoginResult(msgspec.Struct, frozen=True):
    """`csrf` goes into the header X-Vcpd-Csrf of each request that changes something."""

    csrf: str
    expires_in_s: int


class LoginRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a login."""

    password: str


class Sessions:
    """Sessions in memory; only hashes of their two secret values are kept."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()

    def begin(self) -> tuple[str, str]:
        """The cookie and the header value of a new session; the oldest ends when there are many."""
        cookie, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self._open[_digest(cookie)] = (_digest(csrf), self._clock() + SESSION_S)
        while len(self._open) > MAX_SESSIONS:
            self._open.popitem(last=False)
        return cookie, csrf

    def is_open(self, cookie: str, csrf: str) -> bool:
        """Whether both values belong to one session that has not expired."""
        key = _digest(cookie)
        expected, until_s = self._open.get(key, (b"", 0.0))
        if self._clock() >= until_s:
            self._open.pop(key, None)
            return False
        return secrets.compare_digest(expected, _digest(csrf))

    def name(self, cookie: str) -> str:
        """A name for the session of a cookie, which gives nothing away; empty for an unknown cookie."""
        key = _digest(cookie)
        return f"session {key.hex()[:12]}" if key in self._open else ""

    def end(self, cookie: str) -> None:
        self._open.pop(_digest(cookie), None)


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).digest()


class LoginAttempts:
    """Failed logins by address within a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def are_exhausted(self, address: str) -> bool:
        recent = [at for at in self._failures.get(address, ()) if self._clock() - at < MINUTE_S]
        if recent:
            self._failures[address] = recent
        else:
            self._failures.pop(address, None)
        return len(recent) >= FAILURES_PER_MINUTE

    def add_failure(self, address: str) -> None:
        self._failures.setdefault(address, []).append(self._clock())
        if len(self._failures) > MAX_TRACKED_ADDRESSES:
            self._failures.popitem(last=False)


class SignIn:
    """Checks passwords, one at a time and in a thread, and knows the open sessions."""

    def __init__(self, password_hash: Callable[[], str | None], *, required: bool) -> None:
        """`password_hash` reads what `vcpd password` stored; `required`: changes need a login."""
        self.required = required
        self._password_hash = password_hash
        self._sessions = Sessions()
        self._attempts = LoginAttempts()
        self._lock = asyncio.Lock()
        self._waiting = 0

    async def password_set(self) -> bool:
        return await asyncio.to_thread(self._password_hash) is not None

    def accepts(self, request: web.Request) -> bool:
        """Whether the request comes from a page that is logged in."""
        return self._sessions.is_open(request.cookies.get(COOKIE, ""), request.headers.get(CSRF_HEADER, ""))

    def client_of(self, request: web.Request) -> str:
        """Whom a request counts for: a page that is logged in, else an address."""
        return self._sessions.name(request.cookies.get(COOKIE, "")) or request.remote or ""

    async def login(self, password: str, address: str) -> tuple[str, str]:
        """The values of a new session. HttpError 401, 409 without a password, 429 after too many failures."""
        if self._attempts.are_exhausted(address) or self._waiting >= MAX_WAITING:
            raise HttpError(429, "too many failed logins; wait a minute", {"Retry-After": "60"})
        self._waiting += 1
        try:
            async with self._lock:
                right = await asyncio.to_thread(self._matches, password)
        finally:
            self._waiting -= 1
        if not right:
            self._attempts.add_failure(address)
            raise HttpError(401, "wrong password")
        return self._sessions.begin()

    def logout(self, request: web.Request) -> None:
        self._sessions.end(request.cookies.get(COOKIE, ""))

    def _matches(self, password: str) -> bool:
        stored = self._password_hash()
        if stored is None:
            raise HttpError(409, "no password is set: run `vcpd password` on the machine that runs vcpd")
        return matches(password, stored)


SIGN_IN: Final = web.AppKey("sign_in", SignIn)


def session_routes(_: WebContext) -> list[web.RouteDef]:
    """The routes of /api/session."""

    @route("GET", "/api/session", response=SessionStatus)
    async def session_status(request: web.Request) -> web.Response:
        """Whether changes need a login, and whether this page is logged in."""
        sign_in = request.app[SIGN_IN]
        return json_response(
            SessionStatus(
                required=sign_in.required,
                password_set=await sign_in.password_set(),
                logged_in=sign_in.accepts(request),
            )
        )

    @route(
        "POST",
        "/api/session",
        response=LoginResult,
        body=LoginRequest,
        public=True,
        errors=(400, 401, 408, 409, 429),
    )
    async def login(request: web.Request) -> web.Response:
        """Log in with the password; sets the session's cookie."""
        if "Origin" not in request.headers:
            raise HttpError(403, "logging in is for pages; programs send the token")
        try:
            body = msgspec.json.decode(await request.read(), type=LoginRequest)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise HttpError(400, 'expected the body {"password": "..."}') from None
        if len(body.password) > MAX_PASSWORD_CHARACTERS:
            raise HttpError(400, f"password: expected at most {MAX_PASSWORD_CHARACTERS} characters")
        cookie, csrf = await request.app[SIGN_IN].login(body.password, request.remote or "")
        response = json_response(LoginResult(csrf, SESSION_S))
        response.set_cookie(COOKIE, cookie, max_age=SESSION_S, httponly=True, samesite="Strict", path="/")
        return response

    @route("DELETE", "/api/session", response=SessionStatus, errors=(401,))
    async def logout(request: web.Request) -> web.Response:
        """Log out."""
        sign_in = request.app[SIGN_IN]
        sign_in.logout(request)
        password_set = await sign_in.password_set()
        response = json_response(SessionStatus(sign_in.required, password_set, logged_in=False))
        response.del_cookie(COOKIE, path="/")
        return response

    return [session_status, login, logout]
