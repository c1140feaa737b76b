"""Live feed server: WebSocket connections, their subscriptions, binary frames of changed prices."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from aiohttp import WSCloseCode, WSMsgType, web
from numpy.typing import NDArray

from vcpd.domain.bars import BoolArray, FloatArray, IntArray, RecordArray
from vcpd.kite.ticker_protocol import DEFAULT_DIVISOR, DIVISORS, MODES, PACKETS, TickerMessage, TickerMode
from vcpd.ports import Clock
from vcpd.sandbox.account import SandboxAccount
from vcpd.sandbox.faults import FaultSelector, corrupt_frame
from vcpd.sandbox.market import SandboxMarket
from vcpd.sandbox.protocol import ApiError
from vcpd.sandbox.settings import SandboxTickerSettings, TickerFault

HEARTBEAT: Final = b"\x00"
PRICE_COLUMNS: Final = ("last_price", "average_price", "open", "high", "low", "close")
TIME_COLUMNS: Final = ("last_trade_at", "at")
MAX_UINT32: Final = 2**32 - 1
MAX_INT32: Final = 2**31 - 1
INDEX_LENGTHS: Final = {TickerMode.LTP: 8, TickerMode.QUOTE: 28, TickerMode.FULL: 32}
SHARE_LENGTHS: Final = {TickerMode.LTP: 8, TickerMode.QUOTE: 44, TickerMode.FULL: 184}


def encode_frame(ticks: RecordArray) -> bytes:
    """Encodes ticks (n,) of TICK_DTYPE as a frame in their order, each as long as its mode requires.

    Unknown values (NaN, NaT) are sent as 0; amounts beyond 32 bits as the largest number.
    """
    lengths = _lengths(ticks)
    frame = np.empty(2 + int((lengths + 2).sum()), np.uint8)
    frame[:2] = np.array([len(ticks)], ">u2").view(np.uint8)
    starts = 2 + np.cumsum(lengths + 2) - (lengths + 2)
    for length in np.unique(lengths).tolist():
        at = np.flatnonzero(lengths == length)
        packets = _packets(ticks[at], length)
        rows = packets.view(np.uint8).reshape(len(at), length + 2)
        if len(at) == len(ticks):
            frame[2:] = rows.reshape(-1)
        else:
            frame[starts[at, None] + np.arange(length + 2)] = rows
    return frame.tobytes()


def _lengths(ticks: RecordArray) -> IntArray:
    """Returns the length of each packet's body, by mode and kind of instrument."""
    table = np.array([[lengths[mode] for mode in MODES] for lengths in (INDEX_LENGTHS, SHARE_LENGTHS)])
    lengths: IntArray = table[ticks["tradable"].astype(np.int64), ticks["mode"]]
    return lengths


def _packets(ticks: RecordArray, length: int) -> RecordArray:
    """Encodes packets (k,) of one length, each with its length in front."""
    body = PACKETS[length][1]
    packets = np.zeros(len(ticks), np.dtype([("length", ">u2"), ("body", body)]))
    packets["length"] = length
    fields = packets["body"]
    divisors = _divisors(ticks["token"])
    for name in body.names or ():
        if name in PRICE_COLUMNS:
            fields[name] = _paise(ticks[name], divisors)
        elif name in TIME_COLUMNS:
            fields[name] = _seconds(ticks[name])
        elif name == "change":
            fields[name] = _paise(ticks["last_price"], divisors) - _paise(ticks["close"], divisors)
        elif name == "depth":
            _encode_depth(fields[name], ticks, divisors)
        else:
            fields[name] = _clipped_integers(ticks[name], MAX_UINT32)
    return packets


def _encode_depth(depth: RecordArray, ticks: RecordArray, divisors: FloatArray) -> None:
    depth["price"] = _paise(ticks["depth_price"], divisors[:, None, None])
    depth["quantity"] = _clipped_integers(ticks["depth_quantity"], MAX_UINT32)
    depth["orders"] = _clipped_integers(ticks["depth_orders"], 2**16 - 1)


