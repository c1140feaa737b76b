"""How a fault reaches the client: the answer cut, spread, replaced, or never sent."""

import asyncio
import contextlib
import gzip
import random
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from vcpd.sandbox.envelope import JSON
from vcpd.sandbox.faults import HTML_PAGE, with_another_type, without_a_key
from vcpd.sandbox.settings import FaultKind, FaultSettings

DRIP_PIECES: Final = 20

Answer = Callable[[], Awaitable[web.Response]]


class Mishaps:
    """Carries out the faults that spoil an answer or its way."""

    def __init__(self) -> None:
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Let go of every request that is being held."""
        self._closing.set()

    async def befall(
        self,
        kind: FaultKind,
        chance: random.Random,
        settings: FaultSettings,
        request: web.Request,
        answer: web.Response,
    ) -> web.StreamResponse:
        """What the client gets instead of `answer`."""
        match kind:
            case FaultKind.HANG:
                await self._rest(settings.hang_s)
                return _cut_off(request)
            case FaultKind.DROP:
                return await self._send(request, answer, _plain(answer), stop_at=0.5)
            case FaultKind.DRIP:
                return await self._send(
                    request, answer, _plain(answer), pause_s=settings.drip_s / DRIP_PIECES
                )
            case _:
                return spoiled(kind, chance, answer)

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)

    async def _send(
        self,
        request: web.Request,
        answer: web.Response,
        body: bytes,
        *,
        stop_at: float = 1.0,
        pause_s: float = 0.0,
    ) -> web.StreamResponse:
        """Send the body in pieces; with `stop_at` < 1 the connection ends after that share of it."""
        response = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
        response.content_length = len(body)
        await response.prepare(request)
        end = int(len(body) * stop_at)
        size = max(1, -(-end // DRIP_PIECES))
        for start in range(0, end, size):
            await response.write(body[start : min(start + size, end)])
            await self._rest(pause_s) if pause_s else None
        if end < len(body):
            _cut_off(request)
        return response


def spoiled(kind: FaultKind, chance: random.Random, answer: web.Response) -> web.Response:
    """The answer with a body that is not what it says."""
    body, is_json = _plain(answer), answer.content_type == JSON
    match kind:
        case FaultKind.HTML:
            return web.Response(body=HTML_PAGE, content_type="text/html")
        case FaultKind.TRUNCATED_GZIP:
            packed = gzip.compress(body)
            headers = {"Content-Encoding": "gzip"}
            return web.Response(
                body=packed[: len(packed) // 2], content_type=answer.content_type, headers=headers
            )
        case FaultKind.MISSING_KEY:
            changed = without_a_key(body, chance, is_json=is_json)
        case FaultKind.OTHER_TYPE:
            changed = with_another_type(body, chance, is_json=is_json)
        case _:
            changed = body
    return web.Response(body=changed, status=answer.status, content_type=answer.content_type)


def _plain(answer: web.Response) -> bytes:
    """The answer's body, unpacked."""
    body = answer.body
    raw = body if isinstance(body, bytes) else b""
    return gzip.decompress(raw) if answer.headers.get("Content-Encoding") == "gzip" else raw


def _cut_off(request: web.Request) -> web.Response:
    """End the connection; what has been written still goes out."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()
