"""The login as a state: no token, valid, expired, denied; and the ways from one to another.

A token dies at 06:00 in India, or earlier when the market denies it. Without a valid one nothing is
sent: whoever asks gets NeedsLoginError at once.
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
from urllib.parse import parse_qs, urlencode, urlsplit
from zoneinfo import ZoneInfo

from msgspec import Struct

from vcpd.domain.errors import NeedsLoginError, PermanentError, VcpdError
from vcpd.domain.secrets import Secret
from vcpd.kite import wire
from vcpd.kite.settings import KiteSettings
from vcpd.kite.token_file import SessionToken, TokenFile
from vcpd.kite.transport import Call, Transport
from vcpd.ports import Clock

INDIA: Final = ZoneInfo("Asia/Kolkata")
TOKENS_DIE_AT: Final = time(6, 0)
LOGINS_PENDING: Final = 16
LOGIN_TAKES_AT_MOST: Final = timedelta(minutes=15)


class LoginState(StrEnum):
    """What the session can do right now."""

    NO_TOKEN = "no_token"  # noqa: S105  # the name of a state
    VALID = "valid"
    EXPIRED = "expired"
    DENIED = "denied"


NEXT_STEP: Final = {
    LoginState.NO_TOKEN: "no login yet",
    LoginState.EXPIRED: "the market's session ended at 06:00 India time",
    LoginState.DENIED: "the market no longer accepts the session (logged out, or logged in elsewhere)",
}


class LoginStatus(Struct, frozen=True):
    """The login for /status. Instants are aware UTC datetimes."""

    state: LoginState
    user_id: str = ""
    login_at: datetime | None = None
    expires_at: datetime | None = None
    reason: str = ""

    @property
    def login_due(self) -> bool:
        return self.state is not LoginState.VALID


class Credentials(Struct, frozen=True):
    """The app's key, its secret, and the page where its owner logs in."""

    api_key: str
    api_secret: Secret
    login_root: str

    @classmethod
    def of(cls, settings: KiteSettings, api_secret: Secret) -> Self:
        return cls(settings.api_key, api_secret, settings.login_root)


RequestLogin = Callable[[str], Awaitable[tuple[Secret, str]]]
"""Goes through the login page at the given address; gives the request token and the state value."""