def _paise(prices: FloatArray, divisors: FloatArray) -> IntArray:
    return _clipped_integers(np.round(prices * divisors), MAX_INT32)


def _clipped_integers(amounts: NDArray[np.generic], largest: int) -> IntArray:
    """Converts to whole numbers within the limits of the wire format; unknown ones become 0."""
    fields = np.nan_to_num(amounts.astype(np.float64), nan=0.0)
    return np.clip(fields, 0, largest).astype(np.int64)


def _seconds(instants: NDArray[np.datetime64]) -> IntArray:
    """Converts instants to seconds since 1970, UTC."""
    known = ~np.isnat(instants)
    return np.where(known, instants.astype("<M8[s]").astype(np.int64), 0)


def _divisors(tokens: IntArray) -> FloatArray:
    segments = tokens & 0xFF
    divisors = np.full(len(tokens), DEFAULT_DIVISOR)
    for segment, divisor in DIVISORS.items():
        divisors[segments == segment] = divisor
    return divisors


NOT_SENT: Final = np.nan
_Token = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
PrepareMarket = Callable[[datetime], Awaitable[datetime]]
MAX_QUEUED_COMMANDS: Final = 1000
CLOSE_TIMEOUT_S: Final = 0.5


class CommandError(Exception):
    """An invalid text frame, with the error message for its sender."""


class _Command(msgspec.Struct):
    action: str = msgspec.field(name="a")
    value: Any = msgspec.field(name="v")


