"""Large responses: however many clients read slowly, the bytes that wait for them are bounded."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import aiohttp
import pytest

from tests.fakes.web import AUTHORIZED, FakeSetups, setup, sources
from vcpd.web.cache import SharedComputations
from vcpd.web.connections import ConnectionTable
from vcpd.web.responses import RETRY_AFTER, HttpError
from vcpd.web.security import HandlersAtWork
from vcpd.web.server import WebServer
from vcpd.web.settings import WebSettings
from vcpd.web.unsent import SLICE_BYTES, UnsentBodies

SOON_S = 20.0
SETUPS = 5_000
READERS = 24
LARGE_PATHS = ["/api/setups?all=1&limit=5000", "/api/board?all=1"]


@dataclass(frozen=True)
class Taker:
    address: str
    number: int = 0


def test_a_body_counts_once_however_many_take_it() -> None:
    bodies, content = UnsentBodies[Taker](100), bytes(60)
    takers = [Taker(f"10.0.0.{number}") for number in range(9)]
    assert [bodies.hold(taker, content) for taker in takers] == [[]] * 9
    assert bodies.size == 60
    for taker in takers:
        assert bodies.size == 60
        bodies.release(taker, content)
        bodies.release(taker, content)
    assert bodies.size == 0


def test_above_the_limit_the_address_that_holds_most_gives_way() -> None:
    bodies, shared = UnsentBodies[Taker](100), bytes(40)
    honest, greedy = Taker("10.0.0.1"), [Taker("10.0.0.2", number) for number in range(4)]
    contents = [bytes(30 + number) for number in range(4)]
    assert bodies.hold(honest, shared) == []
    assert bodies.hold(greedy[0], shared) == []
    assert bodies.hold(greedy[1], contents[1]) == []
    assert bodies.hold(greedy[2], contents[2]) == [greedy[1]]
    assert bodies.hold(greedy[3], contents[3]) == [greedy[2]]
    assert bodies.size == 40 + 33


def test_a_body_above_the_limit_is_sent_alone() -> None:
    bodies = UnsentBodies[Taker](100)
    small, large = Taker("10.0.0.1"), Taker("10.0.0.2")
    contents = [bytes(10), bytes(300)]
    assert bodies.hold(small, contents[0]) == []
    assert bodies.hold(large, contents[1]) == [small]
    bodies.release(small, contents[0])
    bodies.release(large, contents[1])
    assert bodies.size == 0


@asynccontextmanager
async def large_port() -> AsyncIterator[tuple[WebServer, ConnectionTable]]:
    """A port whose lists of all symbols are megabytes, and its table of connections."""
    given = replace(sources(), setups=FakeSetups([setup(f"NSE:S{number}") for number in range(SETUPS)]))
    running = await WebServer.start(WebSettings(port=0), given)
    try:
        yield running, running._listener.table
    finally:
        await running.close()


def _slow_reader(port: int, source: str, path: str) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    sock.settimeout(SOON_S)
    sock.bind((source, 0))
    sock.connect(("127.0.0.1", port))
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return sock


async def _first_bytes(port: int, paths: Sequence[str]) -> list[socket.socket]:
    """Readers from four addresses, each of which took the status of its response and no more."""
    readers = [
        await asyncio.to_thread(_slow_reader, port, f"127.0.4.{number % 4 + 1}", path)
        for number, path in enumerate(paths)
    ]
    statuses = [await asyncio.to_thread(reader.recv, 12) for reader in readers]
    assert set(statuses) <= {b"HTTP/1.1 200", b"HTTP/1.1 503"}
    return readers


async def _whole_answer(port: int, path: str) -> bytes:
    async with (
        aiohttp.ClientSession(auto_decompress=False, headers=AUTHORIZED) as http,
        http.get(f"http://127.0.0.1:{port}{path}", headers={"Accept-Encoding": "identity"}) as answer,
    ):
        assert answer.status == 200
        assert answer.content_length is not None
        body = await answer.read()
        assert len(body) == answer.content_length
        return body


@pytest.mark.parametrize("path", LARGE_PATHS)
async def test_slow_readers_of_one_body_share_it(path: str) -> None:
    async with large_port() as (running, table), asyncio.timeout(SOON_S):
        body = await _whole_answer(running.port, path)
        assert len(body) > 10 * SLICE_BYTES
        readers = await _first_bytes(running.port, [path] * READERS)
        unsent = [connection.carrier.unsent_bytes() for connection in table]
        assert max(unsent) <= 3 * SLICE_BYTES
        assert sum(unsent) < len(body) * READERS / 4
        assert await _whole_answer(running.port, path) == body
        for reader in readers:
            reader.close()


async def test_different_large_bodies_are_held_up_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reader asks for another list, so that nothing is shared."""
    async with large_port() as (running, table), asyncio.timeout(SOON_S):
        body = await _whole_answer(running.port, LARGE_PATHS[0])
        bodies = table._bodies[False]
        monkeypatch.setattr(bodies, "limit_bytes", 4 * len(body))
        largest = 0
        hold = bodies.hold

        def watched(reader: object, content: bytes) -> list[object]:
            nonlocal largest
            closed = hold(reader, content)  # type: ignore[arg-type]  # whatever the table gives
            largest = max(largest, bodies.size)
            return closed  # type: ignore[return-value]  # as it is

        monkeypatch.setattr(bodies, "hold", watched)
        paths = [f"/api/setups?all=1&limit={SETUPS - number}" for number in range(READERS)]
        readers = await _first_bytes(running.port, paths)
        assert 2 * len(body) < largest <= 4 * len(body)
        assert len(table) < READERS
        assert await _whole_answer(running.port, LARGE_PATHS[0]) == body
        for reader in readers:
            reader.close()


