"""A bare client of the live feed, and a market's session that runs at speed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from tests.kite.frames import decode_frame
from tests.sandbox.conftest import SETTINGS
from vcpd.domain.bars import RecordArray
from vcpd.kite.ticker_protocol import TickerMessage, decode_text

PATIENCE_S = 5.0


class Feed:
    """One connection; each method waits for what it names, at most PATIENCE_S."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, command: str) -> None:
        await self.socket.send_str(command)

    async def message(self) -> aiohttp.WSMessage:
        return await self.socket.receive(PATIENCE_S)

    async def frame(self) -> bytes:
        """The next binary frame."""
        message = await self.message()
        assert message.type is aiohttp.WSMsgType.BINARY, message
        data: bytes = message.data
        return data

    async def ticks(self) -> RecordArray:
        """The ticks of the next frame that is no heartbeat."""
        while not len(found := decode_frame(await self.frame())):
            pass
        return found.records

    async def text(self) -> TickerMessage:
        """The next text frame; ticks before it are passed over."""
        while (message := await self.message()).type is aiohttp.WSMsgType.BINARY:
            pass
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return decode_text(message.data)

    async def end(self) -> int | None:
        """Reads on until the connection is over; gives the closing code."""
        async with asyncio.timeout(PATIENCE_S):
            async for _ in self.socket:
                pass
        return self.socket.close_code

    async def silent(self, seconds: float) -> bool:
        """Whether nothing at all comes for so long."""
        try:
            await self.socket.receive(seconds)
        except TimeoutError:
            return True
        return False


@asynccontextmanager
async def feed(
    ticker_url: str, access_token: str, api_key: str = SETTINGS.api_key, path: str = "/"
) -> AsyncIterator[Feed]:
    """An open connection to the live feed."""
    address = f"{ticker_url}{path}?api_key={api_key}&access_token={access_token}"
    async with aiohttp.ClientSession() as http, http.ws_connect(address) as socket:
        yield Feed(socket)
