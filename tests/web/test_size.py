"""Sizes, crowding, and the pause button of jobs."""

import pytest

from tests.fakes.web import AUTHORIZED, FakeDaemon, sources
from tests.web.client import asking

ASKED = AUTHORIZED


async def test_a_size_is_asked_with_symbol_and_equity() -> None:
    async with asking(sources()) as client:
        answer = await client.get("/api/size?symbol=aaa&equity=1000000&risk_pct=0.5")
        assert answer.status == 200
        assert await answer.json() == {"symbol": "NSE:AAA", "quantity": 10_000}


@pytest.mark.parametrize(
    "query",
    ["", "symbol=AAA", "equity=5", "symbol=AAA&equity=0", "symbol=AAA&equity=nan", "symbol=AAA&equity=1e99",
     "symbol=AAA&equity=5&risk_pct=11", "symbol=AAA&equity=5&stop=-3", "symbol=AAA&equity=x"],
)  # fmt: skip
async def test_a_size_without_sensible_numbers_is_refused_with_what_was_expected(query: str) -> None:
    async with asking(sources()) as client:
        answer = await client.get(f"/api/size?{query}")
        assert answer.status == 400
        assert "expected" in (await answer.json())["error"]


async def test_the_size_of_an_unknown_symbol_is_404() -> None:
    async with asking(sources()) as client:
        assert (await client.get("/api/size?symbol=ZZZ&equity=5")).status == 404


async def test_crowding_is_answered() -> None:
    async with asking(sources()) as client:
        assert (await (await client.get("/api/crowding")).json())["effective_bets"] == 0.0


async def test_a_job_is_paused_and_resumed_and_only_by_post() -> None:
    asked = sources()
    daemon = asked.daemon
    assert isinstance(daemon, FakeDaemon)
    async with asking(asked) as client:
        assert (await client.get("/api/jobs/collect/pause")).status == 405
        answer = await client.post("/api/jobs/collect/pause", headers=ASKED)
        assert await answer.json() == {"job": "collect", "paused": True}
        assert daemon.paused == {"collect"}
        await client.post("/api/jobs/collect/resume", headers=ASKED)
        assert daemon.paused == set()


async def test_pausing_an_unknown_job_is_404() -> None:
    async with asking(sources()) as client:
        assert (await client.post("/api/jobs/nothing/pause", headers=ASKED)).status == 404