class Gate:
    """A computation that waits until it may go on, and counts how often it ran."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.runs = self.most_at_once = self.at_once = 0

    def compute(self, value: int) -> Callable[[], Awaitable[int]]:
        async def computation() -> int:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self.runs += 1
            await self.opened.wait()
            self.at_once -= 1
            return value

        return computation


async def test_each_key_is_computed_once_and_one_at_a_time() -> None:
    gate, computations = Gate(), SharedComputations[int](max_waiting=3)
    asking = [
        asyncio.ensure_future(computations.result(key, gate.compute(key))) for key in (1, 2, 1, 3, 2, 1)
    ]
    await asyncio.sleep(0)
    with pytest.raises(HttpError, match="too many responses") as refused:
        await computations.result(4, gate.compute(4))
    assert (refused.value.status, refused.value.headers) == (503, RETRY_AFTER)
    gate.opened.set()
    assert await asyncio.gather(*asking) == [1, 2, 1, 3, 2, 1]
    assert (gate.runs, gate.most_at_once) == (3, 1)
    assert await computations.result(4, gate.compute(4)) == 4


async def test_a_computation_goes_on_when_its_client_has_gone() -> None:
    gate, computations = Gate(), SharedComputations[int]()
    for _ in range(5):
        gone = asyncio.ensure_future(computations.result("key", gate.compute(7)))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
    last = asyncio.ensure_future(computations.result("key", gate.compute(8)))
    gate.opened.set()
    assert await last == 7
    assert gate.runs == 1


async def test_an_error_reaches_every_caller_and_the_next_one_computes_again() -> None:
    computations = SharedComputations[int]()

    async def failing() -> int:
        await asyncio.sleep(0)
        raise HttpError(404, "no such symbol")

    results = await asyncio.gather(
        *(computations.result("key", failing) for _ in range(3)), return_exceptions=True
    )
    assert [str(result) for result in results] == ["no such symbol"] * 3
    gate = Gate()
    gate.opened.set()
    assert await computations.result("key", gate.compute(1)) == 1


def test_handlers_beyond_the_limit_are_refused() -> None:
    at_work = HandlersAtWork(2)
    with at_work, at_work, pytest.raises(HttpError, match="too many requests"), at_work:
        pass
    with at_work:
        pass
