"""Login state of the Kite session: login page, token exchange, expiry and rejection of the token.

A token expires at 06:00 of the exchange's time zone, or earlier when the market denies it. Without a
valid one nothing is sent: a caller gets NeedsLoginError at once.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Final, Self
from urllib.parse import parse_qs, parse_qsl, urlencode, urljoin, urlsplit
from zoneinfo import ZoneInfo

import aiohttp
from msgspec import Struct

from vcpd.core.errors import NeedsLoginError, PermanentError, RetryableError, VcpdError
from vcpd.core.secrets import Secret
from vcpd.domain.exchange import Exchange
from vcpd.kite import wire
from vcpd.kite.settings import LOOPBACK_HOSTS, KiteSettings
from vcpd.kite.token_store import SessionToken, TokenFile
from vcpd.kite.transport import ApiRequest, Transport
from vcpd.ports import Clock

TOKEN_EXPIRY_TIME: Final = time(6, 0)
MAX_PENDING_LOGINS: Final = 16
LOGIN_TIMEOUT: Final = timedelta(minutes=15)
MAX_REDIRECTS: Final = 5
LOGIN_PAGE_TIMEOUT_S: Final = 10.0


class KiteLoginState(StrEnum):
    """State of the login."""

    NO_TOKEN = "no_token"  # noqa: S105  # the name of a state
    VALID = "valid"
    EXPIRED = "expired"
    DENIED = "denied"


LOGIN_REASONS: Final = {
    KiteLoginState.NO_TOKEN: "no login yet",
    KiteLoginState.EXPIRED: "the market's session ended at {expiry:%H:%M} {zone_name}",
    KiteLoginState.DENIED: "the market no longer accepts the session (logged out, or logged in elsewhere)",
}


class KiteLoginStatus(Struct, frozen=True):
    """The login for /status. Instants are aware UTC datetimes."""

    state: KiteLoginState
    user_id: str = ""
    login_at: datetime | None = None
    expires_at: datetime | None = None
    reason: str = ""

    @property
    def login_due(self) -> bool:
        return self.state is not KiteLoginState.VALID


class KiteCredentials(Struct, frozen=True):
    """The app's key, its secret, and the address of the login page."""

    api_key: str
    api_secret: Secret
    login_root: str

    @classmethod
    def of(cls, settings: KiteSettings, api_secret: Secret) -> Self:
        return cls(settings.api_key, api_secret, settings.login_root)


AutomaticLogin = Callable[[str], Awaitable[tuple[Secret, str]]]


"""Goes through the login page at the given address; gives the request token and the state value."""