class KiteSession:
    """The account's session. `automatic` logs in by itself: for the sandbox only."""

    def __init__(
        self,
        transport: Transport,
        credentials: Credentials,
        clock: Clock,
        file: TokenFile,
        automatic: RequestLogin | None = None,
    ) -> None:
        self._transport = transport
        self._credentials = credentials
        self._clock = clock
        self._file = file
        self._automatic = automatic
        self._token: SessionToken | None = None
        self._denied = False
        self._trouble = ""
        self._read_stamp: tuple[int, int] | None = None
        self._pending: deque[tuple[str, datetime]] = deque(maxlen=LOGINS_PENDING)
        self._renewing = asyncio.Lock()

    @property
    def goes_on(self) -> bool:
        """Whether what was just refused may be sent again: its owner, or we, have a new session by now."""
        return self._automatic is not None or not self.status().login_due

    def status(self) -> LoginStatus:
        """The state now; a token that another process stored meanwhile is taken up."""
        state = self._state()
        if state is not LoginState.VALID:
            self._read_again()
            state = self._state()
        reason = "" if state is LoginState.VALID else self._trouble or NEXT_STEP[state]
        if self._token is None:
            return LoginStatus(state, reason=reason)
        return LoginStatus(state, self._token.user_id, self._token.login_at, self._token.expires_at, reason)

    def url(self) -> str:
        """The market's login page, asked to hand back a fresh state value of ours.

        PermanentError where the way back would fail for want of the app's key or secret.
        """
        self._require_credentials()
        state = secrets.token_urlsafe(24)
        self._pending.append((state, self._clock.now() + LOGIN_TAKES_AT_MOST))
        query = {
            "v": "3",
            "api_key": self._credentials.api_key,
            "redirect_params": urlencode({"state": state}),
        }
        return f"{self._credentials.login_root}?{urlencode(query)}"

    async def complete(self, request_token: Secret, state: str) -> None:
        """Exchange the request token of a login that began at `url()`. PermanentError for another's."""
        if not self._is_ours(state):
            raise PermanentError("this login was not started here, or too long ago; start again at /login")
        await self.exchange(request_token)

    async def exchange(self, request_token: Secret) -> LoginStatus:
        """Turn a request token into the day's session and keep it.

        Sent once: a request token is good for one use. NeedsLoginError where it is refused.
        """
        self._require_credentials()
        call = Call("/session/token", "/session/token", method="POST", form=self._form(request_token))
        granted = wire.decode_grant(await self._transport.once(call))
        await self._keep(granted)
        return self.status()

    async def enter(self) -> "Entry":
        """The right to send requests. NeedsLoginError where only a login helps."""
        if self.status().login_due and self._automatic is not None:
            await self._renew(self._automatic)
        self.token()
        return Entry(self)

    def token(self) -> SessionToken:
        """The valid token; NeedsLoginError without one."""
        status = self.status()
        if self._token is None or status.login_due:
            raise NeedsLoginError(f"{status.reason}; log in at /login or with `vcpd login`")
        return self._token

    def deny(self, denied: SessionToken) -> None:
        """The market refused this token: nothing more is sent with it."""
        if denied is self._token:
            self._denied = True

    def _state(self) -> LoginState:
        if self._token is None:
            return LoginState.NO_TOKEN
        if self._denied:
            return LoginState.DENIED
        return LoginState.VALID if self._clock.now() < self._token.expires_at else LoginState.EXPIRED

    def _read_again(self) -> None:
        """Look at the token file if it changed since; trouble with it is said, not raised."""
        stamp = self._file.stamp()
        if stamp is None or stamp == self._read_stamp:
            return
        self._read_stamp = stamp
        self._trouble = ""
        try:
            stored = self._file.read()
        except VcpdError as error:
            self._trouble = str(error)
            return
        if stored is not None and stored.api_key == self._credentials.api_key:
            self._token, self._denied = stored, False

    async def _keep(self, granted: wire.Granted) -> None:
        now = self._clock.now()
        token = SessionToken(
            api_key=self._credentials.api_key,
            access_token=granted.access_token,
            user_id=granted.user_id,
            login_at=now,
            expires_at=expiry_of(now),
        )
        self._token, self._denied, self._trouble = token, False, ""
        await asyncio.to_thread(self._file.write, token)
        self._read_stamp = self._file.stamp()

    async def _renew(self, automatic: RequestLogin) -> None:
        async with self._renewing:
            if self.status().login_due:
                await self.complete(*await automatic(self.url()))

    def _is_ours(self, state: str) -> bool:
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

    def _form(self, request_token: Secret) -> tuple[tuple[str, Secret], ...]:
        key, secret = self._credentials.api_key, self._credentials.api_secret
        signed = f"{key}{request_token.reveal()}{secret.reveal()}".encode()
        checksum = Secret(hashlib.sha256(signed).hexdigest())
        return (("api_key", Secret(key)), ("request_token", request_token), ("checksum", checksum))


class Entry:
    """One caller's way in: remembers which token it went out with, so that only that one is denied."""

    def __init__(self, session: KiteSession) -> None:
        self._session = session
        self._used: SessionToken | None = None

    def headers(self) -> Mapping[str, str]:
        """The credentials of this moment; NeedsLoginError where there are none any more."""
        self._used = None
        token = self._session.token()
        self._used = token
        return {"Authorization": f"token {token.api_key}:{token.access_token.reveal()}"}

    def deny(self) -> None:
        """The market refused what this entry sent last."""
        if self._used is not None:
            self._session.deny(self._used)


def expiry_of(login_at: datetime) -> datetime:
    """The next 06:00 in India after `login_at`, in UTC."""
    local = login_at.astimezone(INDIA)
    dies = datetime.combine(local.date(), TOKENS_DIE_AT, INDIA)
    if dies <= local:
        dies += timedelta(days=1)
    return dies.astimezone(login_at.tzinfo)


def request_token_of(pasted: str) -> Secret:
    """The request token in what the owner pasted: the address they landed on, or the bare token."""
    text = pasted.strip()
    if "request_token=" in text:
        query = urlsplit(text).query or text
        text = parse_qs(query).get("request_token", [""])[0]
    if not text.isalnum() or not text.isascii():
        raise PermanentError("no request token in this; paste the whole address the login ended on")
    return Secret(text)
