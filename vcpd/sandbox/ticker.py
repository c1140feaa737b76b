"""The live feed: WebSockets on which the market's prices are told as they change."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import Final

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from vcpd.domain.arrays import IntArray, RecordArray
from vcpd.kite.ticker import Message
from vcpd.ports import Clock
from vcpd.sandbox.account import Account
from vcpd.sandbox.envelope import Refusal
from vcpd.sandbox.faults import Faults, garbled
from vcpd.sandbox.market import Market
from vcpd.sandbox.packets import HEARTBEAT, encode_frame
from vcpd.sandbox.settings import TickerFault, TickerSettings
from vcpd.sandbox.subscription import CommandError, Subscription

Ready = Callable[[datetime], Awaitable[datetime]]

ORDERS_WAITING: Final = 1000
CLOSE_TIMEOUT_S: Final = 0.5


class CutError(Exception):
    """The connection is over, without a word to the client."""


class Ticker:
    """Every connection of the one customer to the live feed; its pace is in real time."""

    def __init__(
        self, settings: TickerSettings, market: Market, clock: Clock, account: Account, faults: Faults
    ) -> None:
        self.settings = settings
        self.faults = faults
        self._market = market
        self._clock = clock
        self._account = account
        self._connections: set[_Connection] = set()

    def __len__(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def connect(self, request: web.Request, ready: Ready) -> web.WebSocketResponse:
        """Serve one connection until it ends. Refusal for a dead token, or for one connection too many."""
        credentials = (request.query.get("api_key", ""), request.query.get("access_token", ""))
        if not self.admits(credentials):
            raise Refusal("TokenException", "Incorrect `api_key` or `access_token`.")
        if len(self) >= self.settings.connections:
            raise Refusal("NetworkException", "Too many connections", 429)
        connection = _Connection(self, credentials, ready)
        with self._counted(connection):
            await connection.serve(request)
        return connection.socket

    def say(self, message: Message) -> int:
        """Send a text frame to every client; gives their number."""
        for connection in self._connections:
            connection.say(message)
        return len(self)

    async def close(self, _: object = None) -> None:
        """Say good-bye to everybody."""
        await asyncio.gather(*(connection.close(WSCloseCode.GOING_AWAY) for connection in self._connections))

    def admits(self, credentials: tuple[str, str]) -> bool:
        """Whether these, key and access token, are alive now."""
        return self._account.admits(*credentials, self._clock.now())

    async def ticks(self, tokens: IntArray, ready: Ready, *, resting: bool) -> RecordArray:
        """What the market tells now of these, in mode full, with what the faults pretend."""
        at = await ready(self._clock.now())
        if resting:
            found = await asyncio.to_thread(self._market.ticks, tokens, at, resting=True)
        else:
            found = self._market.ticks(tokens, at, resting=False)
        pretended = self.faults.pretended
        return self.faults.pretend(found, self._market.quotes(pretended, at)) if pretended else found

    @contextlib.contextmanager
    def _counted(self, connection: "_Connection") -> Iterator[None]:
        self._connections.add(connection)
        try:
            yield
        finally:
            self._connections.discard(connection)


class _Connection:
    """One client: its commands in, frames out, until either side or the token ends it."""

    def __init__(self, ticker: Ticker, credentials: tuple[str, str], ready: Ready) -> None:
        self.socket = web.WebSocketResponse(compress=False, timeout=CLOSE_TIMEOUT_S)
        self._ticker = ticker
        self._settings = ticker.settings
        self._every_s = min(ticker.settings.every_s, ticker.settings.heartbeat_s)
        self._credentials = credentials
        self._ready = ready
        self._followed = Subscription(ticker.settings.instruments)
        self._orders: asyncio.Queue[str | Message] = asyncio.Queue(ORDERS_WAITING)
        self._sent_s = time.monotonic()

    async def serve(self, request: web.Request) -> None:
        """Read and write side by side; whichever ends first ends the other."""
        await self.socket.prepare(request)
        writing = asyncio.create_task(self._write(request), name="sandbox ticker")
        try:
            async for message in self.socket:
                if message.type is WSMsgType.TEXT:
                    await self._orders.put(message.data)
        finally:
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writing

    def say(self, message: Message) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._orders.put_nowait(message)

    async def close(self, code: int) -> None:
        with contextlib.suppress(ConnectionError):
            await self.socket.close(code=code)

    async def _write(self, request: web.Request) -> None:
        try:
            await self._tell_until_the_token_dies()
            await self.close(WSCloseCode.POLICY_VIOLATION)
        except (CutError, ConnectionError):
            pass
        finally:
            if request.transport is not None and not self.socket.closed:
                request.transport.abort()

    async def _tell_until_the_token_dies(self) -> None:
        due_s = time.monotonic() + self._every_s
        while self._ticker.admits(self._credentials):
            if (order := await self._order(due_s - time.monotonic())) is not None:
                await self._obey(order)
                continue
            due_s = max(due_s + self._every_s, time.monotonic())
            await self._tell_news()

    async def _order(self, within_s: float) -> str | Message | None:
        """The next command of the client, or text to say, if one comes in time."""
        try:
            return self._orders.get_nowait()
        except asyncio.QueueEmpty:
            pass
        try:
            return await asyncio.wait_for(self._orders.get(), max(within_s, 0.0))
        except TimeoutError:
            return None

    async def _obey(self, order: str | Message) -> None:
        """Follow a command, and tell at once what it asks for unless another one waits already."""
        if isinstance(order, Message):
            return await self._send_text(order)
        try:
            self._followed.obey(order)
        except CommandError as error:
            await self._send_text(Message("error", str(error)))
        if self._orders.empty() and len(fresh := self._followed.take_fresh()):
            await self._send_ticks(await self._ticker.ticks(fresh, self._ready, resting=True))
        return None

    async def _tell_news(self) -> None:
        ticks = await self._ticker.ticks(self._followed.tokens, self._ready, resting=False)
        news = self._followed.news(ticks)
        if len(news):
            await self._send_ticks(news)
        elif time.monotonic() - self._sent_s > self._settings.heartbeat_s - self._every_s / 2:
            await self._send(HEARTBEAT)

    async def _send_ticks(self, ticks: RecordArray) -> None:
        await self._send(encode_frame(self._followed.told(ticks)))

    async def _send_text(self, message: Message) -> None:
        await self._send(msgspec.json.encode(message).decode())

    async def _send(self, frame: bytes | str) -> None:
        """Send the frame, unless a fault happens to it. CutError when that ends the connection."""
        drawn = self._ticker.faults.draw_frame()
        match drawn and drawn[0]:
            case TickerFault.MUTE:
                return
            case TickerFault.CLOSE:
                raise CutError
            case TickerFault.SLOW:
                await asyncio.sleep(self._ticker.faults.settings.slow_s)
        if drawn and drawn[0] is TickerFault.GARBAGE:
            frame = garbled(frame, drawn[1])
        await (self.socket.send_str(frame) if isinstance(frame, str) else self.socket.send_bytes(frame))
        self._sent_s = time.monotonic()
