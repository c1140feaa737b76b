"""Live feed client: up to three reconnecting WebSocket connections that share the instruments."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from random import SystemRandom
from typing import Any, Final, Protocol

import aiohttp
import structlog

from vcpd.core.backoff import Backoff
from vcpd.core.errors import NeedsLoginError, RetryableError
from vcpd.domain.live import FeedState, FeedStatus, LivePrices
from vcpd.kite.auth import KiteSession
from vcpd.kite.settings import TickerSettings
from vcpd.kite.ticker_protocol import (
    MAX_CONNECTIONS,
    MAX_TOKENS_PER_CONNECTION,
    TickerMode,
    decode_prices,
    decode_text,
    set_mode,
    split_tokens,
    subscribe,
    unsubscribe,
)
from vcpd.kite.token_store import SessionToken
from vcpd.ports import Clock

TOKENS_PER_COMMAND: Final = 500
POLL_INTERVAL_S: Final = 1.0
BATCH_DELAY_S: Final = 0.002  # frames of one moment are read in one pass
STABLE_AFTER_S: Final = 20.0  # a line that lived so long begins its pauses anew
MAX_UNDECODABLE_FRAMES: Final = 50
HEARTBEAT_BYTES: Final = 1
PriceCallback = Callable[[LivePrices], None]
_log = structlog.get_logger(__name__)
_random = SystemRandom()
FORBIDDEN_STATUSES: Final = (401, 403)
REFUSED_TOKEN_RETRY_S: Final = 60.0
CLOSE_TIMEOUT_S: Final = 0.5
STATES_WORST_FIRST: Final = (FeedState.LOGIN_DUE, FeedState.CONNECTING, FeedState.LIVE)


class TickerConnector(Protocol):
    """Where lines are opened."""

    async def connect(self) -> tuple[aiohttp.ClientWebSocketResponse, object]:
        """A socket, and the login it was opened with; NeedsLoginError or RetryableError."""
        ...

    def is_current(self, login: object) -> bool:
        """Whether a line opened with `login` would be opened with the same one now."""
        ...


class TickerCounters:
    """What happened on all lines of a feed since its start."""

    def __init__(self) -> None:
        self.frames = self.ticks = self.undecodable = self.reconnects = self.stale = 0


class TickerConnection:
    """Follows the subscribed instruments until closed. `settings` may be replaced at any time."""

    def __init__(
        self,
        name: str,
        connector: TickerConnector,
        settings: TickerSettings,
        clock: Clock,
        counts: TickerCounters,
    ) -> None:
        self.name = name
        self.settings = settings
        self.state = FeedState.OFF
        self.reason = ""
        self.tokens: dict[int, None] = {}
        self._connector = connector
        self._clock = clock
        self._counts = counts
        self._failures = 0  # in a row
        self._tokens_changed = asyncio.Event()
        self._frames: list[bytes] = []
        self._frames_available = asyncio.Event()
        self._last_frame_s = 0.0
        self._consecutive_undecodable = 0
        self._reconnect_requested = False

    def subscribe(self, tokens: Iterable[int]) -> None:
        """Follow these from now on; an open connection sends the difference."""
        wanted = dict.fromkeys(tokens)
        if wanted != self.tokens:
            self.tokens = wanted
            self._tokens_changed.set()

    def reconnect(self) -> None:
        """Open the line anew."""
        self._reconnect_requested = True
        self._tokens_changed.set()

    async def run(self, deliver: PriceCallback) -> None:
        """Run until cancelled."""
        try:
            while True:
                await self._wait_for_tokens()
                await self._clock.sleep(await self._run_connection(deliver))
        finally:
            self.state = FeedState.OFF

    async def _wait_for_tokens(self) -> None:
        while not self.tokens:
            self.state, self.reason = FeedState.OFF, ""
            self._tokens_changed.clear()
            await self._tokens_changed.wait()

    async def _run_connection(self, deliver: PriceCallback) -> float:
        """One connection from its begin to its end; gives the pause before the next."""
        try:
            socket, login = await self._connector.connect()
        except NeedsLoginError as error:
            self._set_state(FeedState.LOGIN_DUE, str(error))
            return POLL_INTERVAL_S
        except RetryableError as error:
            self._set_state(FeedState.CONNECTING, str(error))
            return self._reconnect_delay_s()
        begun_s = self._clock.monotonic_s()
        async with socket:
            ended = await self._serve_connection(socket, login, deliver)
        self._counts.reconnects += 1
        if self._clock.monotonic_s() - begun_s >= STABLE_AFTER_S:
            self._failures = 0
        self._set_state(FeedState.CONNECTING, ended)
        return self._reconnect_delay_s()

    def _reconnect_delay_s(self) -> float:
        self._failures += 1
        return Backoff(self.settings.backoff_s, self.settings.backoff_max_s).pause_s(self._failures)

    def _set_state(self, state: FeedState, reason: str) -> None:
        if (state, reason) != (self.state, self.reason):
            _log.info("ticker.connection", connection=self.name, state=state.value, reason=reason)
        self.state, self.reason = state, reason

    async def _serve_connection(
        self, socket: aiohttp.ClientWebSocketResponse, login: object, deliver: PriceCallback
    ) -> str:
        """Listen, speak and watch until one of them ends the connection; gives the reason."""
        self._last_frame_s = self._clock.monotonic_s()
        self._frames, self._consecutive_undecodable, self._reconnect_requested = [], 0, False
        self._set_state(FeedState.CONNECTING, "waiting for the first frame")
        works = {
            "listen": self._receive(socket),
            "speak": self._send_commands(socket),
            "watch": self._monitor(login),
            "hand-over": self._deliver_prices(deliver),
        }
        return await _first_result({f"ticker {self.name} {name}": work for name, work in works.items()})

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse) -> str:
        async for message in socket:
            self._last_frame_s = self._clock.monotonic_s()
            if self.state is not FeedState.LIVE:
                self._set_state(FeedState.LIVE, "")
            if message.type is aiohttp.WSMsgType.BINARY:
                self._counts.frames += 1
                if len(message.data) > HEARTBEAT_BYTES:
                    self._frames.append(message.data)
                    self._frames_available.set()
            elif message.type is aiohttp.WSMsgType.TEXT:
                self._handle_text(message.data)
        return f"the market closed the connection ({socket.close_code})"

    def _handle_text(self, text: str) -> None:
        try:
            message = decode_text(text)
        except RetryableError:
            self._counts.undecodable += 1
            return
        if message.type == "error":
            _log.warning("ticker.error", connection=self.name, message=str(message.data)[:200])

    async def _send_commands(self, socket: aiohttp.ClientWebSocketResponse) -> str:
        """Send subscription commands whenever the wanted instruments change."""
        sent: dict[int, None] = {}
        try:
            while not self._reconnect_requested:
                self._tokens_changed.clear()
                wanted = self.tokens
                for command in _subscription_commands(sent, wanted):
                    await socket.send_str(command)
                sent = wanted
                await self._tokens_changed.wait()
        except ConnectionError as error:
            return f"the connection broke while sending: {type(error).__name__}"
        return "reopened"

    async def _monitor(self, login: object) -> str:
        """Notice a line that is mute, and a login that was renewed."""
        while True:
            await self._clock.sleep(POLL_INTERVAL_S)
            if not self.tokens:
                return "nothing to follow"
            if not self._connector.is_current(login):
                return "the login was renewed"
            silent_s = self._clock.monotonic_s() - self._last_frame_s
            if silent_s > self.settings.stale_after_s:
                self._counts.stale += 1
                return f"no data for {silent_s:.0f} s"

    async def _deliver_prices(self, deliver: PriceCallback) -> str:
        while self._consecutive_undecodable < MAX_UNDECODABLE_FRAMES:
            await self._frames_available.wait()
            await asyncio.sleep(BATCH_DELAY_S)
            self._frames_available.clear()
            frames, self._frames = self._frames, []
            for prices in self._decode(frames):
                self._counts.ticks += len(prices)
                deliver(prices)
        return f"{MAX_UNDECODABLE_FRAMES} frames in a row could not be read"

    def _decode(self, frames: Sequence[bytes]) -> Iterator[LivePrices]:
        """Their prices at once, or one by one where one of them cannot be read."""
        try:
            yield decode_prices(frames)
            self._consecutive_undecodable = 0
        except RetryableError:
            if len(frames) > 1:
                for frame in frames:
                    yield from self._decode([frame])
                return
            self._counts.undecodable += 1
            self._consecutive_undecodable += 1


def _subscription_commands(sent: dict[int, None], wanted: dict[int, None]) -> Iterator[str]:
    gone = [token for token in sent if token not in wanted]
    new = [token for token in wanted if token not in sent]
    for batch in _batches(gone):
        yield unsubscribe(batch)
    for batch in _batches(new):
        yield subscribe(batch)
        yield set_mode(TickerMode.FULL, batch)


def _batches(tokens: Sequence[int]) -> Iterator[Sequence[int]]:
    return (tokens[at : at + TOKENS_PER_COMMAND] for at in range(0, len(tokens), TOKENS_PER_COMMAND))


async def _first_result(works: dict[str, Coroutine[Any, Any, str]]) -> str:
    """The result of the first task that ends; the others are cancelled. Raises that task's error."""
    tasks = [asyncio.create_task(work, name=name) for name, work in works.items()]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return next(task for task in tasks if task in done).result()