class KiteSession:
    """The account's session. `automatic` logs in by itself: for the sandbox only."""

    def __init__(  # noqa: PLR0913 - the optional one is a keyword
        self,
        transport: Transport,
        credentials: KiteCredentials,
        clock: Clock,
        file: TokenFile,
        exchange: Exchange,
        *,
        automatic: AutomaticLogin | None = None,
    ) -> None:
        self._transport = transport
        self._credentials = credentials
        self._clock = clock
        self._file = file
        self._exchange = exchange
        self._automatic_login = automatic
        self._token: SessionToken | None = None
        self._denied = False
        self._last_error = ""
        self._token_file_stamp: tuple[int, int] | None = None
        self._pending: deque[tuple[str, datetime]] = deque(maxlen=MAX_PENDING_LOGINS)
        self._renew_lock = asyncio.Lock()

    @property
    def can_continue(self) -> bool:
        """Whether a rejected request may be sent again, because there is a new session or can be one."""
        return self._automatic_login is not None or not self.status().login_due

    def status(self) -> KiteLoginStatus:
        """The state now; a token that another process stored meanwhile is taken up."""
        state = self._state()
        if state is not KiteLoginState.VALID:
            self._reload_token()
            state = self._state()
        reason = "" if state is KiteLoginState.VALID else self._last_error or self._login_reason(state)
        if self._token is None:
            return KiteLoginStatus(state, reason=reason)
        return KiteLoginStatus(
            state, self._token.user_id, self._token.login_at, self._token.expires_at, reason
        )

    def login_url(self) -> str:
        """The address of the market's login page, with a new state value that the market returns.

        PermanentError where the way back would fail for want of the app's key or secret.
        """
        self._require_credentials()
        state = secrets.token_urlsafe(24)
        self._pending.append((state, self._clock.now() + LOGIN_TIMEOUT))
        query = {
            "v": "3",
            "api_key": self._credentials.api_key,
            "redirect_params": urlencode({"state": state}),
        }
        return f"{self._credentials.login_root}?{urlencode(query)}"

    async def complete_login(self, request_token: Secret, state: str) -> None:
        """Exchange the request token of a login that began at `url()`. PermanentError for another's."""
        if not self._consume_login_state(state):
            raise PermanentError("this login was not started here, or too long ago; start again at /login")
        await self.exchange_request_token(request_token)

    async def exchange_request_token(self, request_token: Secret) -> KiteLoginStatus:
        """Turn a request token into the day's session and keep it.

        Sent once: a request token is good for one use. NeedsLoginError where it is refused.
        """
        self._require_credentials()
        call = ApiRequest(
            "/session/token", "/session/token", method="POST", form=self._token_form(request_token)
        )
        grant = wire.decode_grant(await self._transport.send_once(call))
        await self._store_token(grant)
        return self.status()

    async def authorize(self) -> "AuthHandle":
        """The right to send requests. NeedsLoginError where only a login helps."""
        if self.status().login_due and self._automatic_login is not None:
            await self._renew(self._automatic_login)
        self.token()
        return AuthHandle(self)

    def token(self) -> SessionToken:
        """The valid token; NeedsLoginError without one."""
        status = self.status()
        if self._token is None or status.login_due:
            raise NeedsLoginError(f"{status.reason}; log in at /login or with `vcpd login`")
        return self._token

    def mark_denied(self, denied: SessionToken) -> None:
        """The market refused this token: nothing more is sent with it."""
        if denied is self._token:
            self._denied = True

    def _state(self) -> KiteLoginState:
        if self._token is None:
            return KiteLoginState.NO_TOKEN
        if self._denied:
            return KiteLoginState.DENIED
        return KiteLoginState.VALID if self._clock.now() < self._token.expires_at else KiteLoginState.EXPIRED

    def _login_reason(self, state: KiteLoginState) -> str:
        return LOGIN_REASONS[state].format(expiry=TOKEN_EXPIRY_TIME, zone_name=self._exchange.zone_name)

    def _reload_token(self) -> None:
        """Read the token file if it has changed; an error is reported in the status, not raised."""
        stamp = self._file.stamp()
        if stamp is None or stamp == self._token_file_stamp:
            return
        self._token_file_stamp = stamp
        self._last_error = ""
        try:
            stored = self._file.read()
        except VcpdError as error:
            self._last_error = str(error)
            return
        if stored is not None and stored.api_key == self._credentials.api_key:
            self._token, self._denied = stored, False

    async def _store_token(self, grant: wire.SessionGrant) -> None:
        now = self._clock.now()
        token = SessionToken(
            api_key=self._credentials.api_key,
            access_token=grant.access_token,
            user_id=grant.user_id,
            login_at=now,
            expires_at=token_expiry(now, self._exchange.zone),
        )
        self._token, self._denied, self._last_error = token, False, ""
        await asyncio.to_thread(self._file.write, token)
        self._token_file_stamp = self._file.stamp()

    async def _renew(self, automatic: AutomaticLogin) -> None:
        async with self._renew_lock:
            if self.status().login_due:
                await self.complete_login(*await automatic(self.login_url()))

    def _consume_login_state(self, state: str) -> bool:
        """Whether the state value was given out and not used or too old; uses it up."""
        now = self._clock.now()
        for pending in list(self._pending):
            if hmac.compare_digest(pending[0].encode(), state.encode()):
                self._pending.remove(pending)
                return now <= pending[1]
        return False

    def _require_credentials(self) -> None:
        if not self._credentials.api_key or not self._credentials.api_secret:
            raise PermanentError(
                "the API key or its secret is missing; set [kite] api_key and VCPD_KITE_API_SECRET"
            )

    def _token_form(self, request_token: Secret) -> tuple[tuple[str, Secret], ...]:
        key, secret = self._credentials.api_key, self._credentials.api_secret
        signed = f"{key}{request_token.reveal()}{secret.reveal()}".encode()
        checksum = Secret(hashlib.sha256(signed).hexdigest())
        return (("api_key", Secret(key)), ("request_token", request_token), ("checksum", checksum))