class Subscription:
    """Tokens, ascending, each with its mode, and the price and volume sent last."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.tokens: IntArray = np.empty(0, np.int64)
        self._modes: IntArray = np.empty(0, np.int64)
        self._sent: FloatArray = np.empty((0, 2))  # last price and volume
        self._unsent: BoolArray = np.empty(0, np.bool_)

    def __len__(self) -> int:
        return len(self.tokens)

    def apply_command(self, text: str) -> None:
        """Applies a command of the client. CommandError when it is none, or asks for too much."""
        try:
            command = msgspec.json.decode(text, type=_Command)
            match command.action:
                case "subscribe":
                    self._subscribe(_tokens(command.value))
                case "unsubscribe":
                    self._unsubscribe(_tokens(command.value))
                case "mode":
                    mode, tokens = msgspec.convert(command.value, tuple[TickerMode, list[_Token]])
                    self._set_mode(mode, _tokens(tokens))
                case _:
                    raise CommandError(f"unknown action: {command.action}")
        except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
            raise CommandError(f"invalid message: {error}") from None

    def take_unsent(self) -> IntArray:
        """Returns tokens that wait for their first packet, or for the first in another mode."""
        fresh = self.tokens[self._unsent]
        self._unsent[:] = False
        return fresh

    def mark_sent(self, ticks: RecordArray) -> RecordArray:
        """Returns the ticks in their modes; from now on they count as sent."""
        places = np.searchsorted(self.tokens, ticks["token"])
        self._sent[places] = _price_and_volume(ticks)
        ticks["mode"] = self._modes[places]
        return ticks

    def changed_since_sent(self, ticks: RecordArray) -> RecordArray:
        """Returns the ticks whose price or volume differs from what was sent last."""
        places = np.searchsorted(self.tokens, ticks["token"])
        changed: RecordArray = ticks[(self._sent[places] != _price_and_volume(ticks)).any(axis=1)]
        return changed

    def _subscribe(self, tokens: IntArray) -> None:
        new = np.setdiff1d(tokens, self.tokens)
        if len(self) + len(new) > self._limit:
            raise CommandError(f"at most {self._limit} instruments a connection, was {len(self) + len(new)}")
        order = np.argsort(np.concatenate([self.tokens, new]))
        quote = np.full(len(new), MODES.index(TickerMode.QUOTE))
        self.tokens = np.concatenate([self.tokens, new])[order]
        self._modes = np.concatenate([self._modes, quote])[order]
        self._sent = np.concatenate([self._sent, np.full((len(new), 2), NOT_SENT)])[order]
        self._unsent = np.concatenate([self._unsent, np.ones(len(new), np.bool_)])[order]

    def _unsubscribe(self, tokens: IntArray) -> None:
        kept = ~np.isin(self.tokens, tokens)
        self.tokens, self._modes = self.tokens[kept], self._modes[kept]
        self._sent, self._unsent = self._sent[kept], self._unsent[kept]

    def _set_mode(self, mode: TickerMode, tokens: IntArray) -> None:
        """Sets the mode of tokens; those that are not followed are passed over."""
        meant = np.isin(self.tokens, tokens)
        self._modes[meant] = MODES.index(mode)
        self._unsent |= meant


def _tokens(value: Any) -> IntArray:
    return np.unique(np.array(msgspec.convert(value, list[_Token]), np.int64))


def _price_and_volume(ticks: RecordArray) -> FloatArray:
    return np.stack([ticks["last_price"], ticks["volume"]], axis=1)


class ConnectionCutError(Exception):
    """Raised to end the connection without a close frame."""


class SandboxTicker:
    """All connections to the live feed; their intervals are wall-clock time."""

    def __init__(
        self,
        settings: SandboxTickerSettings,
        market: SandboxMarket,
        clock: Clock,
        account: SandboxAccount,
        faults: FaultSelector,
    ) -> None:
        self.settings = settings
        self.faults = faults
        self._market = market
        self._clock = clock
        self._account = account
        self._connections: set[_ClientConnection] = set()

    def __len__(self) -> int:
        """Returns how many connections are open."""
        return len(self._connections)

    async def connect(self, request: web.Request, ready: PrepareMarket) -> web.WebSocketResponse:
        """Serves one connection until it ends. ApiError for an expired token or too many connections."""
        credentials = (request.query.get("api_key", ""), request.query.get("access_token", ""))
        if not self.is_valid_token(credentials):
            raise ApiError("TokenException", "Incorrect `api_key` or `access_token`.")
        if len(self) >= self.settings.connections:
            raise ApiError("NetworkException", "Too many connections", 429)
        connection = _ClientConnection(self, credentials, ready)
        with self._registered(connection):
            await connection.serve(request)
        return connection.socket

    def send_message(self, message: TickerMessage) -> int:
        """Sends a text frame to every client; returns their number."""
        for connection in self._connections:
            connection.send_message(message)
        return len(self)

    async def close(self, _: object = None) -> None:
        """Closes all connections."""
        await asyncio.gather(*(connection.close(WSCloseCode.GOING_AWAY) for connection in self._connections))

    def is_valid_token(self, credentials: tuple[str, str]) -> bool:
        """Returns whether key and access token are valid now."""
        return self._account.is_valid_token(*credentials, self._clock.now())

    async def ticks(self, tokens: IntArray, ready: PrepareMarket, *, resting: bool) -> RecordArray:
        """Returns current ticks of these, in mode full, with the injected faults."""
        at = await ready(self._clock.now())
        if resting:
            found = await asyncio.to_thread(self._market.ticks, tokens, at, resting=True)
        else:
            found = self._market.ticks(tokens, at, resting=False)
        altered = self.faults.altered_symbols
        return self.faults.corrupt_ticks(found, self._market.quotes(altered, at)) if altered else found

    @contextlib.contextmanager
    def _registered(self, connection: "_ClientConnection") -> Iterator[None]:
        self._connections.add(connection)
        try:
            yield
        finally:
            self._connections.discard(connection)


class _ClientConnection:
    """One client: its commands in, frames out, until either side or the token ends it."""

    def __init__(self, ticker: SandboxTicker, credentials: tuple[str, str], ready: PrepareMarket) -> None:
        self.socket = web.WebSocketResponse(compress=False, timeout=CLOSE_TIMEOUT_S)
        self._ticker = ticker
        self._settings = ticker.settings
        self._interval_s = min(ticker.settings.interval_s, ticker.settings.heartbeat_s)
        self._credentials = credentials
        self._prepare_market = ready
        self._subscription = Subscription(ticker.settings.instruments)
        self._commands: asyncio.Queue[str | TickerMessage] = asyncio.Queue(MAX_QUEUED_COMMANDS)
        self._sent_s = time.monotonic()

    async def serve(self, request: web.Request) -> None:
        """Reads and writes at the same time; whichever ends first ends the other."""
        await self.socket.prepare(request)
        writing = asyncio.create_task(self._write(request), name="sandbox ticker")
        try:
            async for message in self.socket:
                if message.type is WSMsgType.TEXT:
                    await self._commands.put(message.data)
        finally:
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writing

    def send_message(self, message: TickerMessage) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._commands.put_nowait(message)

    async def close(self, code: int) -> None:
        with contextlib.suppress(ConnectionError):
            await self.socket.close(code=code)

    async def _write(self, request: web.Request) -> None:
        try:
            await self._send_until_token_expires()
            await self.close(WSCloseCode.POLICY_VIOLATION)
        except (ConnectionCutError, ConnectionError):
            pass
        finally:
            if request.transport is not None and not self.socket.closed:
                request.transport.abort()

    async def _send_until_token_expires(self) -> None:
        due_s = time.monotonic() + self._interval_s
        while self._ticker.is_valid_token(self._credentials):
            if (order := await self._next_command(due_s - time.monotonic())) is not None:
                await self._handle_command(order)
                continue
            due_s = max(due_s + self._interval_s, time.monotonic())
            await self._send_changes()

    async def _next_command(self, within_s: float) -> str | TickerMessage | None:
        """Returns the next command of the client, or a text to send, if one comes in time."""
        try:
            return self._commands.get_nowait()
        except asyncio.QueueEmpty:
            pass
        try:
            return await asyncio.wait_for(self._commands.get(), max(within_s, 0.0))
        except TimeoutError:
            return None

    async def _handle_command(self, order: str | TickerMessage) -> None:
        """Applies a command and sends its ticks at once, unless another command is pending."""
        if isinstance(order, TickerMessage):
            return await self._send_text(order)
        try:
            self._subscription.apply_command(order)
        except CommandError as error:
            await self._send_text(TickerMessage("error", str(error)))
        if self._commands.empty() and len(fresh := self._subscription.take_unsent()):
            await self._send_ticks(await self._ticker.ticks(fresh, self._prepare_market, resting=True))
        return None

    async def _send_changes(self) -> None:
        ticks = await self._ticker.ticks(self._subscription.tokens, self._prepare_market, resting=False)
        changed = self._subscription.changed_since_sent(ticks)
        if len(changed):
            await self._send_ticks(changed)
        elif time.monotonic() - self._sent_s > self._settings.heartbeat_s - self._interval_s / 2:
            await self._send(HEARTBEAT)

    async def _send_ticks(self, ticks: RecordArray) -> None:
        await self._send(encode_frame(self._subscription.mark_sent(ticks)))

    async def _send_text(self, message: TickerMessage) -> None:
        await self._send(msgspec.json.encode(message).decode())

    async def _send(self, frame: bytes | str) -> None:
        """Sends the frame, with its fault if it has one. ConnectionCutError when that ends the connection."""
        drawn = self._ticker.faults.next_frame_fault()
        match drawn and drawn[0]:
            case TickerFault.MUTE:
                return
            case TickerFault.CLOSE:
                raise ConnectionCutError
            case TickerFault.SLOW:
                await asyncio.sleep(self._ticker.faults.settings.slow_s)
        if drawn and drawn[0] is TickerFault.GARBAGE:
            frame = corrupt_frame(frame, drawn[1])
        await (self.socket.send_str(frame) if isinstance(frame, str) else self.socket.send_bytes(frame))
        self._sent_s = time.monotonic()