class KiteTickerConnector:
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
        self._refused_token: SessionToken | None = None
        self._refused_until_s = 0.0

    async def connect(self) -> tuple[aiohttp.ClientWebSocketResponse, SessionToken]:
        """A connected socket and its token.

        NeedsLoginError without a valid one, and for a while after the market refused it here: other requests
        show whether it is invalid. RetryableError for anything that may pass.
        """
        await self._session.authorize()
        token = self._session.token()
        if _same_token(token, self._refused_token) and self._clock.monotonic_s() < self._refused_until_s:
            raise NeedsLoginError("the market refuses the live feed with this login")
        try:
            async with asyncio.timeout(self.settings.connect_timeout_s):
                return await self._connect(token), token
        except aiohttp.WSServerHandshakeError as error:
            raise self._handshake_error(error.status, token) from None
        except TimeoutError:
            raise RetryableError("ticker: no connection in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise RetryableError(f"ticker: the connection failed: {type(error).__name__}") from None

    def is_current(self, login: object) -> bool:
        """Whether `login` is still the session's token; an expired one is not."""
        try:
            return isinstance(login, SessionToken) and _same_token(login, self._session.token())
        except NeedsLoginError:
            return False

    async def _connect(self, token: SessionToken) -> aiohttp.ClientWebSocketResponse:
        return await self._http.ws_connect(
            self._root,
            params={"api_key": token.api_key, "access_token": token.access_token.reveal()},
            timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
        )

    def _handshake_error(self, status: int, token: SessionToken) -> Exception:
        if status not in FORBIDDEN_STATUSES:
            return RetryableError(f"ticker: the market answered {status}")
        self._refused_token = token
        self._refused_until_s = self._clock.monotonic_s() + REFUSED_TOKEN_RETRY_S
        return NeedsLoginError(f"the market refuses the live feed with this login ({status})")


class KiteTicker:
    """Implements `ports.LiveMarket`. `clock` counts real seconds, like the exchange."""

    def __init__(self, connector: KiteTickerConnector, settings: TickerSettings, clock: Clock) -> None:
        self._connector = connector
        self._counts = TickerCounters()
        self._connections = [
            TickerConnection(str(number), connector, settings, clock, self._counts)
            for number in range(1, MAX_CONNECTIONS + 1)
        ]

    def configure(self, settings: TickerSettings) -> None:
        """Take other settings; they hold from now on."""
        self._connector.settings = settings
        for line in self._connections:
            line.settings = settings

    def subscribe(self, tokens: Sequence[int]) -> None:
        """See ports. What a line follows already stays on it."""
        split_tokens(tokens)
        wanted = dict.fromkeys(tokens)
        shares = [[token for token in line.tokens if token in wanted] for line in self._connections]
        placed = {token for share in shares for token in share}
        for token in wanted:
            if token not in placed:
                next(share for share in shares if len(share) < MAX_TOKENS_PER_CONNECTION).append(token)
        for line, share in zip(self._connections, shares, strict=True):
            line.subscribe(share)

    def reconnect(self) -> None:
        """Open every line anew."""
        for line in self._connections:
            line.reconnect()

    async def run(self, deliver: PriceCallback) -> None:
        async with asyncio.TaskGroup() as group:
            for line in self._connections:
                group.create_task(line.run(deliver), name=f"ticker {line.name}")

    def status(self) -> FeedStatus:
        used = [line for line in self._connections if line.tokens]
        states = [line.state for line in used]
        state = next((kind for kind in STATES_WORST_FIRST if kind in states), FeedState.OFF)
        counts = self._counts
        return FeedStatus(
            state=state,
            connections=states.count(FeedState.LIVE),
            instruments=sum(len(line.tokens) for line in used),
            frames=counts.frames,
            ticks=counts.ticks,
            garbage=counts.undecodable,
            reconnects=counts.reconnects,
            mute=counts.stale,
            reason=next((line.reason for line in used if line.state is state), ""),
        )


def _same_token(token: SessionToken, other: SessionToken | None) -> bool:
    return other is not None and token.access_token.reveal() == other.access_token.reveal()