class AuthHandle:
    """One caller's way in: remembers which token it went out with, so that only that one is denied."""

    def __init__(self, session: KiteSession) -> None:
        self._session = session
        self._sent_token: SessionToken | None = None

    def headers(self) -> Mapping[str, str]:
        """The credentials of this moment; NeedsLoginError where there are none any more."""
        self._sent_token = None
        token = self._session.token()
        self._sent_token = token
        return {"Authorization": f"token {token.api_key}:{token.access_token.reveal()}"}

    def mark_denied(self) -> None:
        """The market refused what this entry sent last."""
        if self._sent_token is not None:
            self._session.mark_denied(self._sent_token)


def token_expiry(login_at: datetime, zone: ZoneInfo) -> datetime:
    """The next 06:00 in the exchange's `zone` after `login_at`, in the time zone of `login_at`."""
    local = login_at.astimezone(zone)
    expiry = datetime.combine(local.date(), TOKEN_EXPIRY_TIME, zone)
    if expiry <= local:
        expiry += timedelta(days=1)
    return expiry.astimezone(login_at.tzinfo)


def parse_request_token(pasted: str) -> Secret:
    """The request token in pasted text: the address that the login ended on, or the token alone."""
    text = pasted.strip()
    if "request_token=" in text:
        query = urlsplit(text).query or text
        text = parse_qs(query).get("request_token", [""])[0]
    if not text.isalnum() or not text.isascii():
        raise PermanentError(
            "the pasted text contains no request token; paste the complete address of the page on which "
            "the login ended"
        )
    return Secret(text)


class SandboxLogin:
    """Logs in at the sandbox's login page by itself; refuses any address outside this machine."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    async def __call__(self, login_url: str) -> tuple[Secret, str]:
        """The request token and the state value that the sandbox returns."""
        method, url = "GET", login_url
        for _ in range(MAX_REDIRECTS):
            if urlsplit(url).hostname not in LOOPBACK_HOSTS:
                raise PermanentError("only the sandbox on this machine can be logged in to automatically")
            onward = await self._step(method, url)
            if onward is None and method == "POST":
                break
            method, url = ("GET", onward) if onward else ("POST", url)
            if found := _callback_values(url):
                return found
        raise RetryableError("the sandbox's login page did not return a request token")

    async def _step(self, method: str, url: str) -> str | None:
        """The address that the page redirects to, None where it waits for its form to be sent."""
        timeout = aiohttp.ClientTimeout(total=LOGIN_PAGE_TIMEOUT_S)
        form = dict(parse_qsl(urlsplit(url).query)) if method == "POST" else None
        try:
            async with self._http.request(
                method, url, data=form, allow_redirects=False, timeout=timeout
            ) as response:
                if response.status >= 400:
                    raise RetryableError(f"the sandbox's login page answered {response.status}")
                onward = response.headers.get("Location")
                return urljoin(url, onward) if onward else None
        except (aiohttp.ClientError, OSError) as error:
            raise RetryableError(f"the sandbox's login page: {type(error).__name__}") from None


def _callback_values(url: str) -> tuple[Secret, str] | None:
    query = parse_qs(urlsplit(url).query)
    token = query.get("request_token", [""])[0]
    return (Secret(token), query.get("state", [""])[0]) if token else None
