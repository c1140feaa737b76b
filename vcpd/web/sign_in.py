"""Login on the page: a password, sessions by cookie, and a second value against forged requests.

The cookie alone changes nothing: browsers send it to every port of a host. The page keeps the second value,
which only the answer to a login holds, in storage of its own origin and sends it with each request that
changes something. Reading a published page takes the cookie alone, since an event stream sends no headers.
"""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Final

import msgspec
from aiohttp import web
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from vcpd.core.secrets import Secret
from vcpd.web.connections import client_address
from vcpd.web.context import WebContext
from vcpd.web.responses import HttpError, json_response
from vcpd.web.routes import route
from vcpd.web.settings import WebSettings

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
MAX_ADDRESS_CHARACTERS: Final = 45
TICKET_S: Final = 24 * 3600
TICKET_DIGITS: Final = 32
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
    """`required`: changes need a login; `password_set`: there is a password to log in with.

    `reading_requires_login`: so does reading, since other machines may reach the page.
    """

    required: bool
    reading_requires_login: bool
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
        return self.has(cookie) and secrets.compare_digest(self._open[_digest(cookie)][0], _digest(csrf))

    def has(self, cookie: str) -> bool:
        """Whether the cookie belongs to a session that has not expired."""
        key = _digest(cookie)
        _, until_s = self._open.get(key, (b"", 0.0))
        if self._clock() >= until_s:
            self._open.pop(key, None)
            return False
        return True

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


class LoginTickets:
    """Signed values; for a day each allows its bearer to begin the market's login, and nothing else.

    An alert's link carries one, so that a phone needs no login on the page before that of the market.
    """

    def __init__(self, token: Secret, clock: Callable[[], float] = time.time) -> None:
        self._key = hashlib.sha256(b"vcpd login ticket " + token.reveal().encode()).digest()
        self._clock = clock

    def issue(self) -> str:
        return self._signed(int(self._clock()) + TICKET_S)

    def is_valid(self, ticket: str) -> bool:
        """Whether this daemon issued the ticket within a day."""
        until, _, _ = ticket.partition("-")
        if not until.isascii() or not until.isdigit() or len(until) > TICKET_DIGITS:
            return False
        is_ours = secrets.compare_digest(self._signed(int(until)).encode(), ticket.encode())
        return is_ours and self._clock() < int(until)

    def _signed(self, until_s: int) -> str:
        signature = hmac.new(self._key, str(until_s).encode(), hashlib.sha256).hexdigest()
        return f"{until_s}-{signature[:TICKET_DIGITS]}"


def login_url(settings: WebSettings, token: Secret) -> str:
    """The link that leads to the market's login: with a ticket where the page is published."""
    url = f"{settings.page_url}login"
    return f"{url}?ticket={LoginTickets(token).issue()}" if settings.is_published else url


class SignIn:
    """Checks passwords, one at a time and in a thread, and knows the open sessions."""

    def __init__(
        self,
        password_hash: Callable[[], str | None],
        *,
        required: bool,
        published: bool = False,
        trusted_proxies: Collection[str] = (),
    ) -> None:
        """`password_hash` reads what `vcpd password` stored.

        `required`: changes need a login; `published`: so does reading. `trusted_proxies` may name clients.
        """
        self.required = required
        self.published = published
        self._trusted_proxies = frozenset(trusted_proxies) if published else frozenset()
        self._password_hash = password_hash
        self._sessions = Sessions()
        self._attempts = LoginAttempts()
        self._lock = asyncio.Lock()
        self._waiting = 0

    def accepts(self, request: web.Request) -> bool:
        """Whether the request comes from a page that is logged in."""
        return self._sessions.is_open(request.cookies.get(COOKIE, ""), request.headers.get(CSRF_HEADER, ""))

    def may_read(self, request: web.Request) -> bool:
        """Whether the browser that sends the request is logged in."""
        return self._sessions.has(request.cookies.get(COOKIE, ""))

    async def status(self, *, logged_in: bool) -> SessionStatus:
        password_set = await asyncio.to_thread(self._password_hash) is not None
        return SessionStatus(self.required, self.published, password_set, logged_in)

    def client_of(self, request: web.Request) -> str:
        """Returns the client of a request: the session that is logged in, else the address."""
        return self._sessions.name(request.cookies.get(COOKIE, "")) or self.address_of(request)

    def address_of(self, request: web.Request) -> str:
        """The client's address: the last that a trusted proxy added, else that of the connection."""
        remote = request.remote or ""
        forwarded = ",".join(request.headers.getall("X-Forwarded-For", ()))
        if not forwarded or remote not in self._trusted_proxies:
            return remote
        return client_address((forwarded.rpartition(",")[2].strip()[:MAX_ADDRESS_CHARACTERS],)) or remote

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
WEB_SETTINGS: Final = web.AppKey("settings", WebSettings)


def begin_session(response: web.Response, request: web.Request, cookie: str, settings: WebSettings) -> None:
    """Set the cookie: for the published path and encrypted connections alone where it is used there."""
    through_proxy = request.headers.get("Origin", "").lower() == settings.public_origin
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=SESSION_S,
        httponly=True,
        samesite="Strict",
        path=f"{settings.public_path}/" if through_proxy else "/",
        secure=through_proxy and settings.public_origin.startswith("https:"),
    )


def session_routes(_: WebContext) -> list[web.RouteDef]:
    """The routes of /api/session."""

    @route("GET", "/api/session", response=SessionStatus, public=True)
    async def session_status(request: web.Request) -> web.Response:
        """Whether changes need a login, and whether this page is logged in."""
        sign_in = request.app[SIGN_IN]
        return json_response(await sign_in.status(logged_in=sign_in.accepts(request)))

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
            raise HttpError(403, "the login is for browsers; programs send the token")
        try:
            body = msgspec.json.decode(await request.read(), type=LoginRequest)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise HttpError(400, 'expected the body {"password": "..."}') from None
        if len(body.password) > MAX_PASSWORD_CHARACTERS:
            raise HttpError(400, f"password: expected at most {MAX_PASSWORD_CHARACTERS} characters")
        sign_in = request.app[SIGN_IN]
        cookie, csrf = await sign_in.login(body.password, sign_in.address_of(request))
        response = json_response(LoginResult(csrf, SESSION_S))
        begin_session(response, request, cookie, request.app[WEB_SETTINGS])
        return response

    @route("DELETE", "/api/session", response=SessionStatus, errors=(401,))
    async def logout(request: web.Request) -> web.Response:
        """Log out."""
        sign_in = request.app[SIGN_IN]
        sign_in.logout(request)
        response = json_response(await sign_in.status(logged_in=False))
        for path in {"/", f"{request.app[WEB_SETTINGS].public_path}/"}:
            response.headers.add(
                "Set-Cookie", f"{COOKIE}=; Max-Age=0; Path={path}; HttpOnly; SameSite=Strict"
            )
        return response

    return [session_status, login, logout]
