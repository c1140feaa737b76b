"""News come by themselves, to a bounded crowd, and end with the port."""

import asyncio
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import ClientResponse

from tests.fakes.web import AUTHORIZED, FakeDaemon, sources
from tests.web.client import Client, asking
from vcpd.web import events

SOON_S = 5.0


async def _pulse(stream: ClientResponse) -> Mapping[str, Any]:
    async with asyncio.timeout(SOON_S):
        while not (line := await stream.content.readline()).startswith(b"data: "):
            assert line, "the stream ended"
    news: Mapping[str, Any] = json.loads(line.removeprefix(b"data: "))
    return news


async def _watch(client: Client) -> ClientResponse:
    return await client.get("/api/events")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "POLL_INTERVAL_S", 0.01)


async def test_a_page_receives_the_present_and_then_each_change() -> None:
    given = sources()
    async with asking(given) as client, await _watch(client) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert "default-src" in stream.headers["Content-Security-Policy"]
        assert (await _pulse(stream))["started"] == []
        await client.post("/api/jobs/collect/run", headers=AUTHORIZED)
        assert (await _pulse(stream))["started"] == ["collect"]


async def test_nothing_is_said_twice() -> None:
    async with asking(sources()) as client, await _watch(client) as stream:
        await _pulse(stream)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await _pulse(stream)


async def test_no_work_without_watchers() -> None:
    class Counting(FakeDaemon):
        requested = 0

        def event_payload(self) -> Mapping[str, Any]:
            self.requested += 1
            return super().event_payload()

    daemon = Counting()
    async with asking(dataclasses.replace(sources(), daemon=daemon)) as client:
        await client.get("/healthz")
        await asyncio.sleep(0.05)  # several looks' time
        assert daemon.requested == 0


async def test_the_oldest_stream_of_a_client_ends_when_it_opens_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "MAX_STREAMS_PER_CLIENT", 1)
    async with asking(sources()) as client, await _watch(client) as first:
        await _pulse(first)
        async with await _watch(client) as second:
            assert (await _pulse(second))["state"] == "ready"
            async with asyncio.timeout(SOON_S):
                assert b"event" not in await first.content.read()


def test_no_client_takes_the_streams_of_another() -> None:
    broadcaster = events.EventBroadcaster(sources())
    kept = broadcaster.open("10.0.0.1")
    greedy = [
        broadcaster.open(f"10.0.1.{number % 16}") for number in range(events.MAX_STREAMS_PER_CLIENT * 16)
    ]
    assert kept.is_open
    still_open = [stream for stream in greedy if stream.is_open]
    assert len(still_open) == events.MAX_STREAMS - 1
    assert broadcaster.open("10.0.0.2").is_open
    assert kept.is_open


async def test_a_stream_outlives_the_time_of_an_answer_and_ends_with_the_port() -> None:
    from vcpd.web.settings import WebSettings  # noqa: PLC0415 - beside its only use

    async with asking(sources(), WebSettings(request_timeout_s=0.05)) as client:
        stream = await _watch(client)
        await _pulse(stream)
        await asyncio.sleep(0.1)
        assert not stream.closed
        closing = asyncio.create_task(client.server.close())
        async with asyncio.timeout(SOON_S):
            rest = await stream.content.read()
            await closing
        assert b"event" not in rest
