"""Responses that are being computed: each once, few at a time, and only so many waiting.

A computation goes on when the client that asked first has gone: others may wait for the same, and the next
one finds it in the cache. So a client that asks and leaves again and again costs no more than one that stays.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final, Generic, TypeVar

from aiohttp import web

from vcpd.web.connections import ConnectionHandler
from vcpd.web.responses import HttpError

MAX_WAITING: Final = 32  # different responses of unknown clients, and as many of trusted ones
COMPUTING_TIMEOUT_S: Final = 120.0
RETRY_AFTER: Final = {"Retry-After": "5"}
T = TypeVar("T")


def is_trusted(request: web.Request) -> bool:
    """Whether the request comes from this machine, or from a client that proved who it is."""
    protocol = request.protocol
    return isinstance(protocol, ConnectionHandler) and protocol.connection.is_trusted


class SharedComputations(Generic[T]):
    """Computes one response at a time; requests for the same key share the result."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self._tasks: dict[Hashable, asyncio.Task[T]] = {}
        self._turn = asyncio.Lock()

    async def result(self, key: Hashable, compute: Callable[[], Awaitable[T]]) -> T:
        """What `compute` gives, or what an earlier caller's gives. HttpError 503 when too many wait."""
        task = self._tasks.get(key)
        if task is None:
            if len(self._tasks) >= self._max_waiting:
                raise HttpError(503, "too many responses are being computed; try again", RETRY_AFTER)
            task = asyncio.create_task(self._run(compute), name="web-response")
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(task)

    async def _run(self, compute: Callable[[], Awaitable[T]]) -> T:
        async with asyncio.timeout(COMPUTING_TIMEOUT_S), self._turn:
            return await compute()

    def _forget(self, key: Hashable, done: asyncio.Task[Any]) -> None:
        del self._tasks[key]
        if not done.cancelled():
            done.exception()  # every caller may have gone: nobody else reads it


class HandlersAtWork:
    """How many handlers are at work, those included whose client has gone."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._number = 0

    def __enter__(self) -> None:
        """HttpError 503 when as many as permitted are at work."""
        if self._number >= self._most:
            raise HttpError(503, "too many requests are being answered; try again", RETRY_AFTER)
        self._number += 1

    def __exit__(self, *_: object) -> None:
        self._number -= 1
