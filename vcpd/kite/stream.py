"""The live feed over WebSocket: up to three lines, each with its share of the instruments."""

import asyncio
from collections.abc import Sequence
from typing import Final

import aiohttp

from vcpd.domain.errors import NeedsLoginError, RetryableError
from vcpd.domain.live import FeedState, FeedStatus
from vcpd.kite.auth import KiteSession
from vcpd.kite.line import Deliver, Line, LineCounts
from vcpd.kite.settings import TickerSettings
from vcpd.kite.ticker import CONNECTIONS_AT_MOST, TOKENS_A_CONNECTION, shares_of
from vcpd.kite.token_file import SessionToken
from vcpd.ports import Clock

FORBIDDEN: Final = (401, 403)
TRY_REFUSED_AGAIN_S: Final = 60.0
CLOSE_S: Final = 0.5
WORST_FIRST: Final = (FeedState.LOGIN_DUE, FeedState.CONNECTING, FeedState.LIVE)


class TickerDoor:
    """Opens sockets with the session's token. No error of it carries the address: the token is in it."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        root: str,
        session: KiteSession,
        settings: TickerSettings,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self._http = http
        self._root = root
        self._session = session
        self._clock = clock
        self._refused: SessionToken | None = None
        self._refused_until_s = 0.0

    async def open(self) -> tuple[aiohttp.ClientWebSocketResponse, SessionToken]:
        """A connected socket and its token.

        NeedsLoginError without a valid one, and for a while after the market refused it here: whether it
        is dead altogether other requests will tell. RetryableError for anything that may pass.
        """
        await self._session.enter()
        token = self._session.token()
        if _same(token, self._refused) and self._clock.monotonic_s() < self._refused_until_s:
            raise NeedsLoginError("the market refuses the live feed with this login")
        try:
            async with asyncio.timeout(self.settings.connect_timeout_s):
                return await self._connect(token), token
        except aiohttp.WSServerHandshakeError as error:
            raise self._refusal(error.status, token) from None
        except TimeoutError:
            raise RetryableError("ticker: no connection in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise RetryableError(f"ticker: the connection failed: {type(error).__name__}") from None

    def is_current(self, login: object) -> bool:
        """Whether `login` is still the session's token; an expired one is not."""
        try:
            return isinstance(login, SessionToken) and _same(login, self._session.token())
        except NeedsLoginError:
            return False

    async def _connect(self, token: SessionToken) -> aiohttp.ClientWebSocketResponse:
        return await self._http.ws_connect(
            self._root,
            params={"api_key": token.api_key, "access_token": token.access_token.reveal()},
            timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
        )

    def _refusal(self, status: int, token: SessionToken) -> Exception:
        if status not in FORBIDDEN:
            return RetryableError(f"ticker: the market answered {status}")
        self._refused = token
        self._refused_until_s = self._clock.monotonic_s() + TRY_REFUSED_AGAIN_S
        return NeedsLoginError(f"the market refuses the live feed with this login ({status})")


class KiteTicker:
    """Implements `ports.LiveMarket`. `clock` counts real seconds, like the exchange."""

    def __init__(self, door: TickerDoor, settings: TickerSettings, clock: Clock) -> None:
        self._door = door
        self._counts = LineCounts()
        self._lines = [
            Line(str(number), door, settings, clock, self._counts)
            for number in range(1, CONNECTIONS_AT_MOST + 1)
        ]

    def configure(self, settings: TickerSettings) -> None:
        """Take other settings; they hold from now on."""
        self._door.settings = settings
        for line in self._lines:
            line.settings = settings

    def follow(self, tokens: Sequence[int]) -> None:
        """See ports. What a line follows already stays on it."""
        shares_of(tokens)
        wanted = dict.fromkeys(tokens)
        shares = [[token for token in line.tokens if token in wanted] for line in self._lines]
        placed = {token for share in shares for token in share}
        for token in wanted:
            if token not in placed:
                next(share for share in shares if len(share) < TOKENS_A_CONNECTION).append(token)
        for line, share in zip(self._lines, shares, strict=True):
            line.follow(share)

    def renew(self) -> None:
        """Open every line anew."""
        for line in self._lines:
            line.renew()

    async def run(self, deliver: Deliver) -> None:
        async with asyncio.TaskGroup() as group:
            for line in self._lines:
                group.create_task(line.run(deliver), name=f"ticker {line.name}")

    def status(self) -> FeedStatus:
        used = [line for line in self._lines if line.tokens]
        states = [line.state for line in used]
        state = next((one for one in WORST_FIRST if one in states), FeedState.OFF)
        counts = self._counts
        return FeedStatus(
            state=state,
            connections=states.count(FeedState.LIVE),
            instruments=sum(len(line.tokens) for line in used),
            frames=counts.frames,
            ticks=counts.ticks,
            garbage=counts.garbage,
            reconnects=counts.reconnects,
            mute=counts.mute,
            reason=next((line.reason for line in used if line.state is state), ""),
        )


def _same(token: SessionToken, other: SessionToken | None) -> bool:
    return other is not None and token.access_token.reveal() == other.access_token.reveal()
