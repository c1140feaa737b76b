"""One line to the live feed: connected, subscribed, heard; opened again when it breaks or falls silent."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from random import SystemRandom
from typing import Any, Final, Protocol

import aiohttp
import structlog

from vcpd.domain.errors import NeedsLoginError, RetryableError
from vcpd.domain.live import FeedState, LivePrices
from vcpd.kite.settings import TickerSettings
from vcpd.kite.ticker import Mode, decode_prices, decode_text, set_mode, subscribe, unsubscribe
from vcpd.ports import Clock

TOKENS_A_COMMAND: Final = 500
LOOK_EVERY_S: Final = 1.0
GATHER_S: Final = 0.002  # frames of one moment are read in one pass
STEADY_AFTER_S: Final = 20.0  # a line that lived so long begins its pauses anew
GARBAGE_IN_A_ROW: Final = 50
HEARTBEAT_BYTES: Final = 1

Deliver = Callable[[LivePrices], None]
log = structlog.get_logger(__name__)
_dice = SystemRandom()


class Door(Protocol):
    """Where lines are opened."""

    async def open(self) -> tuple[aiohttp.ClientWebSocketResponse, object]:
        """A socket, and the login it was opened with; NeedsLoginError or RetryableError."""
        ...

    def is_current(self, login: object) -> bool:
        """Whether a line opened with `login` would be opened with the same one now."""
        ...


class LineCounts:
    """What happened on all lines of a feed since its start."""

    def __init__(self) -> None:
        self.frames = self.ticks = self.garbage = self.reconnects = self.mute = 0


class Backoff:
    """Pauses that double from try to try, each a random share of its length."""

    def __init__(self) -> None:
        self._tries = 0

    def reset(self) -> None:
        self._tries = 0

    def next_s(self, first_s: float, longest_s: float) -> float:
        pause_s = min(longest_s, first_s * 2 ** min(self._tries, 16))
        self._tries += 1
        return _dice.uniform(pause_s / 2, pause_s)


class Line:
    """Follows what it is told to, for ever. `settings` may be replaced at any time."""

    def __init__(
        self, name: str, door: Door, settings: TickerSettings, clock: Clock, counts: LineCounts
    ) -> None:
        self.name = name
        self.settings = settings
        self.state = FeedState.OFF
        self.reason = ""
        self.tokens: dict[int, None] = {}
        self._door = door
        self._clock = clock
        self._counts = counts
        self._backoff = Backoff()
        self._wish = asyncio.Event()
        self._frames: list[bytes] = []
        self._arrived = asyncio.Event()
        self._heard_s = 0.0
        self._garbage_in_a_row = 0
        self._renew = False

    def follow(self, tokens: Iterable[int]) -> None:
        """Follow these from now on; an open line is told the difference."""
        wanted = dict.fromkeys(tokens)
        if wanted != self.tokens:
            self.tokens = wanted
            self._wish.set()

    def renew(self) -> None:
        """Open the line anew."""
        self._renew = True
        self._wish.set()

    async def run(self, deliver: Deliver) -> None:
        """For ever; the owner cancels it."""
        try:
            while True:
                await self._until_wanted()
                await self._clock.sleep(await self._connection(deliver))
        finally:
            self.state = FeedState.OFF

    async def _until_wanted(self) -> None:
        while not self.tokens:
            self.state, self.reason = FeedState.OFF, ""
            self._wish.clear()
            await self._wish.wait()

    async def _connection(self, deliver: Deliver) -> float:
        """One connection from its begin to its end; gives the pause before the next."""
        settings = self.settings
        try:
            socket, login = await self._door.open()
        except NeedsLoginError as error:
            self._note(FeedState.LOGIN_DUE, str(error))
            return LOOK_EVERY_S
        except RetryableError as error:
            self._note(FeedState.CONNECTING, str(error))
            return self._backoff.next_s(settings.backoff_s, settings.backoff_max_s)
        begun_s = self._clock.monotonic_s()
        async with socket:
            ended = await self._converse(socket, login, deliver)
        self._counts.reconnects += 1
        if self._clock.monotonic_s() - begun_s >= STEADY_AFTER_S:
            self._backoff.reset()
        self._note(FeedState.CONNECTING, ended)
        return self._backoff.next_s(settings.backoff_s, settings.backoff_max_s)

    def _note(self, state: FeedState, reason: str) -> None:
        if (state, reason) != (self.state, self.reason):
            log.info("ticker.line", line=self.name, state=state.value, reason=reason)
        self.state, self.reason = state, reason

    async def _converse(
        self, socket: aiohttp.ClientWebSocketResponse, login: object, deliver: Deliver
    ) -> str:
        """Listen, speak and watch until one of them ends the connection; gives the reason."""
        self._heard_s = self._clock.monotonic_s()
        self._frames, self._garbage_in_a_row, self._renew = [], 0, False
        self._note(FeedState.CONNECTING, "waiting for the first frame")
        works = {
            "listen": self._listen(socket),
            "speak": self._speak(socket),
            "watch": self._watch(login),
            "hand-over": self._hand_over(deliver),
        }
        return await _first_word({f"ticker {self.name} {name}": work for name, work in works.items()})

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> str:
        async for message in socket:
            self._heard_s = self._clock.monotonic_s()
            if self.state is not FeedState.LIVE:
                self._note(FeedState.LIVE, "")
            if message.type is aiohttp.WSMsgType.BINARY:
                self._counts.frames += 1
                if len(message.data) > HEARTBEAT_BYTES:
                    self._frames.append(message.data)
                    self._arrived.set()
            elif message.type is aiohttp.WSMsgType.TEXT:
                self._read_text(message.data)
        return f"the market closed the line ({socket.close_code})"

    def _read_text(self, text: str) -> None:
        try:
            message = decode_text(text)
        except RetryableError:
            self._counts.garbage += 1
            return
        if message.type == "error":
            log.warning("ticker.error", line=self.name, said=str(message.data)[:200])

    async def _speak(self, socket: aiohttp.ClientWebSocketResponse) -> str:
        """Tell the market what is wanted, whenever that changes."""
        told: dict[int, None] = {}
        try:
            while not self._renew:
                self._wish.clear()
                wanted = self.tokens
                for command in _commands(told, wanted):
                    await socket.send_str(command)
                told = wanted
                await self._wish.wait()
        except ConnectionError as error:
            return f"the line broke while speaking: {type(error).__name__}"
        return "opened anew"

    async def _watch(self, login: object) -> str:
        """Notice a line that is mute, and a login that was renewed."""
        while True:
            await self._clock.sleep(LOOK_EVERY_S)
            if not self.tokens:
                return "nothing to follow"
            if not self._door.is_current(login):
                return "the login was renewed"
            silent_s = self._clock.monotonic_s() - self._heard_s
            if silent_s > self.settings.mute_after_s:
                self._counts.mute += 1
                return f"mute for {silent_s:.0f} s"

    async def _hand_over(self, deliver: Deliver) -> str:
        while self._garbage_in_a_row < GARBAGE_IN_A_ROW:
            await self._arrived.wait()
            await asyncio.sleep(GATHER_S)
            self._arrived.clear()
            frames, self._frames = self._frames, []
            for prices in self._read(frames):
                self._counts.ticks += len(prices)
                deliver(prices)
        return f"{GARBAGE_IN_A_ROW} frames in a row could not be read"

    def _read(self, frames: Sequence[bytes]) -> Iterator[LivePrices]:
        """Their prices at once, or one by one where one of them cannot be read."""
        try:
            yield decode_prices(frames)
            self._garbage_in_a_row = 0
        except RetryableError:
            if len(frames) > 1:
                for frame in frames:
                    yield from self._read([frame])
                return
            self._counts.garbage += 1
            self._garbage_in_a_row += 1


def _commands(told: dict[int, None], wanted: dict[int, None]) -> Iterator[str]:
    gone = [token for token in told if token not in wanted]
    new = [token for token in wanted if token not in told]
    for batch in _batches(gone):
        yield unsubscribe(batch)
    for batch in _batches(new):
        yield subscribe(batch)
        yield set_mode(Mode.FULL, batch)


def _batches(tokens: Sequence[int]) -> Iterator[Sequence[int]]:
    return (tokens[at : at + TOKENS_A_COMMAND] for at in range(0, len(tokens), TOKENS_A_COMMAND))


async def _first_word(works: dict[str, Coroutine[Any, Any, str]]) -> str:
    """What the first of the works to end says; the others are ended. A work's error is raised."""
    tasks = [asyncio.create_task(work, name=name) for name, work in works.items()]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return next(task for task in tasks if task in done).result()
